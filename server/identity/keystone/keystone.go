// Package keystone is the Identity service of a cloud that has one already: tokens are checked with an OpenStack Keystone, and its Identity API is the one that
// clients use.
//
// As keystonemiddleware does, what Keystone said of a token is believed for a while (Config.CacheTime): a token that is revoked there works here until then.
package keystone

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/hashicorp/go-hclog"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// What the configuration has unless it says otherwise, and what it does not say.
const (
	DefaultCacheTime = 300 * time.Second // keystonemiddleware's token_cache_time
	DefaultTimeout   = 10 * time.Second
	refusalTime      = 5 * time.Second // what Keystone does not know is asked for again after it: a client that goes on with a dead token is no burden
	cacheSize        = 16384
	atOnce           = 32 // questions to Keystone
)

// Config says which Keystone, and who asks it. The user needs a role that may validate any token: admin, service, or reader on the system.
type Config struct {
	AuthURL       string // its v3 endpoint, as clients have it
	Username      string
	Password      string
	UserDomain    string            // name; "" is Default
	Project       string            // name
	ProjectDomain string            // name; "" is Default
	CacheTime     time.Duration     // for how long Keystone's answers are believed; 0 asks each time
	Timeout       time.Duration     // of one question
	Transport     http.RoundTripper // nil: the default one
	Logger        hclog.Logger
	Now           func() time.Time // nil: time.Now
}

type hash [sha256.Size]byte

// answer is what Keystone said of a token: a refusal has no token.
type answer struct {
	token *httpapi.Token
	until time.Time
}

// Authenticator verifies tokens with a Keystone. Safe for concurrent use.
type Authenticator struct {
	cfg     Config
	cache   *lru.Cache[hash, answer]
	asking  singleflight.Group
	slots   *semaphore.Weighted
	session session
}

var _ httpapi.Authenticator = (*Authenticator)(nil)

// New returns an authenticator. It asks nothing yet: a Keystone that is down when the agent starts is asked when the first token comes.
func New(c Config) *Authenticator {
	if c.Timeout == 0 {
		c.Timeout = DefaultTimeout
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	cache, err := lru.New[hash, answer](cacheSize)
	if err != nil {
		panic("keystone: " + err.Error()) // the size is a constant
	}
	a := &Authenticator{cfg: c, cache: cache, slots: semaphore.NewWeighted(atOnce)}
	a.session.cfg = &a.cfg
	return a
}

var errInvalid = structs.Errorf(structs.KindUnauthorized, "The request you have made requires authentication.")

// Verify implements httpapi.Authenticator. KindUnavailable says that Keystone cannot be asked, and the token is none that it vouched for lately.
func (a *Authenticator) Verify(token string) (*httpapi.Token, error) {
	if len(token) == 0 || len(token) > 8192 {
		return nil, errInvalid
	}
	key := hash(sha256.Sum256([]byte(token)))
	if known, ok := a.cache.Get(key); ok {
		if now := a.cfg.Now(); now.Before(known.until) {
			return judged(known, now)
		}
	}
	v, err, _ := a.asking.Do(string(key[:]), func() (any, error) { return a.ask(token, key) })
	if err != nil {
		return nil, err
	}
	return judged(v.(answer), a.cfg.Now())
}

func judged(v answer, now time.Time) (*httpapi.Token, error) {
	if v.token == nil || v.token.ExpiresAt <= structs.TimeOf(now) {
		return nil, errInvalid
	}
	return v.token, nil
}

// ask asks Keystone. It is nobody's request alone, so that it does not end with the first caller that goes away.
func (a *Authenticator) ask(text string, key hash) (answer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), a.cfg.Timeout)
	defer cancel()
	if err := a.slots.Acquire(ctx, 1); err != nil {
		return answer{}, a.unavailable(err)
	}
	defer a.slots.Release(1)
	body, err := a.session.validate(ctx, text)
	now := a.cfg.Now()
	switch {
	case gophercloud.ResponseCodeIs(err, http.StatusNotFound):
		refused := answer{until: now.Add(min(refusalTime, a.cfg.CacheTime))}
		a.cache.Add(key, refused)
		return refused, nil
	case err != nil:
		return answer{}, a.unavailable(err)
	}
	t, err := body.token()
	if err != nil {
		return answer{}, a.unavailable(err)
	}
	v := answer{t, now.Add(a.cfg.CacheTime)}
	a.cache.Add(key, v)
	return v, nil
}

// unavailable hides what went wrong from clients, whose tokens may be good, and tells it to the operator.
func (a *Authenticator) unavailable(err error) error {
	a.cfg.Logger.Warn("cannot check a token with Keystone", "auth_url", a.cfg.AuthURL, "error", reason(err))
	return structs.Errorf(structs.KindUnavailable, "The Identity service cannot be asked about the token now; try again.")
}

// reason is an error without what Keystone's answer or our own question had in it: tokens and passwords are in neither log.
func reason(err error) string {
	var code gophercloud.ErrUnexpectedResponseCode
	if errors.As(err, &code) {
		return http.StatusText(code.Actual)
	}
	return err.Error()
}

// Check asks Keystone for a token for itself, so that a wrong address or password shows when the agent starts.
func (a *Authenticator) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, a.cfg.Timeout)
	defer cancel()
	if _, err := a.session.client(ctx); err != nil {
		return structs.Errorf(structs.KindUnavailable, "Keystone at %s: %s", a.cfg.AuthURL, reason(err))
	}
	return nil
}

// options are how the authenticator logs in.
func (c *Config) options() gophercloud.AuthOptions {
	domain := func(name string) string {
		if name == "" {
			return "Default"
		}
		return name
	}
	return gophercloud.AuthOptions{IdentityEndpoint: c.AuthURL, Username: c.Username, Password: c.Password, DomainName: domain(c.UserDomain),
		Scope: &gophercloud.AuthScope{ProjectName: c.Project, DomainName: domain(c.ProjectDomain)}}
}

func (c *Config) provider() (*gophercloud.ProviderClient, error) {
	p, err := openstack.NewClient(c.AuthURL)
	if err == nil && c.Transport != nil {
		p.HTTPClient.Transport = c.Transport
	}
	return p, err
}
