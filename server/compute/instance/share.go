package instance

import (
	"cmp"
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/compute/proxy"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// sharesSince is the first microversion with shares.
const sharesSince = 97

func (s *service) shareRoutes() []httpapi.Route {
	const all, one, policy = "/servers/{server_id}/shares", "/servers/{server_id}/shares/{id}", "os_compute_api:os-server-shares:"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: all, Min: sharesSince, Rule: httpapi.ReaderOrAdmin(policy + "index"), Query: closedQuery, Handler: s.listShares},
		{Method: http.MethodPost, Path: all, Min: sharesSince, Rule: httpapi.MemberOrAdmin(policy + "create"), Body: shareSchema, Status: http.StatusCreated, Handler: s.attachShare},
		{Method: http.MethodGet, Path: one, Min: sharesSince, Rule: httpapi.ReaderOrAdmin(policy + "show"), Query: closedQuery, Handler: s.showShare},
		{Method: http.MethodDelete, Path: one, Min: sharesSince, Rule: httpapi.MemberOrAdmin(policy + "delete"), Handler: s.detachShare},
	}
}

var (
	closedQuery = base.Schema(`{"type": "object", "additionalProperties": false, "properties": {}}`)

	shareSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["share"], "properties": {
		"share": {"type": "object", "additionalProperties": false, "required": ["share_id"], "properties": {
			"share_id": @uuid, "tag": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[a-zA-Z0-9-]*$"}}}}}`)
)

// shareView is a share as a list shows it; alone, an administrator sees more.
func shareView(f *proxy.Share) map[string]any {
	return map[string]any{"share_id": f.ID, "status": f.Status, "tag": f.Tag}
}

func shareAnswer(r *httpapi.Request, f *proxy.Share) any {
	v := shareView(f)
	if r.Token.IsAdmin() {
		v["export_location"], v["uuid"] = f.Export, f.MappingID
	}
	return map[string]any{"share": v}
}

func (s *service) listShares(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	found, err := s.to.Shares.Shares(r, ins)
	if err != nil {
		return nil, err
	}
	list := make([]map[string]any, len(found))
	for i := range found {
		list[i] = shareView(&found[i])
	}
	return map[string]any{"shares": list}, nil
}

func (s *service) showShare(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	found, err := s.to.Shares.Shares(r, ins)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(found, func(f proxy.Share) bool { return f.ID == r.Vars["id"] })
	if i < 0 {
		return nil, proxy.NoShare(r.Vars["id"])
	}
	return shareAnswer(r, &found[i]), nil
}

// shareable is the instance of the URL when it is in one of the states in which its shares may change. A lock does not matter.
func shareable(r *httpapi.Request, action string, states ...structs.VMState) (*structs.Instance, error) {
	ins, err := instanceOfURL(r)
	if err == nil && !slices.Contains(states, ins.VM) {
		err = httpapi.Conflict("Cannot '%s' instance %s while it is in vm_state %s", action, ins.ID, ins.VM)
	}
	return ins, err
}

func (s *service) attachShare(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Share struct {
			ID  string `json:"share_id"`
			Tag string `json:"tag"`
		} `json:"share"`
	}](r)
	if err != nil {
		return nil, err
	}
	ins, err := shareable(r, "create share", structs.VMStopped)
	if err != nil {
		return nil, err
	}
	made, err := s.to.Shares.AttachShare(r, ins, body.Share.ID, cmp.Or(body.Share.Tag, body.Share.ID))
	if err != nil {
		return nil, err
	}
	return shareAnswer(r, made), nil
}

func (s *service) detachShare(r *httpapi.Request) (any, error) {
	ins, err := shareable(r, "delete share", structs.VMStopped, structs.VMError)
	if err != nil {
		return nil, err
	}
	return nil, s.to.Shares.DetachShare(r, ins, r.Vars["id"])
}
