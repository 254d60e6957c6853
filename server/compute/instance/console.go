package instance

import (
	"net/http"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const remoteConsolePolicy = "os_compute_api:os-remote-consoles"

// oldConsoles are the actions that asked for a remote console before 2.6, and the types that each could ask for.
var oldConsoles = []struct {
	action string
	types  string // of the schema's enum
}{{"os-getVNCConsole", `"novnc", "xvpvnc"`}, {"os-getSPICEConsole", `"spice-html5"`}, {"os-getSerialConsole", `"serial"`}}

// consoleRoutes ask for remote consoles. No host has one here, and they are answered as Nova answers where no console is enabled.
func (s *service) consoleRoutes() []httpapi.Route {
	rows := []httpapi.Route{{Method: http.MethodPost, Path: "/servers/{id}/remote-consoles", Min: 6, Rule: httpapi.MemberOrAdmin(remoteConsolePolicy),
		Body: remoteConsoleSchema, Handler: s.remoteConsole},
		{Method: http.MethodPost, Path: "/servers/{id}/action", Action: "os-getRDPConsole", Max: 5, Rule: httpapi.Authenticated(remoteConsolePolicy + ":rdp"), Body: base.Schema(`{}`),
			Handler: func(*httpapi.Request) (any, error) { return nil, base.NotWellFormed() }}} // gone with Hyper-V: Nova asks neither who nor what
	for _, c := range oldConsoles {
		body := base.Schema(`{"type": "object", "additionalProperties": false, "required": ["` + c.action + `"], "properties": {"` + c.action +
			`": {"type": "object", "additionalProperties": false, "required": ["type"], "properties": {"type": {"type": "string", "enum": [` + c.types + `]}}}}}`)
		rows = append(rows, httpapi.Route{Method: http.MethodPost, Path: "/servers/{id}/action", Action: c.action, Max: 5, Rule: httpapi.MemberOrAdmin(remoteConsolePolicy),
			Body: body, Handler: s.remoteConsole})
	}
	return rows
}

// remoteConsole answers every way to ask for a remote console: by the one key of the body.
func (s *service) remoteConsole(r *httpapi.Request) (any, error) {
	body, err := base.Decode[map[string]struct{ Type string }](r)
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	if _, err := instanceOf(r, rd, r.Vars["id"]); err != nil {
		return nil, err
	}
	for _, asked := range *body {
		return nil, httpapi.BadRequest("Unavailable console type %s.", asked.Type)
	}
	return nil, httpapi.BadRequest("Malformed request body")
}

type consoleBody struct {
	Args struct {
		Length *base.FlexInt `json:"length"`
	} `json:"os-getConsoleOutput"`
}

// consoleOutput answers the end of an instance's serial console. No length, null and -1 ask for all of it.
func (s *service) consoleOutput(r *httpapi.Request) (any, error) {
	body, err := base.Decode[consoleBody](r)
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	ins, err := instanceOf(r, rd, r.Vars["id"])
	if err != nil {
		return nil, err
	}
	if ins.HostID == "" {
		return nil, httpapi.Conflict("Instance %s is not ready", ins.ID)
	}
	lines := s.ConsoleLineLimit
	if n := body.Args.Length; n != nil && *n >= 0 {
		if *n == 0 {
			return consoleAnswer(""), nil
		}
		if lines == 0 || int64(*n) < int64(lines) {
			lines = int(min(*n, 1<<31-1))
		}
	}
	out, err := r.Core.ConsoleOutput(r.Context(), ins, lines)
	switch {
	case structs.IsKind(err, structs.KindNotSupported):
		return nil, structs.Errorf(structs.KindNotSupported, "The requested functionality is not supported.")
	case structs.IsKind(err, structs.KindNotFound):
		return nil, httpapi.NotFound("Guest does not have a console available.")
	case err != nil:
		return nil, consoleFailure(r, ins, err)
	}
	return consoleAnswer(stripControls(out)), nil
}

// consoleFailure words why a host could not answer. It knows its name, its paths and its hypervisor's address, which are for administrators.
func consoleFailure(r *httpapi.Request, ins *structs.Instance, err error) error {
	switch k := structs.KindOf(err); {
	case r.Token.IsAdmin() || k == structs.KindInternal: // nobody is shown the latter
		return err
	case k == structs.KindConflict:
		return httpapi.Conflict("Instance %s is not ready", ins.ID)
	default:
		return structs.Errorf(k, "The console of instance %s cannot be read now.", ins.ID)
	}
}

func consoleAnswer(text string) any { return map[string]string{"output": text} }

// stripControls removes the control characters that Nova removes: all below space but tab and newline. What is not UTF-8 becomes U+FFFD.
func stripControls(b []byte) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\t' && c != '\n' {
			return -1
		}
		return c
	}, strings.ToValidUTF8(string(b), "\ufffd"))
}
