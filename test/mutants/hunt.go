package mutants

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Hunt is how a mutant is looked for.
type Hunt struct {
	Root  string
	First uint64 // seed
	Seeds int    // that many are lived until one fails
	Rate  int    // the first of them are lived all, for the rate
	Procs int
}

// Trophy is what a hunt brought home.
type Trophy struct {
	Mutant  Mutant
	Checker string // that saw it first; "": it survived
	Seed    uint64 // of the first failure
	Killed  int    // of the first Lived seeds
	Lived   int
	Text    string // of the first failure
}

// Run builds the mutant and hunts it.
func (h *Hunt) Run(ctx context.Context, m Mutant) (Trophy, error) {
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return Trophy{}, err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(h.Root, dir)
	if err != nil {
		return Trophy{}, err
	}
	if m.By != "" {
		return h.test(ctx, m, overlay, dir)
	}
	bin := filepath.Join(dir, "live")
	if err := h.build(ctx, "build", overlay, bin, "./test/mutants/cmd/live"); err != nil {
		return Trophy{}, fmt.Errorf("mutant %s: %w", m.Name, err)
	}
	t := Trophy{Mutant: m, Lived: min(h.Rate, h.Seeds)}
	t.note(h.live(ctx, bin, m.Mixed, h.First, t.Lived, false))
	if t.Checker == "" && h.Seeds > t.Lived {
		killed := t.Killed
		t.note(h.live(ctx, bin, m.Mixed, h.First+uint64(t.Lived), h.Seeds-t.Lived, true))
		t.Killed = killed
	}
	return t, ctx.Err()
}

// Build makes the simulator with a mutant in it, to look at a life closely.
func (h *Hunt) Build(ctx context.Context, m Mutant, bin string) error {
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	overlay, err := m.overlay(h.Root, dir)
	if err != nil {
		return err
	}
	if bin, err = filepath.Abs(bin); err != nil {
		return err
	}
	return h.build(ctx, "build", overlay, bin, "./test/sim/cmd/sim")
}

func (t *Trophy) note(deaths []death) {
	t.Killed = len(deaths)
	for _, d := range deaths {
		if t.Checker == "" || d.seed < t.Seed {
			t.Seed, t.Checker, t.Text = d.seed, d.checker, d.text
		}
	}
}

func (h *Hunt) build(ctx context.Context, args ...string) error {
	verb, overlay, bin, pkg := args[0], args[1], args[2], args[3]
	c := []string{verb, "-overlay", overlay, "-o", bin, pkg}
	if verb == "test" {
		c = []string{verb, "-c", "-overlay", overlay, "-o", bin, pkg}
	}
	cmd := exec.CommandContext(ctx, "go", c...)
	cmd.Dir = h.Root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("it does not build: %w\n%s", err, out)
	}
	return nil
}

// test runs the one test that has to fail.
func (h *Hunt) test(ctx context.Context, m Mutant, overlay, dir string) (Trophy, error) {
	pkg, name, _ := strings.Cut(m.By, " ")
	bin := filepath.Join(dir, "run")
	if err := h.build(ctx, "test", overlay, bin, "./"+pkg); err != nil {
		return Trophy{}, fmt.Errorf("mutant %s: %w", m.Name, err)
	}
	run := exec.CommandContext(ctx, bin, "-test.run", "^"+name+"$", "-test.timeout", "2m")
	run.Dir = filepath.Join(h.Root, filepath.FromSlash(pkg))
	out, err := run.CombinedOutput()
	t := Trophy{Mutant: m, Lived: 1}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		t.Checker, t.Killed, t.Text = "`"+pkg+"` "+name, 1, string(out)
	case err != nil:
		return t, err
	case strings.Contains(string(out), "no tests to run"):
		return t, fmt.Errorf("mutant %s: package %s has no test %s", m.Name, pkg, name)
	}
	return t, nil
}

// death is a seed that failed.
type death struct {
	seed    uint64
	checker string
	text    string
}

// live lets processes live seeds, each every Procs'th one. With first, they
// stop at a failure; the least seed that fails is still found: each goes on to
// the seeds below the one that failed elsewhere.
func (h *Hunt) live(ctx context.Context, bin string, mixed bool, from uint64, count int, first bool) (deaths []death) {
	var all sync.WaitGroup
	var lock sync.Mutex
	end := from + uint64(count) // guarded by lock; falls to the least seed that failed
	for p := range h.Procs {
		all.Go(func() {
			seed := from + uint64(p)
			more := func() bool {
				lock.Lock()
				defer lock.Unlock()
				return seed < end && ctx.Err() == nil
			}
			for more() {
				h.process(ctx, bin, mixed, seed, from+uint64(count), func(d death) bool {
					seed = d.seed + uint64(h.Procs)
					lock.Lock()
					if d.checker != "" {
						deaths = append(deaths, d)
						if first {
							end = min(end, d.seed)
						}
					}
					lock.Unlock()
					return more()
				})
			}
		})
	}
	all.Wait()
	return deaths
}

// process lives seeds in one process until it ends or is told to stop. What a
// process dies of is laid on the seed that it was at.
func (h *Hunt) process(ctx context.Context, bin string, mixed bool, seed, end uint64, tell func(death) bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, "-seed", fmt.Sprint(seed), "-end", fmt.Sprint(end), "-step", fmt.Sprint(h.Procs), fmt.Sprintf("-mixed=%v", mixed))
	cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		tell(death{seed, "not started", err.Error()})
		return
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		d := death{seed: seed}
		if _, text, failed := strings.Cut(lines.Text(), "\t"); failed {
			d.checker, d.text, _ = strings.Cut(text, "\t")
		}
		seed += uint64(h.Procs)
		if !tell(d) {
			cancel()
			_, _ = io.Copy(io.Discard, out)
			break
		}
	}
	if err := cmd.Wait(); err != nil && ctx.Err() == nil {
		tell(death{seed, "process", err.Error() + "\n" + stderr.String()})
	}
}
