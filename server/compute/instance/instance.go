package instance

import (
	"encoding/json"
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const instancePolicy = "os_compute_api:servers:"

func (s *service) instanceRoutes() []httpapi.Route {
	member := func(rule string) httpapi.Rule { return httpapi.MemberOrAdmin(instancePolicy + rule) }
	reader := func(rule string) httpapi.Rule { return httpapi.ReaderOrAdmin(instancePolicy + rule) }
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/servers", Rule: reader("index"), Query: instanceListQuery, Handler: s.listInstances},
		{Method: http.MethodGet, Path: "/servers/detail", Rule: reader("detail"), Query: instanceListQuery, Handler: s.listInstances},
		{Method: http.MethodPost, Path: "/servers", Rule: member("create"), Body: instanceCreateSchema, Status: http.StatusAccepted, Handler: s.createInstances},
		{Method: http.MethodGet, Path: "/servers/{id}", Rule: reader("show"), Query: base.NoQuery, Handler: s.showInstance},
		{Method: http.MethodPut, Path: "/servers/{id}", Rule: member("update"), Body: instanceUpdateSchema, Handler: s.updateInstance},
		{Method: http.MethodDelete, Path: "/servers/{id}", Rule: member("delete"), Status: http.StatusNoContent, Handler: s.deleteInstance},
		{Method: http.MethodPost, Path: "/servers/{id}/action", Action: "os-start", Rule: member("start"), Body: startSchema,
			Status: http.StatusAccepted, Handler: s.operate(structs.OpStart)},
		{Method: http.MethodPost, Path: "/servers/{id}/action", Action: "os-stop", Rule: member("stop"), Body: stopSchema,
			Status: http.StatusAccepted, Handler: s.operate(structs.OpStop)},
		{Method: http.MethodPost, Path: "/servers/{id}/action", Action: "reboot", Rule: member("reboot"), Body: rebootSchema,
			Status: http.StatusAccepted, Handler: s.rebootInstance},
		{Method: http.MethodPost, Path: "/servers/{id}/action", Action: "os-getConsoleOutput", Rule: httpapi.MemberOrAdmin("os_compute_api:os-console-output"),
			Body: consoleSchema, Handler: s.consoleOutput},
	}
}

// instanceOf returns the instance that the URL names. What the caller may not see is 404, with the words for what does not exist.
func instanceOf(r *httpapi.Request, rd state.Reader, id string) (*structs.Instance, error) {
	ins, err := instanceOrDeleted(r, rd, id)
	if err == nil && ins.Deleted() {
		return nil, instanceNotFound(id)
	}
	return ins, err
}

// instanceOrDeleted is instanceOf that also returns the records of deleted instances.
func instanceOrDeleted(r *httpapi.Request, rd state.Reader, id string) (*structs.Instance, error) {
	ins := rd.Instance(structs.InstanceID(id))
	if ins == nil || !r.Sees(ins.ProjectID) {
		return nil, instanceNotFound(id)
	}
	if err := r.AllowObject(ins.ProjectID, ins.UserID); err != nil {
		return nil, err
	}
	return ins, nil
}

func instanceNotFound(id string) error {
	return httpapi.NotFound("Instance %s could not be found.", id)
}

func (s *service) showInstance(r *httpapi.Request) (any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	ins, err := instanceOf(r, rd, r.Vars["id"])
	if err != nil {
		return nil, err
	}
	return oneInstance(r, rd, ins, shapeShow), nil
}

func oneInstance(r *httpapi.Request, rd state.Reader, ins *structs.Instance, s shape) json.RawMessage {
	b := append(make([]byte, 0, 4096), `{"server":`...)
	return append(newViewer(r, rd).appendDetail(b, ins, s), '}')
}

func (s *service) deleteInstance(r *httpapi.Request) (any, error) {
	_, ins, err := target(r)
	if err != nil {
		return nil, err
	}
	kind := structs.OpDelete
	if s.ReclaimAfter > 0 && !ins.LaunchedAt.IsZero() && ins.HostID != "" && ins.VM != structs.VMSoftDeleted {
		kind = structs.OpSoftDelete
	}
	return nil, s.start(r, s.operation(r, ins, kind))
}

func (s *service) rebootInstance(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Reboot struct{ Type string } `json:"reboot"`
	}](r)
	if err != nil {
		return nil, err
	}
	if t := body.Reboot.Type; t[0] == 'H' || t[0] == 'h' {
		return s.begin(r, structs.OpHardReboot)
	}
	return s.begin(r, structs.OpSoftReboot)
}
