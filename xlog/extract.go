package xlog

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ExtractFormer makes a store of its own of what is whole in a former slot, in a directory
// that has none: its Core 0 is what the Core had there. It counts as one that may have
// lost rows. The store that has the slot need not open, may be in use, and stays as it is. fs nil
// is the operating system's.
func ExtractFormer(fs vfs.FS, dir string, slot uint32, to string) (*SlotReport, error) {
	if fs == nil {
		fs = osFS(0, 0)
	}
	if _, known, err := readCard(fs, to); err != nil || known {
		return nil, errors.Join(err, fmt.Errorf("xlog: %s has a store already", to))
	}
	s, err := survey(fs, dir)
	if err != nil {
		return nil, err
	}
	if !s.holders.isFormer(slot) {
		return nil, fmt.Errorf("%w: former slot %d", ErrNotFound, slot)
	}
	s.finish()
	fresh, err := Open(Options{Dir: to, FS: fs})
	if err != nil {
		return nil, err
	}
	err = s.extractTo(fresh, slot)
	if err == nil {
		fresh.card.lost = fresh.mayHaveLost(true)
		err = fresh.updateCard()
	}
	if err = errors.Join(err, fresh.Close()); err != nil {
		return nil, fmt.Errorf("xlog: extract: %w", err)
	}
	report, err := Verify(fs, to)
	if err != nil {
		return nil, err
	}
	return &report.Cores[0].SlotReport, nil
}

func (s *surveyor) extractTo(to *Store, slot uint32) error {
	c := copier{to: to, report: &RepairReport{}, slots: map[uint32]*slotCopier{}}
	as := CoreInfo{Slot: slot} // as Core 0, whose ever it was
	if err := c.begin(s, as); err != nil {
		return err
	}
	return c.copy(s.raw, &visitor{kept: c.kept}, []CoreInfo{as})
}
