package xrow

import (
	"reflect"
	"strings"
	"testing"

	"tarragon.dev/tarragon/terms"

	"github.com/tinylib/msgp/msgp"
)

// A ballot names the leader; one of an earlier version does not, and texts are cut to what
// is read.
func TestBallotNamesTheLeader(t *testing.T) {
	b := Ballot{IsBooted: true, Kind: Tarragon, BootstrapLeader: uuidA, Replicaset: uuidA, Founding: 2, SetName: "orders",
		Leads: BallotLeader{Term: 7, UUID: uuidA, Name: "i-001", Addr: "10.0.0.1:3301"}}
	back := func(b Ballot) Ballot {
		t.Helper()
		got, err := DecodeBallot(b.AppendBody(nil))
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	for _, b := range []Ballot{b, {IsBooted: true, Kind: Tarragon, Replicaset: uuidA}, {IsBooted: true, Kind: Tarragon, Replicaset: uuidA, Leads: BallotLeader{Term: 7}}} {
		if got := back(b); got.SetName != b.SetName || got.Leads != b.Leads || got.Founding != b.Founding || got.Replicaset != b.Replicaset {
			t.Errorf("%+v came as %+v", b, got)
		}
	}
	long := b
	long.Leads.Addr = strings.Repeat("x", terms.MaxMoveText+1)
	if got := back(long); len(got.Leads.Addr) != terms.MaxMoveText {
		t.Errorf("%d bytes", len(got.Leads.Addr))
	}
	set := func(elems byte, rest ...byte) (got Ballot, err error) {
		body := append([]byte{0x81, byte(KeyBallot), 0x81, byte(KeySet), 0x90 | elems}, msgp.AppendString(nil, uuidA)...)
		return DecodeBallot(append(append(body, 2), rest...))
	}
	if got, err := set(2); err != nil || !reflect.DeepEqual(got.Leads, BallotLeader{}) || got.Founding != 2 {
		t.Errorf("of an earlier version: %+v, %v", got, err)
	}
	if got, err := set(8, 0xa1, 'n', 7, 0xa0, 0xa0, 0xa0, 0x80); err != nil || got.Leads.Term != 7 || got.SetName != "n" {
		t.Errorf("of a later version: %+v, %v", got, err)
	}
	for name, rest := range map[string][]byte{"a number for a name": {1, 7, 0xa0, 0xa0, 0xa0}, "a text for a term": {0xa0, 0xa0, 0xa0, 0xa0, 0xa0}, "nil": {0xa0, 7, 0xc0, 0xa0, 0xa0}} {
		if got, err := set(7, rest...); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}
