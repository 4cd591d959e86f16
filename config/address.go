package config

import (
	"strings"

	"tarragon.dev/tarragon/internal/tlsconf"
)

// address reads one URI of the configuration and reports what is wrong with it.
func (o *options) address(v *value, path string, login, dial bool) (URI, bool) {
	u, err := ParseURI(v.text)
	switch {
	case strings.HasPrefix(v.text, ":") && v.tag != "": // flags and variables may leave out the host
		o.mistake(v.where, path, "bad URI %q: expected host:service or /unix.socket", v.text)
		return URI{}, false
	case err != nil && u.IsZero():
		o.mistake(v.where, path, "%v", err)
		return URI{}, false
	case u.Login != "" && login:
		o.mistake(v.where, path, "Login must be set via the 'login' option")
		return URI{}, false
	case u.Login != "":
		o.mistake(v.where, path, "Login cannot be set for as part of the URI")
		return URI{}, false
	}
	if dial {
		if err := u.dialable(); err != nil {
			o.mistake(v.where, path, "bad URI %q: %v", v.text, err)
			return URI{}, false
		}
	}
	return u, true
}

func (o *options) listen() []URI {
	var out []URI
	for i, item := range o.get("iproto.listen").list() {
		path := itemPath("iproto.listen", i)
		uri := item.at("uri")
		if uri == nil {
			o.mistake(item.where, path, "The URI is required for iproto.listen")
			continue
		}
		u, ok := o.address(uri, path+".uri", false, false)
		if !ok {
			continue
		}
		if u.Unix != "" {
			u.Unix = inDir(o.text("process.work_dir"), u.Unix)
		}
		for _, old := range out {
			if old.Address() == u.Address() {
				o.mistake(uri.where, path+".uri", "the address %s is there twice", u)
			}
		}
		u.TLS = o.listenTLS(item, path)
		out = append(out, u)
	}
	return out
}

// peerURI is how other instances connect: iproto.advertise.peer, its address
// by default the first of iproto.listen that one can connect to.
func (o *options) peerURI() URI {
	const path = peerPath
	adv := o.get(path)
	var u URI
	if adv != nil {
		switch {
		case len(adv.fields) == 0:
			o.mistake(adv.where, path, "An URI should have at least one field")
		case adv.at("password") != nil && adv.at("login") == nil:
			o.mistake(adv.where, path, "Password cannot be set without setting login")
		case adv.at("params") != nil && adv.at("uri") == nil:
			o.mistake(adv.where, path, "Params cannot be set without setting uri")
		}
	}
	if uri := adv.at("uri"); uri != nil {
		u, _ = o.address(uri, path+".uri", true, true)
	} else {
		u = o.firstDialable()
	}
	if u.IsZero() {
		return URI{}
	}
	u.TLS = o.dialTLS(o)
	u.Login = adv.at("login").str()
	u.Password = adv.at("password").str()
	if u.Login != "" && adv.at("password") == nil {
		u.Password = o.passwordOf(u.Login)
	}
	return u
}

func (o *options) firstDialable() URI {
	u, err := ParseURI(o.listenerOf(func(*value) bool { return true }).at("uri").str())
	if err != nil {
		return URI{}
	}
	if u.Unix != "" {
		u.Unix = inDir(o.text("process.work_dir"), u.Unix)
	}
	return u
}

// passwordOf looks up the password of a peer's login. guest has none.
func (o *options) passwordOf(login string) string {
	if login == "guest" {
		return ""
	}
	user := o.get("credentials.users").at(login)
	if user == nil {
		o.bad("iproto.advertise.peer.login", "Cannot find user %s in the config to use its password in a replication peer URI", login)
		return ""
	}
	return user.at("password").str()
}

func (o *options) clientURI() URI {
	v := o.get("iproto.advertise.client")
	if v == nil || isHost(v.text) && !isPort(v.text) {
		return URI{}
	}
	u, _ := o.address(v, "iproto.advertise.client", false, true)
	u.TLS = o.clientTLS(u)
	return u
}

// clientTLS is that of the listener at the address that clients are told, or else of the first one.
func (o *options) clientTLS(u URI) *tlsconf.Files {
	at := o.listenerOf(func(item *value) bool {
		l, _ := ParseURI(item.at("uri").str())
		return l.Address() == u.Address()
	})
	if at == nil {
		at = o.listenerOf(func(*value) bool { return true })
	}
	if at.at("params", "transport").str() != "ssl" {
		return nil
	}
	f := o.ownSSL()
	if f.IsZero() {
		f = o.sslOf(at.at("params"), sslWords)
	}
	return &f
}
