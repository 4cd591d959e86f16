package tlsconf

import (
	"bufio"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/youmark/pkcs8"
)

// readKey reads the key. Tarantool: the password, then each of the file with passwords.
// A key that is not encrypted needs none.
func (f Files) readKey() (crypto.Signer, error) {
	all, err := blocks(f.Key)
	if err != nil {
		return nil, err
	}
	var b *pem.Block
	for _, one := range all {
		if strings.HasSuffix(one.Type, "PRIVATE KEY") {
			b = one
			break
		}
	}
	if b == nil {
		if all[0].Type == "CERTIFICATE" {
			return nil, fmt.Errorf("%s: a certificate, where a key is expected: are the two swapped?", f.Key)
		}
		return nil, fmt.Errorf("%s: no private key in it, but %s", f.Key, all[0].Type)
	}
	if !encrypted(b) {
		return f.signer(parsePlain(b.Bytes))
	}
	passwords, err := f.passwords()
	if err != nil {
		return nil, err
	}
	if len(passwords) == 0 {
		return nil, fmt.Errorf("%s: the key is encrypted, and there is no password for it", f.Key)
	}
	for _, password := range passwords {
		if key, err := decrypt(b, password); err == nil {
			return f.signer(key, nil)
		}
	}
	return nil, fmt.Errorf("%s: the key is encrypted, and none of the %d passwords opens it", f.Key, len(passwords))
}

// encrypted: as PKCS #8 says it, or by headers as before that.
func encrypted(b *pem.Block) bool {
	return b.Type == "ENCRYPTED PRIVATE KEY" || b.Headers["DEK-Info"] != ""
}

func decrypt(b *pem.Block, password string) (any, error) {
	if b.Type == "ENCRYPTED PRIVATE KEY" {
		return pkcs8.ParsePKCS8PrivateKey(b.Bytes, []byte(password))
	}
	//lint:ignore SA1019 there are such keys, and who has the file may try passwords as he likes
	der, err := x509.DecryptPEMBlock(b, []byte(password))
	if err != nil {
		return nil, err
	}
	return parsePlain(der) // a wrong password may pass the padding, and does not parse
}

// parsePlain reads a key in one of three forms.
func parsePlain(der []byte) (any, error) {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		return key, nil
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key, nil
	}
	return x509.ParsePKCS1PrivateKey(der)
}

func (f Files) signer(key any, err error) (crypto.Signer, error) {
	if err != nil {
		return nil, fmt.Errorf("%s: the key cannot be read: neither PKCS #8 nor PKCS #1 nor SEC 1", f.Key) // the cause may quote it
	}
	s, ok := key.(crypto.Signer)
	if !ok {
		return nil, fmt.Errorf("%s: a key that cannot sign", f.Key)
	}
	return s, nil
}

// passwords are those to try, in order.
func (f Files) passwords() (out []string, err error) {
	if f.Password != "" {
		out = append(out, f.Password)
	}
	if f.PasswordFile == "" {
		return out, nil
	}
	file, err := os.Open(f.PasswordFile)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		out = append(out, strings.TrimRight(lines.Text(), "\r"))
	}
	return out, lines.Err()
}

// fits tells whether a key is that of a certificate.
func fits(key crypto.Signer, c *x509.Certificate) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(c.PublicKey)
}
