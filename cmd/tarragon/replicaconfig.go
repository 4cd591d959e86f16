package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"tarragon.dev/tarragon/config"
)

// newReplicaConf is all that the configuration of a new replica says. The file of its
// password is beside it, so that the text can be shown to anybody.
type newReplicaConf struct {
	name, uuid string
	filter     string // empty: it has all
	dir        string // absolute
	set        string // name of the replica set
	elections  bool   // they are on
	members    []replicaPeer
	user       string // that the replica logs in as
	listen     []string
	transfer   []string // program and arguments; nil: none
}

// replicaPeer is a member as the replica reaches it.
type replicaPeer struct {
	name string
	uri  config.URI // without login
}

// Files in the directory of a new replica.
const (
	replicaPassword   = "password"
	replicaUnfinished = "unfinished" // has the uuid; goes once the replica has joined
)

func (c *newReplicaConf) file() string         { return filepath.Join(c.dir, c.name+".yaml") }
func (c *newReplicaConf) passwordPath() string { return filepath.Join(c.dir, replicaPassword) }
func (c *newReplicaConf) serveCommand() string {
	return fmt.Sprintf("tarragon serve --config %s --instance %s", c.file(), c.name)
}

// yaml is the configuration: the members, which it follows, and itself.
func (c *newReplicaConf) yaml() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# Replica %s, made by 'tarragon replica create'. To run it:\n#   %s\n", c.name, c.serveCommand())
	fmt.Fprintf(&b, "config: {context: {peer_password: {from: file, file: %s}}}\n", quote(c.passwordPath()))
	fmt.Fprintf(&b, "process: {work_dir: %s}\n", quote(c.dir))
	fmt.Fprintf(&b, "credentials: {users: {%s: {password: '{{ context.peer_password }}'}}}\n", quote(c.user))
	fmt.Fprintf(&b, "iproto: {advertise: {peer: {login: %s}}}\n", quote(c.user))
	if c.elections {
		b.WriteString("replication: {failover: election}\n")
	}
	fmt.Fprintf(&b, "groups:\n  replicas:\n    replicasets:\n      %s:\n        instances:\n", c.set)
	for _, m := range c.members {
		fmt.Fprintf(&b, "          %s: {iproto: {advertise: {peer: {uri: %s}}}}\n", m.name, quote(m.uri.String()))
	}
	fmt.Fprintf(&b, "          %s:\n", c.name)
	fmt.Fprintf(&b, "            replication: {anon: true, election_mode: 'off'}\n            database: {instance_uuid: %s}\n", quote(c.uuid))
	var listen []string
	for _, a := range c.listen {
		listen = append(listen, "{uri: "+quote(a)+"}")
	}
	fmt.Fprintf(&b, "            iproto: {listen: [%s]}\n", strings.Join(listen, ", "))
	fmt.Fprintf(&b, "            tarragon:\n              control_socket: %s.sock\n", c.name)
	if c.filter != "" {
		fmt.Fprintf(&b, "              filter: %s\n", quote(c.filter))
	}
	if len(c.transfer) > 0 {
		words := make([]string, len(c.transfer))
		for i, w := range c.transfer {
			words[i] = quote(w)
		}
		fmt.Fprintf(&b, "              transfer_command: [%s]\n", strings.Join(words, ", "))
	}
	return []byte(b.String())
}

// quote makes a text a scalar of YAML.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", "''") + "'" }

// load reads the configuration as a start of the replica would, from what is to be written
// and not from the disk.
func (c *newReplicaConf) load(password string) (*config.Instance, error) {
	text := c.yaml()
	return config.Load(config.Source{File: c.file(), Instance: c.name, ReadFile: func(path string) ([]byte, error) {
		if path == c.passwordPath() {
			return []byte(password), nil
		}
		return text, nil
	}})
}
