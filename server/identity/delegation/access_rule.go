package delegation

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

func viewAccessRule(r *httpapi.Request, x *structs.AccessRule) base.View {
	return base.View{"id": x.ID, "service": x.Service, "method": x.Method, "path": x.Path}.Link(r, "access_rules", x.ID)
}

// judgeRules judges a request for the access rules of the path's user.
func judgeRules(r *httpapi.Request, st state.Reader) (structs.UserID, error) {
	id, what := structs.UserID(r.Vars["user"]), policy.Target{}
	if st.User(id) != nil {
		what.More = map[string]string{"target.user.id": string(id)}
	}
	if err := r.Judge(what); err != nil {
		return "", err
	}
	return id, notByTrust(r.Token)
}

func listAccessRules(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	id, err := judgeRules(r, st)
	if err != nil {
		return nil, err
	}
	out := []base.View{}
	for x := range st.AccessRulesOfUser(id) {
		if v := viewAccessRule(r, x); base.Matches(r, v, "service", "path", "method") {
			out = append(out, v)
		}
	}
	return base.Collection(r, "access_rules", out), nil
}

func findAccessRule(r *httpapi.Request) (*structs.AccessRule, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	user, err := judgeRules(r, st)
	if err != nil {
		return nil, err
	}
	x := st.AccessRule(r.Vars["id"])
	if x == nil || x.UserID != user {
		return nil, base.NotFound("Access Rule", r.Vars["id"])
	}
	return x, nil
}

func showAccessRule(r *httpapi.Request) (any, error) {
	x, err := findAccessRule(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"access_rule": viewAccessRule(r, x)}, nil
}

func deleteAccessRule(r *httpapi.Request) (any, error) {
	x, err := findAccessRule(r)
	if err != nil {
		return nil, err
	}
	_, err = fsm.AccessRuleDelete.Propose(r.Context(), r.Core, &structs.AccessRuleDeleteRequest{ID: x.ID})
	return nil, err
}
