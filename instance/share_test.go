package instance

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// The spaces of a shareReader: it has people by version 1 of its filter, and orders by
// version 2.
const (
	sharePeople = 512
	shareOrders = 513
)

// shareReader is the core of a filtered replica, which follows instance 2.
type shareReader struct {
	t      testing.TB
	core   *Core
	now    Now
	lsn    uint64
	gen    uint64 // of the share that it began with
	orders []CopyOrder
	fails  []string
	park   bool
	loaded bool // index 1 of people was left out by the load
}

func newShareReader(t testing.TB, state State, tuples ...xrow.DML) *shareReader {
	t.Helper()
	return startShareReader(t, state, slices.Concat(shareRows(t), tuples))
}

// startShareReader is newShareReader with all rows of the state, which are put in order.
func startShareReader(t testing.TB, state State, rows []xrow.DML) *shareReader {
	t.Helper()
	slices.SortStableFunc(rows, func(a, b xrow.DML) int { return int(a.SpaceID) - int(b.SpaceID) })
	r := &shareReader{t: t, now: Now{Mono: start, Wall: 1}, lsn: state.VClock[2]}
	b := box.New(box.Config{BuildAtOnce: 1})
	cfg := Config{UUID: uuidOf(9), Name: "reader", Mode: ModeOff, ReadOnly: true, Filter: "hr", Rand: rand.New(rand.NewPCG(1, 2)),
		BuildRows: 1, BuildPause: time.Second, BacklogMaxSize: 1500}
	cfg.Trace = func(f Fact) {
		if f.Kind == FactCopyFailed {
			r.fails = append(r.fails, f.Text)
		}
	}
	var err error
	if r.core, err = New(cfg, b); err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		if err := b.Load(row.SpaceID, row.Tuple); err != nil {
			t.Fatalf("space %d: %v", row.SpaceID, err)
		}
	}
	if err := LoadDone(b, cfg.Filter); err != nil {
		t.Fatal(err)
	}
	r.loaded = b.LeavesOut(sharePeople, 1)
	state.Term, state.NextGroup = 1, 1
	if err := r.core.Restore(state); err != nil {
		t.Fatal(err)
	}
	r.core.Start(r.now)
	r.step()
	r.gen = r.core.share.gen
	r.step(Upstream{Peer: 2, State: UpstreamFollow, Kind: xrow.Tarragon, Feature: FeatureLevel})
	return r
}

// shareRows define people, orders and the space of filters, in which is version 1.
func shareRows(t testing.TB) []xrow.DML {
	t.Helper()
	rows := box.BootstrapRows(box.Profile3_8_0, uuidOf(99), uuidOf(1), "", "")
	rows = append(rows, xrow.DML{SpaceID: xrow.SpaceCluster, Tuple: MemberTuple(2, uuidOf(2), "", 2)})
	for id, name := range map[uint64]string{sharePeople: "people", shareOrders: "orders"} {
		row := msgp.AppendString(append(msgp.AppendUint64([]byte{0x97}, id), 1), name)
		rows = append(rows, xrow.DML{SpaceID: xrow.SpaceSpace, Tuple: append(append(msgp.AppendString(row, "memtx"), 0), 0x80, 0x90)},
			xrow.DML{SpaceID: xrow.SpaceIndex, Tuple: indexRow(id)})
	}
	bySpace := func(a, b xrow.DML) int { return int(a.SpaceID) - int(b.SpaceID) }
	slices.SortStableFunc(rows, bySpace)
	b := box.New(box.Config{})
	for _, row := range rows {
		if err := b.Load(row.SpaceID, row.Tuple); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.LoadDone(); err != nil {
		t.Fatal(err)
	}
	tx := b.Begin(1)
	if err := tx.PutOwn(&box.OwnFilter, shareFilter(1).Tuple()); err != nil {
		t.Fatal(err)
	}
	for _, row := range tx.Rows() {
		rows = append(rows, xrow.DML{SpaceID: row.DML.SpaceID, Tuple: bytes.Clone(row.DML.Tuple)})
	}
	slices.SortStableFunc(rows, bySpace)
	return rows
}

func shareFilter(version uint64) *Filter {
	f := &Filter{Share: xrow.Share{Filter: "hr", Version: version, Spaces: []uint32{sharePeople, shareOrders}}}
	f.Spaces = f.Spaces[:version]
	return f
}

func (r *shareReader) step(events ...Event) {
	r.t.Helper()
	eff := r.core.Step(r.now, events)
	for {
		if len(eff.Refused) > 0 {
			r.t.Fatal(eff.Refused[0].Err)
		}
		if eff.Copy != nil {
			r.orders = append(r.orders, *eff.Copy)
		}
		if r.park = eff.Park; eff.Group == nil {
			return
		}
		eff = r.core.Step(r.now, []Event{Written{Group: eff.GroupNo}})
	}
}

// built lets time pass until nothing is built and no row waits.
func (r *shareReader) built() {
	r.t.Helper()
	for r.core.gate.build != nil || len(r.core.gate.backlog.events) > 0 {
		r.now.Mono = max(r.now.Mono, r.core.Deadline())
		r.step()
	}
}

// take brings rows by the stream of one share.
func (r *shareReader) take(gen uint64, rows ...xrow.Row) {
	r.t.Helper()
	for i := range rows {
		r.lsn++
		row := &rows[i]
		row.ReplicaID, row.LSN, row.TSN, row.Term, row.Timestamp, row.Flags = 2, r.lsn, r.lsn, 2, 1, row.Flags|xrow.FlagCommit
		if row.Type == xrow.Confirm && row.Body == nil {
			s := xrow.Synchro{ReplicaID: 2, LSN: r.lsn - 1}
			row.Body = s.AppendBody(nil)
		}
	}
	r.step(Rows{From: 2, Gen: gen, Rows: rows})
}

// promoted begins term 2 of instance 2, with the share that the state has.
func (r *shareReader) promoted() *shareReader {
	r.t.Helper()
	body := xrow.Synchro{Term: 2, Rules: xrow.RulesStrong}
	r.take(r.gen, xrow.Row{Type: xrow.Promote, Body: body.AppendBody(nil)}, confirmRow)
	return r
}

// ofPeople is a reader that has people.
func ofPeople(t *testing.T) *shareReader {
	t.Helper()
	return newShareReader(t, State{Share: &shareFilter(1).Share}).promoted()
}

// copying is one to which the filter gives orders now: a base copy is under way.
func copyingOrders(t *testing.T) *shareReader {
	t.Helper()
	r := ofPeople(t)
	r.take(r.gen, replaceRow(sharePeople, key(1)), replaceRow(sharePeople, key(2)), r.filterRow(2), confirmRow)
	if len(r.orders) != 1 || !slices.Equal(r.orders[0].Spaces, []uint32{shareOrders}) {
		t.Fatalf("orders %+v", r.orders)
	}
	r.step(CopyBegins{Order: 1, VClock: r.core.Decided(), Tuples: 2})
	r.step(CopyRows{Order: 1, Space: shareOrders, Tuples: [][]byte{key(1)}})
	return r
}

var confirmRow = xrow.Row{Type: xrow.Confirm}

func key(n uint64) []byte { return msgp.AppendUint64([]byte{0x91}, n) }

func statementRow(d xrow.DML) xrow.Row { return xrow.Row{Type: d.Type, Body: d.AppendBody(nil)} }

func replaceRow(space uint32, tuple []byte) xrow.Row {
	return statementRow(xrow.DML{Type: xrow.Replace, SpaceID: space, Tuple: tuple})
}

func (r *shareReader) filterRow(version uint64) xrow.Row {
	return replaceRow(r.core.box.OwnSpaces().Always[0], shareFilter(version).Tuple())
}

// len is how many tuples a client finds; -1: it is told that they are not here.
func (r *shareReader) len(space uint32) int {
	r.t.Helper()
	tuples, _, err := r.core.box.Select(box.UserAdmin, &box.Query{Space: space, Iterator: box.ALL, Key: []byte{0x90}, Limit: 1000}, nil)
	if err != nil {
		return -1
	}
	return bytes.Count(tuples, []byte{0x91})
}

// Rows that were cut for an earlier share are not taken behind the row that changes it,
// wherever they wait: the base copy is of what was held when it was ordered, and nobody
// would send what they stand for.
func TestShareDropsWhatWasCutBefore(t *testing.T) {
	for _, waits := range []bool{false, true} {
		r := ofPeople(t)
		r.take(r.gen, replaceRow(sharePeople, key(1)), replaceRow(sharePeople, key(2)), confirmRow)
		if waits { // behind an index that is built in slices
			r.take(r.gen, statementRow(xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceIndex, Tuple: indexOn(sharePeople, 1, "again", 0)}), confirmRow)
			if r.core.gate.build == nil {
				t.Fatal("nothing is built")
			}
		}
		r.take(r.gen, r.filterRow(2), confirmRow, xrow.Row{Type: xrow.Nop})
		held := r.lsn - 1
		r.take(r.gen, xrow.Row{Type: xrow.Nop})
		r.built()
		if got := r.core.out.vclock[2]; got != held || len(r.orders) != 1 || r.orders[0].VClock[2] != held {
			t.Errorf("behind a build %t: LSN %d is held, %d is the CONFIRM of the filter; orders %+v", waits, got, held, r.orders)
		}
	}
}

// A copy that is whole while an index is built waits: no transaction may begin.
func TestShareOpensBehindABuild(t *testing.T) {
	r := copyingOrders(t)
	r.take(r.gen+1, statementRow(xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceIndex, Tuple: indexOn(sharePeople, 1, "again", 0)}), confirmRow)
	if r.core.gate.build == nil {
		t.Fatal("nothing is built")
	}
	if r.step(CopyEnds{Order: 1}); r.len(shareOrders) != -1 {
		t.Error("orders is open")
	}
	r.built()
	if n := r.len(shareOrders); n != 1 {
		t.Errorf("%d orders", n)
	}
}

// Rows of a space that is copied are kept, too, where their transaction is built in slices.
func TestShareKeepsRowsOfABuild(t *testing.T) {
	r := copyingOrders(t)
	txn := []xrow.Row{replaceRow(shareOrders, key(9)),
		statementRow(xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceIndex, Tuple: indexOn(sharePeople, 1, "again", 0)})}
	for i := range txn {
		r.lsn++
		row := &txn[i]
		row.ReplicaID, row.LSN, row.TSN, row.Term, row.Timestamp = 2, r.lsn, r.lsn-uint64(i), 2, 1
	}
	txn[1].Flags = xrow.FlagCommit
	r.step(Rows{From: 2, Gen: r.gen + 1, Rows: txn})
	if r.core.gate.build == nil {
		t.Fatal("nothing is built")
	}
	r.built()
	r.take(r.gen+1, confirmRow)
	if r.step(CopyEnds{Order: 1}); r.len(shareOrders) != 2 {
		t.Errorf("%d orders; %q", r.len(shareOrders), r.fails)
	}
}

// A copy that has held up the streams lets them go on when it is whole: it may wait for
// the CONFIRM of a change of the schema.
func TestShareParksNoConfirm(t *testing.T) {
	r := copyingOrders(t)
	var rows []xrow.Row
	for n := range uint64(60) {
		rows = append(rows, replaceRow(shareOrders, key(10+n)))
	}
	r.take(r.gen+1, append(rows, confirmRow, r.filterRow(2))...)
	if !r.park {
		t.Fatal("rows of peers do not wait")
	}
	if r.step(CopyEnds{Order: 1}); r.park || r.len(shareOrders) != -1 {
		t.Fatalf("rows wait: %t; %d orders", r.park, r.len(shareOrders))
	}
	if r.take(r.gen+1, confirmRow); r.len(shareOrders) != 61 {
		t.Errorf("%d orders", r.len(shareOrders))
	}
}

// What is kept for a copy is bounded all the time: before its view is open the streams wait;
// then what the view has goes, and what it has is not kept; and where too much comes that it
// does not have, before it is decided here, it begins anew.
func TestShareBoundsWhatItKeeps(t *testing.T) {
	r := ofPeople(t)
	r.take(r.gen, replaceRow(sharePeople, key(1)), r.filterRow(2), confirmRow)
	write := func(n uint64) {
		var rows []xrow.Row
		for range n {
			rows = append(rows, replaceRow(shareOrders, key(r.lsn+uint64(len(rows)))))
		}
		r.take(r.core.share.gen, append(rows, confirmRow)...)
	}
	write(60)
	if c := r.core.share.copy; !r.park || c.size < 1500 {
		t.Fatalf("rows wait: %t; %d bytes are kept", r.park, c.size)
	}
	view := r.core.Decided()
	view[2] += 61 // what is written next
	r.step(CopyBegins{Order: 1, VClock: view, Tuples: 1})
	if c := r.core.share.copy; r.park || c.size != 0 || len(c.rows) != 0 {
		t.Fatalf("rows wait: %t; %d bytes are kept, which the view has", r.park, c.size)
	}
	write(60)
	if c := r.core.share.copy; c == nil || !c.ready || c.size != 0 {
		t.Fatalf("of what the view has is kept: %+v", c)
	}
	write(2)
	r.step(CopyRows{Order: 1, Space: shareOrders, Tuples: [][]byte{key(1)}})
	if r.step(CopyEnds{Order: 1}); r.len(shareOrders) != 3 {
		t.Errorf("%d orders", r.len(shareOrders))
	}

	r = ofPeople(t)
	r.take(r.gen, replaceRow(sharePeople, key(1)), r.filterRow(2), confirmRow)
	view = r.core.Decided()
	view[3]++ // of another one, and never comes
	r.step(CopyBegins{Order: 1, VClock: view, Tuples: 1})
	write(60)
	if len(r.fails) != 1 || !strings.Contains(r.fails[0], "too much was committed") || r.park {
		t.Errorf("%q; rows wait: %t", r.fails, r.park)
	}
}

// A copy that ends in the middle begins anew, also where there is always something undecided.
func TestShareCopiesAnewUnderLoad(t *testing.T) {
	r := copyingOrders(t)
	r.take(r.gen+1, replaceRow(sharePeople, key(3)), replaceRow(shareOrders, key(4)))
	r.step(CopyEnds{Order: 1, Err: xrow.Errorf(xrow.ErrSystem, "gone")})
	r.now.Mono += copyPause
	if r.step(); len(r.orders) != 2 || r.core.limbo.Len() != 2 {
		t.Fatalf("%d orders beside %d undecided transactions", len(r.orders), r.core.limbo.Len())
	}
	view := r.core.out.vclock
	view[2]--
	r.take(r.gen+1, confirmRow)
	r.step(CopyBegins{Order: 2, VClock: view.Global(), Tuples: 2})
	r.step(CopyRows{Order: 2, Space: shareOrders, Tuples: [][]byte{key(1), key(2)}})
	r.step(CopyEnds{Order: 2})
	if people, orders := r.len(sharePeople), r.len(shareOrders); people != 3 || orders != 3 {
		t.Errorf("%d people, %d orders", people, orders)
	}
}

// Tuples of a space that nobody has ordered end the copy, and go nowhere.
func TestShareTakesWhatItOrdered(t *testing.T) {
	r := copyingOrders(t)
	r.step(CopyRows{Order: 1, Space: sharePeople, Tuples: [][]byte{key(7)}})
	if r.len(sharePeople) != 2 || len(r.fails) != 1 || !strings.Contains(r.fails[0], "tuples of space 512 in a base copy of [513]") {
		t.Errorf("%d people; %q", r.len(sharePeople), r.fails)
	}
}

// What a replica kept under another filter, or without one, is nothing to this one: rows
// behind that may have been cut by what is not known any more.
func TestShareOfAnotherFilter(t *testing.T) {
	for _, had := range []*xrow.Share{nil, {Filter: "old", Version: 7, New: true}} {
		r := newShareReader(t, State{Share: had}, xrow.DML{SpaceID: sharePeople, Tuple: key(1)}, xrow.DML{SpaceID: shareOrders, Tuple: key(1)})
		if len(r.orders) != 1 || !slices.Equal(r.orders[0].Spaces, []uint32{sharePeople}) || r.len(sharePeople) != -1 || r.len(shareOrders) != -1 {
			t.Fatalf("%+v: orders %+v", had, r.orders)
		}
		r.step(CopyBegins{Order: 1, VClock: r.core.Decided(), Tuples: 1})
		r.step(CopyRows{Order: 1, Space: sharePeople, Tuples: [][]byte{key(1), key(2)}})
		if r.step(CopyEnds{Order: 1}); r.len(sharePeople) != 2 {
			t.Errorf("%+v: %d people", had, r.len(sharePeople))
		}
	}
}

// A term under Tarantool's rules is refused by name: nothing behind its PROMOTE is taken, and what was there stays.
func TestShareRefusesTarantoolsRules(t *testing.T) {
	r := ofPeople(t)
	r.take(r.gen, replaceRow(sharePeople, key(1)), confirmRow)
	held := r.lsn
	promote := xrow.Synchro{ReplicaID: 2, LSN: held, Term: 3}
	rows := []xrow.Row{{Type: xrow.Promote, Body: promote.AppendBody(nil)}, replaceRow(sharePeople, key(2))}
	for i := range rows {
		lsn := held + 1 + uint64(i)
		rows[i].ReplicaID, rows[i].LSN, rows[i].TSN, rows[i].Timestamp, rows[i].Flags = 2, lsn, lsn, 1, rows[i].Flags|xrow.FlagCommit
	}
	eff := r.core.Step(r.now, []Event{Rows{From: 2, Gen: r.gen, Rows: rows}})
	if len(eff.Refused) != 1 || eff.Refused[0].Err.Code != xrow.ErrUnsupported ||
		eff.Refused[0].Err.Message != "A replica with a filter ('hr') does not support terms under Tarantool's rules, which begin where an instance of Tarantool is a member" {
		t.Errorf("refused: %+v", eff.Refused)
	}
	if got := r.core.out.vclock[2]; got != held || r.len(sharePeople) != 1 {
		t.Errorf("LSN %d is held, %d was before; %d people", got, held, r.len(sharePeople))
	}
}

// Nor does a member give a state to a replica with a filter while such a term is in effect.
func TestJoinWithAFilterUnderTarantoolsRules(t *testing.T) {
	for _, rules := range []terms.Rules{terms.Strong, terms.Tarantool} {
		r := newShareReader(t, State{History: []terms.Span{{Term: 1, Owner: 2, Writer: 2, Rules: rules}}})
		r.core.share.filter = "" // as a member has none
		var s State
		err := r.core.narrow(&JoinRequest{Kind: JoinAnon, Filter: "hr"}, &s)
		if rules == terms.Strong && (err != nil || s.Share == nil) || rules == terms.Tarantool && (err == nil || err.Code != xrow.ErrUnsupported || s.Share != nil) {
			t.Errorf("rules %v: %v, %+v", rules, err, s.Share)
		}
	}
}

// A space that is dropped while its copy rests lacks nothing any more, also where its ID is
// given to one that the filter leaves out before another copy is asked for.
func TestShareForgetsADroppedSpace(t *testing.T) {
	r := copyingOrders(t)
	r.core.cfg.CopyPause = time.Second
	r.step(CopyEnds{Order: 1, Err: errors.New("the connection is lost")})
	drop := func(space uint32, key []byte) xrow.Row {
		return statementRow(xrow.DML{Type: xrow.Delete, SpaceID: space, Key: key})
	}
	r.take(r.core.share.gen,
		drop(xrow.SpaceIndex, append(msgp.AppendUint64([]byte{0x92}, shareOrders), 0)),
		drop(xrow.SpaceSpace, msgp.AppendUint64([]byte{0x91}, shareOrders)),
		r.filterRow(1), confirmRow)
	again := msgp.AppendString(append(msgp.AppendUint64([]byte{0x97}, shareOrders), 1), "again")
	r.take(r.core.share.gen,
		statementRow(xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceSpace, Tuple: append(append(msgp.AppendString(again, "memtx"), 0), 0x80, 0x90)}),
		statementRow(xrow.DML{Type: xrow.Insert, SpaceID: xrow.SpaceIndex, Tuple: indexRow(shareOrders)}),
		confirmRow)
	r.now.Mono += time.Minute
	if r.step(); len(r.core.share.lacks) > 0 || len(r.orders) != 1 {
		t.Errorf("lacking %v, %d orders", r.core.share.lacks, len(r.orders))
	}
}
