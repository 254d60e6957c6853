package fetch

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Options are a client's settings. Zero values mean the defaults named.
type Options struct {
	Rules Rules
	// Lookup resolves a name; nil is the system's resolver.
	Lookup func(ctx context.Context, host string) ([]netip.Addr, error)
	// Idle is how long the other side may send nothing, Total how long all may take; 0 is a minute and 6 hours.
	Idle, Total time.Duration
	// TLS is for tests; nil is the system's authorities.
	TLS *tls.Config
}

// Client fetches by the rules. It is safe for concurrent use.
type Client struct {
	opts Options
}

// New returns a client.
func New(o Options) *Client {
	if o.Lookup == nil {
		o.Lookup = func(ctx context.Context, host string) ([]netip.Addr, error) {
			return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
		}
	}
	o.Idle, o.Total = cmp.Or(o.Idle, time.Minute), cmp.Or(o.Total, 6*time.Hour)
	return &Client{o}
}

// Check judges a URL's text.
func (c *Client) Check(text string) error { return c.opts.Rules.Check(text) }

const (
	maxRedirects = 5
	dialTime     = 10 * time.Second
	maxHeader    = 64 << 10
)

// Open reads what a URL names; size is -1 when the other side does not say. Nothing of it is taken from a proxy or unpacked.
func (c *Client) Open(ctx context.Context, text string) (io.ReadCloser, int64, error) {
	if err := c.Check(text); err != nil {
		return nil, 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, c.opts.Total)
	transport := &http.Transport{DialContext: c.dial, Proxy: nil, DisableKeepAlives: true, DisableCompression: true, TLSClientConfig: c.opts.TLS, TLSHandshakeTimeout: dialTime,
		ResponseHeaderTimeout: c.opts.Idle, MaxResponseHeaderBytes: maxHeader}
	client := &http.Client{Transport: transport, CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if len(via) > maxRedirects {
			return structs.Errorf(structs.KindInvalid, "The server redirects more than %d times.", maxRedirects)
		}
		r.Header.Del("Referer")
		if err := c.Check(r.URL.String()); err != nil {
			return structs.Errorf(structs.KindInvalid, "Redirect to disallowed URL: %s", r.URL.Redacted())
		}
		return nil
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, text, nil)
	if err != nil {
		cancel()
		return nil, 0, refused(text)
	}
	req.Header.Set("User-Agent", "kilonova-image-import")
	req.Header.Set("Accept-Encoding", "identity")
	res, err := client.Do(req)
	if err != nil {
		cancel()
		return nil, 0, plain(err)
	}
	if err := acceptable(res); err != nil {
		_ = res.Body.Close()
		cancel()
		return nil, 0, err
	}
	b := &body{body: res.Body, cancel: cancel, idle: c.opts.Idle}
	b.timer = time.AfterFunc(b.idle, cancel)
	return b, res.ContentLength, nil
}

func acceptable(res *http.Response) error {
	switch {
	case res.StatusCode != http.StatusOK:
		return structs.Errorf(structs.KindInvalid, "%s answered %d.", res.Request.URL.Hostname(), res.StatusCode)
	case res.Header.Get("Content-Encoding") != "" && res.Header.Get("Content-Encoding") != "identity":
		return structs.Errorf(structs.KindInvalid, "%s answered with the Content-Encoding %q, which was not asked for.", res.Request.URL.Hostname(), res.Header.Get("Content-Encoding"))
	}
	return nil
}

// plain leaves out the URL and the method that net/http puts before what went wrong, and keeps our own words.
func plain(err error) error {
	if own := new(structs.Error); errors.As(err, &own) {
		return own
	}
	if u := new(url.Error); errors.As(err, &u) {
		err = u.Err
	}
	return structs.Errorf(structs.KindUnavailable, "The download failed: %w", err)
}

// dial resolves the host itself, tries its addresses, and judges each at the moment that it is dialled: what the resolver says at another moment does not matter.
func (c *Client) dial(ctx context.Context, network, address string) (net.Conn, error) {
	text, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	host, ok := Host(text)
	if !ok {
		return nil, structs.Errorf(structs.KindInvalid, "%q is no host that web-download may reach", text)
	}
	addrs := []netip.Addr{}
	if a, err := netip.ParseAddr(host); err == nil {
		addrs = append(addrs, a)
	} else if addrs, err = c.opts.Lookup(ctx, host); err != nil {
		return nil, fmt.Errorf("%s cannot be resolved", host)
	}
	dialer := &net.Dialer{Timeout: dialTime, FallbackDelay: -1, Control: func(_, to string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(to)
		if err != nil {
			return structs.Errorf(structs.KindInvalid, "%s is at an address that web-download may not reach", host)
		}
		return c.opts.Rules.mayDial(host, at)
	}}
	err = fmt.Errorf("%s has no address", host)
	for _, a := range addrs {
		var conn net.Conn
		if conn, err = dialer.DialContext(ctx, network, net.JoinHostPort(a.String(), port)); err == nil {
			return conn, nil
		}
	}
	return nil, err
}

// body gives up when nothing comes for a while.
type body struct {
	body   io.ReadCloser
	cancel context.CancelFunc
	timer  *time.Timer
	idle   time.Duration
}

// Read reads on. The end before the announced size is an error.
func (b *body) Read(p []byte) (int, error) {
	b.timer.Reset(b.idle)
	n, err := b.body.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = structs.Errorf(structs.KindUnavailable, "The download broke off: %w", err)
	}
	return n, err
}

// Close ends the connection.
func (b *body) Close() error {
	b.timer.Stop()
	b.cancel()
	return b.body.Close()
}
