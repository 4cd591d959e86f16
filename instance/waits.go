package instance

import (
	"encoding/binary"
	"slices"
	"sort"
	"time"

	"tarragon.dev/tarragon/limbo"
	"tarragon.dev/tarragon/xrow"
)

// waits are those who wait for an outcome. Who waits for a transaction of the
// queue is in its payload, the others are in lists, oldest first.
//
// Invariant: each is answered once. Who is a client that may be patient for a
// time only is in one of the lists that deadline names, and leaves it by sweep.
type waits struct {
	clients int    // transactions of the queue that a client waits for
	head    uint64 // transactions before this number have no waiting client

	promotes []promoteWaiter
	demotion *demotion // nil: none is on its way
	linear   []linearRead
	fates    []fate // answers that stand on something open
	fateSize int    // their bytes
	tellings []telling
	copies   []copyWaiter // replicas that ask for a base copy

	local []waiter // for the disk alone
	snaps []pendingSnap

	results []byte // answers; a full one is left to those who still point into it
}

// client is who waits for an answer, and until when.
type client struct {
	conn, sync uint64
	until      time.Duration
}

func (w *client) who() *client { return w }

// waiting is one of a list: it embeds its client.
type waiting[T any] interface {
	*T
	who() *client
}

// outcome is what somebody who waited gets to know.
type outcome struct {
	known bool
	data  []byte
	err   *xrow.Error
}

func succeeds(data []byte) outcome  { return outcome{known: true, data: data} }
func fails(err *xrow.Error) outcome { return outcome{known: true, err: err} }

// sweep answers those of a list whose outcome is known, and keeps the others.
// late: the time of this one is over, so judge must know something.
func sweep[T any, P waiting[T]](list []T, now time.Duration, eff *Effects, judge func(w P, late bool) outcome) []T {
	n := 0
	for i := range list {
		w := P(&list[i])
		who := w.who()
		if o := judge(w, now >= who.until); o.known {
			eff.reply(who.conn, who.sync, o.data, o.err)
			continue
		}
		list[n] = list[i]
		n++
	}
	clear(list[n:])
	return list[:n]
}

// first is the earliest deadline of a list, or d.
func first[T any, P waiting[T]](d time.Duration, list []T) time.Duration {
	for i := range list {
		d = sooner(d, P(&list[i]).who().until)
	}
	return d
}

// deadline is when the first of them is answered whatever has become of it;
// 0: nobody waits. Limits may have changed between two of a list.
func (w *waits) deadline(q *limbo.Limbo[payload]) (d time.Duration) {
	if e := w.oldest(q); e != nil {
		d = e.P.until
	}
	if w.demotion != nil && w.demotion.group == 0 {
		d = sooner(d, w.demotion.until)
	}
	d = first(d, w.promotes)
	d = first(d, w.linear)
	d = first(d, w.tellings)
	return first(d, w.fates)
}

func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// acked lets an ack that answers a late enough heartbeat count.
func (w *waits) acked(ev *Ack, term uint64) {
	for i := range w.linear {
		w.linear[i].acked(ev)
	}
	for i := range w.fates {
		w.fates[i].acked(ev, term)
	}
}

// oldest is the oldest transaction of the queue that a client waits for, nil if
// there is none. Nobody waits for those before head, and nobody will.
func (w *waits) oldest(q *limbo.Limbo[payload]) *entry {
	if w.clients == 0 {
		return nil
	}
	n := q.Len()
	for i := sort.Search(n, func(i int) bool { return q.At(i).Seq >= w.head }); i < n; i++ {
		e := q.At(i)
		if w.head = e.Seq; e.P.waiting {
			return e
		}
	}
	return nil
}

// answer replies to the client that waits for a transaction, if one does.
func (w *waits) answer(eff *Effects, p *payload, err *xrow.Error) {
	if !p.waiting {
		return
	}
	p.waiting = false
	w.clients--
	if err != nil {
		eff.reply(p.conn, p.sync, nil, err)
		return
	}
	eff.reply(p.conn, p.sync, p.data, p.failed)
}

// waiter is a client that waits for a group only: its transaction is fully local.
type waiter struct {
	group      uint64
	conn, sync uint64
	data       []byte
}

// written answers those who wait for the disk alone.
func (w *waits) written(group uint64, eff *Effects) {
	n := 0
	for ; n < len(w.local) && w.local[n].group <= group; n++ {
		l := &w.local[n]
		eff.reply(l.conn, l.sync, l.data, nil)
	}
	w.local = append(w.local[:0], w.local[n:]...)
	w.snaps = slices.DeleteFunc(w.snaps, func(s pendingSnap) bool {
		if s.group <= group {
			eff.Snaps = append(eff.Snaps, s.snap)
		}
		return s.group <= group
	})
}

// failLocal: their group may never be on disk.
func (w *waits) failLocal(err *xrow.Error, eff *Effects) {
	for _, l := range w.local {
		eff.reply(l.conn, l.sync, nil, err)
	}
	w.local = nil
}

// data copies a tuple into the DATA array of an answer: array32, as
// Tarantool writes it. UPSERT answers with an empty one.
func (w *waits) data(t xrow.Type, tuple []byte) []byte {
	n := uint32(1)
	if tuple == nil || t == xrow.Upsert {
		n, tuple = 0, nil
	}
	if cap(w.results)-len(w.results) < len(tuple)+5 {
		w.results = make([]byte, 0, max(16<<10, len(tuple)+5))
	}
	at := len(w.results)
	w.results = binary.BigEndian.AppendUint32(append(w.results, 0xdd), n)
	w.results = append(w.results, tuple...)
	return w.results[at:len(w.results):len(w.results)]
}

// rowsHead is what rows puts in front of tuples.
const rowsHead = 5

// room is memory for tuples of an answer, of so many bytes at least, behind what rows
// needs.
func (w *waits) room(bytes int) []byte {
	if cap(w.results)-len(w.results) < bytes+rowsHead {
		w.results = make([]byte, 0, max(16<<10, bytes+rowsHead))
	}
	return w.results[len(w.results)+rowsHead : len(w.results)+rowsHead]
}

// rows makes the DATA array of n tuples that begin in the room.
func (w *waits) rows(tuples []byte, n int) []byte {
	at := len(w.results)
	if cap(w.results)-at < len(tuples)+rowsHead { // they have outgrown it
		w.results, at = make([]byte, 0, max(16<<10, len(tuples)+rowsHead)), 0
	}
	w.results = binary.BigEndian.AppendUint32(append(w.results, 0xdd), uint32(n))
	w.results = append(w.results, tuples...)
	return w.results[at:len(w.results):len(w.results)]
}
