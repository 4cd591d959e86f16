package docs

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"tarragon.dev/tarragon/internal/cluster"
)

var block = regexp.MustCompile("(?ms)^```sh run\n(.*?)^```$")

// script is the blocks of a page as one program; empty: it has none.
func script(page string) string {
	var b strings.Builder
	for i, m := range block.FindAllStringSubmatch(page, -1) {
		fmt.Fprintf(&b, "echo \"== block %d\"\n%s", i+1, m[1])
	}
	if b.Len() == 0 {
		return ""
	}
	return "set -eu\n" + b.String()
}

func TestScript(t *testing.T) {
	page := "text\n```sh run\none\n```\n```sh\nnot this\n```\n```sh run\ntwo\n```\n"
	if got, want := script(page), "set -eu\necho \"== block 1\"\none\necho \"== block 2\"\ntwo\n"; got != want {
		t.Errorf("%q", got)
	}
	if got := script("text\n```sh\nnot this\n```\n"); got != "" {
		t.Errorf("%q", got)
	}
}

// build compiles the programs that blocks may name.
func build(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	cmd := exec.Command("go", "build", "-o", dir, "./cmd/tarragon", "./examples/load")
	cmd.Dir = "../.."
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return dir
}

func TestPages(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes for seconds")
	}
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatal(pages, err)
	}
	bin, ran := "", 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		program := script(string(text))
		if program == "" {
			continue
		}
		if ran++; bin == "" {
			bin = build(t)
		}
		t.Run(filepath.Base(page), func(t *testing.T) { run(t, bin, program) })
	}
	if ran == 0 {
		t.Error("no page has a block to run")
	}
}

func run(t *testing.T, bin, program string) {
	for _, port := range []string{"3301", "3302", "3303"} {
		addr, err := cluster.FreeAddr()
		if err != nil {
			t.Fatal(err)
		}
		program = strings.ReplaceAll(program, "127.0.0.1:"+port, addr)
	}
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", program)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := os.Create(filepath.Join(dir, "said"))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = out, out // a file: what a block leaves behind may hold it open
	err = cmd.Start()
	if err == nil {
		kill := func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
		hangs := time.AfterFunc(5*time.Minute, kill) // it takes seconds; what hangs would leave its processes to whoever comes next
		err = cmd.Wait()
		hangs.Stop()
		kill() // what a block that failed has left
	}
	if err == nil {
		return
	}
	logs, _ := filepath.Glob(filepath.Join(dir, "*.out"))
	for _, name := range append(logs, out.Name()) {
		text, _ := os.ReadFile(name)
		t.Logf("%s:\n%s", filepath.Base(name), text)
	}
	t.Fatal(err)
}
