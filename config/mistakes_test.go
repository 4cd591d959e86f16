package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestMistakes runs the scripts of testdata: "load instance=NAME" with a file
// as input prints all mistakes, or the warnings. "env" and "flag" lines before
// a line "---" belong to the environment and the command line.
func TestMistakes(t *testing.T) {
	datadriven.Walk(t, "testdata/scripts", func(t *testing.T, path string) {
		datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
			name := "i1"
			if d.HasArg("instance") {
				d.ScanArgs(t, "instance", &name)
			}
			if d.HasArg("nameless") {
				name = ""
			}
			text := d.Input
			var environ []string
			var flags []Flag
			if head, body, ok := strings.Cut(text, "---\n"); ok {
				text = body
				for _, line := range strings.Split(strings.TrimSpace(head), "\n") {
					kind, rest, _ := strings.Cut(line, " ")
					if kind == "env" {
						environ = append(environ, rest)
					} else {
						p, v, _ := strings.Cut(rest, "=")
						flags = append(flags, Flag{Name: "--set " + p, Path: p, Value: v})
					}
				}
			}
			if d.Cmd == "one" { // the options of one instance, in the scope instance
				text = "groups: {g: {replicasets: {r: {instances: {i1: {" + strings.TrimSpace(text) + "}}}}}}"
			}
			in, err := load(text, name, environ, flags...)
			if err != nil {
				return err.Error() + "\n"
			}
			out := ""
			for _, w := range in.Warnings {
				out += fmt.Sprintln("warning:", w)
			}
			return out + "ok\n"
		})
	})
}
