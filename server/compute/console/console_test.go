package console_test

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
)

func TestConsoleURLs(t *testing.T) {
	t.Parallel()
	s := newScreens(t, everyConsole)
	uuid4 := `[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}`
	for _, one := range []struct{ version, protocol, kind, url string }{
		{"2.6", "vnc", "novnc", `http://127\.0\.0\.1:6080/vnc_auto\.html\?path=%3Ftoken%3D`},
		{"2.104", "vnc", "novnc", `http://127\.0\.0\.1:6080/vnc_auto\.html\?path=%3Ftoken%3D`},
		{"2.6", "spice", "spice-html5", `http://127\.0\.0\.1:6082/spice_auto\.html\?token=`},
		{"2.99", "spice", "spice-direct", `http://127\.0\.0\.1:13002/nova\?token=`},
		{"2.6", "serial", "serial", `ws://127\.0\.0\.1:6083/\?token=`},
		{"2.8", "mks", "webmks", `http://127\.0\.0\.1:6090/mks\.html\?token=`},
	} {
		got := s.ask("alice", one.version, one.protocol, one.kind)
		form := `^\{"remote_console":\{"protocol":"` + one.protocol + `","type":"` + one.kind + `","url":"` + one.url + uuid4 + `"\}\}\s*$`
		if !regexp.MustCompile(form).Match(got.body) {
			t.Errorf("%s, want %s", got.body, form)
		}
	}
	for action, one := range map[string][2]string{"os-getVNCConsole": {"novnc", `http://127\.0\.0\.1:6080/vnc_auto\.html\?path=%3Ftoken%3D`},
		"os-getSPICEConsole": {"spice-html5", `http://127\.0\.0\.1:6082/spice_auto\.html\?token=`}, "os-getSerialConsole": {"serial", `ws://127\.0\.0\.1:6083/\?token=`}} {
		for _, version := range []string{"2.1", "2.5"} {
			got := s.want(200, "alice", version, "POST", "/servers/"+s.id+"/action", fmt.Sprintf(`{%q: {"type": %q}}`, action, one[0]))
			if form := `^\{"console":\{"type":"` + one[0] + `","url":"` + one[1] + uuid4 + `"\}\}\s*$`; !regexp.MustCompile(form).Match(got.body) {
				t.Errorf("%s, want %s", got.body, form)
			}
		}
	}
	if a, b := s.open("vnc", "novnc"), s.open("vnc", "novnc"); a == b {
		t.Errorf("the token %s was given twice", a)
	}
}

func TestConsoleRefusals(t *testing.T) {
	t.Parallel()
	s := newScreens(t, base.Consoles{VNCURL: "http://c:6080/vnc.html", SPICEURL: "http://c/spice.html"})
	refused := func(status int, words, protocol, kind string) {
		t.Helper()
		for _, token := range []string{"alice", "admin"} {
			a := s.ask(token, "2.99", protocol, kind)
			if a.StatusCode != status || !strings.Contains(string(a.body), words) {
				t.Errorf("%s %s as %s: %d %s, want %d %s", protocol, kind, token, a.StatusCode, a.body, status, words)
			}
		}
		if n := s.tokens(); n != 0 {
			t.Errorf("%d tokens", n)
		}
	}
	refused(400, "Unavailable console type serial.", "serial", "serial")
	refused(400, "Unavailable console type webmks.", "mks", "webmks")
	refused(400, "Unavailable console type spice-direct.", "spice", "spice-direct")
	refused(400, "Unavailable console type rdp-html5.", "rdp", "rdp-html5")
	refused(400, "Invalid console type xvpvnc", "vnc", "xvpvnc")
	refused(400, "Invalid console type spice-html5", "vnc", "spice-html5")
	s.want(400, "alice", "2.5", "POST", "/servers/"+s.id+"/action", `{"os-getVNCConsole": {"type": "xvpvnc"}}`)
	failure := error(nil)
	s.core.Endpoint = func(*structs.Instance, string) (*structs.ConsoleEndpoint, error) { return nil, failure }
	for _, one := range []struct {
		kind   structs.Kind
		status int
		words  string
	}{
		{structs.KindNotSupported, 501, "The requested functionality is not supported."},
		{structs.KindInvalid, 400, "Unavailable console type novnc."},
		{structs.KindNotFound, 404, "Instance " + s.id + " could not be found."},
		{structs.KindConflict, 409, ""},
		{structs.KindUnavailable, 503, ""},
	} {
		failure = structs.Errorf(one.kind, "/var/lib/secret")
		refused(one.status, one.words, "vnc", "novnc")
		if a := s.ask("alice", "2.6", "vnc", "novnc"); strings.Contains(string(a.body), "secret") {
			t.Errorf("%s", a.body)
		}
	}
	s.core.Write(func(tx *state.Txn) {
		h := tx.Host(tx.Instance(structs.InstanceID(s.id)).HostID).Copy()
		h.Methods = []string{"ConsoleEndpoint"}
		tx.PutHost(h)
	})
	failure = structs.Errorf(structs.KindNotSupported, "no screen")
	refused(400, "Unavailable console type novnc.", "vnc", "novnc")

	s.core.Endpoint = endpoint
	for _, task := range []structs.TaskState{structs.TaskDeleting, structs.TaskMigrating} {
		s.alter(func(i *structs.Instance) { i.Task = task })
		refused(409, fmt.Sprintf("Cannot 'get_vnc_console' instance %s while it is in task_state %s", s.id, task), "vnc", "novnc")
		s.want(409, "alice", "2.5", "POST", "/servers/"+s.id+"/action", `{"os-getSPICEConsole": {"type": "spice-html5"}}`)
	}
	s.alter(func(i *structs.Instance) { i.Task = structs.TaskNone })
	if a := s.ask("bob", "2.6", "vnc", "novnc"); a.StatusCode != 404 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := s.ask("reader", "2.6", "vnc", "novnc"); a.StatusCode != 403 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	s.alter(func(i *structs.Instance) { i.HostID = "" })
	refused(409, "Instance "+s.id+" is not ready", "vnc", "novnc")
	refused(400, "Unavailable console type rdp-html5.", "rdp", "rdp-html5")
}

func (s *screens) tokens() (n int) {
	for range s.core.Stale().ConsoleTokens() {
		n++
	}
	return n
}

// A token leads an administrator to the console until its time is over, its instance leaves, or someaccessPath else may be at the console's port.
func TestConsoleTokenLeads(t *testing.T) {
	t.Parallel()
	s := newScreens(t, everyConsole)
	const path = "/os-console-auth-tokens/"
	serial, spice := s.open("serial", "serial"), s.open("spice", "spice-direct")
	for _, version := range []string{"2.31", "2.98", "2.99", "2.104"} {
		s.want(200, "admin", version, "GET", path+serial, "")
	}
	s.leads(`{"console":{"host":"localhost","instance_uuid":"`+s.id+`","internal_access_path":"`+accessPath+`","port":5900}}`, "2.31", serial)
	s.leads(`{"console":{"host":"localhost","instance_uuid":"`+s.id+`","internal_access_path":"`+accessPath+`","port":5900,"tls_port":null}}`, "2.99", serial)
	s.leads(`{"console":{"host":"127.0.0.1","instance_uuid":"`+s.id+`","internal_access_path":null,"port":6969,"tls_port":6970}}`, "2.99", spice)
	s.want(400, "admin", "2.1", "GET", path+serial, "")
	s.want(400, "admin", "2.30", "GET", path+serial, "")
	s.want(200, "admin", "2.98", "GET", path+serial+"?foo=1", "")
	s.want(400, "admin", "2.99", "GET", path+serial+"?foo=1", "")
	s.want(403, "alice", "2.31", "GET", path+serial, "")
	s.closed(structs.ConsoleTokenHash(serial))
	s.closed(strings.ToUpper(serial))

	s.core.Endpoint = func(*structs.Instance, string) (*structs.ConsoleEndpoint, error) {
		return &structs.ConsoleEndpoint{Host: "localhost", Port: 5901}, nil
	}
	s.closed(serial)
	s.core.Endpoint = nil
	s.closed(serial)
	s.core.Endpoint = endpoint
	s.want(200, "admin", "2.31", "GET", path+serial, "")

	s.late.Store(int64(9 * time.Minute))
	late := s.open("serial", "serial")
	s.want(200, "admin", "2.31", "GET", path+serial, "")
	s.late.Store(int64(11 * time.Minute))
	s.closed(serial)
	s.closed(spice)
	s.want(200, "admin", "2.31", "GET", path+late, "")

	s.want(204, "alice", "2.1", "DELETE", "/servers/"+s.id, "")
	s.core.Drive(nil)
	s.closed(late)
	if n := s.tokens(); n != 0 {
		t.Errorf("%d tokens are left", n)
	}
}

// How long tokens live is the operator's to say.
func TestConsoleTokenTTL(t *testing.T) {
	t.Parallel()
	o := everyConsole
	o.TokenTTL = time.Hour
	s := newScreens(t, o)
	token := s.open("vnc", "novnc")
	s.late.Store(int64(59 * time.Minute))
	s.want(200, "admin", "2.31", "GET", "/os-console-auth-tokens/"+token, "")
	s.late.Store(int64(61 * time.Minute))
	s.closed(token)
}

// The token is in the answer alone: the state, the change stream and the log do not have it.
func TestConsoleTokenIsNowhere(t *testing.T) {
	t.Parallel()
	s := newScreens(t, everyConsole)
	begun := s.core.Stale().Index()
	sub, _ := s.core.Events().Subscribe(begun)
	token := s.open("vnc", "novnc")
	s.want(200, "admin", "2.31", "GET", "/os-console-auth-tokens/"+token, "")
	s.want(200, "admin", "2.31", "GET", "/"+adminProject+"/os-console-auth-tokens/"+token, "")
	s.want(401, "nobody", "2.31", "GET", "/os-console-auth-tokens/"+token, "")
	s.want(404, "admin", "2.31", "POST", "/os-console-auth-tokens/"+token+"/x", `{}`)
	var kept bytes.Buffer
	if err := s.core.Stale().Persist(&kept); err != nil {
		t.Fatal(err)
	}
	snapshot := kept.Bytes()
	if !bytes.Contains(snapshot, []byte(structs.ConsoleTokenHash(token))) {
		t.Error("the state does not have the hash")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	events, _, err := sub.Next(ctx)
	if err != nil {
		t.Fatal(err)
	}
	s.srv.Close()
	text := fmt.Sprintf("%s %s", snapshot, s.log.String())
	for _, e := range events {
		text += fmt.Sprintf(" %+v", e.Entity)
	}
	if strings.Contains(text, token) {
		t.Errorf("the token is in what is kept:\n%s", s.log.String())
	}
	if !strings.Contains(s.log.String(), "/os-console-auth-tokens/(hidden)") {
		t.Errorf("the requests are not in the log:\n%s", s.log.String())
	}
}

// An instance that has left while its host was asked gets no token.
func TestConsoleOfALeaver(t *testing.T) {
	t.Parallel()
	s := newScreens(t, everyConsole)
	s.core.Endpoint = func(ins *structs.Instance, kind string) (*structs.ConsoleEndpoint, error) {
		s.alter(func(i *structs.Instance) { i.HostID = "another" })
		return endpoint(ins, kind)
	}
	if a := s.ask("alice", "2.6", "vnc", "novnc"); a.StatusCode != 409 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	s.core.Endpoint = func(ins *structs.Instance, kind string) (*structs.ConsoleEndpoint, error) {
		_, err := fsm.OperationCreate.Propose(t.Context(), s.core, &structs.OperationCreateRequest{Now: 1,
			Operation: structs.Operation{ID: "delete", InstanceID: ins.ID, ProjectID: ins.ProjectID, Kind: structs.OpDelete}})
		if err != nil {
			t.Error(err)
		}
		s.core.Drive(nil)
		return endpoint(ins, kind)
	}
	if a := s.ask("alice", "2.6", "vnc", "novnc"); a.StatusCode != 404 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}
