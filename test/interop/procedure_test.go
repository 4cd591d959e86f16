package interop

import (
	"context"
	"testing"

	"tarragon.dev/tarragon"
)

// A row of language GO ends the replication of a Tarantool that follows, which the leader of
// no member can know: it is anonymous. None gets the state once there is one, and is told
// why, until it is dropped.
func TestTheyKnowNoGo(t *testing.T) {
	eachPeer(t, func(t *testing.T, p peer) {
		r := newRig(t)
		master := r.add(us(p), settings{first: true})
		follower := r.add(p, settings{from: []*node{master}, anon: true})
		late := r.add(p, settings{from: []*node{master}, anon: true})
		db := r.embed(master, p)
		define := func(name string, args ...any) {
			t.Helper()
			if _, err := db.Call(r.ctx, name, args...); err != nil {
				t.Fatal(name, err)
			}
		}
		define("box.schema.user.create", replicator, map[string]any{"password": replicatorPassword})
		define("box.schema.user.grant", replicator, "replication")
		follower.start()
		r.says(follower, "I> subscribed")
		define("box.schema.func.create", "f", map[string]any{"language": "GO"})
		r.says(follower, "Unsupported language 'GO' specified for function 'f'")
		late.start()
		r.says(late, "functions of language GO, 'f' among them")
		define("box.schema.func.drop", "f")
	})
}

// embed opens the instance of a node in this process, with a procedure f, until the end of
// the test.
func (r *rig) embed(n *node, p peer) *tarragon.DB {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	conf := tarragon.Config{Dir: n.dir, Options: map[string]string{"iproto.listen": n.addr, "replication.failover": "off"}, Procedures: []tarragon.Procedure{
		{Name: "f", Func: func(context.Context, *tarragon.Tx, tarragon.Args) ([]any, error) { return nil, nil }}}}
	if p.old() {
		conf.Options["tarragon.bootstrap_profile"] = "2.10.4"
	}
	db, err := tarragon.Open(ctx, conf)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		if err := db.Close(); err != nil {
			r.t.Error(err)
		}
	})
	return db
}
