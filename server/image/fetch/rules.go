// Package fetch reads what a user's URL names without letting the user reach what only the servers can reach.
//
// A URL is judged three times: its text, when it is asked for and at each redirect, by the operator's lists; and the address that is dialled, at the moment that
// it is dialled, when no name can turn into another address any more. An address inside (loopback, link-local with the clouds' metadata, private, multicast,
// unspecified, and what embeds one of these) is refused unless the operator has named the host or the network.
package fetch

import (
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Rules say what may be fetched, as Glance's [import_filtering_opts] do: of a list of what is allowed and one of what is not, the first counts when it is not
// empty.
type Rules struct {
	AllowedSchemes, DisallowedSchemes []string
	AllowedHosts, DisallowedHosts     []string
	AllowedPorts, DisallowedPorts     []int
	// AllowedNetworks are inside networks that may be reached all the same, as may be the AllowedHosts.
	AllowedNetworks []netip.Prefix
}

// Defaults are Glance's: http and https on their own ports.
func Defaults() Rules {
	return Rules{AllowedSchemes: []string{"http", "https"}, AllowedPorts: []int{80, 443}}
}

func refused(text string) error {
	return structs.Errorf(structs.KindInvalid, "URI for web-download does not pass filtering: %s", text)
}

// maxURL bounds a URL, which is written into the state.
const maxURL = 4096

// Check judges a URL's text.
func (r *Rules) Check(text string) error {
	u, err := url.Parse(text)
	if err != nil || len(text) > maxURL || u.Opaque != "" || u.User != nil || u.Host == "" {
		return refused(text)
	}
	if u.Scheme != "http" && u.Scheme != "https" || !permits(r.AllowedSchemes, r.DisallowedSchemes, u.Scheme) {
		return refused(text)
	}
	host, ok := Host(u.Hostname())
	if !ok || !permits(normal(r.AllowedHosts), normal(r.DisallowedHosts), host) {
		return refused(text)
	}
	port, ok := portOf(u)
	if !ok || !permits(r.AllowedPorts, r.DisallowedPorts, port) {
		return refused(text)
	}
	return nil
}

func portOf(u *url.URL) (int, bool) {
	if u.Port() == "" {
		if strings.HasSuffix(u.Host, ":") {
			return 0, false
		}
		return map[string]int{"http": 80, "https": 443}[u.Scheme], true
	}
	n, err := strconv.Atoi(u.Port())
	return n, err == nil && n > 0 && n < 1<<16
}

func permits[T comparable](allowed, disallowed []T, v T) bool {
	if len(allowed) > 0 {
		return slices.Contains(allowed, v)
	}
	return !slices.Contains(disallowed, v)
}

func normal(hosts []string) []string {
	out := make([]string, len(hosts))
	for n, h := range hosts {
		out[n] = h
		if name, ok := Host(strings.Trim(h, "[]")); ok {
			out[n] = name
		}
	}
	return out
}

var dnsName = regexp.MustCompile(`^([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$`)

// Host returns a host in its only form: an address as it is commonly written, a name in lower case without the last dot. What is neither is not ok: an
// address with a zone, and numbers in other forms (decimal, octal, hexadecimal, short) that some resolvers take for addresses.
func Host(text string) (string, bool) {
	if a, err := netip.ParseAddr(text); err == nil {
		return a.Unmap().String(), a.Zone() == ""
	}
	name := strings.TrimSuffix(strings.ToLower(text), ".")
	if len(name) > 253 || !dnsName.MatchString(name) {
		return "", false
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if last[0] >= '0' && last[0] <= '9' { // no name of a top domain begins so, and each number does
		return "", false
	}
	return name, true
}

// internal are the networks that are not the Internet, beside those that netip knows of.
var internal = prefixes("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4",
	"::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20", "5f00::/16", "fec0::/10")

// nat64 embeds an IPv4 address in its last four bytes.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

func prefixes(texts ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(texts))
	for n, t := range texts {
		out[n] = netip.MustParsePrefix(t)
	}
	return out
}

// Internal reports whether an address is one that the Internet cannot mean.
func Internal(a netip.Addr) bool {
	if a.Zone() != "" {
		return true
	}
	a = a.Unmap()
	if nat64.Contains(a) {
		b := a.As16()
		return Internal(netip.AddrFrom4([4]byte(b[12:])))
	}
	in := func(p netip.Prefix) bool { return p.Contains(a) }
	return !a.IsGlobalUnicast() || a.IsPrivate() || a.IsLoopback() || a.IsLinkLocalUnicast() || a.IsMulticast() || a.IsUnspecified() || slices.ContainsFunc(internal, in)
}

// mayDial judges the address that is about to be dialled for a host.
func (r *Rules) mayDial(host string, to netip.AddrPort) error {
	a := to.Addr().Unmap()
	named := slices.Contains(normal(r.AllowedHosts), host) || slices.ContainsFunc(r.AllowedNetworks, func(p netip.Prefix) bool { return p.Contains(a) })
	switch {
	case Internal(to.Addr()) && !named:
		return structs.Errorf(structs.KindInvalid, "%s is at an address that web-download may not reach", host)
	case !permits(normal(r.AllowedHosts), normal(r.DisallowedHosts), host), len(r.AllowedHosts) == 0 && slices.Contains(normal(r.DisallowedHosts), a.String()),
		!permits(r.AllowedPorts, r.DisallowedPorts, int(to.Port())):
		return structs.Errorf(structs.KindInvalid, "%s is one that web-download may not reach", host)
	}
	return nil
}
