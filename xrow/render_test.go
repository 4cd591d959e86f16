package xrow

import (
	"encoding/hex"
	"fmt"
	"testing"
)

func TestRenderBody(t *testing.T) {
	for _, test := range []struct {
		name string
		typ  Type
		body string
		want string
	}{
		{"row", Insert, "8210cd020021920ac3", `{"space_id": 512, "tuple": [10, true]}`},
		{"RAFT has keys of its own", RaftState, "840003010102030401", `{"term": 3, "vote": 1, "state": 3, "leader_id": 1}`},
		{"ids of a vclock are no keys", OK, "822682020301015305", `{"vclock": {"2": 3, "1": 1}, "term": 5}`},
		{"ballot", OK, "81298201c206c3", `{"ballot": {"is_ro_cfg": false, "is_booted": true}}`},
		{"event of the ballot", Event, "8257a16b5881298101c3", `{"event_key": "k", "event_data": {"ballot": {"is_ro_cfg": true}}}`},
		{"stack of errors", ErrorFlag | 59, "81528100918205cc3b0680", `{"error": {"stack": [{"code": 59, "fields": {}}]}}`},
		{"keys in tuples are theirs", Insert, "8121918210a161c001", `{"tuple": [{"16": "a", "null": 1}]}`},
		{"unknown key", OK, "817e01", `{"126": 1}`},
		{"large key", OK, "81cd011001", `{"272": 1}`},
		{"cut off", OK, "8226", `"unreadable: 8226"`},
		{"floats", OK, "813093cb41dac0810f293978cb7ff0000000000000ca3fc00000", `{"data": [1795294268.6441326, "+Inf", 1.5]}`},
	} {
		b, err := hex.DecodeString(test.body)
		if err != nil {
			t.Fatal(test.name, err)
		}
		if got := string(RenderBody(test.typ, b)); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", test.name, got, test.want)
		}
	}
}

func TestRenderHeader(t *testing.T) {
	got, ok := RenderHeader([]byte{0x84, 0x00, 0x02, 0x03, 0x0a, 0x53, 0x07, 0x7e, 0xa1, 'x'})
	if text := fmt.Sprintf("%s", got); !ok || text != "[{type 2} {lsn 10} {term 7} {126 \"x\"}]" {
		t.Errorf("%v %s", ok, text)
	}
	for _, bad := range []string{"", "\x01", "\x81", "\x81\x00", "\x80\x80"} {
		if _, ok := RenderHeader([]byte(bad)); ok {
			t.Errorf("%x taken", bad)
		}
	}
}
