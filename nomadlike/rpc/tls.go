package rpc

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync/atomic"
)

// TLSFiles name an agent's certificate, its key and the cluster's authority, in PEM.
type TLSFiles struct {
	CA, Cert, Key string
	// ServerName is what a called server's certificate must be for, e.g. "server.RegionOne.kilonova"; "" accepts any certificate of the authority.
	ServerName string
}

// TLS is an agent's side of mutual TLS. Its files can be read again while it is in use.
type TLS struct{ pair atomic.Pointer[tlsPair] }

// tlsPair: out is for calls to servers, anyOut for calls to any agent of the cluster.
type tlsPair struct{ in, out, anyOut *tls.Config }

// NewTLS reads the files.
func NewTLS(f TLSFiles) (*TLS, error) {
	t := &TLS{}
	return t, t.Reload(f)
}

// Reload reads the files again; on error what was in use stays. Connections that exist go on.
func (t *TLS) Reload(f TLSFiles) error {
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		return fmt.Errorf("tls: authority: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return fmt.Errorf("tls: %s holds no certificate in PEM", f.CA)
	}
	cert, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return fmt.Errorf("tls: certificate and key: %w", err)
	}
	in := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	anyOut := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, RootCAs: pool,
		InsecureSkipVerify: true, // the name is not checked; the chain is
		VerifyConnection:   func(cs tls.ConnectionState) error { return verifyChain(pool, cs) }}
	out := anyOut
	if f.ServerName != "" {
		out = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, RootCAs: pool, ServerName: f.ServerName}
	}
	t.pair.Store(&tlsPair{in, out, anyOut})
	return nil
}

func verifyChain(pool *x509.CertPool, cs tls.ConnectionState) error {
	opts := x509.VerifyOptions{Roots: pool, Intermediates: x509.NewCertPool()}
	for _, c := range cs.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	_, err := cs.PeerCertificates[0].Verify(opts)
	return err
}

func (t *TLS) incoming() *tls.Config { return t.pair.Load().in }

func (t *TLS) outgoing(anyAgent bool) *tls.Config {
	if anyAgent {
		return t.pair.Load().anyOut
	}
	return t.pair.Load().out
}
