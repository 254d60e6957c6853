// Package ca is a small certificate authority for a cluster's own TLS: enough for agents to know each other, and no more.
package ca

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"time"
)

// Role is what a certificate is for; it is the first label of the name in it.
type Role string

// The roles.
const (
	Server Role = "server" // may pose as a server when verify_server_hostname holds
	Client Role = "client" // a compute host
	CLI    Role = "cli"    // a person's programs, where verify_https_client holds
)

// Name is the DNS name that a role's certificates carry in a region.
func (r Role) Name(region string) string { return string(r) + "." + region + ".kilonova" }

// Authority can issue certificates.
type Authority struct {
	certificate *x509.Certificate
	key         crypto.Signer
}

// Pair is a certificate and its key in PEM.
type Pair struct {
	Certificate, Key []byte
}

// clockSkew is how long before now a certificate begins to hold, for machines whose clocks are behind.
const clockSkew = 5 * time.Minute

// New makes an authority and returns it with what to store of it.
func New(commonName string, lifetime time.Duration) (*Authority, Pair, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, Pair{}, fmt.Errorf("make a key: %w", err)
	}
	template, err := template(commonName, lifetime)
	if err != nil {
		return nil, Pair{}, err
	}
	template.IsCA, template.BasicConstraintsValid = true, true
	template.MaxPathLenZero = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature
	pair, err := sign(template, template, key, key)
	if err != nil {
		return nil, Pair{}, err
	}
	authority, err := Load(pair)
	return authority, pair, err
}

// Load returns the authority of a stored pair.
func Load(pair Pair) (*Authority, error) {
	both, err := tls.X509KeyPair(pair.Certificate, pair.Key)
	if err != nil {
		return nil, fmt.Errorf("not a CA's certificate and key: %w", err)
	}
	signer, ok := both.PrivateKey.(crypto.Signer)
	switch {
	case !ok:
		return nil, errors.New("the CA's key cannot sign")
	case !both.Leaf.IsCA:
		return nil, fmt.Errorf("the certificate of %q is not a CA's", both.Leaf.Subject.CommonName)
	}
	return &Authority{certificate: both.Leaf, key: signer}, nil
}

// Request says what a certificate is to hold.
type Request struct {
	Roles    []Role // at least one
	Region   string
	Names    []string // more DNS names and IP addresses
	Lifetime time.Duration
}

// Issue makes a certificate for both ends of TLS connections: agents call each other. localhost and its addresses are
// always in it, so that tools on the machine need no exception.
func (a *Authority) Issue(r Request) (Pair, error) {
	if len(r.Roles) == 0 || r.Region == "" {
		return Pair{}, errors.New("a certificate needs a role and a region")
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return Pair{}, fmt.Errorf("make a key: %w", err)
	}
	template, err := template(r.Roles[0].Name(r.Region), r.Lifetime)
	if err != nil {
		return Pair{}, err
	}
	if template.NotAfter.After(a.certificate.NotAfter) {
		return Pair{}, fmt.Errorf("the CA ends on %s, before the certificate would on %s; ask for fewer days, or make a new CA",
			a.certificate.NotAfter.Format(time.DateOnly), template.NotAfter.Format(time.DateOnly))
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	for _, role := range r.Roles {
		template.DNSNames = append(template.DNSNames, role.Name(r.Region))
	}
	template.DNSNames = append(template.DNSNames, "localhost")
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	for _, name := range r.Names {
		if ip := net.ParseIP(name); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, name)
		}
	}
	return sign(template, a.certificate, key, a.key)
}

func template(commonName string, lifetime time.Duration) (*x509.Certificate, error) {
	if lifetime <= 0 {
		return nil, errors.New("a certificate that never holds is of no use: its lifetime must be above 0")
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	now := time.Now()
	return &x509.Certificate{SerialNumber: serial, Subject: pkix.Name{CommonName: commonName, Organization: []string{"Kilonova"}},
		NotBefore: now.Add(-clockSkew), NotAfter: now.Add(lifetime)}, nil
}

func sign(template, parent *x509.Certificate, key *ecdsa.PrivateKey, parentKey crypto.Signer) (Pair, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return Pair{}, fmt.Errorf("sign the certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return Pair{}, fmt.Errorf("encode the key: %w", err)
	}
	return Pair{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}, nil
}
