package role

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// brief is a role within an inference.
func brief(r *httpapi.Request, x *structs.Role) map[string]any {
	return map[string]any{"id": string(x.ID), "name": x.Name, "links": map[string]any{"self": r.Self("roles", string(x.ID))}}
}

// pair finds the roles of the path; implied is nil where the path names none.
func pair(r *httpapi.Request, st state.Reader) (prior, implied *structs.Role, err error) {
	if prior = st.Role(structs.RoleID(r.Vars["prior"])); prior == nil {
		return nil, nil, base.NotFound("role", r.Vars["prior"])
	}
	if id := r.Vars["implied"]; id != "" {
		if implied = st.Role(structs.RoleID(id)); implied == nil {
			return nil, nil, base.NotFound("role", id)
		}
	}
	return prior, implied, nil
}

func listImplied(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	prior, _, err := pair(r, st)
	if err != nil {
		return nil, err
	}
	implies := []map[string]any{}
	for i := range st.ImpliedRolesOf(prior.ID) {
		implies = append(implies, brief(r, st.Role(i.ImpliedID)))
	}
	return map[string]any{"role_inference": map[string]any{"prior_role": brief(r, prior), "implies": implies},
		"links": map[string]any{"self": r.Self("roles", string(prior.ID), "implies")}}, nil
}

func showImplied(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	prior, implied, err := pair(r, st)
	if err != nil {
		return nil, err
	}
	if st.ImpliedRole(prior.ID, implied.ID) == nil {
		return nil, httpapi.NotFound("%s does not imply %s.", prior.ID, implied.ID)
	}
	return map[string]any{"role_inference": map[string]any{"prior_role": brief(r, prior), "implies": brief(r, implied)},
		"links": map[string]any{"self": r.Self("roles", string(prior.ID), "implies", string(implied.ID))}}, nil
}

func checkImplied(r *httpapi.Request) (any, error) {
	_, err := showImplied(r)
	return nil, err
}

func writeImplied(r *httpapi.Request, remove bool) error {
	_, err := fsm.ImpliedRoleWrite.Propose(r.Context(), r.Core, &structs.ImpliedRoleWriteRequest{Remove: remove,
		ImpliedRole: structs.ImpliedRole{PriorID: structs.RoleID(r.Vars["prior"]), ImpliedID: structs.RoleID(r.Vars["implied"])}})
	return err
}

func createImplied(r *httpapi.Request) (any, error) {
	if err := writeImplied(r, false); err != nil {
		return nil, err
	}
	return showImplied(r)
}

func deleteImplied(r *httpapi.Request) (any, error) { return nil, writeImplied(r, true) }

// listInferences lists all implications, by their prior role.
func listInferences(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	out := []map[string]any{}
	var implies []map[string]any
	last := structs.RoleID("")
	for i := range st.ImpliedRoles() {
		if i.PriorID != last {
			implies, last = nil, i.PriorID
			out = append(out, map[string]any{"prior_role": brief(r, st.Role(i.PriorID))})
		}
		implies = append(implies, brief(r, st.Role(i.ImpliedID)))
		out[len(out)-1]["implies"] = implies
	}
	return map[string]any{"role_inferences": out}, nil
}
