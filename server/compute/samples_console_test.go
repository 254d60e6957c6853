package compute_test

import (
	"net/url"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
)

// sampleConsoles are the proxies of the samples.
var sampleConsoles = base.Consoles{VNCURL: "http://127.0.0.1:6080/vnc_auto.html", SPICEURL: "http://127.0.0.1:6082/spice_auto.html",
	SPICEDirectURL: "http://127.0.0.1:13002/nova", SerialURL: "ws://127.0.0.1:6083/", MKSURL: "http://127.0.0.1:6090/mks.html"}

// sampleEndpoint is where the samples' guests have their consoles.
func sampleEndpoint(_ *structs.Instance, kind string) (*structs.ConsoleEndpoint, error) {
	switch kind {
	case "serial":
		return &structs.ConsoleEndpoint{Host: "localhost", Port: 5900, Path: thing}, nil
	case "spice":
		return &structs.ConsoleEndpoint{Host: "127.0.0.1", Port: 6969, TLSPort: 6970}, nil
	}
	return &structs.ConsoleEndpoint{Host: "127.0.0.1", Port: 6969}, nil
}

var consoleSamples = []sampleRow{
	{"os-remote-consoles", "get-vnc-console-post-req", "get-vnc-console-post-resp", "200 POST " + sampleAction, nil, ""},
	{"os-remote-consoles", "get-spice-console-post-req", "get-spice-console-post-resp", "200 POST " + sampleAction, nil, ""},
	{"os-remote-consoles", "get-serial-console-post-req", "get-serial-console-post-resp", "200 POST " + sampleAction, nil, ""},
	{"os-remote-consoles", "get-rdp-console-post-req", "get-rdp-console-post-resp", "400 POST " + sampleAction, nil, ""},
	{"os-remote-consoles", "create-vnc-console-req", "create-vnc-console-resp", "200 POST /servers/{server}/remote-consoles", nil, ""},
	{"os-remote-consoles", "create-mks-console-req", "create-mks-console-resp", "200 POST /servers/{server}/remote-consoles", nil, ""},
	{"os-remote-consoles", "create-spice-direct-console-req", "create-spice-direct-console-resp", "200 POST /servers/{server}/remote-consoles", nil, ""},
	{"os-remote-consoles", "create-rdp-console-req", "", "400 POST /servers/{server}/remote-consoles", nil, ""},
	{"os-console-auth-tokens", "create-serial-console-req", "", "200 POST /servers/{server}/remote-consoles", nil, ""},
	{"os-console-auth-tokens", "create-spice-direct-console-req", "", "200 POST /servers/{server}/remote-consoles", nil, ""},
	{"os-console-auth-tokens", "", "get-console-connect-info-get-resp", "200 GET /os-console-auth-tokens/{consoleToken}", (*world).connectable, ""},
}

// connectable gives the cloud an instance with a token for one of its consoles.
func (w *world) connectable() {
	w.server()
	body := `{"remote_console": {"protocol": "serial", "type": "serial"}}`
	if w.minor >= 99 {
		body = `{"remote_console": {"protocol": "spice", "type": "spice-direct"}}`
	}
	a := w.cloud.want(200, w.token, "2.99", "POST", w.fill("/servers/{server}/remote-consoles"), body)
	w.vars["consoleToken"] = tokenIn(w.cloud, a)
}

// tokenIn returns the token of the URL that an answer to a request for a console has.
func tokenIn(c *cloud, a answer) string {
	c.tb.Helper()
	for _, v := range a.json(c.tb) {
		u, err := url.Parse(v.(map[string]any)["url"].(string))
		if err != nil {
			c.tb.Fatal(err)
		}
		if token := u.Query().Get("token"); token != "" {
			return token
		}
		if _, token, ok := strings.Cut(u.Query().Get("path"), "?token="); ok {
			return token
		}
	}
	c.tb.Fatalf("no token in %s", a.body)
	return ""
}
