package proxy

import (
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// externalEventRoutes are where other services tell what they did to instances.
func (s *service) externalEventRoutes() []httpapi.Route {
	return []httpapi.Route{{Method: http.MethodPost, Path: "/os-server-external-events", Rule: httpapi.ServiceOrAdmin("os_compute_api:os-server-external-events:create"),
		Body: externalEventSchema, Handler: s.externalEvents}}
}

const networkEvents = `"network-changed", "network-vif-deleted", "network-vif-plugged", "network-vif-unplugged"`

var externalEventSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["events"], "properties": {
	"events": {"type": "array", "minItems": 1, "items": {"type": "object", "additionalProperties": false, "required": ["server_uuid", "name"], "properties": {
		"server_uuid": @uuid, "status": {"type": "string", "enum": ["failed", "completed", "in-progress"]}, "tag": @text255,
		"name": {"type": "string", "x-when": [
			{"max": 50, "schema": {"enum": [` + networkEvents + `]}},
			{"min": 51, "max": 75, "schema": {"enum": [` + networkEvents + `, "volume-extended"]}},
			{"min": 76, "max": 81, "schema": {"enum": [` + networkEvents + `, "power-update", "volume-extended"]}},
			{"min": 82, "max": 92, "schema": {"enum": [` + networkEvents + `, "accelerator-request-bound", "power-update", "volume-extended"]}},
			{"min": 93, "schema": {"enum": [` + networkEvents + `, "accelerator-request-bound", "power-update", "volume-extended", "volume-reimaged"]}}]}}}}}}`)

const powerUpdate = "power-update"

// needTag are the events that say nothing without a tag.
var needTag = []string{"volume-extended", powerUpdate, "accelerator-request-bound"}

// externalEvent is an event as it came, and as it is answered with what became of it.
type externalEvent struct {
	Name       string  `json:"name"`
	InstanceID string  `json:"server_uuid"`
	Status     string  `json:"status"`
	Tag        *string `json:"tag,omitempty"`
	Code       int     `json:"code"`
}

// externalEvents judges each event alone. An event is completed when it was taken in, as in Nova: what comes of it shows at the instance. Only
// power-update changes anything; the others are about networks, volumes and accelerators, which no instance has without the services for them.
func (s *service) externalEvents(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Events []externalEvent `json:"events"`
	}](r)
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	status := http.StatusOK
	for i := range body.Events {
		e := &body.Events[i]
		// The services that tell are of no project: they are known by their role.
		ins := rd.Instance(structs.InstanceID(e.InstanceID))
		e.Status, e.Code = "failed", 0
		switch {
		case ins == nil || ins.Deleted():
			e.Code = http.StatusNotFound
		case e.Tag == nil && slices.Contains(needTag, e.Name):
			e.Code = http.StatusBadRequest
		case ins.HostID == "":
			e.Code = http.StatusUnprocessableEntity
		default:
			e.Status, e.Code = "completed", http.StatusOK
		}
		if e.Code != http.StatusOK {
			status = http.StatusMultiStatus
		} else if e.Name == powerUpdate {
			if err := s.updatePower(r, ins, *e.Tag); err != nil {
				return nil, err
			}
		}
	}
	return httpapi.Reply{Status: status, Body: body}, nil
}

// updatePower records what somebody did to the power of an instance's machine. Another tag than the two is taken in and means nothing.
func (s *service) updatePower(r *httpapi.Request, ins *structs.Instance, tag string) error {
	action := structs.Operation{ID: structs.OperationID(nomadlike.NewUUID()), InstanceID: ins.ID, ProjectID: r.Token.ProjectID, UserID: r.Token.UserID, RequestID: r.RequestID}
	switch tag {
	case "POWER_ON":
		action.Kind = structs.OpStart
	case "POWER_OFF":
		action.Kind = structs.OpStop
	default:
		return nil
	}
	_, err := fsm.InstancePower.Propose(r.Context(), r.Core, &structs.InstancePowerRequest{ID: ins.ID, On: action.Kind == structs.OpStart, Action: action, Now: s.Time()})
	if structs.IsKind(err, structs.KindNotFound) {
		return nil // deleted meanwhile
	}
	return err
}
