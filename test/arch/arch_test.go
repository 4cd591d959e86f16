package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"testing"
)

const (
	module = "tarragon.dev/tarragon/"
	root   = "../.."
)

// anything is how the cell of a package begins that may import all of ours, but
// for commands and tools: those nobody may.
const anything = "all"

// readTable reads the packages and what they may import from a page.
func readTable(t *testing.T, page string) map[string][]string {
	t.Helper()
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	table := map[string][]string{}
	for _, line := range strings.Split(string(data), "\n") {
		cells := strings.Split(strings.Trim(line, "|"), "|")
		name := strings.TrimSpace(cells[0])
		if !strings.HasPrefix(line, "| `") || len(cells) != 3 || strings.Count(name, "`") != 2 {
			continue
		}
		may := strings.TrimSpace(cells[2])
		var list []string
		if may != "-" {
			for _, p := range strings.Split(may, ",") {
				list = append(list, strings.TrimSpace(p))
			}
		}
		table[strings.Trim(name, "`")] = list
	}
	if len(table) < 5 {
		t.Fatalf("%s has no table of packages", page)
	}
	return table
}

// source is a file of ours that is no test.
type source struct {
	pkg  string // path below the module
	name string // for messages
	ast  *ast.File
	fset *token.FileSet
}

func sources(t *testing.T) []source {
	t.Helper()
	var out []source
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if file != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "bin" || name == "tarragon-data") {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, file, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		rel = filepath.ToSlash(rel)
		out = append(out, source{pkg: path.Dir(rel), name: rel, ast: f, fset: fset})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// imports are the paths that a file imports, by the name it uses.
func (s source) imports() map[string]string {
	out := map[string]string{}
	for _, spec := range s.ast.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		name := path.Base(p)
		if name == "v2" || name == "v3" || name == "v5" {
			name = path.Base(path.Dir(p))
		}
		if spec.Name != nil {
			name = spec.Name.Name
		}
		out[name] = p
	}
	return out
}

// tool reports whether a package is one that the server never imports.
func tool(pkg string) bool {
	return pkg == "bench" || strings.HasPrefix(pkg, "bench/") || strings.HasPrefix(pkg, "test/")
}

func TestImportTable(t *testing.T) {
	table := readTable(t, filepath.Join(root, "docs/architecture.md"))
	for _, s := range sources(t) {
		if tool(s.pkg) {
			continue
		}
		may, known := table[s.pkg]
		if !known {
			t.Errorf("%s: package %s is not in the table of docs/architecture.md", s.name, s.pkg)
			continue
		}
		for _, p := range s.imports() {
			ours, isOurs := strings.CutPrefix(p, module)
			switch {
			case !isOurs:
			case tool(ours) || strings.HasPrefix(ours, "cmd/"):
				t.Errorf("%s imports %s: nobody may", s.name, ours)
			case len(may) == 1 && strings.HasPrefix(may[0], anything), contains(may, ours):
			default:
				t.Errorf("%s imports %s: docs/architecture.md allows %s only %v", s.name, ours, s.pkg, may)
			}
		}
	}
}

func contains(list []string, word string) bool {
	for _, s := range list {
		if s == word {
			return true
		}
	}
	return false
}

// deterministic packages, and their files that are not: the loop owns the core
// and may wait.
var deterministic = map[string][]string{
	"vclock":   nil,
	"raft":     nil,
	"limbo":    nil,
	"box":      nil,
	"instance": {"loop.go", "latch.go", "scan.go"},
}

// forbidden imports of deterministic packages. sync is in the list because a
// value with one owner needs no lock.
var forbidden = []string{
	"net", "os", "io", "bufio", "sync", "syscall", "context", "log", "log/slog", "crypto/rand", "runtime",
	"github.com/rs/zerolog", "github.com/cockroachdb/pebble/v2", "github.com/tarantool/go-tarantool/v2",
}

// clocks are the functions of package time that look at a clock or wait.
var clocks = []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"}

// sourcesOfChance are what math/rand may be used for: sources with a seed.
var sourcesOfChance = []string{"New", "NewSource", "NewPCG", "NewChaCha8", "Rand", "Source", "PCG", "ChaCha8", "NewZipf", "Zipf"}

func TestDeterministicPackages(t *testing.T) {
	for _, s := range sources(t) {
		loop, yes := deterministic[s.pkg]
		if !yes || contains(loop, path.Base(s.name)) {
			continue
		}
		for _, complaint := range s.chance() {
			t.Error(complaint)
		}
	}
}

// chance is everything in a file that could make two runs differ.
func (s source) chance() []string {
	var out []string
	say := func(n ast.Node, what string) {
		out = append(out, s.name+":"+strconv.Itoa(s.fset.Position(n.Pos()).Line)+": "+what+" in a deterministic package")
	}
	imports := s.imports()
	for _, spec := range s.ast.Imports {
		p, _ := strconv.Unquote(spec.Path.Value)
		for _, f := range forbidden {
			if p == f || strings.HasPrefix(p, f+"/") && !strings.Contains(f, "crypto") {
				say(spec, "import of "+p)
			}
		}
	}
	ast.Inspect(s.ast, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.GoStmt:
			say(n, "a goroutine")
		case *ast.SelectStmt:
			say(n, "a select")
		case *ast.SelectorExpr:
			x, isName := n.X.(*ast.Ident)
			if !isName {
				break
			}
			switch p := imports[x.Name]; {
			case p == "time" && contains(clocks, n.Sel.Name):
				say(n, "time."+n.Sel.Name)
			case (p == "math/rand" || p == "math/rand/v2") && !contains(sourcesOfChance, n.Sel.Name):
				say(n, "global randomness, rand."+n.Sel.Name)
			}
		}
		return true
	})
	return out
}

// knows says who may import a library that is the business of one room.
var knows = map[string][]string{
	"github.com/cockroachdb/pebble/v2":     {"xlog", "cmd/tarragon"},
	"github.com/tarantool/go-tarantool/v2": {"client", "cmd/tarragon", "internal/cluster", "internal/demo", "examples/load"},
	"github.com/spf13/cobra":               {"cmd/tarragon"},
	"go.yaml.in/yaml/v3":                   {"config"},
	"github.com/vmihailenco/msgpack/v5":    {".", "internal/mp", "proc", "cmd/tarragon", "client"}, // mp scans what it decodes
	"net":                                  {"iproto", "replication", "router", "server", "client", "internal/capture", "internal/cluster", "internal/httpport", "internal/testcert", "cmd/tarragon"},
	"github.com/prometheus/client_golang":  {"internal/metrics", "server"},
}

func TestLibraries(t *testing.T) {
	var libraries []string
	for lib := range knows {
		libraries = append(libraries, lib)
	}
	sort.Strings(libraries)
	for _, s := range sources(t) {
		if tool(s.pkg) {
			continue
		}
		for _, p := range s.imports() {
			for _, lib := range libraries {
				if (p == lib || lib != "net" && strings.HasPrefix(p, lib+"/")) && !contains(knows[lib], s.pkg) {
					t.Errorf("%s imports %s: only %v may", s.name, p, knows[lib])
				}
			}
		}
	}
}

// TestChanceIsSeen: the rules above find what they are for.
func TestChanceIsSeen(t *testing.T) {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, "x.go", `package x
import (
	"math/rand"
	"os"
	"time"
)
func f(ch chan int, r *rand.Rand) time.Duration {
	go f(ch, r)
	select { case <-ch: default: }
	_ = os.Args
	_ = rand.Intn(3)
	_ = rand.New(nil)
	return time.Since(time.Now())
}
`, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	got := source{pkg: "x", name: "x.go", ast: f, fset: fset}.chance()
	for i, want := range []string{"import of os", "a goroutine", "a select", "rand.Intn", "time.Since", "time.Now"} {
		if i >= len(got) || !strings.Contains(got[i], want) {
			t.Fatalf("got %q, want %q at %d", got, want, i)
		}
	}
}
