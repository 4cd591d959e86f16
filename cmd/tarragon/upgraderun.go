package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// upgradePoll is how long an instance that is not as it should be is left alone.
const upgradePoll = 200 * time.Millisecond

// upgradeRun takes the steps of one replica set. It remembers nothing between them: each
// follows from what the instances say when it is due.
type upgradeRun struct {
	wish    *upgradeWish
	targets []target
	timeout time.Duration // for one question
	wait    time.Duration // for an instance to come back, and to catch up
	out     io.Writer
	err     io.Writer // gets what restart commands print
}

// run returns who leads in the end.
func (r *upgradeRun) run(ctx context.Context) (*upgradee, error) {
	moves := 0
	for {
		all, err := r.settle(ctx)
		if err != nil {
			return nil, r.broken(ctx, "before the next step", err)
		}
		p, err := r.wish.plan(all)
		if err != nil {
			return nil, refusedUpgrade{err}
		}
		s := r.wish.set(all)
		if len(p.Steps) == 0 {
			_, err := fmt.Fprintf(r.out, "replica set %s: all %d instances run %s; %s leads\n", plain(p.Name), p.Done, r.wish.program.text(), s.lead.label())
			return s.lead, err
		}
		step := p.Steps[0]
		if step.Do == doSwitchover {
			if moves++; moves > len(s.voters)+1 {
				return nil, fmt.Errorf("upgrade: leadership was moved %d times and is back at %s, which is to be restarted: look for who moves it there (tarragon history), then run the same again", moves-1, step.Instance)
			}
			err = r.switchover(ctx, s.lead)
		} else {
			i := slices.IndexFunc(all, func(u *upgradee) bool { return u.name == step.Instance })
			err = r.restart(ctx, all[i], step)
		}
		if err != nil {
			return nil, err
		}
	}
}

// poll asks until check says nil, and gives its last word when the time is over.
func (r *upgradeRun) poll(ctx context.Context, check func() error) error {
	limit := time.NewTimer(r.wait)
	defer limit.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.Join(context.Cause(ctx), err)
		case <-limit.C:
			return fmt.Errorf("not within %v: %w", r.wait, err)
		case <-time.After(upgradePoll):
		}
	}
}

// settle waits until all are there, and have what the leader had when they were.
func (r *upgradeRun) settle(ctx context.Context) (all []*upgradee, err error) {
	var goal table[number] // the leader's vclock when all were there first
	term := number(0)
	err = r.poll(ctx, func() error {
		all = askForUpgrade(ctx, r.targets, r.timeout)
		s := r.wish.set(all)
		if err := s.there(); err != nil {
			goal = nil
			return err
		}
		if e := &s.lead.info.Election; goal == nil || e.Term != term {
			goal, term = s.lead.info.VClock, e.Term // another leader may have voided rows of the one before
		}
		return s.has(goal)
	})
	return all, err
}

// there tells whether somebody leads, and all follow.
func (s *upgradeSet) there() error {
	for _, u := range s.all {
		switch {
		case u.err != nil:
			return fmt.Errorf("%s does not answer: %w", u.label(), u.err)
		case u.info.Status != "running":
			return fmt.Errorf("%s is not ready: its status is %s", u.label(), plain(u.info.Status))
		}
	}
	if s.lead == nil {
		return errors.New("nobody leads")
	}
	if learners := s.lead.info.Own.Learners; len(learners) > 0 {
		return fmt.Errorf("%s does not count yet", plain(memberNames(&s.lead.info).of(learners[0])))
	}
	names := memberNames(&s.lead.info)
	for id, m := range s.lead.info.Replication {
		name := names.of(number(id))
		asked := slices.ContainsFunc(s.all, func(u *upgradee) bool { return u.name == name })
		if asked && name != s.lead.name && (m.Downstream == nil || m.Downstream.Status != "follow") {
			return fmt.Errorf("%s does not follow %s", plain(name), s.lead.label())
		}
	}
	return nil
}

// has tells whether all have what the leader had.
func (s *upgradeSet) has(goal table[number]) error {
	for _, u := range s.all {
		lacks := uint64(0)
		for id, lsn := range goal {
			if have := u.info.VClock[id]; id != 0 && lsn > have {
				lacks += uint64(lsn - have)
			}
		}
		if lacks > s.wish.maxLag {
			return fmt.Errorf("%s lacks %d rows of what the leader had, and may lack %d (--max-lag)", u.label(), lacks, s.wish.maxLag)
		}
	}
	return nil
}

// switchover has the leader hand over. Where it refuses nothing has moved, and it is asked again:
// a target may be busy. What becomes of it otherwise is seen by who leads then.
func (r *upgradeRun) switchover(ctx context.Context, lead *upgradee) error {
	options := r.wish.mandate.options()
	options["timeout"], options["mode"], options["reason"] = defaultMoveTimeout.Seconds(), "strict", "upgrade"
	began, now, told := time.Now(), moved{}, ""
	var denied error
	err := r.poll(ctx, func() error {
		err := lead.call(ctx, defaultMoveTimeout+switchoverGrace, &now, "box.ctl.switchover", options)
		var answer *answerError
		switch {
		case err == nil || !errors.As(err, &answer):
			return nil
		case refusal(err) != "":
			denied = err
			return nil
		}
		if text := err.Error(); text != told {
			told = text
			fmt.Fprintf(r.out, "switchover: refused by %s, asked again: %s\n", lead.label(), plain(text))
		}
		return err
	})
	if err = errors.Join(err, denied); err != nil {
		return r.broken(ctx, "at "+lead.label()+", which was to hand leadership over", err)
	}
	if now.Name == "" {
		_, err = fmt.Fprintf(r.out, "switchover: the answer of %s was lost; looking who leads\n", lead.label())
		return err
	}
	_, err = fmt.Fprintf(r.out, "switchover: %s leads in term %d, after %s; writes waited for %s\n", plain(now.Name), now.Term, took(began), seconds(now.Held))
	return err
}

// restart restarts an instance and waits until it runs the new build and has what the leader has.
func (r *upgradeRun) restart(ctx context.Context, u *upgradee, step upgradeStep) error {
	if _, err := fmt.Fprintf(r.out, "restart %s: %s\n", u.label(), step.Command); err != nil {
		return err
	}
	began := time.Now()
	if err := runRestart(ctx, r.wait, step.Command, r.err); err != nil {
		now := "it does not answer"
		if after := askUpgradee(context.WithoutCancel(ctx), u.target, r.timeout); after.err == nil {
			now = "it answers and runs " + after.info.Own.Program.text()
		}
		return r.stopped(u, fmt.Errorf("its restart command failed: %w; %s", err, now))
	}
	var wrong error
	err := r.poll(ctx, func() error {
		after := askUpgradee(ctx, u.target, r.timeout)
		switch {
		case after.err != nil:
			return fmt.Errorf("it does not answer: %w", after.err)
		case !restarted(u, after):
			return errors.New("the process that was there before still runs")
		case !after.info.Own.Program.same(&r.wish.program):
			wrong = fmt.Errorf("it came back and runs %s, not %s: is the new binary where it is started from?", after.info.Own.Program.text(), r.wish.program.text())
		case !r.wish.done(after):
			wrong = fmt.Errorf("it came back, and by the clock of its machine it was started before %s still: set that clock right", r.wish.started.Format(time.RFC3339))
		}
		return nil
	})
	back := time.Now()
	switch {
	case wrong != nil:
		return r.stopped(u, wrong)
	case ctx.Err() != nil:
		return r.broken(ctx, "while "+u.label()+" comes back", err)
	case err != nil:
		return r.stopped(u, fmt.Errorf("it did not come back: %w", err))
	}
	if _, err := r.settle(ctx); err != nil {
		return r.broken(ctx, u.label()+" runs the new build, but", err)
	}
	_, err = fmt.Fprintf(r.out, "  it runs %s after %v, and had caught up after %s\n", r.wish.program.text(), back.Sub(began).Round(time.Millisecond), took(began))
	return err
}

// took is the time from a moment on.
func took(began time.Time) time.Duration { return time.Since(began).Round(time.Millisecond) }

// restarted tells whether another process answers than before. One of an earlier version does not
// say when it was started, and the number of a process in a container is often the same.
func restarted(before, after *upgradee) bool {
	b, a := &before.info, &after.info
	return a.PID != b.PID || a.Own.Program.Started != b.Own.Program.Started || a.Uptime < b.Uptime
}

// stopped is the end of a run by an instance that was restarted and is not as it should be.
func (r *upgradeRun) stopped(u *upgradee, why error) error {
	var others []string
	for _, t := range r.targets {
		if t.name != u.name {
			others = append(others, t.name)
		}
	}
	untouched := ""
	if len(others) > 0 {
		untouched = " " + strings.Join(others, ", ") + " go on, and no other instance is touched."
	}
	return fmt.Errorf("upgrade stopped at %s: %w.%s Its log says why (a binary that is older than the feature level of the set, say, stops at once). "+
		"Have it started with a binary that runs: the new one, or the one before; then run the same again, and it goes on from there", u.label(), why, untouched)
}

// broken is the end of a run between instances.
func (r *upgradeRun) broken(ctx context.Context, where string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("upgrade broken off %s; run the same again, and it goes on from there: %w", where, err)
	}
	return fmt.Errorf("upgrade stopped %s: %w; nothing else is touched. Once that is mended run the same again, and it goes on from there", where, err)
}
