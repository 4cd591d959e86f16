package server

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"tarragon.dev/tarragon/internal/hook"
	"tarragon.dev/tarragon/proc"
	"tarragon.dev/tarragon/replication"
)

// copyDir is where files of base copies are, those that we write and those that are brought.
func (n *node) copyDir() string {
	dir, err := filepath.Abs(filepath.Join(filepath.Dir(storeDir(n.in)), "copies"+n.group))
	if err != nil {
		return "" // nobody knows where we are: there are none
	}
	return dir
}

// transfer is the command that brings base copies here; nil: none does.
func (n *node) transfer() *replication.Transfer {
	c := &n.in.Tarragon
	if len(c.TransferCommand) == 0 || c.Filter == "" {
		return nil
	}
	return &replication.Transfer{Argv: c.TransferCommand, Fallback: c.TransferFallback, Run: func(ctx context.Context, argv []string) error {
		r := hook.Once(ctx, hook.Config{Argv: argv, Dir: n.in.WorkDir, Timeout: c.TransferTimeout})
		n.log.Info().Err(r.Err).Strs("program", argv).Dur("took", r.Took).Str("output", r.Output).Int("dropped", r.Dropped).Msg("transfer command")
		if r.Err == nil {
			return nil
		}
		said := strings.TrimSpace(r.Output)
		if over := len(said) - maxSaid; over > 0 {
			said = "..." + said[over:]
		}
		return fmt.Errorf("%s: %w: %q", argv[0], r.Err, said)
	}}
}

// maxSaid is how much of what a transfer command has said its error repeats.
const maxSaid = 300

// givenCopies are the base copies that the replica set's node gives.
func (s *Server) givenCopies() (out proc.GivenCopies) {
	hub := s.main().hub.Load()
	if hub == nil {
		return out
	}
	list, counts, places := hub.GivenCopies()
	out = proc.GivenCopies{Limit: places, Whole: counts.Whole, Broken: counts.Broken, Cancelled: counts.Cancelled, Refused: counts.Refused}
	for i := range list {
		c := &list[i]
		out.List = append(out.List, proc.GivenCopy{ID: c.ID, UUID: c.UUID, Name: c.Name, Address: c.Addr, Spaces: c.Spaces, Stage: string(c.Stage), Rows: c.Rows,
			Total: c.Total, Bytes: c.Bytes, Rate: c.Rate, For: c.For, Pins: c.Pins, Spooled: c.Spooled, Reason: c.Reason})
	}
	return out
}

// cancelCopies ends some of them, see replication.Hub.CancelCopies.
func (s *Server) cancelCopies(who string) int {
	if hub := s.main().hub.Load(); hub != nil {
		return hub.CancelCopies(who)
	}
	return 0
}
