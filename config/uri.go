package config

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"tarragon.dev/tarragon/internal/tlsconf"
)

// URI is an address of an instance, in one of these spellings:
//
//	3301
//	host:3301, [::1]:3301, host:name-of-a-service
//	/path/to/socket, unix/:/path/to/socket, unix:///path/to/socket
//
// each with login:password@ before it where a login is allowed, and a scheme
// before that (tcp://), which says nothing, as in Tarantool (lib/uri). A zero
// URI is no address.
type URI struct {
	Login    string
	Password string
	Host     string // empty: any address (to listen), this machine (to connect)
	Port     string
	Unix     string // path of a socket; then Host and Port are empty

	// TLS is with what to listen, or for who dials, with what to dial; nil: without TLS. It is no
	// part of the spelling.
	TLS *tlsconf.Files
}

// IsZero reports whether u names no address.
func (u URI) IsZero() bool { return u.Port == "" && u.Unix == "" }

// Network is the network's name for net.Dial and net.Listen.
func (u URI) Network() string {
	if u.Unix != "" {
		return "unix"
	}
	return "tcp"
}

// Address is the address for net.Dial and net.Listen, without the login.
func (u URI) Address() string {
	if u.Unix != "" {
		return u.Unix
	}
	if strings.Contains(u.Host, ":") {
		return "[" + u.Host + "]:" + u.Port
	}
	return u.Host + ":" + u.Port
}

// String is the URI without its password, as box.info shows it.
func (u URI) String() string {
	addr := u.Address()
	if u.Unix != "" {
		addr = "unix/:" + u.Unix
	}
	if u.Login != "" {
		return u.Login + "@" + addr
	}
	return addr
}

// ParseURI reads one URI.
func ParseURI(text string) (URI, error) {
	bad := fmt.Errorf("bad URI %q: expected host:service or /unix.socket", redact(text))
	var u URI
	rest := withoutScheme(text)
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		login, password, _ := strings.Cut(rest[:i], ":")
		var err1, err2 error
		u.Login, err1 = url.PathUnescape(login)
		u.Password, err2 = url.PathUnescape(password)
		if u.Login == "" || err1 != nil || err2 != nil {
			return URI{}, bad
		}
		rest = rest[i+1:]
	}
	if strings.ContainsRune(rest, '?') {
		return URI{}, textf("URI parameters should be described in the 'params' field, not as the part of URI")
	}
	if strings.ContainsAny(rest, ", \t\n\x00") {
		if strings.ContainsRune(rest, ',') {
			return URI{}, textf("A single URI is expected, not a list of URIs")
		}
		return URI{}, bad
	}
	if path, ok := strings.CutPrefix(rest, "unix/:"); ok {
		rest = path
		if !strings.HasPrefix(rest, "/") && !strings.HasPrefix(rest, ".") {
			return URI{}, bad
		}
		if !strings.HasPrefix(rest, "/") && !strings.HasPrefix(rest, "./") {
			rest = "./" + rest // as Address must be read again
		}
		u.Unix = rest
		return u, nil
	}
	if strings.HasPrefix(rest, "/") || strings.HasPrefix(rest, "./") {
		u.Unix = rest
		return u, nil
	}
	if isPort(rest) {
		u.Port = rest
		return u, nil
	}
	i := strings.LastIndexByte(rest, ':')
	if i < 0 || !isPort(rest[i+1:]) && !isService(rest[i+1:]) {
		return URI{}, bad
	}
	host := rest[:i]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		host, ok = strings.CutSuffix(inner, "]")
		if !ok || !strings.Contains(host, ":") {
			return URI{}, bad
		}
	} else if strings.Contains(host, ":") {
		return URI{}, bad
	}
	if strings.ContainsAny(host, "[]/@") {
		return URI{}, bad
	}
	u.Host, u.Port = host, rest[i+1:]
	return u, nil
}

// redact hides a password in a text that may be a URI.
func redact(text string) string {
	i := strings.LastIndexByte(text, '@')
	if i < 0 {
		return text
	}
	login, _, had := strings.Cut(text[:i], ":")
	if !had {
		return text
	}
	return login + ":***" + text[i:]
}

func isPort(text string) bool {
	n, err := strconv.ParseUint(text, 10, 16)
	return err == nil && strconv.FormatUint(n, 10) == text
}

// isService is whether a text may be the name of a service of /etc/services.
func isService(text string) bool {
	for i := 0; i < len(text); i++ {
		if !isLetter(text[i]) {
			return false
		}
	}
	return text != ""
}

// withoutScheme cuts off what stands before "://".
func withoutScheme(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || scheme == "" || !isLetter(scheme[0]) {
		return text
	}
	for i := 0; i < len(scheme); i++ {
		if c := scheme[i]; !isLetter(c) && !isDigit(c) && c != '+' && c != '-' && c != '.' {
			return text
		}
	}
	return rest
}

// isHost is whether a text may be a host without a port. Nobody can connect to
// that, but Tarantool takes it where it is only told to clients.
func isHost(text string) bool {
	host := withoutScheme(text)
	for i := 0; i < len(host); i++ {
		if c := host[i]; !isLetter(c) && !isDigit(c) && c != '-' && c != '_' && c != '~' && c != '.' {
			return false
		}
	}
	return host != "" && host[0] != '.'
}

// dialable says why nobody can connect to u, or nil.
func (u URI) dialable() error {
	switch {
	case u.Unix != "":
		return nil
	case u.Host == "0.0.0.0":
		return textf("INADDR_ANY (0.0.0.0) cannot be used to create a client socket")
	case u.Host == "::":
		return fmt.Errorf("in6addr_any (::) cannot be used to create a client socket")
	case u.Port == "0":
		return textf("An URI with zero port cannot be used to create a client socket")
	}
	return nil
}
