// Command shim stands in for the tarantool executable in the test suites of
// go-tarantool: it becomes a Tarragon whose spaces, users and rows are those that
// the suite's init script would have made.
//
// It runs no Lua. It knows the scripts by their contents ([fixtures]) and refuses all
// others, so a changed script is never taken for what it was. A suite starts it as
//
//	tarantool --version
//	tarantool /path/to/config.lua
//
// with its working directory and address in the environment. The process becomes the
// server (exec), so that signals of the suite reach that; where the script defines functions
// it embeds the instance, with these as procedures in Go. A child of it brings the
// fixture in by the control socket and ends. The suite waits until its user can log
// in: that user gets a password last.
package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// Variables of the environment.
const (
	binaryVar  = "TARRAGON_BIN"      // the server to become; set by the harness
	listenVar  = "TEST_TNT_LISTEN"   // set by the suite
	workDirVar = "TEST_TNT_WORK_DIR" // the same
	routerVar  = "TARRAGON_ROUTER"   // set by the harness where suites come in by a router
	childVar   = "TARRAGON_FIXTURE"  // set for the child: the script whose fixture it brings in
)

// announced is what --version says: the suites choose by the numbers what they run.
const announced = "Tarantool 3.8.0 (a shim: Tarragon answers)"

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "shim:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) != 1:
		return fmt.Errorf("want --version or an init script, not %q", args)
	case args[0] == "--version":
		fmt.Println(announced)
		return nil
	case os.Getenv(childVar) != "":
		return prepare(args[0], fixtures[os.Getenv(childVar)])
	}
	return start(args[0])
}

// start becomes the server of a script. What an earlier one has left in the working
// directory goes: the suites remove data by the names that Tarantool's files have.
func start(script string) error {
	text, err := os.ReadFile(script)
	if err != nil {
		return err
	}
	digest := sha256.Sum256(text)
	key := hex.EncodeToString(digest[:])
	f, ok := fixtures[key]
	if !ok {
		return fmt.Errorf("no fixture for the script %s with digest %s", script, key)
	}
	dir := filepath.Join(os.Getenv(workDirVar), "tarragon")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	file, err := writeConfig(dir, f)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	child := exec.Command(self, dir)
	child.Env = append(os.Environ(), childVar+"="+key)
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		return err
	}
	if f.procedures != nil {
		return embed(file, f.procedures)
	}
	binary := os.Getenv(binaryVar)
	argv := []string{binary, "serve", "--config", file, "--instance", instanceName}
	return fmt.Errorf("become %s: %w", binary, syscall.Exec(binary, argv, os.Environ()))
}
