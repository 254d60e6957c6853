package agent

import (
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
)

func (r *resolver) tls() {
	c, out := r.config.TLS, &r.rt.TLS
	out.HTTP, out.RPC = value(c.HTTP, false), value(c.RPC, false)
	out.VerifyServerHostname = value(c.VerifyServerHostname, out.RPC)
	out.VerifyHTTPSClient = value(c.VerifyHTTPSClient, false)
	r.tlsNeeds("tls.verify_server_hostname", out.VerifyServerHostname, "tls.rpc", out.RPC)
	r.tlsNeeds("tls.verify_https_client", out.VerifyHTTPSClient, "tls.http", out.HTTP)

	out.CAFile = r.tlsFile("tls.ca_file", c.CAFile, out.RPC || out.HTTP && out.VerifyHTTPSClient, "the CA's certificate")
	out.CertFile = r.tlsFile("tls.cert_file", c.CertFile, out.RPC || out.HTTP, "this agent's certificate")
	out.KeyFile = r.tlsFile("tls.key_file", c.KeyFile, out.RPC || out.HTTP, "the key of tls.cert_file")
	r.tlsLoad()
}

func (r *resolver) tlsNeeds(path string, said bool, other string, have bool) {
	if said && !have {
		r.refuse(path, "there is no TLS that it could hold for; %s = true as well, or leaving it out, is right", other)
	}
}

func (r *resolver) tlsFile(path string, file *string, needed bool, what string) string {
	name := value(file, "")
	switch {
	case name == "" && needed:
		r.refuse(path, "is needed for TLS: %s in PEM; `kilonova tls ca create` and `kilonova tls cert create` make what is right", what)
	case name == "":
	case !filepath.IsAbs(name):
		r.refuse(path, "%q is relative; an absolute path is right", name)
	default:
		if _, err := os.Stat(name); err != nil {
			r.refuse(path, "%s: %v; %s in PEM is right", name, withoutPath(err), what)
			return ""
		}
		return name
	}
	return ""
}

// tlsLoad reads the files as the agent will, so that a wrong one is named here and not in a handshake.
func (r *resolver) tlsLoad() {
	out := &r.rt.TLS
	if out.CertFile != "" && out.KeyFile != "" {
		if _, err := tls.LoadX509KeyPair(out.CertFile, out.KeyFile); err != nil {
			r.refuse("tls.cert_file", "%s and %s: %v; a certificate and its own key, both in PEM, are right", out.CertFile, out.KeyFile, err)
		}
	}
	if out.CAFile != "" {
		text, err := os.ReadFile(out.CAFile)
		if err != nil {
			r.refuse("tls.ca_file", "%s: %v", out.CAFile, withoutPath(err))
		} else if !x509.NewCertPool().AppendCertsFromPEM(text) {
			r.refuse("tls.ca_file", "%s has no certificate in it; the CA's certificate in PEM is right", out.CAFile)
		}
	}
}
