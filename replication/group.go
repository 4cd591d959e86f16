package replication

import (
	"fmt"

	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/xrow"
)

// A process may run several Cores, each for a group of instances. Requests name the
// group under a key of ours; without it the replica set is meant, and the bytes are
// those that any Tarantool sends and takes.
//
// Peers that know no groups pass over the key and answer for the replica set. So every
// answer repeats the group, and one that does not is worth nothing. Nor may such
// a peer be asked for more than a ballot: a JOIN or REGISTER would change its
// replica set. Therefore a connection in the name of a group begins with a VOTE that
// names it (confirmGroup).

// ErrNoGroup answers a request that names a group which is not here.
func ErrNoGroup(group string) *xrow.Error {
	return &xrow.Error{Code: xrow.ErrCfg, Message: fmt.Sprintf("This instance has no group '%s'", group)}
}

// checkGroup refuses an answer that is not of the group that was asked.
func checkGroup(asked, answered string) error {
	if asked == answered {
		return nil
	}
	return xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("the answer is of %s, and %s was asked: nothing of it is taken", groupName(answered), groupName(asked)))
}

func groupName(group string) string {
	if group == "" {
		return "the replica set"
	}
	return "group '" + group + "'"
}

// vote asks for the ballot of a group.
func vote(c *iproto.Client, group string) (b xrow.Ballot, err error) {
	row, err := c.Do(xrow.Vote, xrow.AppendGroup(nil, group))
	if err != nil {
		return b, err
	}
	if b, err = xrow.DecodeBallot(row.Body); err != nil {
		return b, err
	}
	return b, checkGroup(group, b.Group)
}

// confirmGroup makes sure, before a connection changes anything at the peer, that the
// peer knows the group. Nothing is asked for the replica set, which everybody knows.
func confirmGroup(c *iproto.Client, group string) error {
	if group == "" {
		return nil
	}
	_, err := vote(c, group)
	return err
}
