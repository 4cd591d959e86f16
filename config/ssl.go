package config

import (
	"tarragon.dev/tarragon/internal/tlsconf"
)

// Files of TLS come from three places, as in Tarantool 3.8: iproto.ssl, which is the
// instance's own, params of what it listens on, and params of the address that peers
// are told.
//
// An instance that dials another one shows its own certificate: that of iproto.ssl, or that of its first listener. Tarantool takes, without iproto.ssl, the
// params of the other one's address, so the key of another instance (its issue 12030);
// here that is done only where iproto.advertise.peer names files, which are for those who
// dial.

// sslWords are the keys of params, in the order of tlsconf.Files; sslSection those of iproto.ssl.
var (
	sslWords   = [...]string{"ssl_ca_file", "ssl_cert_file", "ssl_key_file", "ssl_ciphers", "ssl_password", "ssl_password_file"}
	sslSection = [...]string{"ca_file", "ssl_cert", "ssl_key", "ssl_ciphers", "ssl_password", "ssl_password_file"}
)

const (
	sslPath       = "iproto.ssl"
	peerPath      = "iproto.advertise.peer"
	noCertificate = "transport ssl: a certificate and a key are needed to listen: ssl_cert_file and ssl_key_file, or iproto.ssl"
)

// sslOf reads the files of a section. Paths are seen from work_dir.
func (o *options) sslOf(section *value, words [len(sslWords)]string) (f tlsconf.Files) {
	dir := o.text("process.work_dir")
	for i, field := range [...]*string{&f.CA, &f.Cert, &f.Key, &f.Ciphers, &f.Password, &f.PasswordFile} {
		*field = section.at(words[i]).str()
		if isFile := i < 3 || i == 5; isFile && *field != "" {
			*field = inDir(dir, *field)
		}
	}
	return f
}

// ownSSL is iproto.ssl.
func (o *options) ownSSL() tlsconf.Files {
	f := o.sslOf(o.get(sslPath), sslSection)
	o.checkSSL(o.where(sslPath), sslPath, f)
	return f
}

func (o *options) checkSSL(where, path string, f tlsconf.Files) {
	if err := f.Check(); err != nil {
		o.mistake(where, path, "%v", err)
	}
}

// listenTLS is what a listener shows and asks for; nil: it has no TLS. What its params leave
// out is that of iproto.ssl; the certificate, its key and their passwords go together.
func (o *options) listenTLS(item *value, path string) *tlsconf.Files {
	params := item.at("params")
	f := o.sslOf(params, sslWords)
	if !o.transport(params, path, f) {
		return nil
	}
	own := o.ownSSL()
	if !f.Shows() {
		f.Cert, f.Key, f.Password, f.PasswordFile = own.Cert, own.Key, own.Password, own.PasswordFile
	}
	if f.CA == "" {
		f.CA = own.CA
	}
	if f.Ciphers == "" {
		f.Ciphers = own.Ciphers
	}
	if !f.Shows() {
		o.mistake(params.where, path+".params", noCertificate)
		return nil
	}
	o.checkSSL(params.where, path+".params", f)
	return &f
}

// transport tells whether params ask for TLS.
func (o *options) transport(params *value, path string, f tlsconf.Files) bool {
	if t := params.at("transport"); t.str() == "ssl" {
		return true
	}
	if !f.IsZero() {
		o.mistake(params.where, path+".params", "files of TLS are named, but transport is not ssl: traffic would go unencrypted")
	}
	return false
}

// dialTLS is what o shows and asks for when it dials p; nil: p has no TLS.
func (o *options) dialTLS(p *options) *tlsconf.Files {
	adv := p.get(peerPath)
	params := adv.at("params")
	listener := p.listenerOf(func(*value) bool { return true })
	if adv.at("uri") != nil {
		if !p.transport(params, peerPath, p.sslOf(params, sslWords)) {
			return nil
		}
	} else if listener.at("params", "transport").str() != "ssl" {
		return nil
	}
	if own := o.ownSSL(); !own.IsZero() {
		return &own
	}
	if f := o.sslOf(params, sslWords); !f.IsZero() {
		o.checkSSL(params.where, peerPath+".params", f)
		return &f
	}
	mine := o.listenerOf(func(item *value) bool { return item.at("params", "transport").str() == "ssl" })
	if mine == nil {
		mine = listener
	}
	f := o.sslOf(mine.at("params"), sslWords)
	return &f
}

// listenerOf is the first of iproto.listen that one can connect to and that is wanted; nil: none is.
func (o *options) listenerOf(wanted func(item *value) bool) *value {
	for _, item := range o.get("iproto.listen").list() {
		u, err := ParseURI(item.at("uri").str())
		if err == nil && u.Login == "" && u.dialable() == nil && wanted(item) {
			return item
		}
	}
	return nil
}

// PeerNames is the path of that option, for those who speak of it.
const PeerNames = "tarragon.peer_names"

// peerNames are the names of which a peer's certificate must have one.
func (o *options) peerNames() []string {
	names := strs(o.get(PeerNames))
	for i, name := range names {
		if name == "" {
			o.bad(itemPath(PeerNames, i), "a name expected, as in the certificates of the members, or %q for every one that the CA has signed", tlsconf.AnyName)
		}
	}
	return names
}

// portTLS is what a port of ours shows and asks for, by its option of the transport: iproto.ssl, or as the first
// listener with TLS; nil: it has no TLS.
func (o *options) portTLS(path string) *tlsconf.Files {
	if o.text(path) != "ssl" {
		return nil
	}
	f := o.ownSSL()
	if !f.Shows() {
		for i, item := range o.get("iproto.listen").list() {
			if item.at("params", "transport").str() == "ssl" {
				return o.listenTLS(item, itemPath("iproto.listen", i))
			}
		}
		o.bad(path, "there is no certificate to show: neither iproto.ssl nor a listener has one")
		return nil
	}
	return &f
}
