package mutants

var store = []Mutant{
	{
		Name: "a checkpoint without undecided rows", Area: "store", File: "instance/snapshot.go",
		Old:     `undecided: undecided(&c.limbo)}`,
		New:     `undecided: undecided(&c.limbo)[:0]}`,
		Killers: []string{"convergence", "recovery", "history", "log matching", "content", "fatal", "stream", "linearizable"},
	},
	{
		Name: "a checkpoint before the log before it is on disk", Area: "store", File: "instance/snapshot.go",
		Old:     `if snap.group <= c.out.written {`,
		New:     `if snap.group > 0 {`,
		Killers: []string{"rows", "vclock", "promise", "recovery", "same row"},
	},
	{
		Name: "recovery passes over the group that gathered", Area: "store", File: "instance/snapshot.go",
		Old:     `		NextGroup: c.out.nextNo, Share`,
		New:     `		NextGroup: c.out.nextNo + 1, Share`,
		Killers: []string{"recovery", "panic", "promise"},
	},
	{
		Name: "a batch is not synced", Area: "store", File: "xlog/append.go", By: "xlog TestCrashLosesOnlyWhatWasNotSynced",
		Old: `err := s.db.ApplyNoSyncWait(b, pebble.Sync)`,
		New: `err := s.db.Apply(b, pebble.NoSync)` + "\n\treturn s.writeError(\"append\", err)",
	},
	{
		Name: "a failed write passes for one that succeeded", Area: "store", File: "xlog/store.go", By: "xlog TestFailureLatches",
		Old: "\treturn s.fail.get()\n}\n\nfunc (s *Store) log(",
		New: "\treturn err\n}\n\nfunc (s *Store) log(",
	},
	{
		Name: "Pebble hears of a failed close", Area: "store", File: "xlog/calmfs.go", By: "xlog TestFailedRotation",
		Old: "\tif err != nil && fs.fail.get() != nil {\n\t\treturn nil",
		New: "\tif err != nil && fs.fail.get() != nil {\n\t\treturn err",
	},
	{
		Name: "a torn group is not seen", Area: "store", File: "xlog/append.go", By: "xlog TestGroupsComeBack",
		Old: `binary.LittleEndian.PutUint32(op.Value[n:], crc32.Checksum(op.Value[:n], castagnoli))`,
		New: `binary.LittleEndian.PutUint32(op.Value[n:], crc32.Checksum(op.Value[:n/2], castagnoli))`,
	},
	{
		Name: "damage passes for a torn tail", Area: "store", File: "xlog/wal.go", By: "xlog TestChunksBehindABreak",
		Old: `	skips := w.last != 0 && first > w.last+1
	second := w.behind`,
		New: `	skips, second := false, false`,
	},
	{
		Name: "a start clears former slots", Area: "store", File: "xlog/core.go", By: "xlog TestFormerSlotStays",
		Old: ` && !s.isFormer(number)`,
		New: ``,
	},
	{
		Name: "a switch does not wait for the fresh slot's groups", Area: "store", File: "xlog/core.go", By: "xlog TestSwitchDiesAtEachWrite",
		Old: `if s.opts.Mode != Fsync { // groups`,
		New: `if false { // groups`,
	},
	{
		Name: "a switch clears the old slot first", Area: "store", File: "xlog/core.go", By: "xlog TestSwitchDiesAtEachWrite",
		Old: "\tif err := s.setCore(&next, log...); err != nil {",
		New: "\tif err := s.clearSlot(old.number); err != nil {\n\t\treturn err\n\t}\n\tif err := s.setCore(&next, log...); err != nil {",
	},
}
