package instance

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) shelveRoutes() []httpapi.Route {
	row := func(key string, rule httpapi.Rule, body *httpapi.Schema, h httpapi.Handler) httpapi.Route {
		return httpapi.Route{Method: http.MethodPost, Path: "/servers/{id}/action", Action: key, Rule: rule, Body: body, Status: http.StatusAccepted, Handler: h}
	}
	return []httpapi.Route{
		row("shelve", httpapi.MemberOrAdmin("os_compute_api:os-shelve:shelve"), base.Action("shelve", `{}`), s.shelveInstance),
		row("shelveOffload", httpapi.Admin("os_compute_api:os-shelve:shelve_offload"), base.Action("shelveOffload", `{}`), s.operate(structs.OpShelveOffload)),
		row("unshelve", httpapi.MemberOrAdmin("os_compute_api:os-shelve:unshelve"), unshelveSchema, s.unshelveInstance),
	}
}

var unshelveSchema = base.Action("unshelve", `{"x-when": [
	{"max": 76, "schema": {}},
	{"min": 77, "max": 90, "schema": {"type": ["object", "null"], "additionalProperties": false, "required": ["availability_zone"],
		"properties": {"availability_zone": @name}}},
	{"min": 91, "schema": {"type": ["object", "null"], "additionalProperties": false, "minProperties": 1,
		"properties": {"availability_zone": {"oneOf": [@name, {"type": "null"}]}, "host": @text}}}]}`)

// shelveInstance keeps the disk as an image of the instance's own project and takes the instance off its host, at once or when its time has come.
func (s *service) shelveInstance(r *httpapi.Request) (any, error) {
	rd, ins, err := target(r)
	if err != nil {
		return nil, err
	}
	img, op := s.newImage(rd, ins, &imageBody{Name: ins.Name + "-shelved"}, structs.OpShelve), s.operation(r, ins, structs.OpShelve)
	op.Args.NewImageID, op.Args.OffloadAfter = img.ID, s.OffloadAfter
	return nil, s.startMaking(r, rd, op, img)
}

// unshelveInstance brings the instance back: to any host, to one of a zone from 2.77 on, or to a host that an administrator names from 2.91 on.
func (s *service) unshelveInstance(r *httpapi.Request) (any, error) {
	rd, ins, err := target(r)
	if err != nil {
		return nil, err
	}
	op := s.operation(r, ins, structs.OpUnshelve)
	if r.Version >= 77 { // before it the value may be anything and says nothing
		if op.Args.Pin, err = s.unshelveTo(r, rd, ins); err != nil {
			return nil, err
		}
	}
	return nil, s.start(r, op)
}

// unshelveTo is where the body wants the instance; nil is anywhere.
func (s *service) unshelveTo(r *httpapi.Request, rd state.Reader, ins *structs.Instance) (*structs.Pin, error) {
	body, err := base.Decode[struct {
		Unshelve *struct {
			Zone base.Optional[string] `json:"availability_zone"`
			Host string                `json:"host"`
		} `json:"unshelve"`
	}](r)
	if err != nil || body.Unshelve == nil {
		return nil, err
	}
	to := body.Unshelve
	if ins.VM == structs.VMShelved {
		return nil, httpapi.Conflict("Cannot 'unshelve' instance %s while it is in vm_state %s", ins.ID, ins.VM)
	}
	if to.Host != "" {
		if err := r.AllowFor(ruleUnshelveToHost, ins.ProjectID, ins.UserID); err != nil {
			return nil, err
		}
		if rd.HostByName(to.Host) == nil {
			return nil, httpapi.BadRequest("Compute host %s could not be found.", to.Host)
		}
	}
	pin := &structs.Pin{Host: to.Host, SetZone: to.Zone.Set}
	if zone := to.Zone.Value; zone != nil {
		pin.Zone = *zone
		if err := s.checkZone(rd, &structs.Instance{PinnedZone: *zone}); err != nil {
			return nil, err
		}
	}
	return pin, nil
}
