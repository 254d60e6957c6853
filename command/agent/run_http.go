package agent

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"os"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/metrics"
	"github.com/kilonova-cloud/kilonova/server/identity"
	idbase "github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
	"github.com/kilonova-cloud/kilonova/server/image"
	"github.com/kilonova-cloud/kilonova/server/native"
	"github.com/kilonova-cloud/kilonova/server/placement"
	"github.com/kilonova-cloud/kilonova/version"
)

// listenHTTP opens the port, so that its number is known before anybody is told of it. A pure client serves no HTTP.
func (a *agent) listenHTTP() error {
	if a.server == nil {
		return nil
	}
	l, err := net.Listen("tcp", a.rt.HTTP.Bind)
	if err != nil {
		return fmt.Errorf("HTTP: %w", err)
	}
	a.http = &httpServer{listener: l, errs: make(chan error, 1)}
	return nil
}

func (a *agent) httpURL() string {
	if a.http == nil {
		return ""
	}
	scheme := "http"
	if a.rt.TLS.HTTP {
		scheme = "https"
	}
	return scheme + "://" + chosen(a.rt.HTTP.Advertise, a.http.listener.Addr())
}

func (a *agent) serveHTTP() error {
	if a.http == nil {
		return nil
	}
	handler, err := a.handler()
	if err != nil {
		return err
	}
	l := a.http.listener
	if a.rt.TLS.HTTP {
		if err := a.http.loadTLS(a.rt.TLS); err != nil {
			return err
		}
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: httpProtocols,
			GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return a.http.tls.Load(), nil }})
	}
	a.http.serve(l, handler, a.logger.Named("http"))
	return nil
}

var httpProtocols = []string{"http/1.1"}

// loadTLS reads the certificate's files, and the authority's where clients need a certificate, for connections to come; on error what was in use stays.
func (h *httpServer) loadTLS(t TLSRuntime) error {
	cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
	if err != nil {
		return fmt.Errorf("HTTP: %w", err)
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: httpProtocols, Certificates: []tls.Certificate{cert}}
	if t.VerifyHTTPSClient {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return fmt.Errorf("HTTP: %w", err)
		}
		cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !cfg.ClientCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("HTTP: %s holds no certificate in PEM", t.CAFile)
		}
	}
	h.tls.Store(cfg)
	return nil
}

// computeOptions is what the configuration says of the Compute API.
func computeOptions(s *ServerRuntime) compute.Options {
	return compute.Options{ReclaimAfter: s.ReclaimInterval, OffloadAfter: s.ShelvedOffloadAfter, ResizeToSameHost: s.Scheduler.ResizeToSameHost,
		ImageLimits: s.Image.Limits(), Consoles: base.Consoles(s.Consoles), UsagePeriod: usagePeriod(s.Notifications)}
}

// handler puts the services together. The catalog names those that answer, and no others.
func (a *agent) handler() (http.Handler, error) {
	auth, people, err := a.people()
	if err != nil {
		return nil, err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), a.server.Collector())
	if a.notifications != nil {
		registry.MustRegister(a.notifications.Collector())
	}
	counts, err := metrics.New(registry)
	if err != nil {
		return nil, err
	}
	if a.policy, err = newPolicyKeeper(a.rt.Server.PolicyFile, a.logger.Named("policy")); err != nil {
		return nil, err
	}
	var scrape http.Handler
	if a.rt.Telemetry.Prometheus {
		scrape = metrics.Handler(registry)
	}
	co := computeOptions(&a.rt.Server)
	if a.glance != nil {
		co.Images = a.glance
	}
	services := append(compute.Services(co, proxy.Services{}), people...)
	if a.glance == nil {
		services = append(services, image.New(a.images)...)
	}
	services = append(services, placement.Services()...)
	services = append(services, native.Services(native.Options{Auth: auth, Version: version.Get().Version, Metrics: scrape,
		Notifications: notificationSettings(a.rt.Server.Notifications)})...)
	services = append(services, native.MonitorService(a.logger))
	options := httpapi.Options{Logger: a.logger.Named("http"), Auth: auth, Metrics: counts, Policy: a.policy.live}
	if k := &a.rt.Server.Identity.Keystone; k.AuthURL != "" {
		options.AuthURL = k.AuthURL
	}
	return httpapi.NewHandler(a.server, services, options)
}

// people returns who checks tokens, and the services by which users and tokens are made: none where that is a Keystone's.
func (a *agent) people() (httpapi.Authenticator, []*httpapi.Service, error) {
	if k := &a.rt.Server.Identity.Keystone; k.AuthURL != "" {
		auth, err := k.authenticator(a.logger.Named("keystone"))
		return auth, nil, err
	}
	auth, o := token.NewAuthenticator(a.server, nil), a.rt.Server.Identity.Options()
	images := idbase.Image
	if a.glance != nil {
		images.Path = a.rt.Server.Image.Glance.Endpoint
	}
	o.TokenTTL, o.Endpoints = a.rt.Server.TokenTTL, []idbase.Endpoint{idbase.Compute, idbase.Identity, images, idbase.Placement}
	return auth, append(identity.Services(auth, o), native.BootstrapService()), nil
}
