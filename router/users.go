package router

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"sync"
	"time"

	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// users are those of the cluster: looked up there at each login, by the router's account.
// What is remembered serves while there is nobody to ask.
type users struct {
	r *Router

	asking sync.Mutex     // one question at a time
	conn   *iproto.Client // nil: none; guarded by asking
	of     *instance      // whose conn is

	mu     sync.Mutex
	byName map[string]user
	names  []string // by the number of the user
}

// user is a user as the cluster knew it last.
type user struct {
	number iproto.User
	id     uint64 // in the cluster
	hash   []byte // nil: no password
}

// guest is whom sessions begin as.
const guest = "guest"

// lookupLimit is how long a login waits for the cluster.
const lookupLimit = time.Second

// mostUsers bounds what is remembered.
const mostUsers = 100_000

func (u *users) init(r *Router) {
	u.r = r
	u.byName = map[string]user{guest: {}}
	u.names = []string{guest}
}

// name is that of a user.
func (u *users) name(n iproto.User) string {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.names[n]
}

// Ready waits a little for an instance that can tell who users are, so that nobody's
// password is called wrong who could not be looked up.
func (u *users) Ready() *xrow.Error {
	limit := time.After(lookupLimit)
	for {
		changed := u.r.changes()
		if u.r.anybody() != nil {
			return nil
		}
		select {
		case <-u.r.ctx.Done():
			return xrow.Errorf(xrow.ErrShutdown)
		case <-changed:
		case <-limit:
			u.mu.Lock()
			defer u.mu.Unlock()
			if len(u.byName) > 1 {
				return nil // as far as is remembered
			}
			return errNotAsked()
		}
	}
}

// errNotAsked is the answer to a login while there is nobody who knows the users.
func errNotAsked() *xrow.Error {
	e := xrow.Errorf(xrow.ErrLoading)
	e.Message = "The router has found no instance of the replica set yet that answers"
	return e
}

// SchemaVersion is that of answers that are the router's own.
func (u *users) SchemaVersion() uint64 { return 0 }

// CanLogin is nil: the instance judges, when it makes a session for the user.
func (u *users) CanLogin(iproto.User) error { return nil }

// Stays is nil: the instance ends the sessions of who may have none.
func (u *users) Stays(_, _ iproto.User, _ bool) error { return nil }

// MayWrite is false: who has not logged in sends small requests.
func (u *users) MayWrite(iproto.User) bool { return false }

// User looks a user up in the cluster.
func (u *users) User(name []byte) (iproto.User, []byte, bool) {
	if string(name) == guest {
		return 0, nil, true
	}
	found, id, hash, err := u.ask(string(name))
	u.mu.Lock()
	defer u.mu.Unlock()
	known, ok := u.byName[string(name)]
	switch {
	case err != nil:
		return known.number, known.hash, ok
	case !found:
		delete(u.byName, string(name))
		return 0, nil, false
	}
	if !ok || known.id != id {
		if len(u.names) >= mostUsers {
			return 0, nil, false
		}
		known = user{number: iproto.User(len(u.names)), id: id}
		u.names = append(u.names, string(name))
	}
	known.hash = hash
	u.byName[string(name)] = known
	return known.number, hash, true
}

var errNobody = errors.New("no instance answers")

// ask reads a row of _user, from whoever leads or from another one.
func (u *users) ask(name string) (found bool, id uint64, hash []byte, err error) {
	u.asking.Lock()
	defer u.asking.Unlock()
	ctx, cancel := context.WithTimeout(u.r.ctx, lookupLimit)
	defer cancel()
	for range 2 { // a connection that has ended meanwhile is made anew
		var row xrow.Row
		if row, err = u.askOnce(ctx, name); err == nil {
			return userOf(row.Body)
		}
		var e *xrow.Error
		if errors.As(err, &e) {
			u.r.cfg.Log.Error().Err(err).Msg("the router's account may not read _user: nobody can log in")
			return false, 0, nil, nil
		}
		u.dropConn()
	}
	return false, 0, nil, err
}

func (u *users) askOnce(ctx context.Context, name string) (row xrow.Row, err error) {
	in := u.r.anybody()
	if in == nil {
		return row, errNobody
	}
	if u.of != in {
		u.dropConn()
	}
	if u.conn == nil {
		if u.conn, err = in.dial(ctx); err != nil {
			u.conn = nil
			return row, err
		}
		u.of = in
	}
	deadline, _ := ctx.Deadline()
	if err := u.conn.SetDeadline(deadline); err != nil {
		return row, err
	}
	body := []byte{0x86, byte(xrow.KeySpaceID)}
	body = msgp.AppendUint64(body, uint64(xrow.SpaceUser))
	body = append(body, byte(xrow.KeyIndexID), 2, byte(xrow.KeyLimit), 1, byte(xrow.KeyOffset), 0, byte(xrow.KeyIterator), 0, byte(xrow.KeyKey), 0x91)
	return u.conn.Do(xrow.Select, msgp.AppendString(body, name))
}

func (u *users) dropConn() {
	if u.conn != nil {
		_ = u.conn.Close()
		u.conn, u.of = nil, nil
	}
}

func (u *users) close() {
	u.asking.Lock()
	defer u.asking.Unlock()
	u.dropConn()
}

// userOf reads the answer: at most one row of _user.
func userOf(body []byte) (found bool, id uint64, hash []byte, err error) {
	raw, err := iproto.DataOf(body)
	if err != nil {
		return false, 0, nil, err
	}
	rows, at, ok := mp.ReadArrayHeader(raw)
	if rows == 0 && ok {
		return false, 0, nil, nil
	}
	raw = raw[at:]
	n, at, ok := mp.ReadArrayHeader(raw)
	if !ok || n < 5 {
		return false, 0, nil, fmt.Errorf("%w: a row of _user", iproto.ErrProtocol)
	}
	var row [5][]byte
	for i := range row {
		row[i] = mp.First(raw[at:])
		at += len(row[i])
	}
	if kind, _, ok := mp.ReadString(row[3]); !ok || string(kind) != "user" {
		return false, 0, nil, nil
	}
	id, _, _ = mp.ReadUint(row[0])
	auth := map[string]string{}
	_ = mp.Decode(row[4], &auth) // an empty array, where there is none
	if text := auth[iproto.MethodChapSHA1]; text != "" {
		hash, err = base64.StdEncoding.DecodeString(text)
	}
	return true, id, hash, err
}

// anybody is the leader, or else some instance that answers; nil: there is none.
func (r *Router) anybody() *instance {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.last.leader >= 0 && r.words[r.last.leader].heard {
		return r.insts[r.last.leader]
	}
	for i := range r.words {
		if r.words[i].heard {
			return r.insts[i]
		}
	}
	return nil
}
