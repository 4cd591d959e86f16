package tlsconf

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
)

// suites is what ssl_ciphers allows.
type suites struct {
	ids []uint16 // of TLS 1.2; nil: those of crypto/tls
	max uint16   // the newest version; 0: any
}

// suiteNames are OpenSSL's names for the suites of TLS 1.2 that crypto/tls holds to be
// good.
var suiteNames = map[string]uint16{
	"ECDHE-ECDSA-AES256-GCM-SHA384": tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-RSA-AES256-GCM-SHA384":   tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	"ECDHE-ECDSA-CHACHA20-POLY1305": tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-RSA-CHACHA20-POLY1305":   tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	"ECDHE-ECDSA-AES128-GCM-SHA256": tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-RSA-AES128-GCM-SHA256":   tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	"ECDHE-ECDSA-AES256-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA,
	"ECDHE-RSA-AES256-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	"ECDHE-ECDSA-AES128-SHA":        tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA,
	"ECDHE-RSA-AES128-SHA":          tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
}

// newSuites are those of TLS 1.3, which crypto/tls chooses among by itself.
var newSuites = []string{"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}

// parseCiphers reads a list. A list without suites of TLS 1.3 asks for one of its own,
// so it ends at TLS 1.2, which is all that Tarantool speaks. A name that is not served is a
// mistake: OpenSSL passes over it, and what is left may be anything.
func parseCiphers(list string) (s suites, err error) {
	if list == "" {
		return s, nil
	}
	var errs []error
	named := map[string]bool{}
	for _, name := range strings.Split(list, ":") {
		id, known := suiteNames[name]
		switch {
		case known:
			s.ids = append(s.ids, id)
		case strings.HasPrefix(name, "TLS_"):
			named[name] = true
		default:
			errs = append(errs, fmt.Errorf("cipher suite %q: %s", name, whyNot(name)))
		}
	}
	all := 0
	for _, name := range newSuites {
		if named[name] {
			all++
			delete(named, name)
		}
	}
	for name := range named {
		errs = append(errs, fmt.Errorf("cipher suite %q: %s", name, whyNot(name)))
	}
	switch all {
	case 0:
		s.max = tls.VersionTLS12
	case len(newSuites):
	default:
		errs = append(errs, fmt.Errorf("those of TLS 1.3 cannot be chosen among: name all of %s, or none", strings.Join(newSuites, ", ")))
	}
	if len(errs) == 0 && s.ids == nil {
		errs = append(errs, errors.New("a cipher suite of TLS 1.2 is needed, too"))
	}
	return s, errors.Join(errs...)
}

func whyNot(name string) string {
	switch {
	case strings.Contains(name, "GOST") || strings.Contains(name, "KUZNYECHIK") || strings.Contains(name, "MAGMA"):
		return "GOST is not served"
	case strings.HasPrefix(name, "DHE-"):
		return "DHE is not served, ECDHE is"
	case strings.HasPrefix(name, "AES"):
		return "without ECDHE a key that is stolen opens what was recorded before: not served"
	case strings.HasSuffix(name, "-SHA256") || strings.HasSuffix(name, "-SHA384"):
		return "CBC with SHA-2 is not served, GCM is"
	}
	return "not known; a name of OpenSSL's is expected, as in ECDHE-RSA-AES256-GCM-SHA384"
}
