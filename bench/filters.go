package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"tarragon.dev/tarragon/bench/result"
	"tarragon.dev/tarragon/instance"
	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/vclock"
	"tarragon.dev/tarragon/xrow"

	"github.com/google/pprof/profile"
	"github.com/tarantool/go-tarantool/v2"
	"github.com/tinylib/msgp/msgp"
)

// What the relay to readers is measured with: rows go round over the spaces, so that of ten
// that follow each other a filtered reader gets one, which is the worst case for runs that are cut.
const (
	filteredSpaces  = 10
	filteredReaders = 8
	filteredBatch   = 512 // requests in flight
)

// Ways to relay.
const (
	relayNone     = "no readers"
	relayFull     = "8 full readers"
	relayFiltered = "8 readers of 1 of 10 spaces"
)

// filterRig is a leader with a filter for each reader.
type filterRig struct {
	*replicaset
	f      *flags
	conn   *tarantool.Connection
	spaces []uint32
	shares []*xrow.Share
	key    uint64 // of the newest row
}

// printFilters measures what a leader pays for readers that have all, and for such that have a
// tenth: as rows are written, and from the log.
func printFilters(ctx context.Context, b *bench) error {
	fmt.Fprintf(b.out, "\n%d rows of %d spaces, one by one in turn; processor time of the leader; %s\n\n", b.f.rows, filteredSpaces, machine())
	return withFilters(ctx, b, func(r *filterRig) error { return r.printRelays(ctx, b) })
}

// withFilters starts a leader, fills it and lets f measure.
func withFilters(ctx context.Context, b *bench, f func(r *filterRig) error) error {
	rs, err := startShape(ctx, b.f, b.f.binary, oneWrite, nil, []string{profiled})
	if err != nil {
		return err
	}
	defer rs.stop()
	r := &filterRig{replicaset: rs, f: b.f}
	if err := r.prepare(ctx); err != nil {
		return rs.blame(err)
	}
	defer r.conn.Close()
	return rs.blame(f(r))
}

func (r *filterRig) printRelays(ctx context.Context, b *bench) error {
	var rows [][]string
	for range b.f.pairs {
		live, relays := map[string]float64{}, map[string]float64{}
		for _, how := range []string{relayNone, relayFull, relayFiltered} {
			used, inRelays, took, err := r.live(ctx, how)
			if err != nil {
				return err
			}
			live[how], relays[how] = used, inRelays
			rows = append(rows, r.note(b, "as written: "+how, used, took))
			if how != relayNone {
				rows = append(rows, r.note(b, "of that in relays", inRelays, took))
			}
		}
		log := map[string]float64{}
		for _, how := range []string{relayFull, relayFiltered} {
			used, inRelays, took, err := r.fromLog(ctx, how)
			if err != nil {
				return err
			}
			log[how] = inRelays
			rows = append(rows, r.note(b, "from the log: "+how, used, took), r.note(b, "of that in relays", inRelays, took))
		}
		rows = append(rows, []string{"filtered divided by full in relays, as written", fmt.Sprintf("%.2f", relays[relayFiltered]/relays[relayFull]), "", ""},
			[]string{"the same of the whole process, the writes taken off", fmt.Sprintf("%.2f", (live[relayFiltered]-live[relayNone])/(live[relayFull]-live[relayNone])), "", ""},
			[]string{"the same with the writes themselves", fmt.Sprintf("%.2f", live[relayFiltered]/live[relayFull]), "", ""},
			[]string{"filtered divided by full in relays, from the log", fmt.Sprintf("%.2f", log[relayFiltered]/log[relayFull]), "", ""})
	}
	return printTable(b.out, []string{"what", "us for a row", "us for a row and reader", "rows/s"}, rows)
}

// note records a turn, and is its line.
func (r *filterRig) note(b *bench, what string, used float64, took time.Duration) []string {
	rate := float64(b.f.rows) / took.Seconds()
	b.report.Records = append(b.report.Records, result.Record{Line: "filters: " + what, System: ours, Figures: []result.Figure{
		{Name: cpuFigure, Unit: result.Micros, Value: used}, {Name: opsFigure, Unit: result.PerSecond, Value: rate}}})
	return []string{what, fmt.Sprintf("%.3f", used), fmt.Sprintf("%.3f", used/filteredReaders), count(rate)}
}

// prepare makes the spaces and the filters.
func (r *filterRig) prepare(ctx context.Context) (err error) {
	if r.conn, _, err = r.leader(ctx); err != nil {
		return err
	}
	for i := range filteredSpaces {
		id, err := makeSpace(ctx, r.conn, fmt.Sprintf("bench_filter_%d", i), false, 0)
		if err != nil {
			return err
		}
		r.spaces = append(r.spaces, id)
	}
	if _, err := call(ctx, r.conn, "tarragon.feature_raise"); err != nil {
		return err
	}
	for i := range filteredReaders {
		name := fmt.Sprintf("f%d", i)
		if _, err := call(ctx, r.conn, "tarragon.filter.create", name, map[string]any{"empty": true}); err != nil {
			return err
		}
		if _, err := call(ctx, r.conn, "tarragon.filter.alter", name, map[string]any{"add": map[string]any{"space": []any{r.spaces[i]}}}); err != nil {
			return err
		}
		share, err := r.share(ctx, name)
		if err != nil {
			return err
		}
		r.shares = append(r.shares, share)
	}
	return r.write(ctx) // memory is touched for the first time, by none of the turns
}

// share is what a filter gives, as its tuple tells it: [name, version, new, spaces, ...].
func (r *filterRig) share(ctx context.Context, name string) (*xrow.Share, error) {
	data, err := r.conn.Do(tarantool.NewSelectRequest("_tarragon_filter").Index(uint32(0)).Key([]any{name}).Context(ctx)).Get()
	if err != nil {
		return nil, err
	}
	if len(data) != 1 {
		return nil, fmt.Errorf("filter %s: %v", name, data)
	}
	t := data[0].([]any)
	s := &xrow.Share{Filter: name, Version: cluster.Number(t[1])}
	s.New, _ = t[2].(bool)
	for _, id := range t[3].([]any) {
		s.Spaces = append(s.Spaces, uint32(cluster.Number(id)))
	}
	return s, nil
}

// live writes rows while readers follow, and tells the processor time for a row until all have it,
// and what of it relays took, by a profile: of the whole process's other work is the most.
func (r *filterRig) live(ctx context.Context, how string) (used, inRelays float64, took time.Duration, err error) {
	from, err := r.stands(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	readers, err := r.subscribe(ctx, how, from)
	if err != nil {
		return 0, 0, 0, err
	}
	defer readers.close()
	relays := r.profile(ctx, how)
	before, begun := usageOf(r.Nodes[0].PID()), time.Now()
	err = r.write(ctx)
	if err == nil {
		var until uint64
		if until, err = r.stands(ctx); err == nil {
			err = readers.reach(ctx, until)
		}
	}
	used, took = r.since(before), time.Since(begun)
	spent, perr := relays()
	return used, float64(spent.Microseconds()) / float64(r.f.rows), took, errors.Join(err, perr)
}

// fromLog has readers take the rows that were written last.
func (r *filterRig) fromLog(ctx context.Context, how string) (used, inRelays float64, took time.Duration, err error) {
	until, err := r.stands(ctx)
	if err != nil {
		return 0, 0, 0, err
	}
	relays := r.profile(ctx, "log of "+how)
	before, begun := usageOf(r.Nodes[0].PID()), time.Now()
	readers, err := r.subscribe(ctx, how, until-r.f.rows)
	if err == nil {
		defer readers.close()
		err = readers.reach(ctx, until)
	}
	used, took = r.since(before), time.Since(begun)
	spent, perr := relays()
	return used, float64(spent.Microseconds()) / float64(r.f.rows), took, errors.Join(err, perr)
}

func (r *filterRig) since(before usage) float64 {
	return float64(usageOf(r.Nodes[0].PID()).minus(before).cpu().Microseconds()) / float64(r.f.rows)
}

// stands is the LSN of the leader.
func (r *filterRig) stands(ctx context.Context) (uint64, error) {
	lsn, _, err := ownLSN(ctx, r.conn)
	return lsn, err
}

// profileRate is fewer rows a second than any machine writes here: a profile lasts for as long as it
// takes to write them at that rate.
const profileRate = 100_000

// profile takes a CPU profile of the leader, and writes it into the directory of plots, if there is one.
// What it returns waits for it, and is what relays took.
func (r *filterRig) profile(ctx context.Context, how string) (relays func() (time.Duration, error)) {
	var wg sync.WaitGroup
	var raw []byte
	var err error
	wg.Go(func() { raw, err = r.takeProfile(ctx, 2*time.Second+time.Duration(r.f.rows/profileRate)*time.Second) })
	return func() (time.Duration, error) {
		wg.Wait()
		if err == nil && r.f.plots != "" {
			err = os.WriteFile(filepath.Join(r.f.plots, strings.ReplaceAll(how, " ", "-")+".pprof"), raw, 0o600)
		}
		if err != nil {
			return 0, err
		}
		return timeIn(raw, "replication.(*relay)")
	}
}

func (r *filterRig) takeProfile(ctx context.Context, lasts time.Duration) (raw []byte, err error) {
	addr, err := profilerOf(&r.Nodes[0].Process)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("http://%s/debug/pprof/profile?seconds=%d", addr, int(lasts.Seconds())), nil)
	if err != nil {
		return nil, err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	return io.ReadAll(res.Body)
}

// timeIn is the processor time of a profile that functions with such names were on the stack for.
func timeIn(raw []byte, name string) (sum time.Duration, err error) {
	p, err := profile.ParseData(raw)
	if err != nil {
		return 0, err
	}
	for _, s := range p.Sample {
		if slices.ContainsFunc(s.Location, func(l *profile.Location) bool {
			return slices.ContainsFunc(l.Line, func(line profile.Line) bool { return strings.Contains(line.Function.Name, name) })
		}) {
			sum += time.Duration(s.Value[len(s.Value)-1])
		}
	}
	return sum, nil
}

// write writes rows, space after space.
func (r *filterRig) write(ctx context.Context) error {
	c, err := r.dial(ctx, cluster.User, cluster.Password)
	if err != nil {
		return err
	}
	defer c.Close()
	value := make([]byte, r.f.value)
	for i := range value {
		value[i] = 'v'
	}
	var out, body, buf []byte
	var rows []xrow.Row
	for sent := uint64(0); sent < r.f.rows; {
		out = out[:0]
		n := min(filteredBatch, r.f.rows-sent)
		for range n {
			r.key++
			body = append(body[:0], 0x82, byte(xrow.KeySpaceID))
			body = msgp.AppendUint32(body, r.spaces[r.key%filteredSpaces])
			body = append(body, byte(xrow.KeyTuple), 0x92)
			body = msgp.AppendStringFromBytes(msgp.AppendUint64(body, r.key%r.f.keys), value)
			row := xrow.Row{Type: xrow.Replace, Sync: r.key, Body: body}
			out = row.Append(out)
		}
		if _, err := c.Write(out); err != nil {
			return err
		}
		for answered := uint64(0); answered < n; answered += uint64(len(rows)) {
			if rows, buf, err = c.ReadRows(rows[:0], buf[:0]); err != nil {
				return err
			}
			for i := range rows {
				if e := rows[i].AsError(); e != nil {
					return e
				}
			}
		}
		sent += n
	}
	return nil
}

func (r *filterRig) dial(ctx context.Context, user, password string) (*iproto.Client, error) {
	limit, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := iproto.Dial(limit, r.Nodes[0].Addr)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(c.Login(user, password), c.SetDeadline(time.Time{})); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// streams are readers that throw away what they get.
type streams struct {
	wg   sync.WaitGroup
	all  []*iproto.Client
	news chan struct{} // capacity 1
	mu   sync.Mutex
	at   []uint64 // LSN of each
	err  error
}

// subscribe starts readers behind an LSN.
func (r *filterRig) subscribe(ctx context.Context, how string, from uint64) (*streams, error) {
	s := &streams{news: make(chan struct{}, 1)}
	if how == relayNone {
		return s, nil
	}
	for i := range filteredReaders {
		no, share := i+1, (*xrow.Share)(nil)
		if how == relayFiltered {
			no, share = no+filteredReaders, r.shares[i] // a replica is registered with what it asks for first
		}
		if err := r.stream(ctx, s, no, share, from); err != nil {
			s.close()
			return nil, err
		}
	}
	return s, nil
}

// readerUUID is that of a reader of a number.
func readerUUID(no int) string { return fmt.Sprintf("11111111-1111-4111-8111-%012d", no) }

// stream adds one to those that are followed.
func (r *filterRig) stream(ctx context.Context, s *streams, no int, share *xrow.Share, from uint64) error {
	info, err := boxInfo(ctx, r.conn)
	if err != nil {
		return err
	}
	set, _ := info["replicaset"].(map[any]any)
	uuid, _ := set["uuid"].(string)
	self := uint32(cluster.Number(info["id"]))
	c, err := r.dial(ctx, "replicator", "replicator-password")
	if err != nil {
		return err
	}
	s.mu.Lock()
	i := len(s.all)
	s.all, s.at = append(s.all, c), append(s.at, 0)
	s.mu.Unlock()
	req := xrow.SubscribeRequest{ReplicasetUUID: uuid, InstanceUUID: readerUUID(no), Kind: xrow.Tarragon, ServerVersion: 3<<16 | 8<<8, Anon: true, IDFilter: 1,
		Process: uint64(no), Feature: instance.FeatureLevel, Share: share}
	req.VClock[self] = from
	err = c.WriteRow(&xrow.Row{Type: xrow.Subscribe, Body: req.AppendBody(nil)})
	if err == nil {
		var row xrow.Row
		if row, err = c.ReadRow(); err == nil && row.AsError() != nil {
			err = row.AsError()
		}
	}
	if err != nil {
		return fmt.Errorf("SUBSCRIBE: %w", err)
	}
	s.wg.Go(func() { s.follow(i, c, req.VClock, self) })
	return nil
}

// follow reads a stream to its end, and acknowledges each read.
func (s *streams) follow(i int, c *iproto.Client, v vclock.VClock, from uint32) {
	var rows []xrow.Row
	var buf []byte
	var err error
	for err == nil {
		if rows, buf, err = c.ReadRows(rows[:0], buf[:0]); err != nil {
			break
		}
		for j := range rows {
			if e := rows[j].AsError(); e != nil {
				err = e
			}
			v[from] = max(v[from], rows[j].LSN)
		}
		s.mu.Lock()
		s.at[i] = v[from]
		s.mu.Unlock()
		select {
		case s.news <- struct{}{}:
		default:
		}
		ack := xrow.Ack{VClock: v}
		err = errors.Join(err, c.WriteRow(&xrow.Row{Type: xrow.OK, Body: ack.AppendBody(nil)}))
	}
	s.mu.Lock()
	s.err = errors.Join(s.err, err)
	s.mu.Unlock()
}

// reach waits until all have rows up to an LSN.
func (s *streams) reach(ctx context.Context, lsn uint64) error {
	for {
		s.mu.Lock()
		behind, err := 0, s.err
		for _, at := range s.at {
			if at < lsn {
				behind++
			}
		}
		s.mu.Unlock()
		if behind == 0 || err != nil {
			return err
		}
		select {
		case <-s.news:
		case <-time.After(time.Second): // one may have ended
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (s *streams) close() {
	for _, c := range s.all {
		_ = c.Close()
	}
	s.wg.Wait()
}
