package router

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"tarragon.dev/tarragon/iproto"

	"github.com/rs/zerolog"
)

// Instance is where the router finds an instance.
type Instance struct {
	Name     string
	Addr     string
	Login    string // of the router's own account there
	Password string
	Anon     bool // it is no member
	// Dial connects where the instance is in this process; nil: by Addr.
	Dial   func(ctx context.Context) (*iproto.Client, error)
	Secure iproto.Secure
}

// Config is fixed before Run. A zero field means its default.
type Config struct {
	Version   string     // of the greeting; required
	UUID      string     // of the greeting; required
	Instances []Instance // required: whoever is not there is not routed to

	// Addresses to listen on; a port without one is off.
	RW, RO     []string
	HTTP       []string    // of health checks
	TLS        *tls.Config // of the ports RW and RO; nil: without TLS
	AuthMethod string      // see iproto.Config
	HTTPTLS    *tls.Config // of HTTP
	Self       string      // the name of the instance that the router is in, which health checks are about; empty: it is in none

	HoldTime     time.Duration // how long a request waits for an instance that takes it; 10s
	HoldBytes    int64         // of all requests that wait; 64 MiB
	ReaderMaxLag time.Duration // of a reader of the port ro; 10s. Negative: any
	// ConsensusTimeout is how long ports lead somewhere though most members believe in no
	// leader, as far as the router hears. 0: for ever; negative: not at all.
	ConsensusTimeout time.Duration
	OwnWrites        bool              // what comes in by the port ro shows all that the user's clients had answers to before, by this router
	NoLeaderReads    bool              // the port ro never goes to the leader
	NoNumbers        bool              // writes are sent once: one that was on its way when a leader was lost is unknown
	Backends         int               // connections to an instance for a user that clients share; 8
	MaxBackends      int               // connections to instances, all together; 1024
	ConnectTimeout   time.Duration     // for a connection with its login; 3s
	SlowTimeout      time.Duration     // for 256 KiB to be taken by a client or an instance; 30s
	PollInterval     time.Duration     // between questions to instances; 250ms
	SilenceLimit     time.Duration     // an instance that answers nothing for so long is given up; 2s
	SocketMode       fs.FileMode       // of unix sockets; 0600
	AnswerMemory     int               // bytes of answers that clients have not read; 512 MiB
	Limits           iproto.Limits     // of connections, for each port
	MetricLabels     map[string]string // of all figures at /metrics
	Log              zerolog.Logger
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if len(c.Instances) == 0 {
		errs = append(errs, errors.New("router: no instances"))
	}
	for _, in := range c.Instances {
		if in.Addr == "" {
			errs = append(errs, fmt.Errorf("router: instance %q has no address", in.Name))
		}
	}
	if len(c.RW)+len(c.RO)+len(c.HTTP) == 0 {
		errs = append(errs, errors.New("router: no port to listen on"))
	}
	set := func(d *time.Duration, def time.Duration) {
		if *d == 0 {
			*d = def
		}
	}
	set(&c.HoldTime, 10*time.Second)
	set(&c.ReaderMaxLag, 10*time.Second)
	set(&c.ConnectTimeout, 3*time.Second)
	set(&c.SlowTimeout, 30*time.Second)
	set(&c.PollInterval, 250*time.Millisecond)
	set(&c.SilenceLimit, 2*time.Second)
	if c.HoldBytes <= 0 {
		c.HoldBytes = 64 << 20
	}
	if c.Backends <= 0 {
		c.Backends = 8
	}
	if c.MaxBackends <= 0 {
		c.MaxBackends = 1024
	}
	return c, errors.Join(errs...)
}
