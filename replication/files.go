package replication

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/copyfile"
	"tarragon.dev/tarragon/internal/perm"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// copyFiles are base copies as files, which transfer commands of replicas bring. They are a
// value under the hub's lock.
type copyFiles struct {
	last uint64
	list []*copyFile
}

// copyFile is the view of some spaces as a file. One serves all replicas that want just these
// and hold nothing that was not decided when its view was opened.
type copyFile struct {
	hub    *Hub
	no     uint64
	spaces []uint32
	ctx    context.Context // ends when nobody needs it
	cancel context.CancelCauseFunc

	// Guarded by the hub's lock.
	order    instance.CopyOrder // what its users hold together
	gathered bool               // no other user adds to that
	users    int
	gone     bool // no more users
	expire   *time.Timer

	begun  chan struct{} // closed when the view is open, or it came to nothing
	done   chan struct{} // closed when it is written, or came to nothing
	vclock vclock.VClock // since begun, as are the next two
	term   uint64
	told   *Progress
	file   xrow.File // since done
	err    error     // since done, and since begun where that came to nothing
}

const (
	// copyGather is how long a file waits for replicas that want the same: a change of a
	// filter makes all that have it ask.
	copyGather = 500 * time.Millisecond
	// maxFiles bounds how many there are.
	maxFiles = 16
	// copyLook is how much of a file is written before the room on the disk is looked at.
	copyLook = 64 << 20
)

// errUnneeded is why the writing of a file ends when no replica waits for it.
var errUnneeded = errors.New("replication: nobody needs the file of the base copy any more")

// views counts what holds a view: base copies by the connection, and files that are written.
// The hub's lock is held.
func (h *Hub) views() (n int) {
	for _, g := range h.giving.open {
		if g.of == nil {
			n++
		}
	}
	for _, f := range h.files.list {
		select {
		case <-f.done:
		default:
			n++
		}
	}
	return n
}

// fileFor finds a file that serves a replica, or begins one.
func (h *Hub) fileFor(g *given, order *instance.CopyOrder) (*copyFile, *xrow.Error) {
	if why := h.cfg.unfitDir(); why != "" {
		return nil, &xrow.Error{Code: xrow.ErrUnsupported, Message: why}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, f := range h.files.list {
		if f.serves(order) {
			f.users++
			if f.expire != nil {
				f.expire.Stop()
			}
			g.of = f
			return f, nil
		}
	}
	if places := h.copyLimits.Load().places; h.views() > places { // we are one of them
		return nil, h.turnAway(&g.to, g.spaces, places)
	}
	if len(h.files.list) >= maxFiles {
		return nil, &xrow.Error{Code: xrow.ErrLoading, Message: fmt.Sprintf("there are %d files of base copies here, and no more may be", maxFiles)}
	}
	h.files.last++
	f := &copyFile{hub: h, no: h.files.last, spaces: slices.Clone(order.Spaces), order: *order, users: 1, begun: make(chan struct{}), done: make(chan struct{}), told: &Progress{}}
	f.ctx, f.cancel = context.WithCancelCause(h.ctx)
	h.files.list = append(h.files.list, f)
	g.of = f
	h.wg.Go(f.write)
	return f, nil
}

// serves tells whether a replica may have the file, and takes down what it holds while that
// may still change what is waited for. The hub's lock is held.
func (f *copyFile) serves(o *instance.CopyOrder) bool {
	if f.gone || !slices.Equal(f.spaces, o.Spaces) {
		return false
	}
	if !f.gathered {
		for id := range o.VClock {
			f.order.VClock[id] = max(f.order.VClock[id], o.VClock[id])
		}
		f.order.Term = max(f.order.Term, o.Term)
		return true
	}
	select {
	case <-f.begun:
	default:
		return false
	}
	failed := false
	select {
	case <-f.done:
		failed = f.err != nil
	default:
	}
	// All that it holds was decided when the view was opened: nothing of the spaces that was
	// cut in front of that is missing in the view.
	return !failed && f.vclock.Covers(&o.VClock) && f.term >= o.Term
}

// leave is for one user. A file that is written stays a while, for others that want it.
func (f *copyFile) leave() {
	h := f.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.users--; f.users > 0 {
		return
	}
	select {
	case <-f.done:
		f.expire = time.AfterFunc(h.copyLimits.Load().silence, f.drop)
	default:
		f.gone = true
		f.cancel(errUnneeded)
	}
}

// drop removes a file that nobody uses.
func (f *copyFile) drop() {
	h := f.hub
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.users > 0 || f.gone {
		return
	}
	f.gone = true
	h.forgetFile(f)
	_ = os.Remove(f.file.Path) // the next start would
}

// forgetFile is under the hub's lock.
func (h *Hub) forgetFile(f *copyFile) {
	h.files.list = slices.DeleteFunc(h.files.list, func(o *copyFile) bool { return o == f })
}

// write makes the file.
func (f *copyFile) write() {
	h := f.hub
	begun := false
	err := f.make(func() { begun = true; close(f.begun) })
	h.mu.Lock()
	defer h.mu.Unlock()
	f.err = err
	if err != nil {
		h.cfg.Logger.Info().Err(err).Uints32("spaces", f.spaces).Msg("no file of a base copy")
		f.gone = true
		h.forgetFile(f)
		_ = os.Remove(f.file.Path) // it may not be there
	}
	if !begun {
		close(f.begun)
	}
	close(f.done)
}

func (f *copyFile) make(begun func()) error {
	h := f.hub
	select {
	case <-time.After(copyGather):
	case <-f.ctx.Done():
		return context.Cause(f.ctx)
	}
	h.mu.Lock()
	f.gathered = true
	order := f.order
	h.mu.Unlock()
	snap, err := h.requestState(f.ctx, func(tag uint64) instance.Event { return instance.CopyRequest{Tag: tag, CopyOrder: order} })
	if err != nil {
		return err
	}
	defer h.closeView(&snap)
	header := copyfile.Header{Replicaset: h.node.Info().ReplicasetUUID, Sender: h.cfg.UUID, VClock: snap.State.VClock, Term: snap.State.Term}
	h.node.Read(func() {
		for _, s := range snap.View.Spaces() {
			header.Spaces = append(header.Spaces, copyfile.Space{ID: s.ID, Name: s.Name, Tuples: uint64(s.Rows)})
			f.told.expect(f.told.expected() + uint64(s.Rows))
		}
	})
	f.vclock, f.term = header.VClock, header.Term
	log := h.cfg.Logger.With().Uints32("spaces", f.spaces).Logger()
	total := f.told.expected()
	f.told.begin(log, "writing the file of a base copy")
	f.told.expect(total)
	begun()
	if err := perm.MkdirAll(h.cfg.CopyDir, h.cfg.DirMode); err != nil {
		return err
	}
	name := filepath.Join(h.cfg.CopyDir, fmt.Sprintf("%s-%d.copy", h.cfg.UUID[:8], f.no))
	to, err := perm.Create(name, os.O_WRONLY, h.cfg.FileMode)
	if err != nil {
		return err
	}
	f.file.Path = name
	err = f.fill(to, &header, snap.View.Pager(), snap.View.IsLocal)
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	f.told.done()
	return nil
}

// fill writes what is in the view.
func (f *copyFile) fill(to *os.File, header *copyfile.Header, from pages, isLocal func(space uint32) bool) (err error) {
	w := copyfile.NewWriter(to, header)
	for looked, more := int64(0), true; more; {
		if f.ctx.Err() != nil {
			return context.Cause(f.ctx)
		}
		if w.Size() >= looked {
			if err := hasRoom(to); err != nil {
				return err
			}
			looked = w.Size() + copyLook
		}
		f.hub.node.Scan(func() { more = from.Fill() })
		for space, tuple := range from.Rows() {
			if isLocal(space) {
				continue
			}
			if err := w.Put(space, tuple); err != nil {
				return err
			}
			f.told.add(len(tuple))
		}
	}
	f.file.Digest, err = w.Close()
	f.file.Size = uint64(w.Size())
	return err
}

// hasRoom tells whether the disk of a file has room for some more of it.
func hasRoom(f *os.File) error {
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &st); err != nil {
		return err
	}
	if free := int64(st.Bavail) * int64(st.Bsize); free < spoolReserve+copyLook {
		return fmt.Errorf("%d bytes are free, and %d must stay so: %w", free, spoolReserve, syscall.ENOSPC)
	}
	return nil
}

// unfitDir is why no transfer command could be told of files here; empty: it can be.
func (c *Config) unfitDir() string {
	switch {
	case c.CopyDir == "":
		return "This instance writes no files of base copies"
	case !safePath(filepath.Join(c.CopyDir, "x")):
		return fmt.Sprintf("No transfer command is given a path like that of the files of base copies here, %q: it may have letters, digits and /._+@=,:- only", c.CopyDir)
	}
	return ""
}

// safePath tells whether a path may stand in the arguments of a command, whatever the command
// makes of them: it is absolute, so no option, and nothing in it means anything to a shell.
func safePath(path string) bool {
	return strings.HasPrefix(path, "/") && filepath.Clean(path) == path && !strings.ContainsFunc(path, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._+@=,:-", r)
	})
}

// cleanCopies removes what a life before has left of files.
func (h *Hub) cleanCopies() {
	if h.cfg.CopyDir == "" {
		return
	}
	names, _ := filepath.Glob(filepath.Join(h.cfg.CopyDir, "*.copy")) // the pattern is right
	for _, name := range names {
		if err := os.Remove(name); err != nil {
			h.cfg.Logger.Warn().Err(err).Msg("a file of a base copy that nobody needs stays")
		}
	}
}
