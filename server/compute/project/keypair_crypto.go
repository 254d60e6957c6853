package project

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/ssh"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// The types of a keypair.
const (
	keypairSSH  = "ssh"
	keypairX509 = "x509"
)

const (
	generatedBits    = 2048
	generatedComment = "Generated-by-Nova" // scripts look for it
)

func invalidKeypair(reason string) error {
	return httpapi.BadRequest("Keypair data is invalid: %s", reason)
}

// generateKeypair makes an RSA pair in the forms that ssh-keygen writes. Certificates are not made here: their private half would be an unprotected
// PKCS #12 file.
func generateKeypair(kind string) (private, public string, err error) {
	if kind != keypairSSH {
		return "", "", invalidKeypair("x509 certificates are not generated here: make one and send it as public_key")
	}
	key, err := rsa.GenerateKey(rand.Reader, generatedBits)
	if err != nil {
		return "", "", err
	}
	pub, err := ssh.NewPublicKey(&key.PublicKey)
	if err != nil {
		return "", "", err
	}
	block := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return string(block), strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))) + " " + generatedComment, nil
}

// control returns the first control character of a public key other than those that may stand in it. It would reach the files and the
// terminals of whoever reads the key: a guest's authorized_keys, an administrator's list.
func control(public, allowed string) (rune, bool) {
	i := strings.IndexFunc(public, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune(allowed, r) })
	if i < 0 {
		return 0, false
	}
	r, _ := utf8.DecodeRuneInString(public[i:])
	return r, true
}

// fingerprint checks a public key and returns its fingerprint as Nova shows it: of an SSH key the MD5 of its blob, of a certificate the SHA-1
// of its DER form, in pairs of digits. They tell keys apart for people; nothing rests on their strength.
func fingerprint(kind, public string) (string, error) {
	if kind == keypairX509 {
		if c, ok := control(public, "\t\r\n"); ok {
			return "", invalidKeypair(fmt.Sprintf("failed to generate X509 fingerprint. Error message: it has the control character %U", c))
		}
		block, _ := pem.Decode([]byte(public))
		if block == nil {
			return "", invalidKeypair("failed to generate X509 fingerprint. Error message: no PEM block was found")
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return "", invalidKeypair("failed to generate X509 fingerprint. Error message: " + err.Error())
		}
		sum := sha1.Sum(cert.Raw)
		return colons(sum[:]), nil
	}
	line := strings.Trim(public, " \t\r\n")
	fields := strings.Fields(line)
	if len(fields) < 2 || strings.ContainsAny(line, "\n\r") {
		return "", invalidKeypair("failed to generate fingerprint")
	}
	if c, ok := control(line, "\t"); ok {
		return "", invalidKeypair(fmt.Sprintf("failed to generate fingerprint: it has the control character %U", c))
	}
	blob, err := base64.StdEncoding.DecodeString(fields[1])
	if err != nil {
		return "", invalidKeypair("failed to generate fingerprint")
	}
	key, err := ssh.ParsePublicKey(blob)
	if err != nil || key.Type() != fields[0] {
		return "", invalidKeypair("failed to generate fingerprint")
	}
	sum := md5.Sum(blob)
	return colons(sum[:]), nil
}

func colons(sum []byte) string {
	pairs := make([]string, len(sum))
	for i, b := range sum {
		pairs[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(pairs, ":")
}
