package replay

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/internal/cluster"
	"tarragon.dev/tarragon/iproto"
	"tarragon.dev/tarragon/server"
	"tarragon.dev/tarragon/xrow"

	"github.com/rs/zerolog"
)

// patience bounds waits of tests that would hang: nothing depends on its value.
const patience = 30 * time.Second

// node is our instance, over all its runs.
type node struct {
	t           *testing.T
	dir         string
	addr        string
	yaml        string
	own, others string // options of the instance alone, and other instances, in flow style
	log         lockedBuffer
	from        int // where the present run's log begins
	stop        context.CancelFunc
	done        chan error
}

type lockedBuffer struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{} // closed and replaced with each line
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed != nil {
		close(l.changed)
	}
	l.changed = make(chan struct{})
	return l.b.Write(p)
}

func (l *lockedBuffer) text() (text string, changed chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.b.String(), l.changed
}

// newNode configures an instance without a name. yaml has more of its options,
// indented as the global scope.
func newNode(t *testing.T, yaml string) *node {
	t.Helper()
	n := &node{t: t, dir: t.TempDir(), addr: freeAddr(t), yaml: yaml}
	t.Cleanup(func() {
		n.halt()
		if t.Failed() {
			text, _ := n.log.text()
			t.Logf("log of the node:\n%s", text)
		}
	})
	return n
}

func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := cluster.FreeAddr()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

func (n *node) load() *config.Instance {
	n.t.Helper()
	file := filepath.Join(n.dir, "cluster.yaml")
	text := fmt.Sprintf("process: {work_dir: %s}\n%sgroups: {g: {replicasets: {r: {instances: {i: {%siproto: {listen: [{uri: '%s'}]}}%s}}}}}\n",
		n.dir, n.yaml, n.own, n.addr, n.others)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		n.t.Fatal(err)
	}
	in, err := config.Load(config.Source{File: file, Instance: "i"})
	if err != nil {
		n.t.Fatal(err)
	}
	in.Name, in.Replicaset = "", "" // the recorded instances had none
	return in
}

func (n *node) start() {
	n.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	cfg := server.Config{Instance: n.load(), Log: zerolog.New(&n.log).Level(zerolog.DebugLevel)}
	text, _ := n.log.text()
	n.from = len(text)
	n.stop, n.done = stop, make(chan error, 1)
	go func() { n.done <- server.Run(ctx, cfg) }()
}

// halt stops the instance and tells how it ended.
func (n *node) halt() {
	if n.stop == nil {
		return
	}
	n.stop()
	n.stop = nil
	select {
	case err := <-n.done:
		if err != nil {
			n.t.Errorf("the node ended with: %v", err)
		}
	case <-time.After(patience):
		n.t.Fatal("the node does not end")
	}
}

// waitLog waits for a line of the present run's log with all of the words in it.
func (n *node) waitLog(words ...string) {
	n.t.Helper()
	limit := time.After(patience)
	for {
		text, changed := n.log.text()
		for line := range strings.Lines(text[n.from:]) {
			if containsAll(line, words) {
				return
			}
		}
		select {
		case <-changed:
		case err := <-n.done:
			n.stop = nil
			n.t.Fatalf("the node ended before it logged %q: %v", words, err)
		case <-limit:
			n.t.Fatalf("no line with %q", words)
		}
	}
}

func containsAll(line string, words []string) bool {
	for _, w := range words {
		if !strings.Contains(line, w) {
			return false
		}
	}
	return true
}

// connect opens a connection to the node; it waits until the node listens.
func (n *node) connect() *iproto.Client {
	n.t.Helper()
	n.waitLog("listening", n.addr)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := iproto.Dial(ctx, n.addr)
	if err != nil {
		n.t.Fatal(err)
	}
	n.t.Cleanup(func() { c.Close() })
	return c
}

// rows are the tuples of a space that guests may read, as JSON without the last
// bracket, in the order of the primary key.
func (n *node) rows(space uint32) []string {
	n.t.Helper()
	c := n.connect()
	body := []byte{0x86, 0x10, 0xcd, byte(space >> 8), byte(space), 0x11, 0, 0x12, 0xcd, 0x27, 0x10, 0x13, 0, 0x14, 2, 0x20, 0x90}
	answer, err := c.Do(xrow.Select, body)
	if err != nil {
		n.t.Fatalf("select from %d: %v", space, err)
	}
	text := string(xrow.RenderBody(xrow.OK, answer.Body))
	text = strings.TrimSuffix(strings.TrimPrefix(text, `{"data": [`), "]}")
	if text == "" {
		return nil
	}
	return strings.Split(text, "], ")
}
