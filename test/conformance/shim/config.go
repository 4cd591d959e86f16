package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"tarragon.dev/tarragon/internal/cluster"
)

const (
	instanceName = "i-001"
	socketName   = "control.sock"
	routerUser   = "shim-router"
)

// writeConfig writes the configuration of a server into its directory. The settings
// are those of the scripts, and what box.cfg of Tarantool has where they say nothing.
func writeConfig(dir string, f fixture) (file string, err error) {
	listen, own := os.Getenv(listenVar), os.Getenv(listenVar)
	var b strings.Builder
	fmt.Fprintf(&b, "process: {work_dir: %q}\n", dir)
	fmt.Fprintf(&b, "wal: {dir: %q, mode: write}\nsnapshot: {dir: %q}\n", dir, dir)
	if os.Getenv(routerVar) == "" {
		fmt.Fprintf(&b, "tarragon: {control_socket: %q}\n", filepath.Join(dir, socketName))
	} else { // the suite's address is that of a router in the instance
		if own, err = cluster.FreeAddr(); err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "tarragon: {control_socket: %q, router: {rw: %q, login: %s, hold_time: 1}}\n", filepath.Join(dir, socketName), listen, routerUser)
		fmt.Fprintf(&b, "credentials: {users: {%s: {password: %[1]s, privileges: [{permissions: [execute], lua_call: [tarragon.act_as]}, {permissions: [read], spaces: [_user]}]}}}\n", routerUser)
	}
	b.WriteString("replication:\n  failover: off\n")
	if f.followsItself {
		fmt.Fprintf(&b, "  peers: [%q]\n", own)
	}
	fmt.Fprintf(&b, "iproto: {listen: [{uri: %q}]}\n", own)
	fmt.Fprintf(&b, "groups: {g: {replicasets: {r: {instances: {%s: {}}}}}}\n", instanceName)
	file = filepath.Join(dir, "config.yaml")
	return file, os.WriteFile(file, []byte(b.String()), 0o644)
}
