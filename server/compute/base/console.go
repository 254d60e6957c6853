package base

import (
	"net/url"
	"strings"
	"time"
)

// Consoles are the URLs of the proxies that browsers reach remote consoles through, by kind; "" is a kind that is not enabled.
type Consoles struct {
	VNCURL         string        // [vnc]novncproxy_base_url
	SPICEURL       string        // [spice]html5proxy_base_url
	SPICEDirectURL string        // [spice]spice_direct_proxy_base_url
	SerialURL      string        // [serial_console]base_url
	MKSURL         string        // [mks]mksproxy_base_url
	TokenTTL       time.Duration // [consoleauth]token_ttl; 0 is 10 minutes
}

// ConsoleType is one way to reach a remote console.
type ConsoleType struct {
	Name     string // Nova's word in requests
	Protocol string // Nova's word for what it is a type of
	Kind     string // the driver's word for what a proxy connects to
	Base     string // URL of the proxy; "" when it is not enabled
}

// Type returns the type of that name for a protocol ("" is any), or nil.
func (c *Consoles) Type(protocol, name string) *ConsoleType {
	for _, t := range []ConsoleType{
		{"novnc", "vnc", "vnc", c.VNCURL}, {"spice-html5", "spice", "spice", c.SPICEURL}, {"spice-direct", "spice", "spice", c.SPICEDirectURL},
		{"serial", "serial", "serial", c.SerialURL}, {"webmks", "mks", "mks", c.MKSURL},
	} {
		if t.Name == name && (protocol == "" || t.Protocol == protocol) {
			return &t
		}
	}
	return nil
}

// Enabled reports whether any type of a protocol is.
func (c *Consoles) Enabled(protocol string) bool {
	switch protocol {
	case "vnc":
		return c.VNCURL != ""
	case "spice":
		return c.SPICEURL != "" || c.SPICEDirectURL != ""
	case "serial":
		return c.SerialURL != ""
	case "mks":
		return c.MKSURL != ""
	}
	return false
}

// URL is where the console is shown to who has the token. noVNC's page hands its parameter path on to its web socket, so there the token is in that; other
// pages read it themselves.
func (t *ConsoleType) URL(token string) string {
	if t.Name != "novnc" {
		return withQuery(t.Base, "token="+token)
	}
	if u, err := url.Parse(t.Base); err == nil && u.Query().Has("path") {
		q := u.Query()
		q.Set("path", q.Get("path")+"?token="+token)
		u.RawQuery = q.Encode()
		return u.String()
	}
	return withQuery(t.Base, "path="+url.QueryEscape("?token="+token))
}

func withQuery(base, parameter string) string {
	if strings.Contains(base, "?") {
		return base + "&" + parameter
	}
	return base + "?" + parameter
}
