package replication

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"
)

// Before its first SUBSCRIBE to a peer of our kind an instance asks that for the history of
// leaders, and says where it stands beside it (instance/line.go): behind, equal, ahead by so
// many rows that are void, or of a line that is no part of the peer's. In the last case it
// does not follow that peer: nothing is merged, and nothing is thrown away. It is the word of
// one peer and counts for its stream alone, so a forged history keeps nobody from the others.

// ErrParted ends a connection to a peer whose line parts from ours: both know rows to be
// committed that the other's history excludes.
var ErrParted = errors.New("this instance holds committed rows that are no part of this peer's history")

// maxTerms bounds the history that is taken from a peer.
const maxTerms = 1 << 20

// compare says where we stand beside the peer, once in the life of a process unless the lines
// part. An error other than ErrParted is one of the connection.
func (a *applier) compare(ctx context.Context, c *iproto.Client) error {
	h := a.hub
	if a.compared || h.cfg.Line == nil || h.cfg.Group != "" {
		return nil
	}
	info := h.node.Info()
	if m, found := info.member(c.Greeting.UUID); !found || xrow.KindOf(m.Incarnation) != xrow.Tarragon {
		return nil // a Tarantool has no history, or who knows what it is
	}
	line := h.cfg.Line()
	theirs, confirmed, err := a.askHistory(ctx, c)
	var refused *xrow.Error
	if errors.As(err, &refused) {
		a.log.Debug().Err(err).Msg("this peer tells no history")
		a.compared = true
		return nil
	}
	if err != nil {
		return err
	}
	cmp := line.Compare(theirs, confirmed)
	if cmp.Standing == instance.Parted {
		return fmt.Errorf("%w. The lines part %s. Nothing is merged, and rows of this peer are not taken. If the replica set is right: stop this instance, "+
			"save its data directory, empty it and start it; it joins anew, and 'tarragon xlog cat' reads what only the saved one has", ErrParted, cmp.Text)
	}
	a.compared = true
	ev := a.log.Info().Stringer("standing", cmp.Standing)
	if cmp.Void > 0 {
		ev = ev.Uint64("void", cmp.Void)
	}
	ev.Msg("beside the history of this peer: " + cmp.Text)
	return nil
}

// historyTerm is a term of a peer's history; what else it has is for people.
type historyTerm struct {
	Term      uint64 `msgpack:"term"`
	Owner     uint32 `msgpack:"owner"`
	First     uint64 `msgpack:"first"`
	Last      uint64 `msgpack:"last"`
	Tarantool bool   `msgpack:"tarantool"`
}

// askHistory takes page after page of tarragon.history.
func (a *applier) askHistory(ctx context.Context, c *iproto.Client) (all []terms.Span, confirmed uint64, err error) {
	for more := true; more; {
		if err := c.SetDeadline(time.Now().Add(a.hub.times.Load().death)); err != nil {
			return nil, 0, err
		}
		if ctx.Err() != nil { // the deadline may have undone what ended us
			return nil, 0, context.Cause(ctx)
		}
		after := uint64(0)
		if n := len(all); n > 0 {
			after = all[n-1].Term
		}
		data, err := c.Call("tarragon.history", mp.Encode([]any{map[string]uint64{"after": after}}))
		if err != nil {
			return nil, 0, err
		}
		var page []struct {
			Confirmed uint64        `msgpack:"confirmed"`
			Terms     []historyTerm `msgpack:"terms"`
			More      bool          `msgpack:"more"`
		}
		if err := mp.Decode(data, &page); err != nil || len(page) != 1 {
			return nil, 0, xrow.Errorf(xrow.ErrProtocol, "a history that cannot be read")
		}
		if all, err = addTerms(all, page[0].Terms); err != nil {
			return nil, 0, err
		}
		more, confirmed = page[0].More, page[0].Confirmed
		if more && len(page[0].Terms) == 0 {
			return nil, 0, xrow.Errorf(xrow.ErrProtocol, "a history without an end")
		}
	}
	return all, confirmed, nil
}

// addTerms appends a page to a history; terms must ascend.
func addTerms(all []terms.Span, page []historyTerm) ([]terms.Span, error) {
	for _, t := range page {
		if n := len(all); n >= maxTerms || n > 0 && t.Term <= all[n-1].Term || t.Term > maxTerm || t.First > t.Last {
			return nil, xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("a history that goes from term %d to %d", lastTerm(all), t.Term))
		}
		s := terms.Span{Term: t.Term, Owner: t.Owner, First: t.First, Last: t.Last, Rules: terms.Strong}
		if t.Tarantool {
			s.Rules = terms.Tarantool
		}
		all = append(all, s)
	}
	return all, nil
}

func lastTerm(all []terms.Span) uint64 {
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].Term
}
