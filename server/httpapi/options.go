package httpapi

import (
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
)

// Authenticator verifies tokens. It is asked on every request: one that has to ask somebody else keeps the answers.
type Authenticator interface {
	// Verify returns whose token it is. An error of KindUnavailable, of a server that cannot verify tokens yet, is answered with 503; any other
	// with 401, and its text with nothing.
	Verify(token string) (*Token, error)
}

// Metrics hears of every answer. route is a row's template or one of a few fixed words, never a path: the number of label values is bounded
// by the tables. See package server/httpapi/metrics for Prometheus.
type Metrics interface {
	Observe(service, route, method string, status int, took time.Duration)
}

// Options are what a handler needs beside the services. The zero value serves only routes that need no token.
type Options struct {
	Logger  hclog.Logger  // nil: no log
	Auth    Authenticator // nil: every token is refused
	Metrics Metrics       // nil: none
	// Policy are the rules in force for the services that follow a policy file; nil: the defaults.
	Policy *policy.Live
	// AuthURL is where clients get tokens, for those that come without; "" is the Identity service of this binary.
	AuthURL string
	// PublicURL is what links begin with ("https://cloud.example.org"); "" takes scheme and host from each request.
	PublicURL string
	// TrustForwarded takes X-Forwarded-Proto and X-Forwarded-Host for PublicURL "": set it only behind a proxy that sets them.
	TrustForwarded bool
	// MaxLimit is the page size when none is asked for, and the largest; 0 is 1000 ([api]max_limit).
	MaxLimit int
	// Patience is how long a client may take to send a body of JSON, and to take a piece of an answer; 0 is 30 seconds.
	Patience time.Duration
}
