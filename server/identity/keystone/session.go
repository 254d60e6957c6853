package keystone

import (
	"context"
	"net/http"
	"sync"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"
)

// session is the authenticator's own login. It is renewed when Keystone refuses it.
type session struct {
	cfg *Config

	mu  sync.Mutex
	own *gophercloud.ServiceClient // nil before the first login, and after one that was refused
}

// client returns the client of the login, which it makes when there is none. One login at a time.
func (s *session) client(ctx context.Context) (*gophercloud.ServiceClient, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own != nil {
		return s.own, nil
	}
	provider, err := s.cfg.provider()
	if err != nil {
		return nil, err
	}
	if err := openstack.AuthenticateV3(ctx, provider, ptr(s.cfg.options()), gophercloud.EndpointOpts{}); err != nil {
		return nil, err
	}
	provider.ReauthFunc = nil // validate does it, so that a 401 of the token that is asked about is not taken for one of our own
	s.own = &gophercloud.ServiceClient{ProviderClient: provider, Endpoint: gophercloud.NormalizeURL(s.cfg.AuthURL),
		MoreHeaders: map[string]string{"OpenStack-Identity-Access-Rules": "1.0"}} // we hold tokens to their access rules: without it they are hidden from us
	return s.own, nil
}

func ptr[T any](v T) *T { return &v }

// drop forgets a login that Keystone refused, unless another has taken its place.
func (s *session) drop(c *gophercloud.ServiceClient) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.own == c {
		s.own = nil
	}
}

// validate asks for a token. A login that has ended is renewed once.
func (s *session) validate(ctx context.Context, text string) (*validated, error) {
	for again := false; ; again = true {
		c, err := s.client(ctx)
		if err != nil {
			return nil, err
		}
		out := new(validated)
		err = tokens.Get(ctx, c, text).ExtractInto(out)
		if gophercloud.ResponseCodeIs(err, http.StatusUnauthorized) && !again {
			s.drop(c)
			continue
		}
		return out, err
	}
}
