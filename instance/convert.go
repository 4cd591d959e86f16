package instance

import (
	"errors"

	"tarragon.dev/tarragon/raft"
	"tarragon.dev/tarragon/xrow"
)

func toRaftBody(m raft.Message) *xrow.Raft {
	return &xrow.Raft{Term: m.Term, Vote: m.Vote, State: uint8(m.State), LeaderID: m.Leader, IsLeaderSeen: m.IsLeaderSeen, VClock: m.VClock}
}

func fromRaftBody(r *xrow.Raft) raft.Message {
	return raft.Message{Term: r.Term, Vote: r.Vote, State: raft.State(r.State), Leader: r.LeaderID, IsLeaderSeen: r.IsLeaderSeen, VClock: r.VClock}
}

// clientError is err as a client may see it.
func clientError(err error) *xrow.Error {
	var e *xrow.Error
	if errors.As(err, &e) {
		return e
	}
	return &xrow.Error{Code: xrow.ErrUnknown, Message: err.Error(), Err: err}
}

func protocolError(text string) *xrow.Error { return xrow.Errorf(xrow.ErrProtocol, text) }

func splitBrain(text string) *xrow.Error { return xrow.Errorf(xrow.ErrSplitBrain, text) }

func queueFull() *xrow.Error { return xrow.Errorf(xrow.ErrSyncQueueFull) }

// nothingWritten is ER_SYNC_QUORUM_TIMEOUT for a request that changed nothing:
// whether what it met is committed was not known in time. The other code of a
// timeout leaves the outcome open; this one does not.
func nothingWritten() *xrow.Error {
	e := xrow.Errorf(xrow.ErrSyncQuorumTimeout)
	e.Message += ": nothing was written, what the request depends on is undecided"
	return e
}

// outcomeUnknown is ER_SYNC_TIMEOUT, with the one word that a client must not
// miss.
func outcomeUnknown() *xrow.Error {
	e := xrow.Errorf(xrow.ErrSyncTimeout)
	e.Message += ": the outcome is unknown"
	return e
}
