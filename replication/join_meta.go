package replication

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"tarragon.dev/tarragon/terms"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"
)

// meta reads the terms that go in front of a snapshot, up to JOIN_SNAPSHOT.
func (j *joiner) meta(row *xrow.Row) error {
	meta, ours, err := xrow.DecodeJoinMeta(row.Body)
	if err != nil {
		return err
	}
	raft, promote, err := j.terms()
	if err != nil {
		return err
	}
	if err := checkTerms(raft.Term, promote.Term); err != nil {
		return err
	}
	s := &j.state
	s.Term, s.Vote, s.Confirmed = raft.Term, raft.Vote, promote.LSN
	if promote.VClock != nil {
		s.ConfirmedOf = *promote.VClock
	}
	if !ours {
		return j.metaTarantool(&promote)
	}
	j.told.expect(meta.Tuples)
	s.History, s.Share = meta.History, meta.Share
	if j.id.Filter != "" && meta.Share == nil {
		return xrow.Errorf(xrow.ErrUnsupported, "This instance", "filters: it is of an earlier version")
	}
	return j.checkMeta(&meta, &promote)
}

// terms reads RAFT and PROMOTE. Releases of Tarantool differ in which of them
// they send; each comes at most once.
func (j *joiner) terms() (raft xrow.Raft, promote xrow.Synchro, err error) {
	var seen [2]bool
	for {
		row, err := j.read()
		if err != nil {
			return raft, promote, err
		}
		kind := 1
		switch row.Type {
		case xrow.JoinSnapshot:
			return raft, promote, nil
		case xrow.RaftState:
			kind = 0
			raft, err = xrow.DecodeRaft(row.Body)
		case xrow.Promote, xrow.Demote:
			promote, err = xrow.DecodeSynchro(row.Body)
		default:
			err = xrow.Errorf(xrow.ErrUnknownRequestType, uint32(row.Type))
		}
		if err == nil && seen[kind] {
			err = xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("a second %v in the answer to a JOIN", row.Type))
		}
		if err != nil {
			return raft, promote, err
		}
		seen[kind] = true
	}
}

// maxTerm is the greatest term that is taken from anybody. Terms grow by one
// for each election: whoever shows a greater one is broken, and adopting it
// would leave no term in which somebody could be elected.
const maxTerm = math.MaxInt64

func checkTerms(shown ...uint64) error {
	if t := slices.Max(shown); t > maxTerm {
		return xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("term %d is out of range", t))
	}
	return nil
}

// metaTarantool takes what an instance of Tarantool's kind tells: who owns the
// queue since which term, and up to where its rows are decided. Some releases
// tell no term of elections, the oldest tell nothing: what we have shown stays.
func (j *joiner) metaTarantool(promote *xrow.Synchro) error {
	if j.id.Filter != "" {
		return cutsNothing(j.id.Filter)
	}
	s := &j.state
	if s.Term == 0 {
		s.Term = max(promote.Term, j.id.Term, 1)
	}
	s.Term = max(s.Term, promote.Term)
	var newest terms.Span
	if promote.Term != 0 {
		owner := promote.ReplicaID
		if owner >= vclock.Max {
			return xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("JOIN with a queue that instance %d owns", owner))
		}
		// Who wrote a DEMOTE is not told, nor where a term began. Rows of a term
		// under Tarantool's rules are not judged by that.
		newest = terms.Span{Term: promote.Term, Owner: owner, Writer: owner, Rules: terms.Tarantool,
			First: s.Confirmed, Last: max(s.VClock[owner], s.Confirmed)}
		s.History = []terms.Span{newest}
	}
	return j.checkStale(newest)
}

// checkMeta refuses a state of ours whose parts do not fit.
func (j *joiner) checkMeta(meta *xrow.JoinMetaBody, promote *xrow.Synchro) error {
	s := &j.state
	var newest terms.Span
	if n := len(s.History); n > 0 {
		newest = s.History[n-1]
	}
	switch {
	case newest.Term > s.Term:
		return xrow.Errorf(xrow.ErrProtocol, fmt.Sprintf("JOIN with term %d in effect under term %d", newest.Term, s.Term))
	case meta.Term != newest.Term || promote.Term != newest.Term || promote.ReplicaID != newest.Owner || meta.LSN != promote.LSN:
		return xrow.Errorf(xrow.ErrProtocol, "JOIN with a history that does not end with its PROMOTE")
	case newest.Term != 0 && newest.Rules != terms.Tarantool && (meta.LSN < newest.First || meta.LSN > newest.Last || newest.Last > s.VClock[newest.Owner]):
		return xrow.Errorf(xrow.ErrProtocol, "JOIN with a confirmed LSN outside of its term")
	}
	return j.checkStale(newest)
}

// checkStale refuses a state that knows less than we did, before all of it is
// here. Its term may be less: ours stays.
func (j *joiner) checkStale(newest terms.Span) error {
	s := &j.state
	if newest.Term < j.id.InEffect || newest.Term == j.id.InEffect && s.Confirmed < j.id.Confirmed {
		return fmt.Errorf("%w: it knows rows up to %d of term %d to be committed, we %d of term %d", errStale,
			s.Confirmed, newest.Term, j.id.Confirmed, j.id.InEffect)
	}
	return nil
}

// errStale: a peer that is behind cannot give us its state; another one can.
var errStale = errors.New("replication: the state of this peer is older than what this instance holds")
