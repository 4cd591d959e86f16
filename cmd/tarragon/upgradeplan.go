package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// upgradee is an instance as it tells of itself.
type upgradee struct {
	target
	info boxInfo
	err  error // why it does not tell
}

// askForUpgrade asks all instances of a set at once.
func askForUpgrade(ctx context.Context, targets []target, timeout time.Duration) []*upgradee {
	all := make([]*upgradee, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { all[i] = askUpgradee(ctx, t, timeout) })
	}
	wg.Wait()
	return all
}

func askUpgradee(ctx context.Context, t target, timeout time.Duration) *upgradee {
	u := &upgradee{target: t}
	u.err = t.call(ctx, timeout, &u.info, "box.info")
	switch {
	case u.err != nil:
	case u.name == "":
		u.name = u.info.Name
	case u.info.Name != "" && u.info.Name != u.name:
		u.err = fmt.Errorf("%s answers at its address %s", plain(u.info.Name), u.uri.Address())
	}
	return u
}

// roles in an upgrade.
const (
	roleReader   = "reader" // no member: it counts for no quorum
	roleFollower = "follower"
	roleLeader   = "leader"
)

// upgradeStep is one thing to do.
type upgradeStep struct {
	Do       string `json:"do"` // restart, switchover
	Instance string `json:"instance"`
	Role     string `json:"role"`
	Runs     string `json:"runs"`
	Command  string `json:"command,omitempty"`
}

const (
	doRestart    = "restart"
	doSwitchover = "switchover"
)

// upgradePlan is what is left to be done in a replica set.
type upgradePlan struct {
	Name    string        `json:"name"`
	Members int           `json:"members"`
	Needed  int           `json:"quorum"` // members that must be there to write, and to elect
	Outage  bool          `json:"outage"` // fewer are while one restarts
	Done    int           `json:"done"`   // instances that need nothing
	Left    []string      `json:"left_out,omitempty"`
	Steps   []upgradeStep `json:"steps"`
}

// upgradeSet is a replica set as its instances and its leader see it.
type upgradeSet struct {
	wish   *upgradeWish
	all    []*upgradee // but for those that are left out
	left   []*upgradee
	lead   *upgradee // nil: nobody leads
	voters []string  // as the leader knows them
}

func (w *upgradeWish) set(all []*upgradee) *upgradeSet {
	s := &upgradeSet{wish: w}
	for _, u := range all {
		if slices.Contains(w.without, u.name) {
			s.left = append(s.left, u)
		} else {
			s.all = append(s.all, u)
		}
		if u.err == nil && !u.info.RO && (s.lead == nil || u.info.Election.Term > s.lead.info.Election.Term) {
			s.lead = u
		}
	}
	if s.lead != nil {
		names := memberNames(&s.lead.info)
		for id := range s.lead.info.Replication {
			if !slices.Contains(s.lead.info.Own.Learners, number(id)) {
				s.voters = append(s.voters, names.of(number(id)))
			}
		}
		slices.Sort(s.voters)
	}
	return s
}

// plan is what is to be done, or all reasons why nothing may be.
func (w *upgradeWish) plan(all []*upgradee) (*upgradePlan, error) {
	s := w.set(all)
	bad := s.troubles()
	if s.lead == nil {
		bad = append(bad, fmt.Errorf("no instance of replica set %s that answers leads: tarragon status says why", all[0].replicaset))
		return nil, errors.Join(bad...)
	}
	p := s.steps()
	if len(p.Steps) > 0 {
		bad = append(bad, s.refusals(p)...)
	}
	return p, errors.Join(bad...)
}

// troubles is what is wrong with single instances.
func (s *upgradeSet) troubles() (bad []error) {
	for _, u := range s.all {
		refuse := func(format string, args ...any) { bad = append(bad, fmt.Errorf(u.label()+": "+format, args...)) }
		have := &u.info.Own.Program
		switch {
		case u.err != nil && refusal(u.err) != "":
			refuse("%w", u.err)
		case u.err != nil:
			refuse("it does not answer: %w; bring it back first, or leave it out by --without %s", u.err, u.name)
		case u.info.Package != "Tarragon":
			refuse("it is a Tarantool: this verb restarts none; leave it out by --without %s", u.name)
		case !safeName(u.name):
			refuse("its name cannot be put into a command of the shell: restart it by hand, and leave it out by --without")
		case s.wish.program.olderThan(have) && !s.wish.older:
			refuse("it runs %s, and this program is older, %s: run upgrade from the new binary; --allow-older goes back on purpose", have.text(), s.wish.program.text())
		}
	}
	return bad
}

// steps are readers, followers, and the leader.
func (s *upgradeSet) steps() *upgradePlan {
	p := &upgradePlan{Name: s.lead.replicaset, Members: len(s.voters), Needed: needed(len(s.voters), int(s.lead.info.Synchro.Quorum)), Steps: []upgradeStep{}}
	if p.Name == "" {
		p.Name = s.lead.info.Replicaset.Name
	}
	for _, u := range s.left {
		p.Left = append(p.Left, u.name)
	}
	restarts := false // a member
	for _, role := range []string{roleReader, roleFollower, roleLeader} {
		for _, u := range s.all {
			if u.err != nil || s.role(u) != role {
				continue
			}
			if s.wish.done(u) {
				p.Done++
				continue
			}
			step := upgradeStep{Do: doRestart, Instance: u.name, Role: role, Runs: u.info.Own.Program.text()}
			if s.wish.restart != nil {
				step.Command = s.wish.restart.of(u.name)
			}
			if role == roleLeader && len(s.voters) > 1 {
				p.Steps = append(p.Steps, upgradeStep{Do: doSwitchover, Instance: u.name, Role: role, Runs: step.Runs})
			}
			p.Steps = append(p.Steps, step)
			restarts = restarts || role != roleReader
		}
	}
	p.Outage = restarts && s.present()-1 < p.Needed
	return p
}

// done tells whether an instance needs nothing.
func (w *upgradeWish) done(u *upgradee) bool {
	p := &u.info.Own.Program
	return p.same(&w.program) && (w.started.IsZero() || p.Started*1e6 >= float64(w.started.UnixMicro()))
}

func (s *upgradeSet) role(u *upgradee) string {
	switch {
	case u == s.lead:
		return roleLeader
	case slices.Contains(s.voters, u.name):
		return roleFollower
	}
	return roleReader
}

// present counts the members that are there.
func (s *upgradeSet) present() (n int) {
	for _, u := range slices.Concat(s.all, s.left) {
		n += b2i(u.err == nil && s.role(u) != roleReader)
	}
	return n
}

// needed is how many of n members must be there to commit and to elect, see
// docs/protocol/membership.md.
func needed(n, synchroQuorum int) int {
	return max(synchroQuorum, n/2+1, n-synchroQuorum+1)
}

// refusals is what of the set is in the way.
func (s *upgradeSet) refusals(p *upgradePlan) (bad []error) {
	refuse := func(format string, args ...any) { bad = append(bad, fmt.Errorf(format, args...)) }
	own, names := &s.lead.info.Own, memberNames(&s.lead.info)
	for _, name := range s.voters {
		if !slices.ContainsFunc(slices.Concat(s.all, s.left), func(u *upgradee) bool { return u.name == name }) {
			refuse("%s is a member, and none of the instances that were asked: add it to the file, or expel it", plain(name))
		}
	}
	for _, id := range own.Learners {
		refuse("%s has joined and does not count yet: again when tarragon status names it no more", plain(names.of(id)))
	}
	if slices.Contains(s.left, s.lead) {
		refuse("%s leads, and cannot be left out: tarragon switchover", s.lead.label())
	}
	moves := slices.ContainsFunc(p.Steps, func(x upgradeStep) bool { return x.Do == doSwitchover })
	switch {
	case moves && s.lead.info.Election.State != roleLeader:
		refuse("elections are off (replication.failover), so nobody can take over from %s: restart the instances by hand", s.lead.label())
	case moves && own.Mandate != nil && s.wish.mandate.token == 0 && !s.wish.mandate.force:
		refuse("an agent says who leads: stop it, and give --token and --lease for the move of leadership, or have it move leadership away from %s when all others are restarted", s.lead.label())
	case moves && own.Moving != nil:
		refuse("leadership is about to move to %s: again when that is done", plain(own.Moving.Name))
	}
	if own.Pause != nil {
		refuse("elections are paused, so nobody would take over from a leader that is lost: tarragon resume")
	}
	if level := uint64(0); own.Feature != nil {
		if level = uint64(own.Feature.Level); level > s.wish.reads {
			refuse("the feature level of the replica set is %d, and this program reads levels up to %d: an instance that it runs would stop at once. Run upgrade from a newer binary", level, s.wish.reads)
		}
	}
	if p.Outage && !s.wish.outage {
		refuse("%s. --allow-outage says that this may be", p.cost(s.present()))
	}
	return bad
}

// cost says what is lost while a member restarts.
func (p *upgradePlan) cost(present int) string {
	if p.Members == 1 {
		return "there is one member: nobody reads or writes while it restarts"
	}
	return fmt.Sprintf("%d of %d members are there, and %d are needed: while one of them restarts no write is decided, and nobody leads until it is back", present, p.Members, p.Needed)
}

// print prints the steps, as numbers.
func (p *upgradePlan) print(w io.Writer, wish *upgradeWish) error {
	var b strings.Builder
	fmt.Fprintf(&b, "replica set %s: %d members, %d needed; %d instances run %s, %d steps are left\n", plain(p.Name), p.Members, p.Needed, p.Done, wish.program.text(), len(p.Steps))
	for i, step := range p.Steps {
		fmt.Fprintf(&b, "%3d. %s\n", i+1, step.text())
	}
	if len(p.Left) > 0 {
		fmt.Fprintf(&b, "left as they are: %s\n", list(p.Left))
	}
	if p.Outage {
		b.WriteString("without a quorum for the time of each restart of a member: writes stand still then\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (s *upgradeStep) text() string {
	if s.Do == doSwitchover {
		return fmt.Sprintf("switchover: %s hands leadership over to the member that holds most", s.Instance)
	}
	text := fmt.Sprintf("restart %s, %s, which runs %s", s.Instance, s.Role, s.Runs)
	if s.Command != "" {
		text += ": " + s.Command
	}
	return text
}
