package rpc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// authority makes certificates for tests.
type authority struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	a := &authority{t.TempDir(), cert, key}
	a.write(t, "ca.pem", "CERTIFICATE", der)
	return a
}

func (a *authority) write(t *testing.T, name, kind string, der []byte) string {
	path := filepath.Join(a.dir, name)
	require.NoError(t, os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
	return path
}

func (a *authority) issue(t *testing.T, dns string) TLSFiles {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{dns}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	kd, err := x509.MarshalECPrivateKey(key)
	require.NoError(t, err)
	return TLSFiles{CA: filepath.Join(a.dir, "ca.pem"), Cert: a.write(t, dns+".pem", "CERTIFICATE", der), Key: a.write(t, dns+".key", "EC PRIVATE KEY", kd)}
}

func TestMutualTLS(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	mk := func(f TLSFiles) *TLS { c, err := NewTLS(f); require.NoError(t, err); return c }
	server := ca.issue(t, "server.RegionOne.kilonova")
	p := newPeer(t, false, mk(server))
	call := func(c *TLS, method string) error {
		pool := NewPool(c)
		defer pool.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := Call[echo](ctx, pool, p.addr(), method, &echo{})
		return err
	}
	named := server
	named.ServerName = "server.RegionOne.kilonova"
	require.NoError(t, call(mk(named), "Server"))
	client := mk(ca.issue(t, "client.RegionOne.kilonova"))
	require.NoError(t, call(client, "Echo"))
	require.True(t, structs.IsKind(call(client, "Server"), structs.KindForbidden), "a client's certificate does not open servers' methods")
	named.ServerName = "server.elsewhere.kilonova"
	require.Error(t, call(mk(named), "Echo"), "the server's name is checked")
	host := newPeer(t, false, client)
	caller := NewPool(mk(server)) // as a server calls a compute host, whose certificate is a client's
	defer caller.Close()
	_, err := Call[echo](context.Background(), caller.Clients(), host.addr(), "Echo", &echo{})
	require.NoError(t, err)
	named.ServerName = "server.RegionOne.kilonova"
	strict := NewPool(mk(named))
	defer strict.Close()
	_, err = Call[echo](context.Background(), strict, host.addr(), "Echo", &echo{})
	require.Error(t, err, "where a server is called, a client's certificate does not do")
	_, err = Call[echo](context.Background(), strict.Clients(), host.addr(), "Echo", &echo{})
	require.NoError(t, err)
	require.Error(t, call(mk(newAuthority(t).issue(t, "server.RegionOne.kilonova")), "Echo"), "another authority's certificates are refused")
	require.Error(t, call(nil, "Echo"), "plain text is refused")
}
