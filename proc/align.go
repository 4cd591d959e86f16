package proc

import (
	"errors"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// Credentials are users and roles as a configuration wants them.
type Credentials struct {
	Roles, Users []Account
}

// Account is a wanted user or role.
type Account struct {
	Name        string
	Password    string
	HasPassword bool // false: the password is left as it is
	Roles       []string
	Privileges  []Grant
}

// Grant is permissions on objects.
type Grant struct {
	Permissions []string
	Objects     []Object
}

// Object is what a Grant is about. Name is empty for a class without names.
type Object struct{ Class, Name string }

// AlignCredentials is a transaction that adds and updates users, roles and
// rights as wanted, and drops nothing. Each new leader runs it. A right on an
// object that does not exist is left out. wall is the time, seconds since the
// epoch.
func AlignCredentials(conn uint64, want Credentials, wall float64) instance.Request {
	return instance.Request{Conn: conn, User: box.UserAdmin, Barrier: true, Internal: true, Do: func(tx *box.Txn) ([]byte, error) {
		t := &txn{tx: tx, user: box.UserAdmin, now: uint64(wall)}
		origin, err := t.configOrigin()
		if err != nil {
			return nil, err
		}
		return nil, (&aligner{t, origin}).align(want)
	}}
}

// aligner is a transaction that marks what it writes with an origin.
type aligner struct {
	*txn
	origin string
}

// configOrigin is the mark of the configuration. Schemas that are older than
// the Tarantools that know marks have none.
func (t *txn) configOrigin() (string, error) {
	row, err := t.get(xrow.SpaceSchema, 0, keyStr("version"))
	if err != nil {
		return "", err
	}
	if have := row.uint(1)<<16 | row.uint(2)<<8 | row.uint(3); have < 2<<16|11<<8|1 {
		return originDefault, nil
	}
	return originConfig, nil
}

func (t *aligner) align(want Credentials) error {
	ids := make(map[string]uint64) // names, for look-up only
	for i := range want.Roles {
		id, err := t.alignAccount(&want.Roles[i], true)
		if err != nil {
			return err
		}
		ids["role "+want.Roles[i].Name] = id
	}
	for i := range want.Users {
		id, err := t.alignAccount(&want.Users[i], false)
		if err != nil {
			return err
		}
		ids[want.Users[i].Name] = id
	}
	for i := range want.Roles {
		if err := t.alignGrants(ids["role "+want.Roles[i].Name], &want.Roles[i]); err != nil {
			return err
		}
	}
	for i := range want.Users {
		if err := t.alignGrants(ids[want.Users[i].Name], &want.Users[i]); err != nil {
			return err
		}
	}
	return nil
}

// alignAccount makes a user or role that is not there, and sets the password
// where it differs.
func (t *aligner) alignAccount(a *Account, role bool) (id uint64, err error) {
	row, err := t.get(xrow.SpaceUser, 2, keyStr(a.Name))
	if err != nil {
		return 0, err
	}
	if row == nil {
		return t.addAccount(a, role)
	}
	if err := t.addOrigin(row, t.origin); err != nil {
		return 0, err
	}
	id = row.uint(0)
	if !a.HasPassword || role || id == uint64(box.UserGuest) {
		return id, nil
	}
	if auth := row.field(4); string(auth) != string(mp.Encode(authOf(a.Password))) {
		return id, t.setPassword(id, a.Password)
	}
	return id, nil
}

func (t *aligner) addAccount(a *Account, role bool) (uint64, error) {
	if role {
		return t.insertAccount(t.origin, a.Name, "role", mp.Pairs{})
	}
	var auth mp.Pairs
	if a.HasPassword {
		auth = authOf(a.Password)
	}
	id, err := t.insertAccount(t.origin, a.Name, "user", auth)
	if err == nil {
		err = t.firstGrants(id)
	}
	return id, err
}

func (t *aligner) alignGrants(grantee uint64, a *Account) error {
	for _, role := range a.Roles {
		u, err := t.member(mp.Encode(role), true)
		if isMissing(err) {
			continue
		}
		if err != nil {
			return err
		}
		if _, err := t.addPriv(t.origin, t.user.User(), grantee, "role", mp.Encode(u.ID), box.PrivExecute); err != nil {
			return err
		}
	}
	for _, g := range a.Privileges {
		for _, o := range g.Objects {
			if err := t.alignGrant(grantee, g.Permissions, o); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *aligner) alignGrant(grantee uint64, permissions []string, o Object) error {
	var bits box.Priv
	for _, p := range permissions {
		b, err := checkPriv(mp.Encode(p), o.Class)
		if err != nil {
			return err
		}
		bits |= b
	}
	id, err := t.objectID(o.Class, mp.Encode(o.Name))
	if isMissing(err) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = t.addPriv(t.origin, t.user.User(), grantee, o.Class, id, bits)
	return err
}

// isMissing: the object of a right is not there yet.
func isMissing(err error) bool {
	return errors.Is(err, xrow.ErrNoSuchRole) || errors.Is(err, xrow.ErrNoSuchSpace) || errors.Is(err, xrow.ErrNoSuchFunction) || errors.Is(err, xrow.ErrNoSuchSequence)
}
