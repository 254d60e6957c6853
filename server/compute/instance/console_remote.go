package instance

import (
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const remoteConsolePolicy = "os_compute_api:os-remote-consoles"

// oldConsoles are the actions that asked for a remote console before 2.6, their protocols, and the types that each could ask for.
var oldConsoles = []struct {
	action, protocol string
	types            string // of the schema's enum
}{{"os-getVNCConsole", "vnc", `"novnc", "xvpvnc"`}, {"os-getSPICEConsole", "spice", `"spice-html5"`}, {"os-getSerialConsole", "serial", `"serial"`}}

// consoleRoutes ask for remote consoles.
func (s *service) consoleRoutes() []httpapi.Route {
	rows := []httpapi.Route{{Method: http.MethodPost, Path: "/servers/{id}/remote-consoles", Min: 6, Rule: httpapi.MemberOrAdmin(remoteConsolePolicy),
		Body: remoteConsoleSchema, Handler: s.createRemoteConsole},
		{Method: http.MethodPost, Path: "/servers/{id}/action", Action: "os-getRDPConsole", Max: 5, Rule: httpapi.Authenticated(remoteConsolePolicy + ":rdp"), Body: base.Schema(`{}`),
			Handler: func(*httpapi.Request) (any, error) { return nil, base.NotWellFormed() }}} // gone with Hyper-V: Nova asks neither who nor what
	for _, c := range oldConsoles {
		body := base.Schema(`{"type": "object", "additionalProperties": false, "required": ["` + c.action + `"], "properties": {"` + c.action +
			`": {"type": "object", "additionalProperties": false, "required": ["type"], "properties": {"type": {"type": "string", "enum": [` + c.types + `]}}}}}`)
		rows = append(rows, httpapi.Route{Method: http.MethodPost, Path: "/servers/{id}/action", Action: c.action, Max: 5, Rule: httpapi.MemberOrAdmin(remoteConsolePolicy),
			Body: body, Handler: s.oldConsole(c.action, c.protocol)})
	}
	return rows
}

// askedConsole is what either form of the request says.
type askedConsole struct{ Protocol, Type string }

func (s *service) createRemoteConsole(r *httpapi.Request) (any, error) {
	body, err := base.Decode[map[string]askedConsole](r)
	if err != nil {
		return nil, err
	}
	asked := (*body)["remote_console"]
	url, err := s.remoteConsole(r, asked)
	if err != nil {
		return nil, err
	}
	return map[string]any{"remote_console": map[string]string{"protocol": asked.Protocol, "type": asked.Type, "url": url}}, nil
}

func (s *service) oldConsole(action, protocol string) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) {
		body, err := base.Decode[map[string]askedConsole](r)
		if err != nil {
			return nil, err
		}
		asked := askedConsole{protocol, (*body)[action].Type}
		url, err := s.remoteConsole(r, asked)
		if err != nil {
			return nil, err
		}
		return map[string]any{"console": map[string]string{"type": asked.Type, "url": url}}, nil
	}
}

// remoteConsole asks the host where the console is, records a token for it and returns the URL that has the token.
func (s *service) remoteConsole(r *httpapi.Request, asked askedConsole) (string, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return "", err
	}
	ins, err := instanceOf(r, rd, r.Vars["id"])
	if err != nil {
		return "", err
	}
	console, err := s.consoleType(ins, asked)
	if err != nil {
		return "", err
	}
	at, err := r.Core.ConsoleEndpoint(r.Context(), ins, console.Kind)
	if err != nil {
		return "", endpointFailure(r, rd, ins, console.Name, err)
	}
	token, now := nomadlike.NewUUID(), s.Time()
	record := structs.ConsoleToken{Hash: structs.ConsoleTokenHash(token), InstanceID: ins.ID, HostID: ins.HostID, Type: console.Name, Kind: console.Kind, Endpoint: *at,
		CreatedAt: now, ExpiresAt: now.Add(s.Consoles.TokenTTL)}
	if _, err := fsm.ConsoleTokenCreate.Propose(r.Context(), r.Core, &structs.ConsoleTokenCreateRequest{Token: record}); err != nil {
		return "", err
	}
	return console.URL(token), nil
}

// consoleType judges a request in Nova's order: the instance's host and task are the API's to know, the type its host's.
func (s *service) consoleType(ins *structs.Instance, asked askedConsole) (*base.ConsoleType, error) {
	switch console := s.Consoles.Type(asked.Protocol, asked.Type); {
	case asked.Protocol == "rdp": // gone with Hyper-V: it is asked of no instance
		return nil, unavailableConsole(asked.Type)
	case ins.HostID == "":
		return nil, httpapi.Conflict("Instance %s is not ready", ins.ID)
	case ins.Task == structs.TaskDeleting || ins.Task == structs.TaskMigrating:
		return nil, httpapi.Conflict("Cannot 'get_%s_console' instance %s while it is in task_state %s", asked.Protocol, ins.ID, ins.Task)
	case !s.Consoles.Enabled(asked.Protocol):
		return nil, unavailableConsole(asked.Type)
	case console == nil:
		return nil, httpapi.BadRequest("Invalid console type %s", asked.Type)
	case console.Base == "":
		return nil, unavailableConsole(asked.Type)
	default:
		return console, nil
	}
}

func unavailableConsole(name string) error {
	return httpapi.BadRequest("Unavailable console type %s.", name)
}

// endpointFailure words why a host has no console to connect to.
func endpointFailure(r *httpapi.Request, rd state.Reader, ins *structs.Instance, console string, err error) error {
	switch structs.KindOf(err) {
	case structs.KindNotSupported:
		if h := rd.Host(ins.HostID); h == nil || !slices.Contains(h.Methods, "ConsoleEndpoint") {
			return structs.Errorf(structs.KindNotSupported, "The requested functionality is not supported.")
		}
		return unavailableConsole(console)
	case structs.KindInvalid: // a kind that the driver does not know
		return unavailableConsole(console)
	case structs.KindNotFound:
		if ins.VM == structs.VMBuilding {
			return httpapi.Conflict("Instance %s is not ready", ins.ID)
		}
		return instanceNotFound(string(ins.ID))
	}
	return consoleFailure(r, ins, err)
}
