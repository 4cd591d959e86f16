package iproto

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
)

// GreetingSize is the length of a greeting: two lines of 64 bytes.
const GreetingSize = 128

const (
	greetingLine = GreetingSize / 2
	saltSize     = 32 // sent
	saltUsed     = 20 // the leading part that takes part in chap-sha1
)

// ErrGreeting is the cause when the first 128 bytes of a server are no greeting.
var ErrGreeting = errors.New("iproto: not a greeting")

// Greeting is what a server says first.
type Greeting struct {
	Version string // "3.8.0" or "3.8.0-suffix"
	UUID    string // of the instance
	Salt    [saltUsed]byte
}

// AppendGreeting encodes a greeting with the full salt of this connection.
func AppendGreeting(dst []byte, version, uuid string, salt *[saltSize]byte) []byte {
	at := len(dst)
	dst = append(dst, bytes.Repeat([]byte{' '}, GreetingSize)...)
	line := dst[at:]
	copy(line[:greetingLine-1], fmt.Sprintf("Tarantool %s (Binary) %s", version, uuid))
	line[greetingLine-1] = '\n'
	base64.StdEncoding.Encode(line[greetingLine:], salt[:])
	line[GreetingSize-1] = '\n'
	return dst
}

// ParseGreeting reads the greeting of a server that speaks the binary protocol.
func ParseGreeting(b []byte) (g Greeting, err error) {
	if len(b) != GreetingSize || b[greetingLine-1] != '\n' || b[GreetingSize-1] != '\n' {
		return g, fmt.Errorf("%w: lines", ErrGreeting)
	}
	words := strings.Fields(string(b[:greetingLine]))
	if len(words) < 4 || words[0] != "Tarantool" {
		return g, fmt.Errorf("%w: %q", ErrGreeting, b[:greetingLine-1])
	}
	if words[2] != "(Binary)" {
		return g, fmt.Errorf("%w: protocol %s", ErrGreeting, words[2])
	}
	g.Version, g.UUID = words[1], words[3]
	if _, ok := VersionNumber(g.Version); !ok {
		return g, fmt.Errorf("%w: version %q", ErrGreeting, g.Version)
	}
	encoded := strings.TrimRight(string(b[greetingLine:GreetingSize-1]), " ")
	salt, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(salt) < saltUsed {
		return g, fmt.Errorf("%w: salt", ErrGreeting)
	}
	copy(g.Salt[:], salt)
	return g, nil
}

// VersionNumber turns "X.Y.Z" with any suffix into the number that rows carry
// as SERVER_VERSION: X<<16 | Y<<8 | Z.
func VersionNumber(version string) (n uint32, ok bool) {
	var major, minor, patch uint8
	if _, err := fmt.Sscanf(version, "%d.%d.%d", &major, &minor, &patch); err != nil {
		return 0, false
	}
	return uint32(major)<<16 | uint32(minor)<<8 | uint32(patch), true
}
