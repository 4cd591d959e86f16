package sim

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"testing"
)

var rewriteLives = flag.Bool("rewrite", false, "TestSeeds and TestMixed write testdata/lives and testdata/mixed anew")

// checkLives holds the digests of lives against a file of testdata, a line for
// each seed: a change of the code that should change no behaviour changes none of
// them. One that should, writes the file anew with -rewrite, and says so.
func checkLives(t *testing.T, file string, results []Result) {
	t.Helper()
	path := "testdata/" + file
	if *rewriteLives {
		writeLives(t, path, results)
		return
	}
	want := readLives(t, path)
	differ := 0
	for _, r := range results {
		if hash, ok := want[r.Seed]; ok && hash != r.Hash {
			if differ++; differ <= 5 {
				t.Errorf("seed %d lives another life: %016x, %s has %016x", r.Seed, r.Hash, path, hash)
			}
		}
	}
	if differ > 0 {
		t.Errorf("%d of %d lives differ from %s; if that is meant, write it anew with -rewrite", differ, len(results), path)
	}
}

func writeLives(t *testing.T, path string, results []Result) {
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range results {
		fmt.Fprintf(f, "%d %016x\n", r.Seed, r.Hash)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

func readLives(t *testing.T, path string) map[uint64]uint64 {
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	lives := map[uint64]uint64{}
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var seed, hash uint64
		if _, err := fmt.Sscanf(lines.Text(), "%d %x", &seed, &hash); err != nil {
			t.Fatalf("%s: %q: %v", path, lines.Text(), err)
		}
		lives[seed] = hash
	}
	return lives
}
