package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	instanceName = "i-001"
	socketName   = "control.sock"
)

// writeConfig writes the configuration of a server into its directory. The settings
// are those of the scripts, and what box.cfg of Tarantool has where they say nothing.
func writeConfig(dir string, f fixture) (file string, err error) {
	listen := os.Getenv(listenVar)
	var b strings.Builder
	fmt.Fprintf(&b, "process: {work_dir: %q}\n", dir)
	fmt.Fprintf(&b, "wal: {dir: %q, mode: write}\nsnapshot: {dir: %q}\n", dir, dir)
	fmt.Fprintf(&b, "tarragon: {control_socket: %q}\n", filepath.Join(dir, socketName))
	b.WriteString("replication:\n  failover: off\n")
	if f.followsItself {
		fmt.Fprintf(&b, "  peers: [%q]\n", listen)
	}
	fmt.Fprintf(&b, "iproto: {listen: [{uri: %q}]}\n", listen)
	fmt.Fprintf(&b, "groups: {g: {replicasets: {r: {instances: {%s: {}}}}}}\n", instanceName)
	file = filepath.Join(dir, "config.yaml")
	return file, os.WriteFile(file, []byte(b.String()), 0o644)
}
