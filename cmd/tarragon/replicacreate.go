package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"tarragon.dev/tarragon/config"

	"github.com/spf13/cobra"
)

// replicaCreate is 'tarragon replica create' as it was asked for.
type replicaCreate struct {
	connectFlags
	p        process
	from     string
	filter   string
	dir      string
	listen   []string
	transfer string
	peer     string // user that the replica logs in as; empty: the one that asks
	peerFile string // of its password
	print    bool
}

const createHelp = `Create makes an anonymous replica of a running replica set: a directory with its configuration, its registration at the leader, and its first copy of
the data. It ends when the copy is there, and prints the command that runs the replica. With --filter it has what that filter gives, else all.

--from is the address of a member; which one leads is asked there. The replica follows all members that this one knows. It logs in as the user that
asks (--user with --password-file, TT_CLI_USERNAME with TT_CLI_PASSWORD, or login:password@host:port), or better as one that may replicate and nothing
else: --peer-user with --peer-password-file. The password goes to a file in the directory that only its owner can read.

What was broken off is done by the same command again. --print-config shows the configuration, and makes and registers nothing.`

func newReplicaCreate(p process) *cobra.Command {
	r := replicaCreate{p: p}
	cmd := &cobra.Command{
		Use:   "create NAME --from ADDR",
		Short: "make a replica: its configuration, its registration, its first copy",
		Long:  createHelp,
		Example: `  tarragon replica create reader --from 10.0.0.1:3301 --user admin --password-file admin.pw --filter hr
  tarragon replica create reader --from 10.0.0.1:3301 --user admin --password-file admin.pw --peer-user repl --peer-password-file repl.pw --dir /var/lib/reader --listen 10.0.0.9:3301
  tarragon replica create reader --from 10.0.0.1:3301 --user admin --password-file admin.pw --filter hr --print-config`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, a []string) error { return r.run(cmd.Context(), a[0]) },
	}
	fl := cmd.Flags()
	fl.StringVar(&r.from, "from", "", "address of a member; required")
	fl.StringVar(&r.filter, "filter", "", "name of its filter; empty: it has all")
	fl.StringVarP(&r.dir, "dir", "d", "", "its directory (default ./NAME)")
	fl.StringArrayVarP(&r.listen, "listen", "l", []string{defaultAddress}, "address that it listens on, may be repeated")
	fl.StringVar(&r.transfer, "transfer-command", "", `program that brings base copies, with arguments: words, or a list as JSON (tarragon.transfer_command)`)
	fl.StringVar(&r.peer, "peer-user", "", "user that the replica logs in as (default the one that asks)")
	fl.StringVar(&r.peerFile, "peer-password-file", "", "file with the password of --peer-user")
	fl.BoolVar(&r.print, "print-config", false, "print the configuration, and do nothing")
	fl.StringVarP(&r.user, "user", "u", "", "user to connect as (TT_CLI_USERNAME)")
	fl.StringVar(&r.passwordFile, "password-file", "", "file with the user's password (else TT_CLI_PASSWORD)")
	fl.DurationVar(&r.timeout, "timeout", defaultTimeout, "longest wait for an instance")
	return cmd
}

func (r *replicaCreate) run(ctx context.Context, name string) error {
	conf, from, password, err := r.resolve(name)
	if err != nil {
		return err
	}
	was, err := lookAtDir(conf.dir, name)
	if err != nil {
		return fmt.Errorf("replica create: %w", err)
	}
	conf.uuid = was.uuid
	lead, known, err := r.look(ctx, from, conf)
	if err != nil {
		return fmt.Errorf("replica create: %w", err)
	}
	cfg, err := conf.load(password)
	if err != nil {
		return fmt.Errorf("replica create: its configuration would not do: %w", err)
	}
	if err := r.tryPeer(ctx, lead, conf.user, password); err != nil {
		return fmt.Errorf("replica create: %w", err)
	}
	if r.print {
		_, err := r.p.out.Write(conf.yaml())
		return err
	}
	if err := conf.claimDir(password); err != nil {
		return fmt.Errorf("replica create: %w", err)
	}
	if !known {
		if err := r.register(ctx, lead, conf, was); err != nil {
			return err
		}
	}
	fmt.Fprintf(r.p.out, "replica %s (%s) is registered with %s, by %s\n", name, conf.uuid, filterWords(conf.filter), lead.label())
	if err := r.join(ctx, cfg); err != nil {
		return fmt.Errorf("replica create: %w; what is left: its directory %s and its registration. The same command goes on; 'tarragon replica drop %s' and removing the directory undo it",
			err, conf.dir, name)
	}
	if err := conf.finishDir(); err != nil {
		return fmt.Errorf("replica create: it has joined: %w", err)
	}
	_, err = fmt.Fprintf(r.p.out, "replica %s has joined; its directory is %s. To run it:\n  %s\n", name, conf.dir, conf.serveCommand())
	return err
}

func filterWords(filter string) string {
	if filter == "" {
		return "no filter"
	}
	return "filter " + filter
}

// resolve makes what the flags say. password is that of the replica's user.
func (r *replicaCreate) resolve(name string) (conf *newReplicaConf, from target, password string, err error) {
	if err := config.CheckName(name); err != nil {
		return nil, from, "", usagef("%w", err)
	}
	if r.from == "" {
		return nil, from, "", usagef("--from is needed: the address of a member")
	}
	r.addrs = []string{r.from}
	targets, err := r.targets(r.p)
	if err != nil {
		return nil, from, "", err
	}
	from = targets[0]
	conf = &newReplicaConf{name: name, filter: r.filter, user: from.login, listen: r.listen}
	password = from.password
	switch {
	case r.peer != "":
		conf.user = r.peer
		text, err := os.ReadFile(r.peerFile)
		if err != nil {
			return nil, from, "", usagef("--peer-user needs --peer-password-file: %w", err)
		}
		password = strings.TrimSpace(string(text))
	case r.peerFile != "":
		return nil, from, "", usagef("--peer-password-file needs --peer-user")
	case from.login == "":
		return nil, from, "", usagef("which user? Give --user with --password-file")
	}
	if conf.transfer, err = splitCommand(r.transfer); err != nil {
		return nil, from, "", err
	}
	conf.dir, err = filepath.Abs(cmp.Or(r.dir, name))
	return conf, from, password, err
}

// splitCommand reads a program and its arguments: a list as JSON, or words.
func splitCommand(text string) (argv []string, err error) {
	if !strings.HasPrefix(text, "[") {
		return strings.Fields(text), nil
	}
	if err := json.Unmarshal([]byte(text), &argv); err != nil {
		return nil, usagef("--transfer-command: no list of words: %w", err)
	}
	return argv, nil
}

// look asks the replica set what the configuration needs to know, and whether the replica
// may be made. known: it is registered already, by a command that was broken off.
func (r *replicaCreate) look(ctx context.Context, from target, conf *newReplicaConf) (lead target, known bool, err error) {
	var seen, info boxInfo
	if err := r.ask(ctx, from, &seen); err != nil {
		return lead, false, err
	}
	lead, info = from, seen
	if seen.RO {
		if lead, err = leaderOf(from, &seen); err != nil {
			return lead, false, err
		}
		info = boxInfo{}
		if err := r.ask(ctx, lead, &info); err != nil {
			return lead, false, fmt.Errorf("the leader by the word of %s: %w", from.label(), err)
		}
		if info.RO {
			return lead, false, fmt.Errorf("%s leads by the word of %s, and is read-only: try again once there is a leader", lead.label(), from.label())
		}
	}
	lead.name = info.Name
	conf.set, conf.elections = cmp.Or(info.Replicaset.Name, "replicaset"), info.Election.State != "off"
	conf.members = membersOf(&info, lead.uri, &seen, from.uri)
	for _, m := range conf.members {
		if m.name == conf.name {
			return lead, false, fmt.Errorf("the name %s is that of a member, at %s: give the replica another one", m.name, m.uri)
		}
	}
	if lost := len(info.Replication) - len(conf.members); lost > 0 {
		fmt.Fprintf(r.p.err, "replica create: warning: %d members are not connected to %s, so their addresses are not known: add them to the configuration\n", lost, lead.label())
	}
	known, err = r.lookAtRegistry(ctx, lead, conf)
	return lead, known, err
}

func (r *replicaCreate) ask(ctx context.Context, t target, info *boxInfo) error {
	if err := t.call(ctx, r.timeout, info, "box.info"); err != nil {
		return fmt.Errorf("%s: %w", t.label(), err)
	}
	if info.Package != "Tarragon" {
		return fmt.Errorf("%s is a Tarantool: it has no filters, and registers no replicas. Give --from a member of ours, in a set without Tarantools", t.label())
	}
	return nil
}

// leaderOf is the leader as another instance reaches it.
func leaderOf(from target, info *boxInfo) (lead target, err error) {
	id := info.Election.Leader
	if id == 0 {
		return lead, fmt.Errorf("%s is read-only (%s) and knows no leader: give --from an instance that takes writes", from.label(), dash(info.ROReason))
	}
	m, name := info.Replication[uint64(id)], info.Election.LeaderName
	if m.Upstream == nil || m.Upstream.Peer == "" {
		return lead, fmt.Errorf("%s does not lead, and is not connected to the leader, %s: give --from its address", from.label(), cmp.Or(name, fmt.Sprint("member ", id)))
	}
	uri, err := peerAddress(m.Upstream)
	if err != nil {
		return lead, fmt.Errorf("%s does not lead: %w", from.label(), err)
	}
	return target{name: name, uri: uri, login: from.login, password: from.password}, nil
}

// peerAddress is where a stream comes from, without the login.
func peerAddress(s *boxStream) (config.URI, error) {
	uri, err := config.ParseURI(s.Peer)
	uri.Login, uri.Password = "", ""
	return uri, err
}

// membersOf are the members whose addresses somebody tells: the leader, the instance that
// was asked first, and those that either is connected to.
func membersOf(lead *boxInfo, leadAt config.URI, seen *boxInfo, seenAt config.URI) (all []replicaPeer) {
	for _, id := range slices.Sorted(maps.Keys(lead.Replication)) {
		m := lead.Replication[id]
		uri := config.URI{}
		switch up, too := m.Upstream, seen.Replication[id].Upstream; {
		case number(id) == lead.ID:
			uri = leadAt
		case number(id) == seen.ID:
			uri = seenAt
		case up != nil && up.Peer != "":
			uri, _ = peerAddress(up) // one that cannot be read is none
		case too != nil && too.Peer != "":
			uri, _ = peerAddress(too)
		}
		name := m.Name
		if config.CheckName(name) != nil {
			name = fmt.Sprint("member-", id)
		}
		uri.Login, uri.Password = "", ""
		if !uri.IsZero() {
			all = append(all, replicaPeer{name, uri})
		}
	}
	return all
}

// lookAtRegistry tells whether the replica is registered as it is to be. What would be
// refused later is refused here, before anything is made.
func (r *replicaCreate) lookAtRegistry(ctx context.Context, lead target, conf *newReplicaConf) (known bool, err error) {
	var rows []boxReplica
	if err := lead.call(ctx, r.timeout, &rows, "tarragon.replica.list"); err != nil {
		return false, fmt.Errorf("%s: %w", lead.label(), err)
	}
	for _, row := range rows {
		switch {
		case row.State != "registered":
		case row.UUID != conf.uuid && row.Name == conf.name:
			return false, fmt.Errorf("the name %s is taken: replica %s is registered with it; 'tarragon replica drop %s' frees it", conf.name, row.UUID, conf.name)
		case row.UUID == conf.uuid && (row.Name != conf.name || row.Filter != conf.filter):
			return false, fmt.Errorf("%s is that of replica %s, which is registered with %s: go on with that, or alter it first ('tarragon replica alter')", conf.uuid, row.Name, filterWords(row.Filter))
		case row.UUID == conf.uuid:
			known = true
		}
	}
	if conf.filter == "" {
		return known, nil
	}
	var filters []filterLine
	if err := lead.call(ctx, r.timeout, &filters, "tarragon.filter.list"); err != nil {
		return false, fmt.Errorf("%s: %w", lead.label(), err)
	}
	var there []string
	for _, f := range filters {
		if f.Name == conf.filter {
			return known, nil
		}
		there = append(there, plain(f.Name))
	}
	return false, fmt.Errorf("filter %s does not exist at %s; there are: %s", conf.filter, lead.label(), cmp.Or(strings.Join(there, ", "), "none"))
}

// tryPeer logs in as the replica will.
func (r *replicaCreate) tryPeer(ctx context.Context, lead target, user, password string) error {
	ctx, cancel := context.WithTimeout(ctx, r.timeout)
	defer cancel()
	conn, err := lead.dial(ctx, r.timeout, user, password)
	if err != nil {
		return fmt.Errorf("%s, as %s, the user of the replica: %w", lead.label(), user, answered(err))
	}
	return conn.Close()
}

// register has the leader register the replica. What is refused for certain leaves nothing
// that was not there.
func (r *replicaCreate) register(ctx context.Context, lead target, conf *newReplicaConf, was claimed) error {
	options := map[string]any{"uuid": conf.uuid}
	if conf.filter != "" {
		options["filter"] = conf.filter
	}
	err := lead.call(ctx, r.timeout, nil, "tarragon.replica.create", conf.name, options)
	if err == nil {
		return nil
	}
	err = fmt.Errorf("replica create: %s: %w", lead.label(), err)
	if refused := (*answerError)(nil); !errors.As(err, &refused) {
		return fmt.Errorf("%w; it may be registered or not. What is left is its directory %s: the same command goes on", err, conf.dir)
	}
	if was.again {
		return fmt.Errorf("%w; its directory %s is left from before", err, conf.dir)
	}
	return errors.Join(err, conf.giveUpDir(was))
}
