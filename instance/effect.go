package instance

import (
	"tarragon.dev/tarragon/box"
	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// Effects is all that a Step allows to happen outside. Everything in it may
// run at once: what has to wait for the disk waits in the core. It is valid
// until the next Step; a Group, an Ack and what Replies point to stay valid for
// ever.
type Effects struct {
	Group    *xrow.Group // append to the log as group number GroupNo and sync; nil: nothing
	GroupNo  uint64
	Lost     []xrow.LostRow // what Group voids: kept by the same write. They stay valid too
	Replies  []Reply
	Raft     *xrow.Raft // show this to every subscribed peer; nil: no change
	Beat     bool       // send a heartbeat to every subscribed peer
	BeatSync uint64     // VCLOCK_SYNC of heartbeats from now on
	Ack      *AckState  // tell every upstream; nil: nothing new
	Mute     bool       // the disk fails or stalls: no ack may leave, an older one neither
	Park     bool       // readers of peers' rows wait, until a Step says otherwise: too much waits for the disk
	Relay    uint64     // groups up to this number may go to the relays
	Lazy     uint32     // hold rows back from peers that see this leader (0: from none); see replication
	Snaps    []Snapshot // answers to StartCheckpoint and JoinRequest
	Forwards []Forward  // requests for another leader, each answered by a ForwardAnswer. They stay valid
	// VoidPromotes, if it is not nil, are the LSNs of all PROMOTEs of ours that
	// are void under Tarantool's rules. Peers of Tarantool's kind must never
	// get them: relays send NOPs in their place.
	VoidPromotes []uint64
	Refused      []Refusal       // peers whose stream cannot go on
	Ended        []Refusal       // peers that get no more of our log by the connection that they have: they say what cannot be
	Expelled     bool            // our _cluster row is gone: stop replicating, stay read-only
	GaveWay      bool            // answer to GiveWay: the set that we founded is given up
	Status       bool            // something that box.status, box.election or tarragon.leader tells has changed
	Tell         uint64          // publish who leads since this term, then answer with LeaderTold: writes wait for that; 0: nobody waits
	Schema       bool            // the schema version has changed
	Rights       bool            // confirmed users, roles or rights have changed
	Members      bool            // the confirmed _cluster has changed
	Share        *ShareState     // a filtered replica has another share: its streams begin anew; nil: as before
	Copy         *CopyOrder      // it needs a base copy: this order takes the place of an earlier one; nil: as before
	CopyReady    uint64          // tuples of this order may come; 0: of none yet
	Own          *xrow.Own       // these are Tarragon's own spaces from now on, of which no stream's share decides; nil: as before
	Replicas     []Replica       // these are registered, or were dropped, from now on, by their UUIDs; nil: as before
	Checkpoint   bool            // a checkpoint is worth its while: without one a base copy is lost with this process
	Changes      []*SchemaChange // of this instance on system spaces, decided now: for the audit log. They stay valid
	Fatal        error           // it is proven that this disk has lost something, see ErrLostData; nothing more is written
}

// Reply answers a request. Data is a raw array, the DATA of the answer; nil:
// an empty body.
type Reply struct {
	Conn, Sync uint64
	Data       []byte
	Err        *xrow.Error
	Long       any // see StreamRequest; nil: this is the answer
}

// Refusal ends the stream from a peer: what it sent cannot be taken.
type Refusal struct {
	Peer uint32
	Err  *xrow.Error
}

// AckState is what an ack says, but for the VCLOCK_SYNC of each upstream.
type AckState struct {
	VClock    vclock.VClock // as it is on disk
	Term      uint64        // persisted
	Timestamp float64       // of the newest foreign row among them
}

// Snapshot is a consistent state: confirmed tuples by View, the rest by State.
// The receiver sends CloseView when it is done.
type Snapshot struct {
	Tag   uint64
	Err   *xrow.Error // set: no snapshot
	View  *box.View
	State State  // of a checkpoint: without Undecided, see Complete
	ID    uint32 // answer to a JoinRequest: the joiner's replica ID

	undecided [][]byte // frames of transactions
}

// State is what a checkpoint or a JOIN carries besides confirmed tuples.
type State struct {
	VClock      vclock.VClock // a checkpoint: of the log up to it, its Undecided too; a JOIN: of what is decided, without Undecided
	Term        uint64        // persisted
	Vote        uint32
	History     []terms.Span  // terms known to be in effect, oldest first
	Confirmed   uint64        // LSN of the newest span's owner up to which all is committed
	ConfirmedOf vclock.VClock // greatest LSN known to be confirmed per owner of the queue, ever
	// VoidPromotes are LSNs of PROMOTEs of ours that never took effect anywhere
	// and are void; a checkpoint's only.
	VoidPromotes []uint64
	Undecided    *xrow.Group // a checkpoint: rows before NextGroup whose fate is open, in log order
	NextGroup    uint64      // a checkpoint: where replay of the log goes on
	Share        *xrow.Share // of a filtered replica, without the spaces whose base copy is under way; nil: all is there
}

// reply answers a client; conn 0 is nobody.
func (e *Effects) reply(conn, sync uint64, data []byte, err *xrow.Error) {
	if conn == 0 {
		return
	}
	e.Replies = append(e.Replies, Reply{Conn: conn, Sync: sync, Data: data, Err: err})
}

// failJoin turns a joiner away; nil is nobody.
func (e *Effects) failJoin(j *JoinRequest, err *xrow.Error) {
	if j != nil {
		e.Snaps = append(e.Snaps, Snapshot{Tag: j.Tag, Err: err})
	}
}

// refuseStream ends the stream from a peer.
func (e *Effects) refuseStream(peer uint32, err *xrow.Error) {
	e.Refused = append(e.Refused, Refusal{Peer: peer, Err: err})
}

// endRelay ends the stream of our log to a peer that says what cannot be.
func (e *Effects) endRelay(peer uint32, err *xrow.Error) {
	e.Ended = append(e.Ended, Refusal{Peer: peer, Err: err})
}

// noValues is the DATA of a procedure that returns nothing. Shared by all
// answers: nobody changes it.
var noValues = []byte{0xdd, 0, 0, 0, 0}
