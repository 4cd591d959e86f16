package iproto

import (
	"tarragon.dev/tarragon/internal/mp"
	"tarragon.dev/tarragon/xrow"
)

// handleID answers with our features and remembers the client's.
func (c *Conn) handleID() *xrow.Error {
	q := &c.body
	if q.shape != bodyMap {
		return errMsgpack("request body")
	}
	features, ok := decodeFeatures(q.features)
	if !ok {
		return errMsgpack("request body")
	}
	c.features = features
	c.out.B = appendID(c.out.B, c.head.sync, c.srv.logins.SchemaVersion(), c.srv.features(), c.method())
	return nil
}

// decodeFeatures reads a raw array of numbers; nil: an empty set.
func decodeFeatures(b []byte) (set Features, ok bool) {
	if b == nil {
		return 0, true
	}
	count, n, ok := mp.ReadArrayHeader(b)
	for range count {
		f, size, isUint := mp.ReadUint(b[n:])
		if !isUint {
			return 0, false
		}
		set = set.With(Feature(f))
		n += size
	}
	return set, ok
}

// features is what the server really does.
func (s *Server) features() Features {
	f := Features(0).With(FeatureErrorExtension).With(FeatureWatchers).With(FeatureNames).With(FeatureWatchOnce)
	if s.cfg.Pagination {
		f = f.With(FeaturePagination)
	}
	if s.cfg.Streams {
		f = f.With(FeatureStreams).With(FeatureTransactions).With(FeatureIsSync)
	}
	if s.backend != nil && s.backend.TakesNumbers() {
		f = f.With(FeatureSessions)
	}
	return f
}

// guestName is the user of a session that has not logged in.
const guestName = "guest"

// handleAuth logs the session in. After a failure it goes on as it was.
func (c *Conn) handleAuth() *xrow.Error {
	q := &c.body
	if e := q.checkBody(); e != nil {
		return e
	}
	if !q.present(xrow.KeyUserName) {
		return errMissing("USER_NAME")
	}
	if q.tuple == nil {
		return errMissing("TUPLE")
	}
	if e := c.srv.logins.Ready(); e != nil {
		return e
	}
	guest := string(q.user) == guestName
	if count, _, _ := mp.ReadArrayHeader(q.tuple); !guest || count != 0 {
		passes, e := c.decodeAuth(q.tuple)
		if e != nil {
			return e
		}
		user, e := c.checkPassword(q.user, passes)
		if e == nil {
			e = c.login(user, q.user, xrow.MaxFrame)
		}
		c.rest()
		if e == nil {
			c.ok()
		}
		return e
	}
	user, _, ok := c.srv.logins.User(q.user)
	if !ok {
		return xrow.Errorf(xrow.ErrCredsMismatch)
	}
	if e := c.login(user, q.user, MaxFrameBeforeAuth); e != nil {
		return e
	}
	c.ok()
	return nil
}

// login switches the session to a user.
func (c *Conn) login(user User, name []byte, maxFrame int) *xrow.Error {
	if err := c.srv.logins.CanLogin(user); err != nil {
		return asError(err)
	}
	if c.srv.gate.limits.Reserved(string(name)) {
		if e := c.provesMember(); e != nil {
			return e
		}
	}
	if e := c.srv.gate.login(c, user, string(name)); e != nil {
		c.srv.meter.add(countTurned, 1)
		return e
	}
	c.known.Store(string(name) != guestName)
	c.user.Store(uint64(user))
	c.loggedIn.Store(uint64(user))
	c.stay() // somebody may have dropped the user since, and have found nobody to send away
	c.maxFrame = maxFrame
	return nil
}

// decodeAuth reads a raw [method, proof], which was found well-formed: passes tells whether the proof is one
// for a hash.
func (c *Conn) decodeAuth(b []byte) (passes func(hash []byte) bool, e *xrow.Error) {
	count, n, _ := mp.ReadArrayHeader(b)
	if count < 2 {
		return nil, errMsgpack("authentication request body")
	}
	method, size, ok := mp.ReadString(b[n:])
	if !ok {
		return nil, errMsgpack("authentication request body")
	}
	proof, text := readText(b[n+size:])
	switch string(method) {
	case MethodChapSHA1:
		switch {
		case !text:
			return nil, errAuthRequest(MethodChapSHA1, "scramble must be string")
		case len(proof) != HashSize:
			return nil, errAuthRequest(MethodChapSHA1, "invalid scramble size")
		}
		return func(hash []byte) bool { return checkScramble(proof, &c.salt, hash) }, nil
	case MethodPapSHA256:
		switch {
		case !c.private():
			return nil, xrow.Errorf(xrow.ErrUnsupported, "Authentication method 'pap-sha256'", "unencrypted connection")
		case !text:
			return nil, errAuthRequest(MethodPapSHA256, "password must be string")
		}
		return func(hash []byte) bool { return checkPlain(proof, hash) }, nil
	}
	return nil, xrow.Errorf(xrow.ErrUnknownAuthMethod, string(method))
}

// method is the way to log in that is announced.
func (c *Conn) method() string {
	if c.private() {
		return c.srv.cfg.AuthMethod
	}
	return MethodChapSHA1
}

// private tells whether nobody in between can read what is said.
func (c *Conn) private() bool { return c.tls != nil || c.inside() }

func errAuthRequest(method, details string) *xrow.Error {
	return xrow.Errorf(xrow.ErrInvalidAuthRequest, method, details)
}

// readText reads a str or a bin of a value that was found well-formed.
func readText(b []byte) ([]byte, bool) {
	switch mp.KindOf(b[0]) {
	case mp.Str:
		s, _, ok := mp.ReadString(b)
		return s, ok
	case mp.Bin:
		n, ok := skip(b)
		return b[1+1<<(b[0]-0xc4) : n], ok
	}
	return nil, false
}

func (c *Conn) handleWatch(t xrow.Type) *xrow.Error {
	q, hub := &c.body, c.srv.cfg.Hub
	if e := q.checkBody(); e != nil {
		return e
	}
	if !q.present(xrow.KeyEventKey) {
		return errMissing("EVENT_KEY")
	}
	switch t {
	case xrow.Watch:
		e := hub.watch(c, q.event, c.head.sync)
		c.Flush()
		return e
	case xrow.Unwatch:
		hub.unwatch(c, q.event)
		return nil
	}
	value := hub.Value(string(q.event))
	count := uint32(0)
	if value != nil {
		count = 1
	}
	at := c.begin()
	c.out.B = appendDataKey(c.out.B, count)
	c.out.B = endFrame(append(c.out.B, value...), at)
	return nil
}
