package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tarragon.dev/tarragon/internal/copyfile"
	"tarragon.dev/tarragon/internal/perm"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// Transfer is the command that brings base copies to this replica. It is of the replica's own
// configuration: nothing that comes over a connection names a program.
type Transfer struct {
	Argv     []string // words; %source%, %target% and %host% are put in place in all but the first
	Fallback int      // after so many failures in a row a base copy comes by the connection; 0: never
	// Run runs a program until it ends, or ctx does. The error has what it said.
	Run func(ctx context.Context, argv []string) error
}

// argv puts what is known of a file in the place of words. Each word stays one.
func (t *Transfer) argv(source, target, host string) []string {
	words := strings.NewReplacer("%source%", source, "%target%", target, "%host%", host)
	out := slices.Clone(t.Argv)
	for i := range out[1:] {
		out[i+1] = words.Replace(out[i+1])
	}
	return out
}

// transfers tells whether a command is to bring the base copy that is ordered now.
func (h *Hub) transfers() bool {
	t := h.cfg.Transfer
	if t == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if t.Fallback > 0 && h.copier.failed >= t.Fallback {
		h.cfg.Logger.Warn().Int("failures", h.copier.failed).Msg("the transfer command has failed: the base copy comes by the connection (tarragon.transfer_fallback)")
		h.copier.failed = 0 // the next one may come by it again
		return false
	}
	return true
}

// transferred counts how transfers end.
func (h *Hub) transferred(err error) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.copier.failed++; err == nil {
		h.copier.failed = 0
	}
	return err
}

// transfer waits until the sender has written the file, and has the command bring it. Both
// ends say now and then that they are there.
func (r *copyReader) transfer(c *iproto.Client, p *Peer, view vclock.VClock) (*copyInput, error) {
	h := r.hub
	ctx, cancel := context.WithCancelCause(r.ctx)
	told := make(chan xrow.File, 1)
	heard := make(chan struct{})
	h.wg.Go(func() {
		defer close(heard)
		cancel(r.hear(told))
	})
	defer func() {
		_ = c.SetReadDeadline(time.Unix(1, 0)) // else it is closed
		<-heard
	}()
	beat := time.NewTicker(h.copyLimits.Load().beat())
	defer beat.Stop()
	brought := make(chan error, 1)
	var in *copyInput
	for {
		select {
		case file := <-told:
			if !safePath(file.Path) {
				return nil, h.transferred(fmt.Errorf("%s has the file of the base copy at %.200q, which is no path for a transfer command", p.label(), file.Path))
			}
			in = &copyInput{order: r.order, file: file, view: view, path: filepath.Join(h.cfg.CopyDir, fmt.Sprintf("in-%d.copy", r.order))}
			h.wg.Go(func() { brought <- h.fetchFile(ctx, p, in) })
		case err := <-brought:
			if err == nil {
				err = in.open(h)
			}
			if err != nil {
				in.close()
				if ctx.Err() != nil {
					return nil, context.Cause(ctx)
				}
				return nil, h.transferred(err)
			}
			_ = c.Close() // the sender need not keep it for us
			return in, nil
		case <-beat.C:
			_ = c.SetWriteDeadline(time.Now().Add(r.silence))
			if err := c.WriteRow(&xrow.Row{Type: xrow.OK}); err != nil {
				cancel(err)
			}
		case <-ctx.Done():
			if in != nil {
				if err := <-brought; err != nil { // it is killed
					h.cfg.Logger.Debug().Err(err).Msg("transfer command ended")
				}
				in.close()
			}
			return nil, context.Cause(ctx)
		}
	}
}

// hear reads what the sender says behind how many tuples there are.
func (r *copyReader) hear(told chan<- xrow.File) error {
	for known := false; ; {
		row, err := r.read()
		if err != nil {
			return err
		}
		switch {
		case row.Type == xrow.OK:
		case row.Type == xrow.Insert:
			return errors.New("the sender writes no files for transfer commands: its version is too old")
		case row.Type != xrow.JoinMeta || known:
			return unexpected(&row, xrow.OK)
		default:
			meta, _, err := xrow.DecodeJoinMeta(row.Body)
			if err != nil {
				return err
			}
			if meta.File == nil {
				return unexpected(&row, xrow.OK)
			}
			known = true
			told <- *meta.File
		}
	}
}

// fetchFile has the command bring a file.
func (h *Hub) fetchFile(ctx context.Context, p *Peer, in *copyInput) error {
	if err := perm.MkdirAll(h.cfg.CopyDir, h.cfg.DirMode); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(p.Addr)
	if err != nil { // a socket of this machine
		host = "localhost"
	}
	if err := h.cfg.Transfer.Run(ctx, h.cfg.Transfer.argv(in.file.Path, in.path, host)); err != nil {
		return fmt.Errorf("the transfer command: %w", err)
	}
	return nil
}

// copyInput is a file that was brought.
type copyInput struct {
	order uint64
	file  xrow.File
	view  vclock.VClock // that the sender told
	path  string
	from  *os.File
}

// open looks whether a file has come.
func (in *copyInput) open(h *Hub) (err error) {
	in.from, err = os.OpenFile(in.path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("the transfer command has ended without a file: %w", err)
	}
	info, err := in.from.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("the transfer command has brought %s, which is no file", in.path)
	case info.Size() != int64(in.file.Size):
		return fmt.Errorf("the transfer command has brought %d bytes of %d", info.Size(), in.file.Size)
	}
	if h.cfg.FileMode != 0 {
		return perm.Set(in.from, h.cfg.FileMode)
	}
	return perm.Set(in.from, perm.File)
}

// close removes the file.
func (in *copyInput) close() {
	if in.from != nil {
		_ = in.from.Close()
	}
	_ = os.Remove(in.path) // the next start would
}

// rows hands the tuples to the core.
func (in *copyInput) rows(r *copyReader) error {
	file, err := copyfile.NewReader(in.from)
	if err != nil {
		return err
	}
	if set := r.hub.node.Info().ReplicasetUUID; file.Header.Replicaset != set || file.Header.VClock != in.view {
		return fmt.Errorf("the file of the base copy is another one: of replica set %.40s, vclock %v", file.Header.Replicaset, &file.Header.VClock)
	}
	p := r.parcel()
	for {
		space, tuples, err := file.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
		for _, tuple := range tuples {
			if err := p.add(space, tuple); err != nil {
				return err
			}
		}
	}
	if file.Digest() != in.file.Digest {
		return errors.New("the file of the base copy is another one: its digest is not what the sender told")
	}
	return p.send()
}
