package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"tarragon.dev/tarragon/proc"
)

// version is the release. The build adds the commit by itself; a release is built by
// -ldflags '-X main.version=...'.
var version = "0.1.0-dev"

// program is what this program is.
func program() proc.Program {
	p := proc.Program{Version: version}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return p
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision" && len(s.Value) >= 12:
			p.Commit = s.Value[:12]
		case s.Key == "vcs.modified":
			p.Changed = s.Value == "true"
		case s.Key == "vcs.time":
			p.Built, _ = time.Parse(time.RFC3339, s.Value) // zero: not known
		}
	}
	return p
}

// build is the release, the commit and the compiler in one line.
func build() string {
	p, commit := program(), ""
	if p.Commit != "" {
		commit = ", commit " + p.Commit
	}
	if p.Changed {
		commit += " with changes"
	}
	return fmt.Sprintf("Tarragon %s (%s %s/%s%s)", p.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH, commit)
}

func newVersion(p process) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "print the version",
		Example: "  tarragon version",
		Args:    args(cobra.NoArgs),
		RunE: func(*cobra.Command, []string) error {
			_, err := fmt.Fprintln(p.out, build())
			return err
		},
	}
}
