package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"
)

// comeback is how the next run of a node begins, by how the one before has ended.
type comeback struct {
	home    *home
	log     zerolog.Logger
	pause   pacer
	anew    *rejoin    // it takes the state from a peer
	way     *givingWay // its replica set was given up
	trusted bool       // an operator says that the disk is to be believed
}

func newComeback(h *home, log zerolog.Logger) *comeback {
	return &comeback{home: h, log: log, pause: pacer{least: time.Second, most: 30 * time.Second}}
}

// after takes the end of a run, which began when it says, and returns once the next one
// is to begin. Else again is false, and err is why there is none; nil: ctx ended.
func (c *comeback) after(ctx context.Context, end error, began time.Time) (again bool, err error) {
	switch {
	case errors.Is(end, errJoined):
		if err := c.takeFilled(); err != nil {
			return false, fmt.Errorf("take the new state: %w", err)
		}
	case errors.Is(end, errAccepted):
		c.trusted, c.anew = true, nil
	case errors.Is(end, errNoGiver):
		c.log.Warn().Err(end).Msg("not joining the replica set anew")
		c.anew = nil
		return c.pause.wait(ctx, time.Since(began)), nil
	case errors.As(end, &c.way):
		c.log.Warn().Err(end).Uint32("slot", c.home.present().Number()).
			Msg("giving way to another replica set: the data of this one is kept as a former slot (tarragon xlog former)")
		if err := c.way.setAside(c.home); err != nil {
			return false, fmt.Errorf("set the data aside: %w", err)
		}
	case errors.As(end, &c.anew):
		c.log.Warn().Err(end).Bool("new_identity", c.anew.newLife).Msg("joining the replica set anew")
		return c.pause.wait(ctx, time.Since(began)), nil
	case ctx.Err() != nil && errors.Is(end, context.Cause(ctx)):
		return false, nil // asked to stop
	default:
		return false, end
	}
	return true, nil
}

// takeFilled has the slot that a run has filled count.
func (c *comeback) takeFilled() error {
	why, old := "", c.home.present().Number()
	if c.anew.newLife {
		why = c.anew.cause.Error()
	}
	c.anew = nil
	if err := c.home.take(why); err != nil {
		return err
	}
	if why != "" {
		c.log.Warn().Uint32("slot", old).
			Msg("the data of the former life is kept as a former slot: it may have rows that nobody else has (tarragon xlog cat --slot); drop it when you have looked (tarragon xlog former)")
	}
	return nil
}

// goesOn tells of the end of a run that another one may follow: see after.
func goesOn(end error) bool {
	again, way := new(rejoin), new(givingWay)
	return errors.Is(end, errJoined) || errors.Is(end, errAccepted) || errors.Is(end, errNoGiver) || errors.As(end, &way) || errors.As(end, &again)
}
