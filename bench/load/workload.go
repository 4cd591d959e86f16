package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Op is what a workload asks.
type Op uint8

// Operations.
const (
	Replace   Op = iota // of a random key
	Insert              // of a key not used before
	Select              // one tuple by its primary key
	Mixed               // Select and Replace
	Range               // RangeLen tuples in the order of the primary key, from a random one on
	Secondary           // one tuple by its first secondary index
	Txn                 // an interactive transaction: a tuple is read and replaced, and another one is replaced
	ReadTxn             // one that reads two tuples
	Pages               // RangeLen tuples of the whole space, in pages one after the other
)

// RangeLen is how many tuples a Range asks for.
const RangeLen = 100

// Workload is a stream of requests against one space whose first field is its
// primary key, an unsigned number, and whose second one is a string. Further
// fields are unsigned numbers, each with an index of its own that is not unique.
type Workload struct {
	Op        Op
	Space     uint32
	Keys      uint64 // keys are 1..Keys; 100000
	ValueSize int    // bytes of the string; 64
	Random    bool   // each write has other bytes, which do not compress; the raw driver's alone
	Reads     int    // of 100 requests, for Mixed
	Fields    int    // further fields; each write gives them other numbers
}

// Kind is a workload by name, together with the space that it wants.
type Kind struct {
	Name string
	Op   Op
	Sync bool // its space is synchronous
	// Fields of its tuples beyond key and value, each with an index.
	Fields int
	Help   string
}

// Kinds are all workloads.
var Kinds = []Kind{
	{Name: "replace", Op: Replace, Sync: true, Help: "replace random keys of a synchronous space"},
	{Name: "insert", Op: Insert, Sync: true, Help: "insert new keys into a synchronous space"},
	{Name: "async", Op: Replace, Help: "replace random keys of an asynchronous space"},
	{Name: "async-insert", Op: Insert, Help: "insert new keys into an asynchronous space"},
	{Name: "select", Op: Select, Sync: true, Help: "select one tuple by its key"},
	{Name: "async-select", Op: Select, Help: "the same in an asynchronous space"},
	{Name: "mixed", Op: Mixed, Sync: true, Help: "select and replace in a synchronous space"},
	{Name: "async-mixed", Op: Mixed, Help: "select and replace in an asynchronous space"},
	{Name: "range", Op: Range, Help: fmt.Sprintf("select %d tuples from a random key on", RangeLen)},
	{Name: "indexed", Op: Replace, Fields: 3, Help: "replace random keys of an asynchronous space with three secondary indexes"},
	{Name: "txn", Op: Txn, Sync: true, Help: "interactive transactions of three statements, each request in flight in a stream of its own"},
	{Name: "async-txn", Op: Txn, Help: "the same in an asynchronous space"},
	{Name: "read-txn", Op: ReadTxn, Help: "interactive transactions of two selects"},
	{Name: "pages", Op: Pages, Help: fmt.Sprintf("select a whole space in pages of %d", RangeLen)},
	{Name: "secondary", Op: Secondary, Fields: 1, Help: "select one tuple by a secondary index"},
}

// KindByName finds a workload.
func KindByName(name string) (Kind, error) {
	i := slices.IndexFunc(Kinds, func(k Kind) bool { return k.Name == name })
	if i < 0 {
		var names []string
		for _, k := range Kinds {
			names = append(names, k.Name)
		}
		return Kind{}, fmt.Errorf("unknown workload %q: one of %s", name, strings.Join(names, ", "))
	}
	return Kinds[i], nil
}

// Plan says how hard and how long a server is driven.
type Plan struct {
	Addr           string
	User, Password string // no login without a user

	TLS *tls.Config // nil: without

	Driver   Driver
	Conns    int           // connections; 1
	InFlight int           // requests in flight on all of them together; 1
	Rate     float64       // requests a second; 0: as fast as answers come
	Warmup   time.Duration // before the window
	Duration time.Duration // of the window; 5s
	Drain    time.Duration // how long answers are waited for behind it; 10s

	// Connect makes a connection to a server that does not speak IPROTO; Addr is
	// not looked at then, and each connection has one request in flight.
	Connect func(ctx context.Context) (Client, error)

	// Mark is called when the window opens and when it closes, for counters
	// that belong to it.
	Mark func(Edge)
}

// Edge is one end of the window.
type Edge uint8

// The ends of the window.
const (
	Open Edge = iota
	Close
)

// Driver is how requests get to the server.
type Driver uint8

// Drivers.
const (
	Raw Driver = iota
	Connector
	Library // Plan.Connect
)

func (d Driver) String() string { return [...]string{"raw", "go-tarantool", "library"}[d] }

// maxInFlightBytes bounds what is on its way on one raw connection: its
// goroutine writes before it reads again, so requests and answers together must
// fit the socket buffers, or both ends could wait for each other.
const maxInFlightBytes = 256 << 10

func (w Workload) withDefaults() (Workload, error) {
	if w.Keys == 0 {
		w.Keys = 100_000
	}
	if w.ValueSize < 0 || w.ValueSize > 1<<20 {
		return w, fmt.Errorf("value size %d: 0 to 1 MiB", w.ValueSize)
	}
	if w.Fields < 0 || w.Fields > maxFields || w.Op == Secondary && w.Fields == 0 {
		return w, fmt.Errorf("%d further fields: 0 to %d, and one for a secondary index", w.Fields, maxFields)
	}
	if w.Reads < 0 || w.Reads > 100 {
		return w, fmt.Errorf("reads %d: 0 to 100", w.Reads)
	}
	return w, nil
}

func (p Plan) withDefaults(w Workload) (Plan, error) {
	if p.Conns == 0 {
		p.Conns = 1
	}
	if p.InFlight == 0 {
		p.InFlight = p.Conns
	}
	if p.Duration == 0 {
		p.Duration = 5 * time.Second
	}
	if p.Drain == 0 {
		p.Drain = 10 * time.Second
	}
	if p.Mark == nil {
		p.Mark = func(Edge) {}
	}
	switch {
	case p.Conns < 0 || p.InFlight < p.Conns:
		return p, fmt.Errorf("%d requests in flight on %d connections: at least one on each", p.InFlight, p.Conns)
	case p.Rate < 0 || p.Warmup < 0 || p.Duration < 0:
		return p, fmt.Errorf("a rate or a time is negative")
	}
	if p.Connect != nil {
		p.Driver, p.InFlight = Library, p.Conns
	}
	if p.Driver != Raw && (w.Op > Mixed || w.Fields > 0) {
		return p, fmt.Errorf("ranges and further fields are for the driver %s alone", Raw)
	}
	perConn := (p.InFlight + p.Conns - 1) / p.Conns
	if bytes := perConn * w.bytes(); p.Driver == Raw && bytes > maxInFlightBytes {
		return p, fmt.Errorf("%d KiB in flight on one connection: at most %d, so use %d connections or more",
			bytes>>10, maxInFlightBytes>>10, (p.InFlight*w.bytes()+maxInFlightBytes-1)/maxInFlightBytes)
	}
	return p, nil
}

// Check says what is wrong with a workload and a plan; Run says it too.
func Check(w Workload, p Plan) error {
	w, err := w.withDefaults()
	if err != nil {
		return err
	}
	_, err = p.withDefaults(w)
	return err
}

// bytes is what a request and its answer have in flight, at most.
func (w *Workload) bytes() int {
	one := w.ValueSize + frameOverhead + w.Fields*fieldSize
	if w.Op == Range || w.Op == Pages {
		return RangeLen * one
	}
	return one
}

// share is how many of n things the i-th of parts gets.
func share(n, parts, i int) int {
	each := n / parts
	if i < n%parts {
		each++
	}
	return each
}
