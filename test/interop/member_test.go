package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// data is where a node of a set has its files: each kind in a place of its own.
func (n *node) data() string {
	if n.isOurs() {
		return filepath.Join(n.r.dir, "tarragon", "var", "lib", n.name)
	}
	return filepath.Join(n.r.dir, "var", "lib", n.name)
}

// wipe ends a node by SIGKILL and takes its files away.
func (n *node) wipe() {
	n.r.t.Helper()
	n.kill()
	n.close()
	n.uuid = ""
	if _, err := os.Stat(n.data()); err != nil {
		n.r.t.Fatalf("the files of %s are elsewhere: %v", n.name, err)
	}
	if err := os.RemoveAll(n.data()); err != nil {
		n.r.t.Fatal(err)
	}
}

// until lets a starting node come as far as a step of its start, and reports
// whether it was seen there.
func (n *node) until(step func() bool) bool {
	limit := time.After(3 * time.Second)
	for !step() {
		select {
		case <-limit:
			return false
		case <-n.Exited():
			return false
		case <-time.After(time.Millisecond):
		}
	}
	return true
}

// joins starts a node that has no files, until it is a member. A Tarantool
// cannot join another one under synchronous load: its first checkpoint waits for
// a CONFIRM that only a later SUBSCRIBE would bring.
func (r *rig) joins(n *node, l *load) {
	r.t.Helper()
	if leader := r.leading(r.ctx); !n.isOurs() && (leader == nil || !leader.isOurs()) {
		defer l.hold()()
	}
	n.start()
	r.up(n)
	r.meshed(r.nodes...)
}

// A member of either kind loses its files and joins again, under load, under a
// leader of either kind. It is killed while it joins, and so is the leader.
func TestWipedMember(t *testing.T) {
	eachMix(t, func(t *testing.T, peers []peer) {
		r := newRig(t)
		r.configured(set{uuids: true}, peers...)
		r.formed()
		l := r.write(orders, r.leading)
		l.more(50)
		hasBegun := func(n *node) func() bool {
			return func() bool { _, err := os.Stat(n.data()); return err == nil }
		}
		for i, n := range r.nodes {
			r.lead(r.nodes[(i+1)%len(r.nodes)])
			n.wipe()
			l.more(30)
			n.start()
			if n.until(hasBegun(n)) {
				n.kill()
			}
			r.joins(n, l)
			l.more(30)
		}
		for i, n := range r.nodes {
			leader := r.nodes[(i+1)%len(r.nodes)]
			r.lead(leader)
			goOn := l.hold()
			n.wipe()
			n.start()
			n.until(hasBegun(n))
			leader.kill()
			leader.start()
			r.up(r.nodes...)
			goOn()
			l.more(30)
			r.meshed(r.nodes...)
		}
		r.same()
	})
}

// Members of ours lose their files, and the configuration gives them no uuid:
// they come back at once as somebody else of the same name, under a leader of
// either kind.
func TestWipedNamesake(t *testing.T) {
	eachMix(t, func(t *testing.T, peers []peer) {
		r := newRig(t)
		r.configured(set{}, peers...)
		r.formed()
		l := r.write(orders, r.leading)
		l.more(50)
		for i, n := range r.nodes {
			if !n.isOurs() {
				continue
			}
			for j := range 2 {
				r.lead(r.nodes[(i+1+j)%len(r.nodes)])
				n.wipe()
				r.joins(n, l)
				l.more(30)
			}
		}
		r.same()
	})
}

// A replica set of Tarantools is taken over by Tarragons one by one, and given
// back, under load. As soon as all are ours the strong rules hold.
func TestRollOver(t *testing.T) {
	if modern.path == "" {
		t.Skip("TARANTOOL names no Tarantool 3")
	}
	r := newRig(t)
	r.configured(set{uuids: true}, modern, modern, modern)
	r.formed()
	l := r.write(orders, r.leading)
	l.more(50)
	for _, to := range []peer{us(modern), modern} {
		for i, n := range r.nodes {
			r.lead(r.nodes[(i+1)%len(r.nodes)])
			l.more(30)
			n.wipe()
			n.peer = to
			r.joins(n, l)
			l.more(30)
		}
		goOn := l.hold()
		r.equal()
		goOn()
		if to.path == "" {
			r.until("the strong rules hold", func() error { return r.allSay("strong") })
		}
	}
	r.same()
}

// allSay says nil if all nodes, which are ours, name these rules.
func (r *rig) allSay(rules string) error {
	for _, n := range r.nodes {
		info, err := n.info()
		if err != nil {
			return err
		}
		if now := info.at("tarragon", "rules").text(); now != rules {
			return fmt.Errorf("%s says %q", n.name, now)
		}
	}
	return nil
}
