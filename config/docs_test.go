package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestDocs keeps docs/configuration.md true: it names every option that is
// served, with its default, and no other.
func TestDocs(t *testing.T) {
	data, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_.]+)` \\|([^|]*)\\|").FindAllStringSubmatch(string(data), -1) {
		documented[m[1]] = strings.Trim(m[2], "` ")
	}
	schema.walk(nil, func(path []string, n *node) {
		if n.unserved != served {
			return
		}
		name := strings.Join(path, ".")
		def, ok := documented[name]
		for up := len(path) - 1; !ok && up > 1; up-- { // a section may stand for its options
			name, def = strings.Join(path[:up], "."), n.def
			_, ok = documented[name]
		}
		if !ok {
			t.Errorf("%s is not documented", strings.Join(path, "."))
			return
		}
		if n.hasDef && def != n.def && !(n.def == "1000000000000000000" && def == "10^18") {
			t.Errorf("%s: documented default %q, it is %q", name, def, n.def)
		}
	})
	for name := range documented {
		if n, _ := schema.lookup(strings.Split(name, ".")); n == nil {
			t.Errorf("%s is documented and no option", name)
		}
	}
}
