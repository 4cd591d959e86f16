package iproto

import (
	"crypto/sha1"
	"crypto/subtle"
)

// Ways to log in. By pap-sha256 the password itself is sent, so only a connection that nobody can
// read takes it.
const (
	MethodChapSHA1  = "chap-sha1"
	MethodPapSHA256 = "pap-sha256"
)

// HashSize is the length of what a server keeps of a password, and of the
// scramble by which a client shows that it knows it.
const HashSize = sha1.Size

// HashPassword is what the server keeps: SHA1(SHA1(password)).
func HashPassword(password string) [HashSize]byte {
	once := sha1.Sum([]byte(password))
	return sha1.Sum(once[:])
}

// Scramble is the client's proof for a connection with this salt:
// SHA1(password) XOR SHA1(salt | SHA1(SHA1(password))).
func Scramble(password string, salt *[saltUsed]byte) [HashSize]byte {
	once := sha1.Sum([]byte(password))
	twice := sha1.Sum(once[:])
	return xor(once[:], seal(salt, twice[:]))
}

// checkScramble tells whether the scramble was made with the password of hash.
func checkScramble(scramble []byte, salt *[saltUsed]byte, hash []byte) bool {
	if len(scramble) != HashSize || len(hash) != HashSize {
		return false
	}
	once := xor(scramble, seal(salt, hash))
	twice := sha1.Sum(once[:])
	return subtle.ConstantTimeCompare(twice[:], hash) == 1
}

func seal(salt *[saltUsed]byte, hash []byte) [HashSize]byte {
	var in [saltUsed + HashSize]byte
	copy(in[:], salt[:])
	copy(in[saltUsed:], hash)
	return sha1.Sum(in[:])
}

func xor(a []byte, b [HashSize]byte) [HashSize]byte {
	for i := range b {
		b[i] ^= a[i]
	}
	return b
}

// checkPlain tells whether hash is that of the password.
func checkPlain(password, hash []byte) bool {
	once := sha1.Sum(password)
	twice := sha1.Sum(once[:])
	return subtle.ConstantTimeCompare(twice[:], hash) == 1
}
