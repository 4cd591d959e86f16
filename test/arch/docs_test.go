package arch

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	cited    = regexp.MustCompile(`[\w./-]*\w\.md\b(#[\w-]+)?`)
	decision = regexp.MustCompile(`\bdecisions?[ /](\d{4})\b`)
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	// What nobody but the author has: a page that is called by its kind.
	unknown = regexp.MustCompile(`(?i)\b(design|spec)\b[ \w.]*\bsections? \d`)
	code    = regexp.MustCompile("(?s)```.*?```")
	notSlug = regexp.MustCompile(`[^\w -]`)
)

// texts are the files of the repository in which something may be cited.
func texts(t *testing.T) map[string][]byte {
	t.Helper()
	out := map[string][]byte{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if rel != "." && (strings.HasPrefix(name, ".") || name == "bin" || name == "tarragon-data" || name == "fuzz") {
				return filepath.SkipDir
			}
			return nil
		}
		switch filepath.Ext(name) {
		case ".go", ".md", ".txt", ".sh", ".yaml", ".lua", ".mod":
		default:
			if name != "Makefile" {
				return nil
			}
		}
		if rel == "test/arch/docs_test.go" {
			return nil
		}
		data, err := os.ReadFile(file)
		out[filepath.ToSlash(rel)] = data
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// anchors are those that the headings of a page have, as forges make them.
func anchors(page []byte) map[string]bool {
	out := map[string]bool{}
	for _, line := range strings.Split(string(code.ReplaceAll(page, nil)), "\n") {
		heading := strings.TrimLeft(line, "#")
		if !strings.HasPrefix(line, "#") || !strings.HasPrefix(heading, " ") {
			continue
		}
		slug := notSlug.ReplaceAllString(strings.ToLower(strings.TrimSpace(heading)), "")
		out[strings.ReplaceAll(slug, " ", "-")] = true
	}
	return out
}

// A page that code or another page names is in the repository, and so is the
// heading where one is named; pages of the design, or of Tarantool's own, are not.
func TestCitedPages(t *testing.T) {
	all := texts(t)
	check := func(from, ref string) {
		page, anchor, _ := strings.Cut(ref, "#")
		found := ""
		for _, name := range []string{path.Join(path.Dir(from), page), path.Clean(page)} {
			if _, ok := all[name]; ok || page == "" {
				found = name
				break
			}
		}
		if page == "" {
			found = from
		}
		switch {
		case found == "":
			if info, err := os.Stat(filepath.Join(root, path.Dir(from), page)); err != nil || !info.IsDir() && strings.HasSuffix(page, ".md") {
				t.Errorf("%s cites %s, which is not there", from, page)
			}
		case anchor != "" && strings.HasSuffix(found, ".md") && !anchors(all[found])[anchor]:
			t.Errorf("%s cites %s: the page has no such heading", from, ref)
		}
	}
	decisions := map[string]bool{}
	for name := range all {
		if path.Dir(name) == "docs/decisions" {
			decisions[path.Base(name)[:4]] = true
		}
	}
	for name, data := range all {
		for _, ref := range cited.FindAll(data, -1) {
			check(name, string(ref))
		}
		for _, n := range decision.FindAllSubmatch(data, -1) {
			if !decisions[string(n[1])] {
				t.Errorf("%s cites decision %s, which is not there", name, n[1])
			}
		}
		if m := unknown.Find(data); m != nil {
			t.Errorf("%s cites %q, which is not in the repository", name, m)
		}
		if !strings.HasSuffix(name, ".md") {
			continue
		}
		for _, l := range link.FindAllSubmatch(code.ReplaceAll(data, nil), -1) {
			if ref := string(l[1]); !strings.Contains(ref, "://") {
				check(name, ref)
			}
		}
	}
}

// Each page of docs is in its index.
func TestDocsIndex(t *testing.T) {
	all := texts(t)
	index := all["docs/README.md"]
	for name := range all {
		page, ok := strings.CutPrefix(name, "docs/")
		if !ok || page == "README.md" || path.Dir(page) == "decisions" {
			continue
		}
		if !bytes.Contains(index, []byte("]("+page+")")) {
			t.Errorf("docs/README.md does not list %s", name)
		}
	}
}
