package fetch

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCheck(t *testing.T) {
	t.Parallel()
	r := Defaults()
	for _, good := range []string{"http://example.org/", "https://example.org/a?b=c#d", "http://example.org:443", "https://EXAMPLE.org.:80/", "http://93.184.215.14/", "http://[2606:2800:21f:cb07:6820:80da:af6b:8b2c]/",
		"http://localhost/", "http://127.0.0.1/"} { // the last two are refused when they are dialled
		require.NoError(t, r.Check(good), good)
	}
	for _, bad := range []string{"", "example.org", "//example.org/", "http:", "http:///x", "http:example.org", "ftp://example.org/", "file:///etc/passwd", "gopher://example.org/", "HTTP+UNIX://%2Fvar%2Frun/x",
		"http://example.org:22/", "http://example.org:0/", "http://example.org:/", "http://example.org:99999/", "http://user@example.org/", "http://user:password@example.org/", "http://example.org@127.0.0.1/",
		"http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://0177.0.0.1/", "http://127.1/", "http://127.0.1/", "http://1.1.1.1.1/", "http://127.0.0.1.:80/", "http://0/", "http://[fe80::1%25eth0]/",
		"http://[::1%25lo]/", "http://exa mple.org/", "http://example.org\\@127.0.0.1/", "http://exämple.org/", "http://①②⑦.⓪.⓪.①/", "http://-a.org/", "http://a..b/", "http://" + strings.Repeat("a", 5000) + "/"} {
		require.True(t, structs.IsKind(r.Check(bad), structs.KindInvalid), bad)
	}
}

// The lists count as Glance's do: what is allowed before what is not.
func TestLists(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		rules Rules
		url   string
		ok    bool
	}{
		{Rules{AllowedSchemes: []string{"https"}}, "http://a.org/", false}, {Rules{AllowedSchemes: []string{"https"}}, "https://a.org/", true},
		{Rules{DisallowedSchemes: []string{"http"}}, "http://a.org/", false}, {Rules{DisallowedSchemes: []string{"http"}}, "https://a.org/", true},
		{Rules{AllowedSchemes: []string{"http"}, DisallowedSchemes: []string{"http"}}, "http://a.org/", true},
		{Rules{AllowedSchemes: []string{"ftp"}}, "ftp://a.org/", false}, {Rules{DisallowedSchemes: []string{"http"}}, "ftp://a.org/", false},
		{Rules{AllowedHosts: []string{"A.org"}}, "http://a.org./", true}, {Rules{AllowedHosts: []string{"a.org"}}, "http://b.a.org/", false},
		{Rules{DisallowedHosts: []string{"a.org"}}, "http://A.ORG./", false}, {Rules{DisallowedHosts: []string{"a.org"}}, "http://b.org/", true},
		{Rules{DisallowedHosts: []string{"::1"}}, "http://[0:0::1]/", false}, {Rules{DisallowedHosts: []string{"9.9.9.9"}}, "http://[::ffff:9.9.9.9]/", false},
		{Rules{DisallowedHosts: []string{"9.9.9.9"}}, "http://[::ffff:909:909]/", false},
		{Rules{AllowedHosts: []string{"a.org"}, DisallowedHosts: []string{"a.org"}}, "http://a.org/", true},
		{Rules{AllowedPorts: []int{8080}}, "http://a.org/", false}, {Rules{AllowedPorts: []int{8080}}, "http://a.org:8080/", true},
		{Rules{DisallowedPorts: []int{80}}, "http://a.org/", false}, {Rules{DisallowedPorts: []int{80}}, "http://a.org:81/", true},
	} {
		require.Equal(t, row.ok, row.rules.Check(row.url) == nil, "%v %s", row.rules, row.url)
	}
}

func TestInternal(t *testing.T) {
	t.Parallel()
	for _, a := range []string{"127.0.0.1", "127.9.9.9", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "169.254.0.1", "100.64.0.1", "192.0.0.1", "198.18.0.1",
		"224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "febf::1", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
		"::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001::1", "2001:db8::1", "fe80::1%eth0", "2606:2800::1%eth0"} {
		require.True(t, Internal(netip.MustParseAddr(a)), a)
	}
	for _, a := range []string{"93.184.215.14", "8.8.8.8", "172.32.0.1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2606:4700:4700::1111", "2a00:1450::1", "100.128.0.1", "169.253.0.1"} {
		require.False(t, Internal(netip.MustParseAddr(a)), a)
	}
}

// site is a web server on the loopback address. Its port is allowed in the rules.
type site struct {
	*httptest.Server
	port   int
	asked  atomic.Int32
	answer http.HandlerFunc
}

func newSite(t *testing.T, answer http.HandlerFunc) *site {
	t.Helper()
	s := &site{answer: answer}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.asked.Add(1)
		s.answer(w, r)
	}))
	t.Cleanup(s.Close)
	s.port = s.Listener.Addr().(*net.TCPAddr).Port
	return s
}

func (s *site) at(host string) string { return fmt.Sprintf("http://%s:%d/", host, s.port) }

func (s *site) rules() Rules {
	return Rules{AllowedSchemes: []string{"http", "https"}, AllowedPorts: []int{80, 443, s.port}}
}

// names is a resolver of the names that the test says.
func names(m map[string][]string) func(context.Context, string) ([]netip.Addr, error) {
	return func(_ context.Context, host string) ([]netip.Addr, error) {
		var out []netip.Addr
		for _, a := range m[host] {
			out = append(out, netip.MustParseAddr(a))
		}
		if out == nil {
			return nil, &net.DNSError{Name: host, IsNotFound: true}
		}
		return out, nil
	}
}

func read(t *testing.T, o Options, url string) (string, error) {
	t.Helper()
	r, _, err := New(o).Open(t.Context(), url)
	if err != nil {
		return "", err
	}
	defer func() { require.NoError(t, r.Close()) }()
	b, err := io.ReadAll(r)
	return string(b), err
}

// None of the ways to write an inside address reaches it, and nobody is asked.
func TestInsideIsNotReached(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") })
	lookup := names(map[string][]string{"inside.example.org": {"127.0.0.1"}, "mapped.example.org": {"::ffff:127.0.0.1"}, "zoned.example.org": {"fe80::1%lo"}, "metadata.example.org": {"169.254.169.254"},
		"mixed.example.org": {"10.0.0.1", "127.0.0.1"}, "localhost": {"127.0.0.1", "::1"}, "zero.example.org": {"0.0.0.0"}, "nat.example.org": {"64:ff9b::7f00:1"}})
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "localhost", "LOCALHOST.", "0.0.0.0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "inside.example.org", "mapped.example.org",
		"zoned.example.org", "metadata.example.org", "mixed.example.org", "zero.example.org", "nat.example.org", "[fe80::1%25lo]", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "user@127.0.0.1", "unknown.example.org"} {
		_, err := read(t, Options{Rules: s.rules(), Lookup: lookup}, s.at(host))
		require.Error(t, err, host)
		require.NotContains(t, err.Error(), "secret")
	}
	require.Zero(t, s.asked.Load())
	_, err := read(t, Options{Rules: s.rules(), Lookup: lookup}, s.at("metadata.example.org"))
	require.EqualError(t, err, "metadata.example.org is at an address that web-download may not reach")

	named := s.rules()
	named.AllowedHosts = []string{"inside.example.org"}
	got, err := read(t, Options{Rules: named, Lookup: lookup}, s.at("inside.example.org"))
	require.NoError(t, err, "the operator has named the host")
	require.Equal(t, "secret", got)
	_, err = read(t, Options{Rules: named, Lookup: lookup}, s.at("127.0.0.1"))
	require.Error(t, err)
	named = s.rules()
	named.AllowedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	for _, host := range []string{"mixed.example.org", "127.0.0.1", "mapped.example.org"} {
		_, err = read(t, Options{Rules: named, Lookup: lookup}, s.at(host))
		require.NoError(t, err, "the operator has named the network: "+host)
	}
	_, err = read(t, Options{Rules: named, Lookup: lookup}, s.at("metadata.example.org"))
	require.Error(t, err)
	named.DisallowedHosts = []string{"127.0.0.1"}
	_, err = read(t, Options{Rules: named, Lookup: lookup}, s.at("inside.example.org"))
	require.Error(t, err, "no name leads around a host that is disallowed")
}

// A name that means the Internet when it is judged and the inside when it is dialled is judged again.
func TestRebinding(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") })
	var asked atomic.Int32
	lookup := func(context.Context, string) ([]netip.Addr, error) {
		if asked.Add(1) == 1 {
			return []netip.Addr{netip.MustParseAddr("203.0.113.1")}, nil // goes nowhere
		}
		return []netip.Addr{netip.MustParseAddr("127.0.0.1")}, nil
	}
	c := New(Options{Rules: s.rules(), Lookup: lookup})
	for range 3 {
		require.NoError(t, c.Check(s.at("rebind.example.org")))
		_, _, err := c.Open(t.Context(), s.at("rebind.example.org"))
		require.Error(t, err)
	}
	require.Zero(t, s.asked.Load())
}

func TestRedirects(t *testing.T) {
	t.Parallel()
	inside := newSite(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") })
	s := newSite(t, nil)
	s.answer = func(w http.ResponseWriter, r *http.Request) {
		if to := r.URL.Query().Get("to"); to != "" {
			http.Redirect(w, r, to, http.StatusFound)
			return
		}
		_, _ = io.WriteString(w, "data")
	}
	rules := s.rules()
	rules.AllowedPorts = append(rules.AllowedPorts, inside.port)
	rules.AllowedHosts = []string{"good.example.org"} // by name: it is at the loopback address
	lookup := names(map[string][]string{"good.example.org": {"127.0.0.1"}, "evil.example.org": {"127.0.0.1"}})
	o := Options{Rules: rules, Lookup: lookup}
	to := func(text string) string { return s.at("good.example.org") + "?to=" + url.QueryEscape(text) }
	got, err := read(t, o, to(s.at("good.example.org")))
	require.NoError(t, err)
	require.Equal(t, "data", got)
	for _, bad := range []string{inside.at("127.0.0.1"), inside.at("[::ffff:127.0.0.1]"), inside.at("evil.example.org"), inside.at("2130706433"), "file:///etc/passwd", "gopher://good.example.org/", "http://good.example.org:22/",
		"http://u:p@good.example.org/", to(inside.at("127.0.0.1"))} {
		_, err := read(t, o, to(bad))
		require.ErrorContains(t, err, "Redirect to disallowed URL", bad)
		require.NotContains(t, err.Error(), ":p@")
	}
	open := s.rules() // no list of hosts: the address alone is judged
	open.AllowedPorts = append(open.AllowedPorts, inside.port)
	open.AllowedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	_, err = read(t, Options{Rules: open, Lookup: names(map[string][]string{"good.example.org": {"127.0.0.1"}, "evil.example.org": {"127.0.0.2"}})}, to(inside.at("evil.example.org")))
	require.ErrorContains(t, err, "evil.example.org is at an address that web-download may not reach")
	require.Zero(t, inside.asked.Load())

	loop := func(n int) string {
		text := s.at("good.example.org")
		for range n {
			text = to(text)
		}
		return text
	}
	_, err = read(t, o, loop(5))
	require.NoError(t, err)
	_, err = read(t, o, loop(6))
	require.ErrorContains(t, err, "redirects more than 5 times")
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	var mode atomic.Value
	s := newSite(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "identity" || r.Header.Get("Referer") != "" {
			w.WriteHeader(http.StatusTeapot)
			return
		}
		switch mode.Load() {
		case "missing":
			http.NotFound(w, r)
		case "partial":
			w.WriteHeader(http.StatusPartialContent)
		case "packed":
			w.Header().Set("Content-Encoding", "gzip")
		case "short":
			w.Header().Set("Content-Length", "100")
			_, _ = w.Write([]byte("few"))
		case "silent":
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		case "mute":
			<-r.Context().Done()
		case "headers":
			w.Header().Set("X", strings.Repeat("x", 1<<20))
		default:
			_, _ = w.Write(bytes.Repeat([]byte("x"), 1<<20))
		}
	})
	rules := s.rules()
	rules.AllowedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	o := Options{Rules: rules}
	for m, says := range map[string]string{"missing": "127.0.0.1 answered 404.", "partial": "answered 206", "packed": `Content-Encoding "gzip"`, "short": "broke off", "silent": "broke off", "mute": "The download failed", "headers": "The download failed"} {
		mode.Store(m)
		o.Idle = 0
		if m == "silent" || m == "mute" {
			o.Idle = 300 * time.Millisecond
		}
		_, err := read(t, o, s.at("127.0.0.1"))
		require.ErrorContains(t, err, says, m)
	}
	mode.Store("")
	o.Idle = 0
	got, err := read(t, o, s.at("127.0.0.1"))
	require.NoError(t, err)
	require.Len(t, got, 1<<20)
	_, err = read(t, Options{Rules: rules, Total: time.Nanosecond}, s.at("127.0.0.1"))
	require.Error(t, err)
}

// A proxy would do the reaching for us.
func TestNoProxy(t *testing.T) {
	proxy := newSite(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") })
	t.Setenv("HTTP_PROXY", proxy.URL)
	t.Setenv("http_proxy", proxy.URL)
	_, err := read(t, Options{Rules: Defaults(), Lookup: names(nil)}, "http://example.org/")
	require.ErrorContains(t, err, "example.org cannot be resolved")
	require.Zero(t, proxy.asked.Load())
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"http://example.org/", "http://127.1", "https://[::1]:443/", "http://a@b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := Defaults()
		if r.Check(text) != nil {
			return
		}
		u, err := url.Parse(text)
		require.NoError(t, err)
		host, ok := Host(u.Hostname())
		require.True(t, ok)
		again, ok := Host(host)
		require.True(t, ok && again == host, "%q %q", host, again)
		require.Nil(t, u.User)
	})
}
