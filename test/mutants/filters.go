package mutants

var filters = []Mutant{
	{
		Name: "a view is opened whatever is decided", Area: "filters", File: "instance/copy.go", By: "test/sim TestFilters",
		Old: `case c.hasDecidedAll(&w.req.CopyOrder):`,
		New: `case true:`,
	},
	{
		Name: "rows of the term in effect count as decided", Area: "filters", File: "instance/copy.go", By: "test/sim TestFilters",
		Old: `if cur.Term == o.Term && uint32(id) == cur.Owner || !c.everLed(uint32(id)) {`,
		New: `if !c.everLed(uint32(id)) {`,
	},
	{
		Name: "a copy begins before its view is decided here", Area: "filters", File: "instance/share.go", By: "test/sim TestFilters",
		Old: `if v := c.Decided(); v.Covers(&s.copy.view) {`,
		New: `if true {`,
	},
	{
		Name: "what was committed during a copy is lost", Area: "filters", File: "instance/settle.go", By: "test/sim TestFilters",
		Old: `if c.share.copy != nil {`,
		New: `if false {`,
	},
	{
		Name: "an undecided row of a filter counts", Area: "filters", File: "instance/filter.go", By: "test/sim TestFilters",
		Old: `readFilter(c.box.Own(&box.OwnFilter, name))`,
		New: `readFilter(c.box.NewestOwn(&box.OwnFilter, name))`,
	},
	{
		Name: "rows that came for another share are taken", Area: "filters", File: "instance/apply.go", By: "test/sim TestFilters",
		Old: ` || ev.Gen != c.share.gen {`,
		New: ` {`,
	},
	{
		Name: "a space that is removed keeps its tuples", Area: "filters", File: "instance/share.go", By: "test/sim TestFilters",
		Old: `			s.drops = insertID(s.drops, sp.ID)
		}
	}
	// One`,
		New: `		}
	}
	// One`,
	},
	{
		Name: "what was dropped while its copy rested is lacking still", Area: "filters", File: "instance/share.go", By: "instance TestShareForgetsADroppedSpace",
		Old: `return !s.now.Has(id) })
	if s.copy`,
		New: `return s.now == nil })
	if s.copy`,
	},
	{
		Name: "a change of a definition leaves a copy as it is", Area: "filters", File: "instance/apply.go", By: "test/sim TestFilters",
		Old: `	if a.ddl {
		c.restartCopy(a)
	}
`,
		New: ``,
	},
	{
		Name: "a copy that fails is asked for again every second", Area: "filters", File: "instance/copying.go", By: "instance TestCopyPausesGrow",
		Old: `min(pause<<min(t.fails-1, 6), copyPauseMost)`,
		New: `pause`,
	},
	{
		Name: "more copies are given than there are places for", Area: "filters", File: "replication/given.go", By: "replication TestCopyPlaces",
		Old: `!file && h.views() >= places {`,
		New: `!file && h.views() > places {`,
	},
	{
		Name: "a copy that is cancelled keeps its view while its replica takes nothing", Area: "filters", File: "replication/spool.go", By: "replication TestCancelCopy",
		Old: `	return o.of.ctx.Done()
`,
		New: `	return nil
`,
	},
	{
		Name: "a silent replica keeps its view", Area: "filters", File: "replication/given.go", By: "replication TestSilentReplica",
		Old: `			_ = g.link.SetWriteDeadline(g.armed.Add(silence)) // else it is closed
`,
		New: ``,
	},
	{
		Name: "a block of the file of a base copy is not checked", Area: "filters", File: "internal/copyfile/reader.go", By: "internal/copyfile TestAttackAlteredFile",
		Old: `sum != blockSum(r.no, whole) {`,
		New: `sum == 0 {`,
	},
	{
		Name: "a file serves who holds what was undecided when its view was opened", Area: "filters", File: "replication/files.go", By: "replication TestFileServes",
		Old: `!failed && f.vclock.Covers(&o.VClock) && f.term >= o.Term`,
		New: `!failed`,
	},
	{
		Name: "any path goes to the transfer command", Area: "filters", File: "replication/transfer.go", By: "replication TestAttackPathOfFile",
		Old: `if !safePath(file.Path) {`,
		New: `if file.Path == "" {`,
	},
	{
		Name: "any file is taken for the one that was written", Area: "filters", File: "replication/transfer.go", By: "replication TestTransferOfAnotherFile",
		Old: `if file.Digest() != in.file.Digest {`,
		New: `if file.Digest() == [32]byte{} {`,
	},
	{
		Name: "an index is formed of the newest versions alone", Area: "filters", File: "box/leftout.go", By: "box TestTwin",
		Old: `if err := b.formChain(fits, ix, b.mem.prev(r)); err != nil {`,
		New: `if err := error(nil); err != nil {`,
	},
	{
		Name: "an index is formed of what views keep", Area: "filters", File: "box/leftout.go", By: "box TestFormed",
		Old: `if r == 0 || b.mem.end(r) <= b.confirmed {`,
		New: `if r == 0 {`,
	},
	{
		Name: "the pass of an index goes on in another order", Area: "filters", File: "box/leftout.go", By: "box TestFormedInAnotherOrder",
		Old: `if pk.tree != f.primary {`,
		New: `if f.primary == nil {`,
	},
	{
		Name: "a void change of the schema loses an index that is formed", Area: "filters", File: "box/leftout.go", By: "box TestTwin",
		Old: `return ix, ix != nil || of(b.dict) != nil`,
		New: `return ix, ix != nil`,
	},
	{
		Name: "an index is read before it is whole", Area: "filters", File: "box/schema.go", By: "box TestFormed",
		Old: `if ix.tree != nil && ix.tree.forming != nil {`,
		New: `if false {`,
	},
	{
		Name: "a draft reads by an index of later", Area: "filters", File: "box/draft_query.go", By: "box TestFormedBehindADraft",
		Old: `s.bound < s.ix.tree.since {`,
		New: `false {`,
	},
	{
		Name: "an index that is left out is built by its row", Area: "filters", File: "box/ddl.go", By: "box TestLeftOut",
		Old: `if !who.log && t.dict.sharing.leavesOut(sp.id, ix.id) {`,
		New: `if false {`,
	},
	{
		Name: "a recovery builds what is left out", Area: "filters", File: "instance/leftout.go", By: "instance TestIndexAfterARestart",
		Old: `if f := readFilter(b.Own(&box.OwnFilter, filter)); f != nil {`,
		New: `if f := readFilter(b.Own(&box.OwnFilter, filter)); false {`,
	},
	{
		Name: "indexes wait until nothing is undecided", Area: "filters", File: "instance/share.go", By: "instance TestIndexIsFormedUnderLoad",
		Old: `return len(s.drops) == 0 && !c.misaligned()`,
		New: `return len(s.drops) == 0`,
	},
	{
		Name: "indexes are settled by an undecided change of the schema", Area: "filters", File: "instance/leftout.go", By: "instance TestIndexWaitsForDefinitions",
		Old: `if s.changed && !c.box.Misaligned() && !c.definesUndecided() {`,
		New: `if s.changed && !c.box.Misaligned() {`,
	},
	{
		Name: "an index is formed in one Step", Area: "filters", File: "instance/leftout.go", By: "instance TestIndexIsFormedUnderLoad",
		Old: `more, err := c.box.Form(c.cfg.BuildRows)`,
		New: `more, err := c.box.Form(1 << 40)`,
	},
	{
		Name: "who has no row is served by a filter", Area: "filters", File: "instance/replicas.go", By: "instance TestScripts", Quick: true,
		Old: `return j.Filter == "" || FindReplica(c.replicas, j.UUID) != nil //`,
		New: `return true //`,
	},
	{
		Name: "an undecided row of a replica counts", Area: "filters", File: "instance/replicas.go", By: "instance TestScripts",
		Old: `r := FindReplica(c.replicas, j.UUID)
	if !j.anonymous() {`,
		New: `r := FindReplica(c.replicas, j.UUID)
	if newest, ok := readReplica(c.box.NewestOwn(&box.OwnReplica, j.UUID)); ok {
		r = &newest
	}
	if !j.anonymous() {`,
	},
	{
		Name: "a dropped replica is registered again on the way", Area: "filters", File: "instance/replica.go", By: "instance TestScripts",
		Old: `	case r.Dropped:
		return replicaError("Replica '%s' (%s) was dropped and gets nothing any more; `,
		New: `	case false:
		return replicaError("Replica '%s' (%s) was dropped and gets nothing any more; `,
	},
	{
		Name: "a stream goes on behind the drop of its replica", Area: "filters", File: "replication/replicas.go", By: "replication TestDroppedReplicaLosesItsStream",
		Old: `err != nil && r.end == nil {`,
		New: `false {`,
	},
	{
		Name: "a base copy is not checked", Area: "filters", File: "replication/serve_copy.go", By: "replication TestCopiesAreChecked",
		Old: `if err := h.checkCopy(req); err != nil {`,
		New: `if err := h.checkCopy(req); false {`,
	},
	{
		Name: "the right to read registers a replica", Area: "filters", File: "replication/replicas.go", By: "replication TestReplicaRegistersWithItsStream",
		Old: `h.cfg.Rights(user, true); err != nil {`,
		New: `h.cfg.Rights(user, false); err != nil {`,
	},
	{
		Name: "a filter that is in use is dropped", Area: "filters", File: "instance/replicas.go", By: "instance TestScripts",
		Old: `if len(users) > 0 && !force {`,
		New: `if false {`,
	},
	{
		Name: "rows of replicas do not follow the name of a filter", Area: "filters", File: "instance/replicas.go", By: "instance TestScripts",
		Old: `if r.Filter != filter {
			continue
		}
		r.Filter = to`,
		New: `if true {
			continue
		}
		r.Filter = to`,
	},
	{
		Name: "a wrong filter's name costs what the disk has", Area: "filters", File: "instance/snapshot.go", By: "server TestFilteredReplicaOfAWrongName",
		Old: `if err := c.refuseCheckpoint(); err != nil {`,
		New: `if err := c.refuseCheckpoint(); err != nil && ev.Tag == 0 {`,
	},
	{
		Name: "a filtered replica gives states", Area: "filters", File: "replication/share.go", By: "server TestFilteredReplicaRefuses",
		Old: `	if h.cfg.Filter == "" {
		return nil
	}
	return instance.FilteredReplica`,
		New: `	if does != "" {
		return nil
	}
	return instance.FilteredReplica`,
	},
	{
		Name: "the end of a connection ends a base copy", Area: "filters", File: "replication/copier.go", By: "server TestCopyIsCutAtEachFrame",
		Old: `		case err != nil:
			return err
		case row.Type == xrow.OK:`,
		New: `		case err != nil:
			return p.send()
		case row.Type == xrow.OK:`,
	},
	{
		Name: "a replica takes a base copy faster than its core", Area: "filters", File: "replication/copier.go", By: "replication TestCopyIsBounded",
		Old: `room: make(chan struct{}, 2)`,
		New: `room: make(chan struct{}, 2000)`,
	},
	{
		Name: "heartbeats gather as rows do", Area: "filters", File: "replication/hub.go", By: "replication TestRowsGather",
		Old: `		case all:
			r.wakeUp()`,
		New: `		case all && r.share == nil:
			r.wakeUp()`,
	},
	{
		Name: "what is left of a log gathers", Area: "filters", File: "replication/relay.go", By: "replication TestLogIsNotGathered",
		Old: `case all && r.share != nil:`,
		New: `case (all || n > 0) && r.share != nil:`,
	},
	{
		Name: "what is cut at the end of a group is not told", Area: "filters", File: "xrow/places.go", By: "xrow TestCutAtIsCut",
		Old: `c.cutRows(behind, len(g.Table))`,
		New: `c.cutRows(behind, behind)`,
	},
	{
		Name: "rows of several spaces come in the order of the spaces", Area: "filters", File: "xrow/places.go", By: "xrow TestCutAtIsCut",
		Old: `if kinds > 1 {`,
		New: `if kinds < 0 {`,
	},
	{
		Name: "the base copy of a dropped replica goes on", Area: "filters", File: "replication/replicas.go", By: "replication TestCopyOfADroppedReplica",
		Old: `err != nil && g.ctx.Err() == nil {`,
		New: `err != nil && g.hub == nil {`,
	},
	{
		Name: "a base copy takes the processor for itself", Area: "filters", File: "replication/rest.go", By: "replication TestRests",
		Old: `if r.work += time.Since(since); r.work < restAfter {`,
		New: `if r.work = 0; r.work < restAfter {`,
	},
}
