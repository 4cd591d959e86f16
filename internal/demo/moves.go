package demo

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"time"

	"tarragon.dev/tarragon/internal/cluster"
)

// switchovers is how often leadership moves on purpose.
const switchovers = 5

// moves hands leadership from node to node under load. A write that fails for it is a
// failure of the story.
func (s *story) moves(ctx context.Context) error {
	s.load.trust(true)
	defer s.load.trust(false)
	if err := s.load.more(ctx, 1000); err != nil {
		return err
	}
	s.say("leadership moves on purpose, %d times, while rows are written", switchovers)
	failed := s.load.failed()
	s.load.gap()
	for range switchovers {
		if err := s.move(ctx); err != nil {
			return err
		}
	}
	failed = s.load.failed() - failed
	s.say("%d writes failed, the longest wait for an acknowledgement was %.0f ms", failed, ms(s.load.longestGap()))
	if failed > 0 {
		return fmt.Errorf("%d writes failed while leadership moved", failed)
	}
	return nil
}

// move hands over to the next node.
func (s *story) move(ctx context.Context) error {
	l, err := s.leader(ctx)
	if err != nil {
		return err
	}
	var to *cluster.Node
	for j, n := range s.cluster.Nodes {
		if n == l.Node {
			to = s.cluster.Nodes[(j+1)%len(s.cluster.Nodes)]
		}
	}
	began := time.Now()
	if err := call(l.conn, "box.ctl.switchover", map[string]any{"to": to.Name, "reason": "demo"}); err != nil {
		return fmt.Errorf("switchover from %s to %s: %w", l.Name, to.Name, err)
	}
	s.say("from %s to %s in %.0f ms", l.Name, to.Name, ms(time.Since(began)))
	return s.load.more(ctx, 500)
}

// history prints who has led, as an operator sees it.
func (s *story) history(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, s.o.Binary, "history", "--config", s.cluster.Config).CombinedOutput()
	if err != nil {
		return fmt.Errorf("tarragon history: %w\n%s", err, out)
	}
	s.say("tarragon history --config %s:\n%s", s.cluster.Config, bytes.TrimSpace(out))
	return nil
}
