package arch

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A module outside of the tree that has ours by replace can embed a server: no
// package that it needs is internal.
func TestEmbeddedByReplace(t *testing.T) {
	tree, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := os.ReadFile(filepath.Join(tree, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	sum, err := os.ReadFile(filepath.Join(tree, "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	ours := strings.TrimSuffix(module, "/")
	text := strings.Replace(string(mod), "module "+ours, "module example.org/embeds", 1)
	text += "\nrequire " + ours + " v0.0.0\n\nreplace " + ours + " => " + tree + "\n"
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": text,
		"go.sum": string(sum),
		"main.go": `package main

import (
	"context"

	"tarragon.dev/tarragon"
	"tarragon.dev/tarragon/config"
	"tarragon.dev/tarragon/server"
)

func main() {
	in, err := config.Load(config.Source{File: "cluster.yaml", Instance: "i-001"})
	if err == nil {
		err = server.Run(context.Background(), server.Config{Instance: in})
	}
	if err == nil {
		_, err = tarragon.Open(context.Background(), tarragon.Config{Dir: "data"})
	}
	if err != nil {
		panic(err)
	}
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("go", "vet", "-mod=mod", ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
