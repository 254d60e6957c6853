// Package glance is the Image service of a cloud that has one already: instances are built of an OpenStack Glance's images, and those made of instances go there.
//
// Who asks for an image is judged by Glance, which is asked with the caller's token. What hosts need to know of an image that is used is kept in the replicated state
// (structs.Image.External); its bytes go from Glance through a server to the hosts, which believe them by their SHA-512 and keep them in their caches. The servers
// read and write bytes as a user of their own.
package glance

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack"
	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Config says which Glance, and who reads and writes there for the servers: a user with a role that may read and delete any image and upload for any project,
// which admin is by Glance's defaults.
type Config struct {
	Endpoint      string // as the catalog has it, e.g. https://glance.example.org:9292
	AuthURL       string // the v3 endpoint of the Identity service whose tokens this Glance takes
	Username      string
	Password      string
	UserDomain    string            // name; "" is Default
	Project       string            // name
	ProjectDomain string            // name; "" is Default
	PageSize      int               // images of a list that are asked for at a time; 0 is 500
	Timeout       time.Duration     // of one question; 0 is 30 s
	Transport     http.RoundTripper // nil: the default one
	Logger        hclog.Logger
	Now           func() time.Time // nil: time.Now
}

// Client asks a Glance. Safe for concurrent use.
type Client struct {
	cfg Config
	log hclog.Logger

	mu  sync.Mutex
	own *gophercloud.ServiceClient // nil before the first login
}

// New returns a client. It asks nothing yet: a Glance that is down when the agent starts is asked when it is needed.
func New(c Config) *Client {
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.PageSize == 0 {
		c.PageSize = 500
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	c.Endpoint = strings.TrimRight(c.Endpoint, "/")
	return &Client{cfg: c, log: c.Logger}
}

func (c *Client) time() structs.Time { return structs.TimeOf(c.cfg.Now()) }

func (c *Client) service(p *gophercloud.ProviderClient) *gophercloud.ServiceClient {
	return &gophercloud.ServiceClient{ProviderClient: p, Endpoint: c.cfg.Endpoint + "/", ResourceBase: c.cfg.Endpoint + "/v2/", Type: "image"}
}

// as asks with a caller's token, which is not renewed.
func (c *Client) as(token string) *gophercloud.ServiceClient {
	p := &gophercloud.ProviderClient{HTTPClient: http.Client{Transport: c.cfg.Transport}}
	p.SetToken(token)
	return c.service(p)
}

// self asks as the servers' own user, whose token is renewed when it is refused.
func (c *Client) self(ctx context.Context) (*gophercloud.ServiceClient, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.own != nil {
		return c.own, nil
	}
	p, err := openstack.NewClient(c.cfg.AuthURL)
	if err != nil {
		return nil, err
	}
	if c.cfg.Transport != nil {
		p.HTTPClient.Transport = c.cfg.Transport
	}
	domain := func(name string) string {
		if name == "" {
			return "Default"
		}
		return name
	}
	login := gophercloud.AuthOptions{IdentityEndpoint: c.cfg.AuthURL, Username: c.cfg.Username, Password: c.cfg.Password, DomainName: domain(c.cfg.UserDomain), AllowReauth: true,
		Scope: &gophercloud.AuthScope{ProjectName: c.cfg.Project, DomainName: domain(c.cfg.ProjectDomain)}}
	if err := openstack.AuthenticateV3(ctx, p, &login, gophercloud.EndpointOpts{}); err != nil {
		return nil, structs.Errorf(structs.KindUnavailable, "cannot log in at %s to read and write images: %s", c.cfg.AuthURL, reason(err))
	}
	c.own = c.service(p)
	return c.own, nil
}

// Check logs in, so that a wrong address or password shows when the agent starts.
func (c *Client) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	g, err := c.self(ctx)
	if err != nil {
		return err
	}
	return c.call(ctx, g, http.MethodGet, "images?limit=1", nil, nil, nil)
}

// call asks one question below /v2/. in is sent as JSON and the answer decoded to out; nil is neither.
func (c *Client) call(ctx context.Context, g *gophercloud.ServiceClient, method, path string, header map[string]string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	resp, err := g.Request(ctx, method, g.ResourceBase+path, &gophercloud.RequestOpts{JSONBody: in, JSONResponse: out, MoreHeaders: header, KeepResponseBody: out == nil,
		OkCodes: []int{http.StatusOK, http.StatusCreated, http.StatusNoContent}})
	if resp != nil && out == nil {
		_ = resp.Body.Close()
	}
	return c.failure(err)
}

// kinds are what Glance's refusals mean here.
var kinds = map[int]structs.Kind{http.StatusBadRequest: structs.KindInvalid, http.StatusUnauthorized: structs.KindUnauthorized, http.StatusForbidden: structs.KindForbidden,
	http.StatusNotFound: structs.KindNotFound, http.StatusConflict: structs.KindConflict, http.StatusRequestEntityTooLarge: structs.KindTooLarge}

// failure gives Glance's errors a kind. What it refuses is told in its words' place, not with them: they are a page of HTML as often as not.
func (c *Client) failure(err error) error {
	if err == nil {
		return nil
	}
	var typed *structs.Error
	if errors.As(err, &typed) {
		return err
	}
	var code gophercloud.ErrUnexpectedResponseCode
	if errors.As(err, &code) {
		if kind, ok := kinds[code.Actual]; ok {
			return structs.Errorf(kind, "The Image service refused: %s.", http.StatusText(code.Actual))
		}
	}
	c.log.Warn("cannot ask the Image service", "endpoint", c.cfg.Endpoint, "error", reason(err))
	return structs.Errorf(structs.KindUnavailable, "The Image service cannot be asked now; try again.")
}

// reason is an error without what the answer or our own question had in it: tokens and passwords are in no log.
func reason(err error) string {
	var code gophercloud.ErrUnexpectedResponseCode
	if errors.As(err, &code) {
		return http.StatusText(code.Actual)
	}
	return err.Error()
}
