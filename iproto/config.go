package iproto

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"time"

	"tarragon.dev/tarragon/internal/perm"
	"tarragon.dev/tarragon/xrow"
)

// Config is fixed before the first connection. A zero field means its default.
type Config struct {
	Version      string        // of the greeting; required, "X.Y.Z" with or without a suffix
	InstanceUUID string        // of the greeting; required
	Hub          *Hub          // watchable keys; required
	Pagination   bool          // the backend serves FETCH_POSITION, AFTER_POSITION and AFTER_TUPLE
	Streams      bool          // the backend serves streams and transactions in them
	SocketMode   fs.FileMode   // of the files of unix sockets; 0600
	MaxInFlight  int           // requests of one connection that wait for the node; 768, as net_msg_max
	AnswerMemory int           // bytes of all answers that have not left; one may have half of it; 512 MiB
	SlowTimeout  time.Duration // time for 256 KiB of output to leave, and for which reads wait for room; 30s
	AuthMethod   string        // that ID announces where nobody can read along; MethodChapSHA1. All are taken
	Limits       Limits
	Trace        Trace
	// Member says whether who has shown a certificate may come as a member of the replica set: as
	// a user that Limits.Reserved names, or with a request of replication; without a certificate
	// nobody may. nil: TLS says nothing about members.
	Member func(*x509.Certificate) error
}

// Trace is told what happens to connections; nil functions are not called.
// They are called by many goroutines.
type Trace struct {
	Opened   func(c *Conn)
	Closed   func(c *Conn, cause error)
	BadBytes func(c *Conn, err error) // a frame that was no request; the client got an error
	Accept   func(addr net.Addr, err error)
	Guessed  func(Guesses)       // logins failed; once a second at most, of all that did since
	Turned   func(from net.Addr) // a connection was closed at once: there are too many
	// Handshakes of TLS failed; once a second at most, of all that did since.
	Handshakes func(Handshakes)
	// LoggedIn is told how each login has ended; nil: well.
	LoggedIn func(c *Conn, user string, err *xrow.Error)
	// Denied is told of each request that was refused for want of a right, perhaps under
	// locks of the connection: it waits for nothing.
	Denied func(c *Conn, err *xrow.Error)
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if _, ok := VersionNumber(c.Version); !ok || len(c.Version) >= 20 {
		errs = append(errs, fmt.Errorf("iproto: version %q: want X.Y.Z with at most 19 bytes", c.Version))
	}
	if len(c.InstanceUUID) != 36 {
		errs = append(errs, fmt.Errorf("iproto: instance UUID %q", c.InstanceUUID))
	}
	if c.Hub == nil {
		errs = append(errs, errors.New("iproto: no hub"))
	}
	if c.SocketMode == 0 {
		c.SocketMode = perm.Socket
	}
	if c.MaxInFlight <= 0 {
		c.MaxInFlight = 768
	}
	if c.AnswerMemory <= 0 {
		c.AnswerMemory = defaultAnswerMemory
	}
	if c.AuthMethod == "" {
		c.AuthMethod = MethodChapSHA1
	}
	if c.SlowTimeout <= 0 {
		c.SlowTimeout = 30 * time.Second
	}
	c.Limits = c.Limits.withDefaults()
	return c, errors.Join(errs...)
}
