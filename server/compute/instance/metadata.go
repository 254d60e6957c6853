package instance

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) metadataRoutes() []httpapi.Route {
	const all, one = "/servers/{server_id}/metadata", "/servers/{server_id}/metadata/{id}"
	member := func(verb string) httpapi.Rule { return httpapi.MemberOrAdmin("os_compute_api:server-metadata:" + verb) }
	reader := func(verb string) httpapi.Rule { return httpapi.ReaderOrAdmin("os_compute_api:server-metadata:" + verb) }
	return []httpapi.Route{
		{Method: http.MethodGet, Path: all, Rule: reader("index"), Query: base.NoQuery, Handler: s.listMetadata},
		{Method: http.MethodPost, Path: all, Rule: member("create"), Body: metadataSchema, Handler: s.setMetadata(false)},
		{Method: http.MethodPut, Path: all, Rule: member("update_all"), Body: metadataSchema, Handler: s.setMetadata(true)},
		{Method: http.MethodGet, Path: one, Rule: reader("show"), Query: base.NoQuery, Handler: s.showMetadata},
		{Method: http.MethodPut, Path: one, Rule: member("update"), Body: metadataItemSchema, Handler: s.setMetadataItem},
		{Method: http.MethodDelete, Path: one, Rule: member("delete"), Status: http.StatusNoContent, Handler: s.deleteMetadataItem},
	}
}

const metadataFields = `"patternProperties": {"^[a-zA-Z0-9-_:. ]{1,255}$": @text255}, "additionalProperties": false`

var (
	metadataSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["metadata"], "properties": {
		"metadata": {"type": "object", ` + metadataFields + `}}}`)
	metadataItemSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["meta"], "properties": {
		"meta": {"type": "object", "minProperties": 1, "maxProperties": 1, ` + metadataFields + `}}}`)
)

// instanceOfURL reads the instance whose id is the URL's server_id.
func instanceOfURL(r *httpapi.Request) (*structs.Instance, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	return instanceOf(r, rd, r.Vars["server_id"])
}

func metadataOf(m map[string]string) map[string]any {
	if m == nil {
		m = map[string]string{}
	}
	return map[string]any{"metadata": m}
}

func (s *service) listMetadata(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	return metadataOf(ins.Metadata), nil
}

func (s *service) showMetadata(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	v, ok := ins.Metadata[r.Vars["id"]]
	if !ok {
		return nil, httpapi.NotFound("Metadata item was not found")
	}
	return map[string]any{"meta": map[string]string{r.Vars["id"]: v}}, nil
}

// changeMetadata proposes a change; the state machine judges lock, state and quota.
func (s *service) changeMetadata(r *httpapi.Request, req structs.InstanceMetadataRequest) (map[string]string, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	req.ID, req.Admin, req.Now = ins.ID, r.Token.IsAdmin(), s.Time()
	after, err := fsm.InstanceMetadata.Propose(r.Context(), r.Core, &req)
	return after.Items, err
}

func (s *service) setMetadata(replace bool) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) {
		body, err := base.Decode[struct {
			Metadata map[string]string `json:"metadata"`
		}](r)
		if err != nil {
			return nil, err
		}
		after, err := s.changeMetadata(r, structs.InstanceMetadataRequest{Set: body.Metadata, Replace: replace})
		if err != nil {
			return nil, err
		}
		return metadataOf(after), nil
	}
}

func (s *service) setMetadataItem(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Meta map[string]string `json:"meta"`
	}](r)
	if err != nil {
		return nil, err
	}
	if _, ok := body.Meta[r.Vars["id"]]; !ok {
		return nil, httpapi.BadRequest("Request body and URI mismatch")
	}
	if _, err := s.changeMetadata(r, structs.InstanceMetadataRequest{Set: body.Meta}); err != nil {
		return nil, err
	}
	return map[string]any{"meta": body.Meta}, nil
}

func (s *service) deleteMetadataItem(r *httpapi.Request) (any, error) {
	_, err := s.changeMetadata(r, structs.InstanceMetadataRequest{Remove: r.Vars["id"]})
	return nil, err
}
