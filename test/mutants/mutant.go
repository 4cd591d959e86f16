package mutants

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Mutant is a planted fault.
type Mutant struct {
	Name string
	Area string // one of Areas
	File string // from the root of the module, with slashes
	Old  string // occurs exactly once in File
	New  string

	// Killers are the checkers of the simulator that are expected to see it
	// first; with By, unused.
	Killers []string
	Mixed   bool   // lives the clusters that have Tarantools among them
	By      string // "package TestName": another test kills it
	Quick   bool   // part of the sample that CI runs
}

// Areas are the parts of the system that a fault is planted in.
var Areas = []string{"elections", "votes", "joins", "membership", "quorums", "claims", "rejoin", "limbo", "handover", "agents", "history", "forwarding", "transactions", "procedures", "embedding", "filters", "sessions", "relay", "store", "reads", "clients", "audit"}

// All are the mutants, area by area.
func All() (all []Mutant) {
	for _, m := range [][]Mutant{elections, votes, joins, membership, quorums, claims, rejoin, limboRules, handover, agents, history, forward, transactions, procedures, embedding, filters, sessions, relay, store, reads, clients, auditing} {
		all = append(all, m...)
	}
	return all
}

// Apply gives the file's text with the fault.
func (m *Mutant) Apply(text []byte) ([]byte, error) {
	if n := bytes.Count(text, []byte(m.Old)); n != 1 {
		return nil, fmt.Errorf("mutant %s: its old text occurs %d times in %s, want 1", m.Name, n, m.File)
	}
	return bytes.Replace(text, []byte(m.Old), []byte(m.New), 1), nil
}

// overlay writes the changed file to dir, and the file that tells a build to
// take it for the other: nothing is copied but one file.
func (m *Mutant) overlay(root, dir string) (path string, err error) {
	file := filepath.Join(root, filepath.FromSlash(m.File))
	text, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	if text, err = m.Apply(text); err != nil {
		return "", err
	}
	changed := filepath.Join(dir, "changed.go")
	if err := os.WriteFile(changed, text, 0o600); err != nil {
		return "", err
	}
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: changed}})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, replace, 0o600)
}

// expects tells whether a checker is one of those that should see it.
func (m *Mutant) expects(checker string) bool {
	return m.By != "" || slices.Contains(m.Killers, checker)
}

// Root finds the module's directory above the working directory.
func Root() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		up := filepath.Dir(dir)
		if up == dir {
			break
		}
		dir = up
	}
	return "", fmt.Errorf("no go.mod above the working directory")
}
