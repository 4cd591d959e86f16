package main

const (
	maxN   = 5
	noRec  = 255
	noVote = 0
)

// Role of an instance. waiting: its vote for itself is not on disk yet.
type Role uint8

const (
	follower Role = iota
	waiting
	candidate
	leader
)

// Node is one instance: a disk with an ID. One that comes back with another
// disk has another ID. An empty log: it has no state yet.
type Node struct {
	// Durable: the first Synced rows of Log, PTerm, PVote.
	Log          []Row
	Synced       uint8
	PTerm, PVote uint8

	SnapTerm, SnapLSN uint8 // committed up to here, by the checkpoint that it joined from

	// Volatile. Term and Vote differ from PTerm and PVote while the record
	// {term, vote} is in the journal, at place Rec of the log (noRec: none).
	Term, Vote, Rec uint8
	Role            Role
	Votes           uint8       // candidate: bit per instance that voted for it
	Acked           [maxN]uint8 // leader: own LSN that each instance says it has synced
	CTerm, CLSN     uint8       // the newest row this instance knows to be committed
	LocalQ          uint8       // mutation: a synchronous quorum that only this leader was told
	Token           uint8       // by which it stands for election; 0: none is asked for
}

// State is the whole cluster plus the history that the checks need.
type State struct {
	N    int
	Node [maxN]Node

	Used    [maxN]uint8 // greatest LSN an origin ever used; the durable reservation stands for it
	Mover   uint8       // bulk: who pulled, +1; it stands for election next
	UsedIDs uint8       // IDs that somebody had
	Leaders []uint8     // by term: who led it, +1
	History []uint16    // the longest committed sequence anybody ever knew

	Writes, Wipes, Rejoins, Crashes, Handovers uint8
	Changes                                    [numChanges]uint8

	// Left is how often an instance will still crash. It is drawn at the start:
	// one that will not crash may sync at once, since nobody can tell a late
	// sync from an early one. All draws together are all histories.
	Left [maxN]uint8
}

// initials lists the starts: every way to deal the crashes out.
func initials(b Bounds) []*State {
	first := initial(b)
	if b.Data {
		first.History = nil
	}
	all := []*State{first}
	if b.Bulk {
		return all // crashes are drawn when they come, see mayKeep
	}
	for range b.Crashes {
		var more []*State
		for _, s := range all {
			last := 0 // only in ascending order, each multiset once
			for i := range b.N {
				if s.Left[i] > 0 {
					last = i
				}
			}
			for i := last; i < b.N; i++ {
				t := s.clone()
				t.Left[i]++
				more = append(more, t)
			}
		}
		all = more
	}
	return all
}

// initial is a set of b.Members voters, the first of which leads. The other
// IDs are free or, if b.Ready, learners that hold the state.
func initial(b Bounds) *State {
	s := &State{N: b.N, Leaders: []uint8{0, 1}, History: []uint16{1<<8 | 1}}
	founding := Row{Origin: 0, LSN: 1, Term: 1, Kind: PROMOTE}
	founding.Cfg = Config{Voters: 1<<b.Members - 1, Quorum: uint8(b.Quorum)}
	if b.Ready {
		founding.Cfg.Learners = 1<<b.N - 1<<b.Members
	}
	s.UsedIDs = founding.Cfg.Voters | founding.Cfg.Learners
	for i := range b.N {
		s.Node[i].Rec = noRec
		if s.UsedIDs&(1<<i) != 0 {
			s.Node[i] = Node{
				Log: []Row{founding}, Synced: 1,
				PTerm: 1, Term: 1, PVote: 1, Vote: 1, Rec: noRec, CTerm: 1, CLSN: 1,
			}
		}
	}
	s.Node[0].Role = leader
	s.Used[0] = 1
	return s
}

// clone copies a state. Logs are shared: they are only ever replaced or
// appended to through appendRow, which copies.
func (s *State) clone() *State {
	t := *s
	return &t
}

func (n *Node) appendRow(r Row) {
	n.Log = append(n.Log[:len(n.Log):len(n.Log)], r)
}

// learn notes that the row (term, lsn) is committed.
func (n *Node) learn(term, lsn uint8) {
	if term > n.CTerm || term == n.CTerm && lsn > n.CLSN {
		n.CTerm, n.CLSN = term, lsn
	}
}
