// Package tlsconf makes configurations of crypto/tls of files, as ssl_ca_file and its
// like name them, and keeps them as the files are now.
//
// # What a file means
//
// The certificate and the key are what this side shows of itself: a server needs
// both, a client where the server asks for a certificate. The CA file is what this
// side asks of the other one: who listens with it lets in only those whose
// certificate it has signed, who dials with it talks only to such. Without it the
// other side is not looked at, and the connection is encrypted, no more.
//
// # Invariants
//
//  1. A [Keeper] has files that fit each other and are valid, from the first moment
//     on. Files that are changed to something else are not taken: the ones before
//     stay in use.
//  2. A changed file is in use for the first connection that begins a second after
//     the change. Connections that are there go on as they are.
//  3. Nothing below TLS 1.2 is spoken, no session is resumed: each connection shows
//     its certificate anew, to files as they are then.
//  4. No error has a password or a part of a key in it.
//
// Sources: Tarantool 3.8, configuration reference, <uri>.params.* and iproto.ssl.
package tlsconf
