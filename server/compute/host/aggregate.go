package host

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) aggregateRoutes() []httpapi.Route {
	admin := func(verb string) httpapi.Rule { return httpapi.Admin("os_compute_api:os-aggregates:" + verb) }
	const list, one = "/os-aggregates", "/os-aggregates/{id}"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: list, Rule: admin("index"), Query: base.NoQuery, Handler: s.listAggregates},
		{Method: http.MethodPost, Path: list, Rule: admin("create"), Body: aggregateCreateSchema, Handler: s.createAggregate},
		{Method: http.MethodGet, Path: one, Rule: admin("show"), Query: base.NoQuery, Handler: s.showAggregate},
		{Method: http.MethodPut, Path: one, Rule: admin("update"), Body: aggregateUpdateSchema, Handler: s.updateAggregate},
		{Method: http.MethodDelete, Path: one, Rule: admin("delete"), Handler: s.deleteAggregate},
		{Method: http.MethodPost, Path: one + "/action", Action: "add_host", Rule: admin("add_host"), Body: addHostSchema, Handler: s.addAggregateHost},
		{Method: http.MethodPost, Path: one + "/action", Action: "remove_host", Rule: admin("remove_host"), Body: removeHostSchema, Handler: s.removeAggregateHost},
		{Method: http.MethodPost, Path: one + "/action", Action: "set_metadata", Rule: admin("set_metadata"), Body: aggregateMetadataSchema, Handler: s.setAggregateMetadata},
		{Method: http.MethodPost, Path: one + "/images", Min: 81, Rule: httpapi.Admin("compute:aggregates:images"), Body: aggregateImagesSchema, Status: http.StatusAccepted,
			Handler: s.cacheImages},
	}
}

// aggregateView is an aggregate as its microversion has it: uuid from 2.41. Its hosts are named.
func aggregateView(r *httpapi.Request, rd state.Reader, a *structs.Aggregate) map[string]any {
	v := map[string]any{"id": a.ID, "name": a.Name, "availability_zone": nil, "created_at": base.Micros(a.CreatedAt), "updated_at": base.Micros(a.UpdatedAt),
		"deleted": false, "deleted_at": nil}
	if z := a.Zone(); z != "" {
		v["availability_zone"] = z
	}
	hosts := []string{}
	for _, id := range a.Hosts {
		if h := rd.Host(id); h != nil {
			hosts = append(hosts, h.Name)
		}
	}
	metadata := a.Metadata
	if metadata == nil {
		metadata = map[string]string{}
	}
	v["hosts"], v["metadata"] = hosts, metadata
	if r.Version >= 41 {
		v["uuid"] = a.UUID
	}
	return v
}

// aggregateID reads the number that the URL names an aggregate by.
func aggregateID(r *httpapi.Request) (structs.AggregateID, error) {
	n, err := strconv.ParseInt(r.Vars["id"], 10, 64)
	if err != nil {
		return 0, httpapi.BadRequest("Invalid input received: id must be an integer")
	}
	return structs.AggregateID(n), nil
}

func aggregateOf(r *httpapi.Request) (state.Reader, *structs.Aggregate, error) {
	id, err := aggregateID(r)
	if err != nil {
		return state.Reader{}, nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return rd, nil, err
	}
	a := rd.Aggregate(id)
	if a == nil {
		return rd, nil, httpapi.NotFound("Aggregate %d could not be found.", id)
	}
	return rd, a, nil
}

func (s *service) listAggregates(r *httpapi.Request) (any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	list := []map[string]any{}
	for a := range rd.Aggregates() {
		list = append(list, aggregateView(r, rd, a))
	}
	return map[string]any{"aggregates": list}, nil
}

func (s *service) showAggregate(r *httpapi.Request) (any, error) {
	rd, a, err := aggregateOf(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"aggregate": aggregateView(r, rd, a)}, nil
}

type aggregateBody struct {
	Aggregate struct {
		Name *string               `json:"name"`
		Zone base.Optional[string] `json:"availability_zone"`
	} `json:"aggregate"`
}

// createAggregate answers without hosts and metadata, as Nova always did.
func (s *service) createAggregate(r *httpapi.Request) (any, error) {
	body, err := base.Decode[aggregateBody](r)
	if err != nil {
		return nil, err
	}
	req := structs.AggregateCreateRequest{UUID: nomadlike.NewUUID(), Name: strings.TrimSpace(*body.Aggregate.Name), Now: s.Time()}
	if z := body.Aggregate.Zone.Value; z != nil {
		req.Metadata = map[string]string{structs.AggregateZoneKey: strings.TrimSpace(*z)}
	}
	a, err := fsm.AggregateCreate.Propose(r.Context(), r.Core, &req)
	if err != nil {
		return nil, err
	}
	v := aggregateView(r, state.Reader{}, a)
	delete(v, "hosts")
	delete(v, "metadata")
	return map[string]any{"aggregate": v}, nil
}

func (s *service) updateAggregate(r *httpapi.Request) (any, error) {
	body, err := base.Decode[aggregateBody](r)
	if err != nil {
		return nil, err
	}
	req := structs.AggregateUpdateRequest{Now: s.Time()}
	if n := body.Aggregate.Name; n != nil {
		name := strings.TrimSpace(*n)
		req.Name = &name
	}
	if z := body.Aggregate.Zone; z.Set {
		req.Metadata = map[string]*string{structs.AggregateZoneKey: z.Value}
	}
	return proposeAggregate(r, &req)
}

type aggregateMetadataBody struct {
	Set struct {
		Metadata map[string]*string `json:"metadata"`
	} `json:"set_metadata"`
}

func (s *service) setAggregateMetadata(r *httpapi.Request) (any, error) {
	body, err := base.Decode[aggregateMetadataBody](r)
	if err != nil {
		return nil, err
	}
	return proposeAggregate(r, &structs.AggregateUpdateRequest{Metadata: body.Set.Metadata, Verb: structs.AggregateMetadataVerb, Now: s.Time()})
}

func proposeAggregate(r *httpapi.Request, req *structs.AggregateUpdateRequest) (any, error) {
	var err error
	if req.ID, err = aggregateID(r); err != nil {
		return nil, err
	}
	a, err := fsm.AggregateUpdate.Propose(r.Context(), r.Core, req)
	if err != nil {
		return nil, err
	}
	return answerAggregate(r, a)
}

// answerAggregate is the answer of a change: what the change left, with the names of the hosts.
func answerAggregate(r *httpapi.Request, a *structs.Aggregate) (any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	return map[string]any{"aggregate": aggregateView(r, rd, a)}, nil
}

func (s *service) deleteAggregate(r *httpapi.Request) (any, error) {
	id, err := aggregateID(r)
	if err != nil {
		return nil, err
	}
	_, err = fsm.AggregateDelete.Propose(r.Context(), r.Core, &structs.AggregateDeleteRequest{ID: id})
	return nil, err
}

type hostName struct {
	Host string `json:"host"`
}

func (s *service) addAggregateHost(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Add hostName `json:"add_host"`
	}](r)
	if err != nil {
		return nil, err
	}
	return changeAggregate(r, body.Add.Host, fsm.AggregateAddHost)
}

// removeAggregateHost says one thing of all that is not there, as Nova does.
func (s *service) removeAggregateHost(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Remove hostName `json:"remove_host"`
	}](r)
	if err != nil {
		return nil, err
	}
	v, err := changeAggregate(r, body.Remove.Host, fsm.AggregateRemoveHost)
	if structs.IsKind(err, structs.KindNotFound) {
		return nil, httpapi.NotFound("Cannot remove host %s in aggregate %s", body.Remove.Host, r.Vars["id"])
	}
	return v, err
}

func changeAggregate(r *httpapi.Request, name string, change fsm.Command[structs.AggregateHostRequest, *structs.Aggregate]) (any, error) {
	id, err := aggregateID(r)
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	h := rd.HostByName(name)
	if h == nil {
		return nil, httpapi.NotFound("Compute host %s could not be found.", name)
	}
	a, err := change.Propose(r.Context(), r.Core, &structs.AggregateHostRequest{ID: id, HostID: h.ID})
	if err != nil {
		return nil, err
	}
	return answerAggregate(r, a)
}
