package placement

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

var usagesQuery = httpapi.MustSchema(`{"type": "object", "additionalProperties": false, "required": ["project_id"], "properties": {
	"project_id": {"type": "string", "minLength": 1, "maxLength": 255},
	"user_id": {"type": "string", "minLength": 1, "maxLength": 255},
	"consumer_type": {"type": "string", "pattern": "^[A-Z0-9_]+$|^unknown$|^all$", "x-min": 38}}}`)

// consumerType is what every claim's consumer is: an instance.
const consumerType = "INSTANCE"

type providerAllocation struct {
	Resources          map[string]int64 `json:"resources"`
	ConsumerGeneration *uint64          `json:"consumer_generation,omitempty"`
}

func providerAllocations(r *httpapi.Request, st state.Reader, h *structs.Host) (any, error) {
	out := map[string]providerAllocation{}
	for c := range st.ClaimsOnHost(h.ID) {
		a := providerAllocation{Resources: amounts(c.Resources)}
		if r.Version >= 28 {
			a.ConsumerGeneration = &c.Generation
		}
		out[string(c.InstanceID)] = a
	}
	return map[string]any{"allocations": out, "resource_provider_generation": generation(st, h)}, nil
}

type consumerAllocation struct {
	Generation uint64           `json:"generation"`
	Resources  map[string]int64 `json:"resources"`
}

// consumerAllocations answers an empty object for a consumer that holds nothing, as Placement does.
func consumerAllocations(r *httpapi.Request) (any, error) {
	st, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	modified(r, 0)
	out := map[string]consumerAllocation{}
	answer := map[string]any{"allocations": out}
	for c := range st.Claims(structs.InstanceID(r.Vars["consumer"])) {
		a := consumerAllocation{Resources: amounts(c.Resources)}
		if h := st.Host(c.HostID); h != nil {
			a.Generation = generation(st, h)
		}
		out[string(c.HostID)] = a
		if r.Version >= 12 {
			answer["project_id"], answer["user_id"] = c.ProjectID, c.UserID
		}
		if r.Version >= 28 {
			answer["consumer_generation"] = c.Generation
		}
		if r.Version >= 38 {
			answer["consumer_type"] = consumerType
		}
	}
	return answer, nil
}

// projectUsages adds a project's claims up. A project's readers see their own; administrators and services any.
func projectUsages(r *httpapi.Request) (any, error) {
	q := r.Query()
	project, user, kind := structs.ProjectID(q.Get("project_id")), structs.UserID(q.Get("user_id")), q.Get("consumer_type")
	rule := httpapi.ServiceOrAdmin("placement:usages")
	if r.Token.ProjectID == project {
		rule = httpapi.ReaderOrAdmin("placement:usages")
	}
	if err := r.Allow(rule); err != nil {
		return nil, err
	}
	st, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	var sum structs.Resources
	consumers := map[structs.InstanceID]bool{}
	for c := range st.AllClaims() {
		if c.ProjectID == project && (user == "" || c.UserID == user) && (kind == "" || kind == "all" || kind == consumerType) {
			sum = sum.Add(c.Resources)
			consumers[c.InstanceID] = true
		}
	}
	modified(r, 0)
	used := amounts(sum)
	if r.Version < 38 {
		return map[string]any{"usages": used}, nil
	}
	out := map[string]any{}
	if len(consumers) > 0 {
		used["consumer_count"] = int64(len(consumers))
		key := consumerType
		if kind == "all" {
			key = "all"
		}
		out[key] = used
	}
	return map[string]any{"usages": out}, nil
}
