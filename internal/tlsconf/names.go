package tlsconf

import (
	"crypto/x509"
	"fmt"
	"strings"
)

// AnyName in a list of names allows every certificate that the CA has signed.
const AnyName = "*"

// Names are those of which a certificate must have one. A name that begins with "*."
// stands for all that have one word in place of the star.
type Names []string

// Allow tells why a certificate has none of the names; nil: it has one.
func (n Names) Allow(c *x509.Certificate) error {
	has := NamesOf(c)
	for _, want := range n {
		if want == AnyName {
			return nil
		}
		for _, name := range has {
			if matches(want, name) {
				return nil
			}
		}
	}
	return fmt.Errorf("the certificate is that of %s, which is none of %s", listed(has), listed(n))
}

func matches(want, name string) bool {
	if rest, ok := strings.CutPrefix(want, "*."); ok {
		_, domain, found := strings.Cut(name, ".")
		return found && strings.EqualFold(domain, rest)
	}
	return strings.EqualFold(want, name)
}

func listed(names []string) string {
	if len(names) == 0 {
		return "nobody"
	}
	return strings.Join(names, ", ")
}

// NamesOf are the names that a certificate speaks for: its common name, and the DNS
// names, addresses and URIs of its subjectAltName.
func NamesOf(c *x509.Certificate) (out []string) {
	if c.Subject.CommonName != "" {
		out = append(out, c.Subject.CommonName)
	}
	for _, name := range c.DNSNames {
		if name != c.Subject.CommonName {
			out = append(out, name)
		}
	}
	for _, ip := range c.IPAddresses {
		out = append(out, ip.String())
	}
	for _, u := range c.URIs {
		out = append(out, u.String())
	}
	return out
}
