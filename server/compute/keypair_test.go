package compute_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestGeneratedKeypair(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	a := c.want(201, "alice", "2.91", "POST", "/os-keypairs", `{"keypair": {"name": "k"}}`).json(t)["keypair"].(map[string]any)
	signer, err := ssh.ParsePrivateKey([]byte(a["private_key"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	public, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(a["public_key"].(string)))
	if err != nil {
		t.Fatal(err)
	}
	if string(public.Marshal()) != string(signer.PublicKey().Marshal()) || comment != "Generated-by-Nova" {
		t.Error("the halves of the pair do not belong together")
	}
	if want := ssh.FingerprintLegacyMD5(public); a["fingerprint"] != want {
		t.Errorf("fingerprint %v, want %s", a["fingerprint"], want)
	}
	if strings.Contains(string(c.state()), "PRIVATE KEY") {
		t.Error("the state has the private key")
	}
	if show := c.want(200, "alice", "2.91", "GET", "/os-keypairs/k", nil); strings.Contains(string(show.body), "private") {
		t.Errorf("%s", show.body)
	}
}

func TestCertificateImport(t *testing.T) {
	t.Parallel()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "alice"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha1.Sum(der)
	want := strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":")
	c := newCloud(t)
	a := c.want(201, "alice", "2.2", "POST", "/os-keypairs", map[string]any{"keypair": map[string]any{"name": "cert", "type": "x509",
		"public_key": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}}).json(t)["keypair"].(map[string]any)
	if a["fingerprint"] != want || a["type"] != "x509" {
		t.Errorf("unexpected %v, want %s", a, want)
	}
}

func TestKeypairsOfUsers(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	body := func(user string) string {
		return `{"keypair": {"name": "k", "public_key": "` + sshKey + `", "user_id": "` + user + `"}}`
	}
	c.want(201, "admin", "2.10", "POST", "/os-keypairs", body(aliceUser))
	c.want(409, "alice", "2.10", "POST", "/os-keypairs", body(aliceUser))
	c.want(200, "alice", "2.1", "GET", "/os-keypairs/k", nil)
	c.want(404, "admin", "2.9", "GET", "/os-keypairs/k?user_id="+aliceUser, nil) // not yet a parameter
	c.want(200, "admin", "2.10", "GET", "/os-keypairs/k?user_id="+aliceUser, nil)
	c.want(403, "bob", "2.10", "GET", "/os-keypairs/k?user_id="+aliceUser, nil)
	c.want(403, "bob", "2.10", "DELETE", "/os-keypairs/k?user_id="+aliceUser, nil)
	c.want(200, "unscoped", "2.10", "GET", "/os-keypairs/k", nil) // a keypair is of a user, not of a project
	list := c.want(200, "admin", "2.10", "GET", "/os-keypairs?user_id="+aliceUser, nil).json(t)["keypairs"].([]any)
	if len(list) != 1 {
		t.Errorf("keypairs %v", list)
	}
	c.want(204, "admin", "2.10", "DELETE", "/os-keypairs/k?user_id="+aliceUser, nil)
	if k := c.core.Stale().Keypair(structs.UserID(aliceUser), "k"); k != nil {
		t.Errorf("still there: %+v", k)
	}
	c.want(201, "alice", "2.92", "POST", "/os-keypairs", `{"keypair": {"name": "me@home.example", "public_key": "`+sshKey+`"}}`)
	c.want(204, "alice", "2.92", "DELETE", "/os-keypairs/me@home.example", nil)
}

func TestKeypairQuota(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	for i := range 100 {
		c.want(200, "alice", "2.1", "POST", "/os-keypairs", fmt.Sprintf(`{"keypair": {"name": "k%d", "public_key": %q}}`, i, sshKey))
	}
	a := c.want(403, "alice", "2.1", "POST", "/os-keypairs", `{"keypair": {"name": "one-more", "public_key": "`+sshKey+`"}}`)
	if !strings.Contains(string(a.body), "Quota exceeded, too many key pairs.") {
		t.Errorf("%s", a.body)
	}
	page := c.want(200, "alice", "2.35", "GET", "/os-keypairs?limit=60&marker=k1", nil).json(t)
	if n := len(page["keypairs"].([]any)); n != 60 || page["keypairs_links"] == nil {
		t.Errorf("%d keypairs, links %v", n, page["keypairs_links"])
	}
}
