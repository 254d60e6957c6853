package catalog

import (
	"encoding/json"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

const policyProperties = `{"blob": {"type": ["string", "object"]}, "type": {"type": "string", "maxLength": 255}}`

var (
	policyCreateSchema = object("policy", policyProperties, `"required": ["blob", "type"], `)
	policyUpdateSchema = object("policy", policyProperties, `"minProperties": 1, `)
)

func viewPolicy(r *httpapi.Request, x *structs.IdentityPolicy) base.View {
	v := base.NewView(x.Extra)
	v["id"], v["type"], v["blob"] = x.ID, x.Type, json.RawMessage(x.Blob)
	return v.Link(r, "policies", x.ID)
}

func (s *service) listPolicies(r *httpapi.Request) (any, error) {
	return base.List(r, "policies", func(st state.Reader) []*structs.IdentityPolicy { return slices.Collect(st.IdentityPolicies()) }, viewPolicy, "type")
}

func policy(st state.Reader, id string) (*structs.IdentityPolicy, error) {
	if x := st.IdentityPolicy(id); x != nil {
		return x, nil
	}
	return nil, base.NotFound("policy", id)
}

func (s *service) showPolicy(r *httpapi.Request) (any, error) {
	return base.Show(r, "policy", named(r, policy), viewPolicy)
}

func applyPolicy(r *httpapi.Request, x *structs.IdentityPolicy) error {
	var in struct {
		Type *string         `json:"type"`
		Blob json.RawMessage `json:"blob"`
	}
	if err := base.Decode(r, "policy", &in); err != nil {
		return err
	}
	body, err := base.Body(r, "policy")
	if err != nil {
		return err
	}
	set(&x.Type, in.Type, in.Type != nil)
	if len(in.Blob) > 0 {
		x.Blob = in.Blob
	}
	x.Extra, err = base.ExtraOf(x.Extra, body, "id", "type", "blob")
	return err
}

func (s *service) createPolicy(r *httpapi.Request) (any, error) {
	x := structs.IdentityPolicy{ID: nomadlike.NewHexID()}
	if err := applyPolicy(r, &x); err != nil {
		return nil, err
	}
	if _, err := fsm.IdentityPolicyWrite.Propose(r.Context(), r.Core, &structs.IdentityPolicyWriteRequest{Policy: x}); err != nil {
		return nil, err
	}
	return map[string]any{"policy": viewPolicy(r, &x)}, nil
}

func (s *service) updatePolicy(r *httpapi.Request) (any, error) {
	return base.Edit(r, "policy", named(r, policy), func(_ state.Reader, x *structs.IdentityPolicy) error { return applyPolicy(r, x) }, func(x structs.IdentityPolicy, index uint64) error {
		_, err := fsm.IdentityPolicyWrite.Propose(r.Context(), r.Core, &structs.IdentityPolicyWriteRequest{Policy: x, Index: index})
		return err
	}, viewPolicy)
}

func (s *service) deletePolicy(r *httpapi.Request) (any, error) {
	_, err := fsm.IdentityPolicyDelete.Propose(r.Context(), r.Core, &structs.IdentityPolicyDeleteRequest{ID: r.Vars["id"]})
	return nil, err
}
