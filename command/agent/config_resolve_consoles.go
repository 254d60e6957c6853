package agent

import (
	"net/url"
	"slices"
	"time"
)

func (r *resolver) consoles() {
	c, out, path := r.config.Server.Consoles, &r.rt.Server.Consoles, "server.consoles."
	out.VNCURL = r.consoleURL(path+"vnc_url", c.VNCURL, webPage)
	out.SPICEURL = r.consoleURL(path+"spice_url", c.SPICEURL, webPage)
	out.SPICEDirectURL = r.consoleURL(path+"spice_direct_url", c.SPICEDirectURL, webPage)
	out.SerialURL = r.consoleURL(path+"serial_url", c.SerialURL, webSocket)
	out.MKSURL = r.consoleURL(path+"mks_url", c.MKSURL, webPage)
	out.TokenTTL = r.duration(path+"token_ttl", c.TokenTTL, 10*time.Minute, time.Second)
}

// urlForm is what the URL of a kind of console leads to.
type urlForm struct {
	what    string
	schemes []string
	example string
}

var (
	webPage   = urlForm{"a page", []string{"https", "http"}, "https://consoles.example.org:6080/vnc_auto.html"}
	webSocket = urlForm{"a web socket", []string{"wss", "ws"}, "wss://consoles.example.org:6083/"}
)

// consoleURL refuses what a browser could not open once the token is put behind it.
func (r *resolver) consoleURL(path string, text *string, form urlForm) string {
	s := value(text, "")
	if s == "" {
		return ""
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Hostname() == "" || !slices.Contains(form.schemes, u.Scheme):
		r.refuse(path, "%q is no URL of %s; one such as %q is right", s, form.what, form.example)
		return ""
	case u.Fragment != "" || u.RawFragment != "":
		r.refuse(path, "%q has a fragment, and the token that is put behind it would be part of that; %q is right", s, form.example)
		return ""
	}
	return s
}
