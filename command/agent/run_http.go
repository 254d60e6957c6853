package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/kilonova-cloud/kilonova/server/compute"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/metrics"
	"github.com/kilonova-cloud/kilonova/server/identity"
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
	// No write timeout: uploads and the event stream take as long as they take. Headers and idle connections are bounded.
	base, cancel := context.WithCancel(context.Background())
	a.http.cancel = cancel
	a.http.srv = &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		ErrorLog:    a.logger.Named("http").StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug}),
		BaseContext: func(net.Listener) context.Context { return base }}
	l := a.http.listener
	if a.rt.TLS.HTTP {
		cfg, err := a.httpTLS()
		if err != nil {
			return err
		}
		l = tls.NewListener(l, cfg)
	}
	go func() {
		if err := a.http.srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			a.http.errs <- err
		}
	}()
	return nil
}

func (a *agent) httpTLS() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(a.rt.TLS.CertFile, a.rt.TLS.KeyFile)
	if err != nil {
		return nil, fmt.Errorf("HTTP: %w", err)
	}
	a.http.cert = &cert
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
		a.http.mu.Lock()
		defer a.http.mu.Unlock()
		return a.http.cert, nil
	}}
	if a.rt.TLS.VerifyHTTPSClient {
		pem, err := os.ReadFile(a.rt.TLS.CAFile)
		if err != nil {
			return nil, fmt.Errorf("HTTP: %w", err)
		}
		cfg.ClientCAs, cfg.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		cfg.ClientCAs.AppendCertsFromPEM(pem)
	}
	return cfg, nil
}

// reloadTLS takes the certificate's files over; on error the old certificate stays.
func (h *httpServer) reloadTLS(rt *Runtime) {
	if h == nil || !rt.TLS.HTTP {
		return
	}
	if cert, err := tls.LoadX509KeyPair(rt.TLS.CertFile, rt.TLS.KeyFile); err == nil {
		h.mu.Lock()
		h.cert = &cert
		h.mu.Unlock()
	}
}

// handler puts the services together. The catalog names those that answer, and no others.
func (a *agent) handler() (http.Handler, error) {
	auth := identity.NewAuthenticator(a.server)
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), a.server.Collector())
	counts, err := metrics.New(registry)
	if err != nil {
		return nil, err
	}
	var scrape http.Handler
	if a.rt.Telemetry.Prometheus {
		scrape = metrics.Handler(registry)
	}
	services := []*httpapi.Service{compute.New(compute.Options{}), compute.Versions()}
	services = append(services, identity.Services(identity.Options{Auth: auth, TokenTTL: a.rt.Server.TokenTTL,
		Endpoints: []identity.Endpoint{identity.Compute, identity.Identity, identity.Image, identity.Placement}})...)
	services = append(services, image.New(image.Options{Logger: a.logger.Named("image")})...)
	services = append(services, placement.Services()...)
	services = append(services, native.Services(native.Options{Auth: auth, Version: version.Get().Version, Metrics: scrape})...)
	services = append(services, native.BootstrapService(), native.MonitorService(a.logger))
	return httpapi.NewHandler(a.server, services, httpapi.Options{Logger: a.logger.Named("http"), Auth: auth, Metrics: counts})
}
