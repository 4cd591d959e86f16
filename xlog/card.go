package xlog

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"tarragon.dev/tarragon/internal/perm"

	"github.com/cockroachdb/errors/oserror"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// The card is a small text file that says whose directory this is and how the
// store was left. It is read before Pebble touches anything.
const (
	cardName     = "TARRAGON"
	cardTemp     = "TARRAGON.new"
	storeVersion = 2
	oldVersion   = 1
	lockName     = "LOCK"
	ingestDir    = "ingest"
)

// formatNames tells what release of the format each version is, for messages.
var formatNames = map[uint64]string{1: "1 (row tables, tables by ingestion)", 2: "2 (several Cores)"}

type card struct {
	version uint64
	created bool // Pebble's part is there
	mode    Mode // of the last opening
	boot    string
	clean   bool     // the last stop lost nothing
	lost    []uint32 // slots of which an earlier one may have lost rows; see MayHaveLost
	closed  bool     // the store was closed, with last as its newest group
	last    uint64   // a position
}

func (c *card) text() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "format %d\ncreated %v\nmode %d\nboot %s\nclean %v\nlost", c.version, c.created, c.mode, c.boot, c.clean)
	if c.version == oldVersion {
		fmt.Fprintf(&b, " %v", len(c.lost) > 0)
	} else {
		for _, slot := range c.lost {
			fmt.Fprintf(&b, " %d", slot)
		}
	}
	fmt.Fprintf(&b, "\nclosed %v\nlast %d\n", c.closed, c.last)
	return b.Bytes()
}

// parseLost reads the slots that may have lost rows; format 1 had one.
func parseLost(value string, version uint64) (slots []uint32, err error) {
	if version == oldVersion {
		lost, err := strconv.ParseBool(value)
		if lost {
			slots = []uint32{upgradedSlot}
		}
		return slots, err
	}
	for _, field := range strings.Fields(value) {
		slot, err := strconv.ParseUint(field, 10, 32)
		if err != nil {
			return nil, err
		}
		slots = append(slots, uint32(slot))
	}
	return slots, nil
}

func parseCard(text []byte) (c card, err error) {
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		switch name {
		case "format":
			if c.version, err = strconv.ParseUint(value, 10, 64); err == nil && c.version > storeVersion {
				return c, fmt.Errorf("%w: its format is %d, this release knows up to %s", ErrNewer, c.version, formatNames[storeVersion])
			}
		case "created":
			c.created, err = strconv.ParseBool(value)
		case "mode":
			var m uint64
			m, err = strconv.ParseUint(value, 10, 8)
			c.mode = Mode(m)
		case "boot":
			c.boot = value
		case "clean":
			c.clean, err = strconv.ParseBool(value)
		case "lost":
			c.lost, err = parseLost(value, c.version)
		case "closed":
			c.closed, err = strconv.ParseBool(value)
		case "last":
			c.last, err = strconv.ParseUint(value, 10, 64)
		}
		if err != nil {
			return c, damaged("%s: line %q", cardName, lines.Text())
		}
	}
	if c.version == 0 {
		return c, damaged("%s has no format", cardName)
	}
	return c, nil
}

// readCard reads the card of dir; ok is false where there is none.
func readCard(fs vfs.FS, dir string) (c card, ok bool, err error) {
	text, err := readFile(fs, fs.PathJoin(dir, cardName))
	if oserror.IsNotExist(err) {
		return c, false, nil
	}
	if err != nil {
		return c, false, fmt.Errorf("xlog: %w", err)
	}
	if c, err = parseCard(text); err != nil {
		return c, true, fmt.Errorf("%s: %w", dir, err)
	}
	return c, true, nil
}

// writeCard replaces the card, durably.
func writeCard(fs vfs.FS, dir string, c *card) error {
	temp := fs.PathJoin(dir, cardTemp)
	f, err := fs.Create(temp, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = f.Write(c.text())
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := fs.Rename(temp, fs.PathJoin(dir, cardName)); err != nil {
		return err
	}
	return syncDir(fs, dir)
}

// mkdirAll makes a directory and those above it, durably: each new one is
// synced into the one that it is in.
func mkdirAll(fs vfs.FS, dir string) error {
	var parents []string
	for at := dir; ; at = fs.PathDir(at) {
		if _, err := fs.Stat(at); err == nil {
			break
		} else if !oserror.IsNotExist(err) {
			return err
		}
		parents = append(parents, fs.PathDir(at))
		if fs.PathDir(at) == at {
			break
		}
	}
	if err := fs.MkdirAll(dir, perm.Dir); err != nil {
		return err
	}
	for _, parent := range parents {
		if err := syncDir(fs, parent); err != nil {
			return err
		}
	}
	return nil
}

func syncDir(fs vfs.FS, dir string) error {
	d, err := fs.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func readFile(fs vfs.FS, path string) ([]byte, error) {
	f, err := fs.Open(path)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	return b, errors.Join(err, f.Close())
}

// checkForeign refuses a directory that has files but no card.
func checkForeign(fs vfs.FS, dir string) error {
	names, err := fs.List(dir)
	if oserror.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("xlog: %w", err)
	}
	slices.Sort(names)
	for _, name := range names {
		switch {
		case name == lockName, name == cardTemp, name == "lost+found", strings.HasPrefix(name, "."):
		case name == ingestDir && isEmpty(fs, fs.PathJoin(dir, name)): // an Open that died before it had a card
		default:
			return fmt.Errorf("%w: %s has no file %s, but %s", ErrForeign, dir, cardName, name)
		}
	}
	return nil
}

// isEmpty tells of a directory that there is nothing in it.
func isEmpty(fs vfs.FS, dir string) bool {
	names, err := fs.List(dir)
	return err == nil && len(names) == 0
}

// bootID names the current life of the machine; empty where it is not known.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}

// checkFormat refuses a store that another format has to be brought to first.
func (c *card) checkFormat(dir string) error {
	if c.version != oldVersion {
		return nil
	}
	return fmt.Errorf("%w: %s has format %s, this release wants %s: bring it there by: tarragon xlog upgrade %s",
		ErrOlder, dir, formatNames[oldVersion], formatNames[storeVersion], dir)
}

// badStop tells whether the stop that the card describes may have lost
// something, given the machine's present life.
func (c *card) badStop(boot string) bool {
	switch {
	case c.clean || c.mode == Fsync || !c.created:
		return false
	case c.mode == Write:
		return boot == "" || boot != c.boot
	}
	return true
}
