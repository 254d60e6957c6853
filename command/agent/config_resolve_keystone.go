package agent

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/server/identity/keystone"
)

var errNoCertificates = errors.New("it holds no certificates in PEM form")

const identityPath = "server.identity."

// said is a setting as it came: nil when nothing was said.
type said struct {
	name string
	text *string
}

// withoutEffect refuses what is said of a service that nobody asks.
func (r *resolver) withoutEffect(path, needs string, settings []said) {
	for _, x := range settings {
		if x.text != nil {
			r.refuse(path+x.name, "has no effect without %s beside it is right", needs)
		}
	}
}

// notWithout refuses what is said of a Keystone that nobody asks.
func (r *resolver) notWithout(path string, c *IdentityConfig) {
	r.withoutEffect(path, "a Keystone; mode = \"keystone\"", []said{{"auth_url", c.AuthURL}, {"username", c.Username}, {"password_file", c.PasswordFile}, {"user_domain", c.UserDomain},
		{"project", c.Project}, {"project_domain", c.ProjectDomain}, {"cache_time", c.CacheTime}, {"ca_file", c.CAFile}})
}

// keystone reads which Keystone is asked, and who asks.
func (r *resolver) keystone(c *IdentityConfig) KeystoneRuntime {
	out := KeystoneRuntime{AuthURL: value(c.AuthURL, ""), Username: value(c.Username, ""), UserDomain: value(c.UserDomain, "Default"), Project: value(c.Project, ""),
		ProjectDomain: value(c.ProjectDomain, "Default"), CAFile: value(c.CAFile, "")}
	out.Password = r.said(identityPath[:len(identityPath)-1], "password", nil, c.PasswordFile)
	out.CacheTime = r.duration(identityPath+"cache_time", c.CacheTime, keystone.DefaultCacheTime, 0)
	u, err := url.Parse(out.AuthURL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		r.refuse(identityPath+"auth_url", "%q is no URL; that of the Keystone's v3 API such as \"https://keystone.example.org/v3\" is right", out.AuthURL)
	}
	for _, x := range [][2]string{{"username", out.Username}, {"project", out.Project}} {
		if x[1] == "" {
			r.refuse(identityPath+x[0], "is needed with mode = \"keystone\": tokens are checked by a user who may")
		}
	}
	if c.PasswordFile == nil {
		r.refuse(identityPath+"password_file", "is needed with mode = \"keystone\": the path of a file that holds the user's password")
	}
	if r.rt.Dev {
		r.refuse(identityPath+"mode", "\"keystone\" does not go with -dev, which makes users of its own; an agent without -dev is right")
	}
	if out.CAFile != "" && !filepath.IsAbs(out.CAFile) {
		r.refuse(identityPath+"ca_file", "%q is relative; an absolute path is right", out.CAFile)
	} else if out.CAFile != "" && r.rt.Server.Enabled {
		if _, err := trusting(out.CAFile); err != nil {
			r.refuse(identityPath+"ca_file", "%s: %v", out.CAFile, withoutPath(err))
		}
	}
	return out
}

// trusting returns a transport that trusts the authorities of a file, unless that is "", beside the system's.
func trusting(caFile string) (http.RoundTripper, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	if caFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errNoCertificates
	}
	t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	return t, nil
}

// authenticator is who asks the Keystone.
func (k *KeystoneRuntime) authenticator(logger hclog.Logger) (*keystone.Authenticator, error) {
	transport, err := trusting(k.CAFile)
	if err != nil {
		return nil, err
	}
	return keystone.New(keystone.Config{AuthURL: k.AuthURL, Username: k.Username, Password: k.Password, UserDomain: k.UserDomain, Project: k.Project,
		ProjectDomain: k.ProjectDomain, CacheTime: k.CacheTime, Transport: transport, Logger: logger}), nil
}
