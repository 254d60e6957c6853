package ca

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestIssueWorksForBothEndsOfTLS(t *testing.T) {
	authority, ca, err := New("test", 48*time.Hour)
	require.NoError(t, err)
	server, err := authority.Issue(Request{Roles: []Role{Server, Client}, Region: "r1", Names: []string{"10.1.2.3", "api.example.org"}, Lifetime: time.Hour})
	require.NoError(t, err)
	client, err := authority.Issue(Request{Roles: []Role{CLI}, Region: "r1", Lifetime: time.Hour})
	require.NoError(t, err)

	pool := x509.NewCertPool()
	require.True(t, pool.AppendCertsFromPEM(ca.Certificate))
	serving := keyPair(t, server)
	for _, name := range []string{"server.r1.kilonova", "client.r1.kilonova", "localhost", "127.0.0.1", "::1", "10.1.2.3", "api.example.org"} {
		require.NoError(t, serving.Leaf.VerifyHostname(name))
	}
	require.Error(t, keyPair(t, client).Leaf.VerifyHostname("server.r1.kilonova"))

	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.TLS.PeerCertificates[0].Subject.CommonName)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{serving}, ClientCAs: pool, ClientAuth: tls.RequireAndVerifyClientCert}
	s.StartTLS()
	t.Cleanup(s.Close)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, Certificates: []tls.Certificate{keyPair(t, client)}, ServerName: "server.r1.kilonova"}}
	t.Cleanup(transport.CloseIdleConnections)
	response, err := (&http.Client{Transport: transport}).Get(s.URL)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, "cli.r1.kilonova", string(body))
}

func keyPair(t *testing.T, p Pair) tls.Certificate {
	t.Helper()
	pair, err := tls.X509KeyPair(p.Certificate, p.Key)
	require.NoError(t, err)
	return pair
}

func TestRefusals(t *testing.T) {
	authority, pair, err := New("test", time.Hour)
	require.NoError(t, err)
	_, err = authority.Issue(Request{Roles: []Role{Server}, Region: "r1", Lifetime: 2 * time.Hour})
	require.ErrorContains(t, err, "fewer days")
	_, err = authority.Issue(Request{Region: "r1", Lifetime: time.Minute})
	require.ErrorContains(t, err, "role")
	_, _, err = New("test", 0)
	require.ErrorContains(t, err, "above 0")

	leaf, err := authority.Issue(Request{Roles: []Role{Server}, Region: "r1", Lifetime: time.Minute})
	require.NoError(t, err)
	_, err = Load(leaf)
	require.ErrorContains(t, err, "not a CA's")
	_, err = Load(Pair{Certificate: pair.Certificate, Key: leaf.Key})
	require.Error(t, err)
	_, err = Load(Pair{})
	require.Error(t, err)
}
