package xlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Entry is a row of the log in readable form.
type Entry struct {
	Core      uint32          `json:"core,omitempty"`   // 0: the replica set
	Former    bool            `json:"former,omitempty"` // of data that the Core has left for a new copy
	Group     uint64          `json:"group"`
	Position  int             `json:"position"`       // in the group, or in the voided transaction
	Lost      bool            `json:"lost,omitempty"` // voided by a newer term; in no group
	LSN       uint64          `json:"lsn"`
	ReplicaID uint32          `json:"replica_id"`
	Type      string          `json:"type"`
	Space     uint32          `json:"space,omitempty"`
	Term      uint64          `json:"term,omitempty"` // of the leader that wrote the row
	Timestamp float64         `json:"timestamp"`
	TSN       uint64          `json:"tsn"`
	Flags     []string        `json:"flags,omitempty"`
	Body      json.RawMessage `json:"body,omitempty"`
	Error     string          `json:"error,omitempty"` // why the row could not be read
}

// place is where the entry was found.
func (e Entry) place() string {
	place := fmt.Sprintf("%d.%d", e.Group, e.Position)
	if e.Lost {
		place = "lost"
	}
	if e.Core != 0 {
		place = fmt.Sprintf("core %d %s", e.Core, place)
	}
	if e.Former {
		place = "former " + place
	}
	return place
}

// String is the entry as one line.
func (e Entry) String() string {
	if e.Error != "" {
		return fmt.Sprintf("%s %d:%d DAMAGED %s", e.place(), e.ReplicaID, e.LSN, e.Error)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d:%d %s", e.place(), e.ReplicaID, e.LSN, e.Type)
	if e.Space != 0 {
		fmt.Fprintf(&b, " space=%d", e.Space)
	}
	if e.Term != 0 {
		fmt.Fprintf(&b, " term=%d", e.Term)
	}
	fmt.Fprintf(&b, " time=%.6f tsn=%d", e.Timestamp, e.TSN)
	if len(e.Flags) > 0 {
		fmt.Fprintf(&b, " flags=%s", strings.Join(e.Flags, ","))
	}
	if e.Body != nil {
		fmt.Fprintf(&b, " %s", e.Body)
	}
	return b.String()
}

// Filter chooses rows. A zero field chooses all.
type Filter struct {
	Cores     []uint32
	Slot      uint32 // a former one, or that of a Core; 0: of all Cores the present ones
	Spaces    []uint32
	Replicas  []uint32
	Types     []xrow.Type
	FromLSN   uint64
	ToLSN     uint64 // included
	FromGroup uint64
	ToGroup   uint64 // included
}

// HoldsData reports whether a store has rows or a checkpoint, without opening
// it. One that a process has open holds some, or will.
func HoldsData(fs vfs.FS, dir string) (bool, error) {
	r, err := openRaw(fs, dir)
	if err != nil {
		return false, err
	}
	found := errors.New("found")
	who := r.holders()
	v := visitor{
		core:  who.core,
		group: func(uint64, []byte, string) error { return found },
		chunk: func(slot uint32, _ uint64, _ uint32, _ []byte) error {
			if who.isFormer(slot) {
				return nil
			}
			return found
		},
	}
	if err := r.visit(&v); err != nil && err != found {
		return false, err
	} else if err == found {
		return true, nil
	}
	return r.inUse || len(r.problems) > 0, nil
}

// typeName is the name of a row type. In the log ROLLBACK is that of the limbo;
// the request of a client never gets there.
func typeName(t xrow.Type) string {
	if t == xrow.Rollback {
		return xrow.RollbackTxn.String()
	}
	return t.String()
}

// ParseType finds a row type by its name, as Cat prints it.
func ParseType(name string) (xrow.Type, bool) {
	for t := xrow.Ping; t > 0; t-- {
		if strings.EqualFold(typeName(t-1), name) {
			return t - 1, true
		}
	}
	return 0, false
}

func (f *Filter) wantsCore(core uint32) bool {
	return len(f.Cores) == 0 || slices.Contains(f.Cores, core)
}

// wantsSlot tells of a slot whether it is chosen: a former one is by its number only.
func (f *Filter) wantsSlot(slot uint32, former bool) bool {
	return f.Slot == slot || f.Slot == 0 && !former
}

func (f *Filter) wantsGroup(no uint64) bool {
	return no >= f.FromGroup && (f.ToGroup == 0 || no <= f.ToGroup)
}

// checkSlot tells that there is nothing of a slot.
func (h holders) checkSlot(slot uint32) error {
	if _, ok := h.present[slot]; ok || slot == 0 || h.isFormer(slot) {
		return nil
	}
	return fmt.Errorf("%w: slot %d is no Core's, nor a former one", ErrNotFound, slot)
}

func (f *Filter) wants(ref *xrow.Ref) bool {
	return (len(f.Spaces) == 0 || slices.Contains(f.Spaces, ref.SpaceID)) &&
		(len(f.Replicas) == 0 || slices.Contains(f.Replicas, ref.Origin)) &&
		(len(f.Types) == 0 || slices.Contains(f.Types, ref.Type)) &&
		ref.LSN >= f.FromLSN && (f.ToLSN == 0 || ref.LSN <= f.ToLSN)
}

// Cat prints the rows of a store, which need not open and may be in use. fs
// nil is the operating system's. After all that can be read it returns what
// could not, as an error that wraps ErrCorrupt; an error of emit ends it.
func Cat(fs vfs.FS, dir string, f Filter, emit func(Entry) error) error {
	r, err := openRaw(fs, dir)
	if err != nil {
		return err
	}
	who := r.holders()
	print := func(o owner, at uint64, value []byte, file string, former bool) error {
		_, g, err := decodeValue(value, vclock.VClock{})
		if err != nil {
			r.problem(Problem{File: file, Group: at, Text: err.Error()})
			return nil
		}
		for i := range g.Table {
			if !f.wants(&g.Table[i]) {
				continue
			}
			e := entry(o.no, g, i)
			e.Core, e.Former = o.core, former
			if err := emit(e); err != nil {
				return err
			}
		}
		return nil
	}
	v := visitor{core: who.core, group: func(pos uint64, value []byte, file string) error {
		h, _, err := decodeHead(value)
		o := h.ownerAt(pos)
		if err == nil && (!f.wantsGroup(o.no) || !f.wantsCore(o.core) || !f.wantsSlot(o.slot, false) || who.isFormer(o.slot)) {
			return nil
		}
		return print(o, pos, value, file, !who.isPresent(o.slot))
	}, kept: func(slot uint32, no uint64, value []byte, file string) error {
		o := owner{core: who.coreOf(slot), slot: slot, no: no}
		if !who.isFormer(slot) || !f.wantsSlot(slot, true) || !f.wantsGroup(no) || !f.wantsCore(o.core) {
			return nil
		}
		return print(o, no, value, file, true)
	}}
	if err := r.visit(&v); err != nil {
		return err
	}
	return errors.Join(who.checkSlot(f.Slot), r.damage())
}

// entry reads row i of a group.
func entry(no uint64, g *xrow.Group, i int) Entry {
	ref := &g.Table[i]
	e := Entry{Group: no, Position: i, LSN: ref.LSN, ReplicaID: ref.Origin, Type: typeName(ref.Type), Space: ref.SpaceID}
	row, err := readRow(g, i)
	if err != nil {
		e.Error = err.Error()
		return e
	}
	e.fill(&row)
	return e
}

// fill takes what the row says of itself.
func (e *Entry) fill(row *xrow.Row) {
	e.LSN, e.ReplicaID, e.Type = row.LSN, row.ReplicaID, typeName(row.Type)
	e.Term, e.Timestamp, e.TSN = row.Term, row.Timestamp, row.TSN
	for bit, name := range [...]string{"commit", "wait_sync", "wait_ack"} {
		if row.Flags&(1<<bit) != 0 {
			e.Flags = append(e.Flags, name)
		}
	}
	if row.Body != nil {
		e.Body = xrow.RenderBody(row.Type, row.Body)
	}
}

// readRow decodes row i and compares it with the row table.
func readRow(g *xrow.Group, i int) (row xrow.Row, err error) {
	if len(g.Frame(i)) < xrow.FrameHead {
		return row, damaged("short frame")
	}
	if row, err = g.Row(i); err != nil {
		return row, err
	}
	ref := &g.Table[i]
	if row.ReplicaID != ref.Origin || row.LSN != ref.LSN || row.Type != ref.Type {
		return row, damaged("row %d:%d %s does not match the row table", row.ReplicaID, row.LSN, row.Type)
	}
	return row, nil
}
