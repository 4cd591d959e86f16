package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
)

// suite is a version of go-tarantool.
type suite struct {
	version string
	module  string
}

// left out of the packages.
var leftOut = map[string]bool{"queue": true, "crud": true}

// measure fetches a version and runs its packages, one after the other: they use the
// same ports.
func (s suite) measure(ctx context.Context, r *runner, dir string, o options) ([]outcome, error) {
	source, err := s.fetch(ctx, dir)
	if err != nil {
		return nil, err
	}
	packages, err := s.packages(ctx, source)
	if err != nil {
		return nil, err
	}
	var all []outcome
	for _, pkg := range packages {
		if o.pkg != "" && o.pkg != pkg {
			continue
		}
		fmt.Fprintf(r.log, "%s %s\n", s.version, pkg)
		found, err := r.measure(ctx, filepath.Join(source, sub(pkg)), o.run)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", pkg, err)
		}
		for i := range found {
			found[i].version, found[i].pkg = s.version, pkg
		}
		all = append(all, found...)
	}
	return all, nil
}

// fetch is a copy of the module that can be written to.
func (s suite) fetch(ctx context.Context, dir string) (string, error) {
	out, err := goTool(ctx, dir, "mod", "download", "-json", s.module+"@"+s.version)
	var got struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &got); err == nil || jsonErr == nil && got.Error != "" {
		err = jsonErr
	}
	if err != nil || got.Error != "" {
		return "", fmt.Errorf("fetch: %v %s", err, got.Error)
	}
	to := filepath.Join(dir, s.version)
	if err := os.CopyFS(to, os.DirFS(got.Dir)); err != nil {
		return "", err
	}
	return to, filepath.WalkDir(to, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o644)
		if d.IsDir() {
			mode = 0o755
		}
		return os.Chmod(name, mode)
	})
}

// packages with tests, by their last name; that of the module's root is root.
func (s suite) packages(ctx context.Context, source string) ([]string, error) {
	const withTests = "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}"
	out, err := goTool(ctx, source, "list", "-f", withTests, "./...")
	var names []string
	for _, p := range strings.Fields(string(out)) {
		if name := path.Base(p); p == s.module {
			names = append(names, "root")
		} else if !leftOut[name] {
			names = append(names, name)
		}
	}
	return names, err
}

// sub is the directory of a package in its module.
func sub(pkg string) string {
	if pkg == "root" {
		return "."
	}
	return pkg
}

// goTool runs the go command, in no module of ours.
func goTool(ctx context.Context, dir string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	var complaint bytes.Buffer
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("go %s: %w\n%s", args[0], err, complaint.Bytes())
	}
	return out, err
}
