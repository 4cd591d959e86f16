package peer

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"tarragon.dev/tarragon/bench/load"
	"tarragon.dev/tarragon/internal/cluster"

	"github.com/jackc/pgx/v5/pgconn"
)

// Postgres is a primary with streaming standbys. A row is in the table bench.
type Postgres struct {
	Version string // "15.18"
	initdb  string
	base    string // pg_basebackup
	binary  string
	who     *syscall.Credential // it refuses to run as root; nil: as ourselves
	nodes   []*node
}

// packages has the programs of PostgreSQL; Debian keeps them out of PATH.
const packages = "/usr/lib/postgresql/*/bin"

// FindPostgres looks for the programs and asks for their version.
func FindPostgres() (*Postgres, error) {
	p := &Postgres{}
	for program, path := range map[string]*string{"postgres": &p.binary, "initdb": &p.initdb, "pg_basebackup": &p.base} {
		var err error
		if *path, err = find(program, "it is Debian's package postgresql (apt-get install postgresql)", packages); err != nil {
			return nil, err
		}
	}
	out, err := exec.Command(p.binary, "--version").Output()
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	words := strings.Fields(string(out)) // postgres (PostgreSQL) 15.18
	if len(words) < 3 {
		return nil, fmt.Errorf("postgres: strange version %q", out)
	}
	p.Version = words[2]
	if os.Getuid() == 0 {
		p.who, err = account("postgres")
	}
	return p, err
}

// account is the credential of a user.
func account(name string) (*syscall.Credential, error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL does not run as root: %w", err)
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

// Start starts a primary, and as standbys the further nodes.
func (p *Postgres) Start(ctx context.Context, o Options) error {
	if o.WAL != "fsync" {
		return errWAL
	}
	p.nodes = nil
	if err := p.open(o.Dir); err != nil {
		return err
	}
	for i := range o.Nodes {
		n, err := newNode(&o, "postgresql", i)
		if err != nil {
			return err
		}
		if err := p.own(n.dir); err != nil {
			return err
		}
		p.nodes = append(p.nodes, n)
		if i == 0 {
			err = p.initialise(n)
		} else {
			err = p.copy(n)
		}
		if err != nil {
			return err
		}
		if err := p.run(ctx, n, p.settings(i, o)); err != nil {
			return err
		}
	}
	return p.nodes[0].until(ctx, func(ctx context.Context) error {
		c, err := p.connect(ctx)
		if err != nil {
			return err
		}
		defer c.Close()
		return c.standbys(ctx, o.Nodes-1)
	})
}

// open lets the user that it runs as pass through our directory.
func (p *Postgres) open(dir string) error {
	if p.who == nil {
		return nil
	}
	return os.Chmod(dir, 0o711)
}

func (p *Postgres) own(path string) error {
	if p.who == nil {
		return nil
	}
	return os.Chown(path, int(p.who.Uid), int(p.who.Gid))
}

// as makes a command that runs as the right user, below the node's directory.
func (p *Postgres) as(n *node, program string, args ...string) *exec.Cmd {
	cmd := exec.Command(program, args...)
	cmd.Dir = n.dir
	if p.who != nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: p.who}
	}
	return cmd
}

func (n *node) data() string { return filepath.Join(n.dir, "data") }

func (p *Postgres) initialise(n *node) error {
	out, err := p.as(n, p.initdb, "-D", n.data(), "-U", "bench", "--auth", "trust", "--no-sync").CombinedOutput()
	if err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return nil
}

// copy makes a standby of the primary's data.
func (p *Postgres) copy(n *node) error {
	host, port, err := net.SplitHostPort(p.nodes[0].addr)
	if err != nil {
		return err
	}
	conninfo := fmt.Sprintf("host=%s port=%s user=bench application_name=%s", host, port, strings.ReplaceAll(n.name, "-", "_"))
	out, err := p.as(n, p.base, "-D", n.data(), "-d", conninfo, "-R", "--checkpoint=fast").CombinedOutput()
	if err != nil {
		return fmt.Errorf("pg_basebackup: %w\n%s", err, out)
	}
	return nil
}

// settings of a node, as -c takes them.
func (p *Postgres) settings(i int, o Options) []string {
	host, port, _ := net.SplitHostPort(p.nodes[i].addr) // an address of FreeAddr
	all := []string{
		"listen_addresses=" + host, "port=" + port, "unix_socket_directories=", "max_connections=300",
		"shared_buffers=1GB", "max_wal_size=8GB", "synchronous_commit=on", "logging_collector=off",
	}
	if i == 0 && o.Nodes > 1 {
		all = append(all, fmt.Sprintf("synchronous_standby_names=ANY %d (%s)", o.quorum()-1, strings.Join(names(o.Nodes-1), ", ")))
	}
	return all
}

// names of the standbys.
func names(n int) (all []string) {
	for i := range n {
		all = append(all, fmt.Sprintf("postgresql_%d", i+2))
	}
	return all
}

// How says the settings that a reader of results wants to know.
func (p *Postgres) How(o Options) string {
	return fmt.Sprintf("a primary and %d streaming standbys, synchronous_commit on, synchronous_standby_names ANY %d, prepared statements by pgconn", o.Nodes-1, o.quorum()-1)
}

func (p *Postgres) run(ctx context.Context, n *node, settings []string) error {
	args := []string{"-D", n.data()}
	for _, s := range settings {
		args = append(args, "-c", s)
	}
	if err := n.Process.Start(p.as(n, p.binary, args...)); err != nil {
		return fmt.Errorf("start %s: %w", n.name, err)
	}
	return n.until(ctx, func(ctx context.Context) error {
		c, err := pgconn.Connect(ctx, dsn(n))
		if err != nil {
			return err
		}
		return c.Close(ctx)
	})
}

func dsn(n *node) string { return fmt.Sprintf("postgres://bench@%s/postgres?sslmode=disable", n.addr) }

// Prepare makes the table anew and fills it with the keys 1..keys.
func (p *Postgres) Prepare(ctx context.Context, keys uint64, value []byte) error {
	c, err := pgconn.Connect(ctx, dsn(p.nodes[0]))
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	for _, statement := range []string{
		"DROP TABLE IF EXISTS bench",
		"CREATE TABLE bench (id bigint PRIMARY KEY, value bytea NOT NULL)",
		fmt.Sprintf(`INSERT INTO bench SELECT n, '\x%x'::bytea FROM generate_series(1, %d) n`, value, keys),
		"VACUUM ANALYZE bench",
		"CHECKPOINT",
	} {
		if _, err := c.Exec(ctx, statement).ReadAll(); err != nil {
			return fmt.Errorf("fill: %w", err)
		}
	}
	return nil
}

// Connect makes a connection to the primary.
func (p *Postgres) Connect(ctx context.Context) (load.Client, error) {
	c, err := p.connect(ctx)
	if err != nil {
		return nil, err
	}
	_, err1 := c.c.Prepare(ctx, "put", "INSERT INTO bench VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value", nil)
	_, err2 := c.c.Prepare(ctx, "get", "SELECT value FROM bench WHERE id = $1", nil)
	if err := errors.Join(err1, err2); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (p *Postgres) connect(ctx context.Context) (*postgresClient, error) {
	c, err := pgconn.Connect(ctx, dsn(p.nodes[0]))
	if err != nil {
		return nil, err
	}
	return &postgresClient{c: c}, nil
}

// Processes of the nodes; each has more below it, whose time is not counted.
func (p *Postgres) Processes() []*cluster.Process { return processes(p.nodes) }

// Blame adds the last words of processes that have ended.
func (p *Postgres) Blame(err error) error { return blame(err, p.nodes) }

// Stop ends all processes: by SIGQUIT, which ends those below each node too.
func (p *Postgres) Stop() {
	for _, n := range p.nodes {
		n.Signal(syscall.SIGQUIT)
	}
	for _, n := range p.nodes {
		select {
		case <-n.Exited():
		case <-time.After(patience):
			n.Kill()
		}
	}
}
