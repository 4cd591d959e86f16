package instance

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/internal/testscript"
	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/xrow"

	"github.com/tinylib/msgp/msgp"
)

// words are a line of a script.
type words struct{ testscript.Words }

func parse(t testing.TB, line string) words { return words{testscript.Parse(t, line)} }

// forged is a statement on a row that is the replica set's own: VERB member ID, or
// VERB KEY for one of _schema.
func (w words) forged() xrow.DML {
	verbs := map[string]xrow.Type{"insert": xrow.Insert, "replace": xrow.Replace, "delete": xrow.Delete}
	d := xrow.DML{Type: verbs[w.Word(0)], SpaceID: xrow.SpaceSchema}
	if w.Word(1) == "member" {
		id := uint32(w.Number(w.Word(2)))
		d.SpaceID, d.Key, d.Tuple = xrow.SpaceCluster, msgp.AppendUint32([]byte{0x91}, id), msgp.AppendString([]byte{0x92, byte(id)}, uuidOf(id))
	} else {
		d.Key, d.Tuple = msgp.AppendString([]byte{0x91}, w.Word(1)), msgp.AppendInt(msgp.AppendString([]byte{0x92}, w.Word(1)), 1)
	}
	if d.Type == xrow.Delete {
		d.Tuple = nil
	} else {
		d.Key = nil
	}
	return d
}

// boolean is nil where nothing is said.
func (w words) boolean(name string) *bool {
	text, ok := w.Named[name]
	if !ok {
		return nil
	}
	yes := text == "true"
	return &yes
}

func (w words) raft() xrow.Raft {
	m := xrow.Raft{Term: w.Num("term"), Vote: uint32(w.Num("vote")), LeaderID: uint32(w.Num("leader")), IsLeaderSeen: w.Has("seen"),
		State: uint8(raft.StateFollower)}
	for _, state := range []raft.State{raft.StateCandidate, raft.StateLeader} {
		if w.Has(state.String()) {
			m.State = uint8(state)
		}
	}
	if unfit := w.Named["unfit"]; !w.Has("older") {
		m.Unfit = &unfit
	}
	if to := w.Num("move"); to != 0 {
		m.Move = &terms.Move{Kind: terms.Switchover, To: uint32(to)}
	}
	if text, ok := w.Named["vclock"]; ok {
		v := w.VClock(text)
		m.VClock = &v
	}
	return m
}

// requests are those of one batch: insert SPACE KEY | insert SPACE KEY. The
// verb ddl stands for a change of the schema.
func (s *script) requests(line string) (rs []Request) {
	for _, part := range strings.Split(line, "|") {
		w := parse(s.t, strings.TrimSpace(part))
		s.sync++
		s.say("  #%d", s.sync)
		r := Request{Conn: 1, Sync: s.sync, User: box.UserAdmin}
		switch w.Verb {
		case "ddl":
			r.DML = xrow.DML{Type: xrow.Insert, SpaceID: 280, Tuple: spaceRow(w.Number(w.Word(0)))}
		case "index":
			r.DML = w.index(0)
		case "function": // ID NAME version=
			r.DML = xrow.DML{Type: xrow.Replace, SpaceID: xrow.SpaceFunc, Tuple: functionRow(w.Number(w.Word(0)), w.Word(1), w.Num("version"))}
		case "both": // writes a local space, too
			first := w.dml()
			second := xrow.DML{Type: xrow.Replace, SpaceID: spaceID(s.t, "local"), Tuple: []byte{0x91, 1}}
			r.Do = func(tx *box.Txn) ([]byte, error) {
				_, _ = tx.Execute(box.UserAdmin, &first)
				_, err := tx.Execute(box.UserAdmin, &second)
				return nil, err
			}
		case "query": // the number of tuples that a transaction sees
			q := box.Query{Space: spaceID(s.t, w.Word(0)), Iterator: box.ALL, Key: []byte{0x90}, Limit: 99}
			r.Do = func(tx *box.Txn) ([]byte, error) {
				_, n, err := tx.Query(box.UserAdmin, &q, nil)
				return make([]byte, n), err
			}
		default:
			r.DML = w.dml()
		}
		r.IsSync, r.Forwarded = w.Has("sync!"), w.Num("forwarded")
		if n := w.Num("conn"); n != 0 {
			r.Conn = n
		}
		if w.Has("travels") {
			r.Call = &Call{Type: xrow.Call, Name: "travels", Args: []byte{0x90}}
		}
		rs = append(rs, r)
	}
	return rs
}

// procedures are those that somebody says it has: procs=NAME:VERSION,NAME:VERSION.
func (w words) procedures() []xrow.Procedure {
	if w.Named["procs"] == "" {
		return nil
	}
	return procedures(strings.Split(w.Named["procs"], ","))
}

func procedures(all []string) (out []xrow.Procedure) {
	for _, text := range all {
		name, version, _ := strings.Cut(text, ":")
		out = append(out, xrow.Procedure{Name: name, Version: uint32(version[0] - '0')})
	}
	return out
}

// functionRow is a row of _func of language GO.
func functionRow(id uint64, name string, version uint64) []byte {
	var opts mp.Pairs
	opts.Put("version", version)
	none := []string{}
	return mp.Tuple(id, box.UserAdmin, name, 0, box.LanguageGo, "", "function", none, "any", "none", "none", false, false, true, none, opts, "", "", "", none)
}

// dml is a statement on one tuple: VERB SPACE KEY value=. A word in place of the
// key is no key, nil asks the sequence for one. An update looks the key up in
// the second index with "second", and cannot be made with "bad".
func (w words) dml() xrow.DML {
	value, given := w.Named["value"]
	key := []byte{0x91}
	switch n := w.Word(1); {
	case n == "nil":
		key = append(key, 0xc0)
	case n < "0" || n > "9:":
		key = msgp.AppendString(key, n)
	default:
		key = msgp.AppendUint64(key, w.Number(n))
	}
	d := xrow.DML{SpaceID: spaceID(w.T, w.Word(0)), Key: key}
	var ops []byte
	switch {
	case w.Has("bad"): // there is no such field
		ops = append(msgp.AppendString([]byte{0x91, 0x93}, "+"), 9, 1)
	case given:
		ops = msgp.AppendUint64(append(msgp.AppendString([]byte{0x91, 0x93}, "="), 1), w.Number(value))
	default:
		ops = []byte{0x90}
	}
	if w.Has("second") {
		d.IndexID = 1
	}
	tuple := append([]byte(nil), key...)
	if given {
		tuple[0]++
		tuple = msgp.AppendUint64(tuple, w.Number(value))
	}
	switch w.Verb {
	case "update":
		d.Type, d.Tuple = xrow.Update, ops
	case "delete":
		d.Type = xrow.Delete
	case "upsert":
		d.Type, d.Key, d.Tuple, d.Ops = xrow.Upsert, nil, tuple, ops
	default:
		d.Type, d.Key, d.Tuple = xrow.Insert, nil, tuple
	}
	return d
}

// index is the statement that makes a second index: SPACE [FIELD].
func (w words) index(n int) xrow.DML {
	field := byte(0)
	if len(w.Plain) > n+1 {
		field = byte(w.Number(w.Word(n + 1)))
	}
	return xrow.DML{Type: xrow.Insert, SpaceID: 288, Tuple: indexOn(uint64(spaceID(w.T, w.Word(n))), 1, "second", field)}
}

// spaceRow is the row of a space without an index.
func spaceRow(id uint64) []byte {
	row := msgp.AppendString(append(msgp.AppendUint64([]byte{0x97}, id), 1), fmt.Sprint("s", id))
	return append(msgp.AppendString(row, "memtx"), 0, 0x80, 0x90)
}

func (s *script) acks(line string) (events []Event) {
	for _, text := range strings.Split(line, " | ") {
		w := parse(s.t, text)
		events = append(events, &Ack{From: w.Peer(), VClock: w.VClock(w.Word(1)), Term: w.Num("term"), Sync: w.Num("sync")})
	}
	return events
}

// rows reads transactions split by |, each of rows split by &.
func (s *script) rows(text string) (rows []xrow.Row) {
	for _, txn := range strings.Split(text, "|") {
		parts := strings.Split(txn, "&")
		first := uint64(0)
		for i, part := range parts {
			r := s.row(strings.TrimSpace(part))
			if i == 0 {
				first = r.LSN
			}
			r.TSN = first
			if i == len(parts)-1 {
				r.Flags |= xrow.FlagCommit
			}
			rows = append(rows, r)
		}
	}
	return rows
}

func (s *script) row(text string) xrow.Row {
	w := parse(s.t, text)
	verb, waits := strings.CutSuffix(w.Verb, "?") // behind a synchronous one
	head, sync := strings.CutSuffix(verb, "!")
	at, term, _ := strings.Cut(head, "/")
	origin, lsn, _ := strings.Cut(at, ":")
	r := xrow.Row{ReplicaID: uint32(w.Number(origin)), LSN: w.Number(lsn), Timestamp: 1 + float64(w.Num("ms"))/1e3}
	if term != "" {
		r.Term = w.Number(term)
	}
	switch {
	case sync:
		r.Flags = xrow.FlagWaitSync | xrow.FlagWaitAck
	case waits:
		r.Flags = xrow.FlagWaitSync
	}
	switch w.Word(0) {
	case "insert":
		r.Type = xrow.Insert
		d := xrow.DML{SpaceID: spaceID(s.t, w.Word(1)), Tuple: msgp.AppendUint64([]byte{0x91}, w.Number(w.Word(2)))}
		r.Body = d.AppendBody(nil)
	case "delete":
		r.Type = xrow.Delete
		d := xrow.DML{SpaceID: spaceID(s.t, w.Word(1)), Key: msgp.AppendUint64([]byte{0x91}, w.Number(w.Word(2)))}
		r.Body = d.AppendBody(nil)
	case "ddl":
		r.Type = xrow.Insert
		d := xrow.DML{SpaceID: 280, Tuple: spaceRow(w.Number(w.Word(1)))}
		r.Body = d.AppendBody(nil)
	case "index":
		r.Type = xrow.Insert
		d := w.index(1)
		r.Body = d.AppendBody(nil)
	case "feature":
		r.Type = xrow.Replace
		d := xrow.DML{SpaceID: xrow.SpaceSchema, Tuple: featureTuple(uint32(w.Number(w.Word(1))))}
		r.Body = d.AppendBody(nil)
	case "founded":
		r.Type = xrow.Delete
		d := xrow.DML{SpaceID: xrow.SpaceSchema, Key: msgp.AppendString([]byte{0x91}, foundingKey)}
		r.Body = d.AppendBody(nil)
	case "expel":
		r.Type = xrow.Delete
		d := xrow.DML{SpaceID: xrow.SpaceCluster, Key: msgp.AppendUint64([]byte{0x91}, w.Number(w.Word(1)))}
		r.Body = d.AppendBody(nil)
	case "learner", "voter": // the row of a member
		id := uint32(w.Number(w.Word(1)))
		incarnation := uint64(id)
		if w.Named["incarnation"] != "" {
			incarnation = w.Num("incarnation")
		}
		uuid := uuidOf(id)
		if w.Named["uuid"] != "" {
			uuid = uuidOf(uint32(w.Num("uuid")))
		}
		d := xrow.DML{SpaceID: xrow.SpaceCluster, Tuple: LearnerTuple(id, uuid, "", incarnation)}
		if r.Type = xrow.Insert; w.Word(0) == "voter" {
			r.Type, d.Tuple = xrow.Replace, MemberTuple(id, uuid, "", incarnation)
		}
		r.Body = d.AppendBody(nil)
	case "quorum":
		r.Type = xrow.Replace
		d := xrow.DML{SpaceID: xrow.SpaceSchema, Tuple: quorumTuple(w.Word(1), w.Word(1))}
		r.Body = d.AppendBody(nil)
	case "nop":
		r.Type = xrow.Nop
	case "confirm":
		r.Type = xrow.Confirm
		body := xrow.Synchro{ReplicaID: r.ReplicaID, LSN: w.Number(w.Word(1))}
		w.names(&body)
		if to := w.Num("to"); to != 0 {
			body.Move = &terms.Move{Kind: terms.Switchover, To: uint32(to), By: "admin", Reason: w.Named["reason"], Gap: w.Num("gap"), Token: w.Num("token"), Lease: uint64(w.mandate().Lease.Milliseconds())}
		}
		r.Body = body.AppendBody(nil)
	case "CONFIRM", "ROLLBACK", "PROMOTE", "DEMOTE": // of Tarantool: owner/lsn term=
		r.Type = map[string]xrow.Type{"CONFIRM": xrow.Confirm, "ROLLBACK": xrow.Rollback, "PROMOTE": xrow.Promote, "DEMOTE": xrow.Demote}[w.Word(0)]
		of := strings.Split(w.Word(1), "/")
		body := xrow.Synchro{Term: w.Num("term"), ReplicaID: uint32(w.Number(of[0])), LSN: w.Number(of[1]), PrevTerm: w.Num("prev")}
		r.Body = body.AppendBody(nil)
	case "promote":
		r.Type = xrow.Promote
		prev := strings.Split(w.Word(1), "/")
		body := xrow.Synchro{Term: r.Term, PrevTerm: w.Number(prev[0]), ReplicaID: uint32(w.Number(prev[1])), LSN: w.Number(prev[2]), Rules: xrow.RulesStrong}
		w.names(&body)
		if kind := w.Num("kind"); kind != 0 {
			body.Move = &terms.Move{Kind: terms.MoveKind(kind), To: r.ReplicaID, Reason: w.Named["reason"], Gap: w.Num("gap"), Token: w.Num("token")}
		}
		r.Body = body.AppendBody(nil)
	default:
		t, d, ok := w.ownRow()
		if !ok {
			s.t.Fatalf("no row: %s", text)
		}
		r.Type, r.Body = t, d.AppendBody(nil)
	}
	return r
}

// names reads what a strong row names to Tarantools: names=owner/lsn. Without it
// that is the same LSN.
func (w words) names(body *xrow.Synchro) {
	owner, lsn, ok := strings.Cut(w.Named["names"], "/")
	if ok {
		body.StrongLSN, body.ReplicaID, body.LSN = body.LSN, uint32(w.Number(owner)), w.Number(lsn)
	}
}

func namesText(body *xrow.Synchro) string {
	if body.StrongLSN == 0 {
		return ""
	}
	return fmt.Sprintf(" names=%d/%d", body.ReplicaID, body.LSN)
}

// moveText is empty for a row that moves nothing.
func moveText(m *terms.Move) string {
	if m == nil {
		return ""
	}
	text := fmt.Sprintf(" to=%d %s", m.To, m.Kind)
	if m.By != "" {
		text += " by " + m.By
	}
	if m.Token != 0 {
		text += fmt.Sprintf(" token=%d", m.Token)
	}
	if m.Lease != 0 {
		text += fmt.Sprintf(" lease=%v", time.Duration(m.Lease)*time.Millisecond)
	}
	if m.Reason != "" {
		text += ": " + m.Reason
	}
	return text
}

// began prints how the terms in effect began.
func (s *script) began() {
	for _, span := range s.core.limbo.History() {
		b := &span.Began
		text := fmt.Sprintf("  term %d of %d, LSN %d to %d: %s", span.Term, span.Owner, span.First, span.Last, b.Kind)
		if b.By != "" {
			text += " by " + b.By
		}
		if b.Reason != "" {
			text += ": " + b.Reason
		}
		if b.At != 0 {
			text += fmt.Sprintf(", at %dms", b.At/1000-1000)
		}
		if b.Gap != 0 {
			text += fmt.Sprintf(", nobody led for %v", time.Duration(b.Gap)*time.Microsecond)
		}
		if b.Loose {
			text += " at most"
		}
		if b.Took != 0 {
			text += fmt.Sprintf(", wrote %v later", time.Duration(b.Took)*time.Microsecond)
		}
		s.say("%s", text)
	}
}

// groupText prints rows in the form that row reads.
func groupText(t testing.TB, g *xrow.Group) string {
	var all []string
	for i, ref := range g.Table {
		r, err := g.Row(i)
		if err != nil {
			t.Fatal(err)
		}
		text := rowText(t, &r)
		if !ref.First {
			text = "& " + text
		}
		all = append(all, text)
	}
	return strings.ReplaceAll(strings.Join(all, " | "), "| & ", "& ")
}

func rowText(t testing.TB, r *xrow.Row) string {
	at := fmt.Sprintf("%d:%d", r.ReplicaID, r.LSN)
	if r.Term != 0 {
		at += fmt.Sprintf("/%d", r.Term)
	}
	switch r.Flags & (xrow.FlagWaitAck | xrow.FlagWaitSync) {
	case xrow.FlagWaitSync:
		at += "?"
	case xrow.FlagWaitAck:
		at += "!" // of a NOP
	case xrow.FlagWaitAck | xrow.FlagWaitSync:
		at += "!"
	}
	switch r.Type {
	case xrow.RaftState:
		body, err := xrow.DecodeRaft(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s term %d vote %d", at, body.Term, body.Vote)
	case xrow.Confirm, xrow.Rollback, xrow.Promote, xrow.Demote:
		body, err := xrow.DecodeSynchro(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		switch {
		case r.Type != xrow.Confirm && body.Rules == 0 && body.Term != 0:
			text := fmt.Sprintf("%s %v %d/%d term=%d", at, r.Type, body.ReplicaID, body.LSN, body.Term)
			if body.PrevTerm != 0 {
				text += fmt.Sprintf(" prev=%d", body.PrevTerm)
			}
			return text
		case r.Type == xrow.Rollback || r.Type == xrow.Confirm && r.Term == 0:
			return fmt.Sprintf("%s %v %d/%d", at, r.Type, body.ReplicaID, body.LSN)
		case r.Type == xrow.Confirm:
			return fmt.Sprintf("%s confirm %d%s%s", at, body.Strong(), namesText(&body), moveText(body.Move))
		}
		return fmt.Sprintf("%s promote %d/%d/%d%s%s", at, body.PrevTerm, body.ReplicaID, body.Strong(), namesText(&body), moveText(body.Move))
	case xrow.Nop:
		return at + " nop"
	}
	d, err := xrow.DecodeDML(r.Type, r.Body)
	if err != nil {
		t.Fatal(err)
	}
	verb, raw := strings.ToLower(r.Type.String()), d.Tuple
	if raw == nil {
		raw = d.Key
	}
	key, _, _ := mp.ReadUint(raw[1:])
	if i := int(d.SpaceID) - 512; i >= 0 && i < len(scriptSpaces) {
		return fmt.Sprintf("%s %s %s %d", at, verb, scriptSpaces[i], key)
	}
	if text := ownText(&d, raw); text != "" {
		return fmt.Sprintf("%s %s", at, text)
	}
	switch value, files := readQuorum(raw); {
	case d.SpaceID == xrow.SpaceSchema && value != "":
		return fmt.Sprintf("%s quorum %s, files %s", at, value, files)
	case d.SpaceID == xrow.SpaceSchema && bytes.Contains(raw, []byte(lastIDKey)) && readLastID(raw) != 0:
		return fmt.Sprintf("%s last ID %d", at, readLastID(raw))
	case d.SpaceID == xrow.SpaceSchema && bytes.Contains(raw, []byte(featureKey)):
		return fmt.Sprintf("%s feature level %d", at, readFeature(raw))
	case d.SpaceID == xrow.SpaceCluster && raw[0] == 0x95:
		return fmt.Sprintf("%s %s learner %d", at, verb, key)
	case d.SpaceID == xrow.SpaceCluster && verb == "replace" && raw[0] == 0x94:
		return fmt.Sprintf("%s voter %d", at, key)
	}
	return fmt.Sprintf("%s %s %d %d", at, verb, d.SpaceID, key)
}
