package role

import (
	"encoding/json"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

type service struct{ opts base.Options }

var (
	createSchema = httpapi.MustSchema(`{"type": "object", "required": ["role"], "properties": {"role": {"type": "object", "required": ["name"], "additionalProperties": true,
		"properties": ` + properties + `}}}`)
	updateSchema = httpapi.MustSchema(`{"type": "object", "required": ["role"], "properties": {"role": {"type": "object", "minProperties": 1, "additionalProperties": true,
		"properties": ` + properties + `}}}`)
)

const properties = `{"name": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "[\\S]+"}, "description": {"type": ["string", "null"]},
	"domain_id": {"type": ["string", "null"], "minLength": 1, "maxLength": 64, "pattern": "^[a-zA-Z0-9-]+$"},
	"options": {"type": "object", "additionalProperties": false, "properties": {"immutable": {"type": ["boolean", "null"]}}}}`

// Roles of a domain's own have rules of their own.
var (
	ruleListDomainRoles = httpapi.Check("identity:list_domain_roles", adminOrReader)
	ruleDomainRole      = map[string]httpapi.Rule{"get": httpapi.Check("identity:get_domain_role", adminOrReader), "create": httpapi.Check("identity:create_domain_role", admin),
		"update": httpapi.Check("identity:update_domain_role", admin), "delete": httpapi.Check("identity:delete_domain_role", admin)}
)

// target is what the rules of roles ask about.
func target(x *structs.Role) policy.Target {
	if x == nil {
		return policy.Target{}
	}
	return policy.Target{More: map[string]string{"target.role.id": string(x.ID), "target.role.name": x.Name, "target.role.domain_id": string(x.DomainID)}}
}

// judge judges a request for a role by the row's rule, or by the rule for a domain's own. A role that is not there is judged as one of all domains, so that who may
// not see roles is not told whether it is.
func judge(r *httpapi.Request, verb string, x *structs.Role) error {
	if x != nil && x.DomainID != "" {
		r.Judged()
		return r.AllowTarget(ruleDomainRole[verb], target(x))
	}
	return r.Judge(target(x))
}

// find returns the role of the path, after the rule was judged.
func find(r *httpapi.Request, st state.Reader, verb string) (*structs.Role, error) {
	x := st.Role(structs.RoleID(r.Vars["role"]))
	if err := judge(r, verb, x); err != nil {
		return nil, err
	}
	if x == nil {
		return nil, base.NotFound("role", r.Vars["role"])
	}
	return x, nil
}

// listRoles lists the roles of all domains, or those of the domain that is asked for.
func (s *service) listRoles(r *httpapi.Request) (any, error) {
	domain := structs.DomainID(r.Query().Get("domain_id"))
	if domain != "" {
		r.Judged()
		if err := r.Allow(ruleListDomainRoles); err != nil {
			return nil, err
		}
	} else if err := r.Judge(policy.Target{}); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	out := []base.View{}
	for x := range st.RolesOfDomain(domain) {
		if v := base.ViewRole(r, x); base.Matches(r, v, "name") {
			out = append(out, v)
		}
	}
	return base.Collection(r, "roles", out), nil
}

func (s *service) showRole(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	x, err := find(r, st, "get")
	if err != nil {
		return nil, err
	}
	return map[string]any{"role": base.ViewRole(r, x)}, nil
}

// fields is a role in a request's body.
type fields struct {
	Name        *string `json:"name"`
	Description *string `json:"description"`
	DomainID    *string `json:"domain_id"`
	Options     *struct {
		Immutable json.RawMessage `json:"immutable"`
	} `json:"options"`
}

// apply changes a role as a body says.
func (f *fields) apply(r *httpapi.Request, x *structs.Role) error {
	body, err := base.Body(r, "role")
	if err != nil {
		return err
	}
	if f.Name != nil {
		x.Name = *f.Name
	}
	if _, said := body["description"]; said {
		x.Description = ""
		if f.Description != nil {
			x.Description = *f.Description
		}
	}
	if f.Options != nil && len(f.Options.Immutable) > 0 {
		x.Immutable = base.OptionOf(f.Options.Immutable)
	}
	x.Extra, err = base.ExtraOf(x.Extra, body, "id", "name", "description", "domain_id", "options")
	return err
}

func (s *service) createRole(r *httpapi.Request) (any, error) {
	var in fields
	if err := base.Decode(r, "role", &in); err != nil {
		return nil, err
	}
	x := structs.Role{ID: structs.RoleID(nomadlike.NewHexID())}
	if in.DomainID != nil {
		x.DomainID = structs.DomainID(*in.DomainID)
	}
	if err := judge(r, "create", &x); err != nil {
		return nil, err
	}
	if err := in.apply(r, &x); err != nil {
		return nil, err
	}
	if _, err := fsm.RoleWrite.Propose(r.Context(), r.Core, &structs.RoleWriteRequest{Role: x}); err != nil {
		return nil, err
	}
	return map[string]any{"role": base.ViewRole(r, &x)}, nil
}

// updateRole changes a role. One that is immutable takes nothing but to be so no more.
func (s *service) updateRole(r *httpapi.Request) (any, error) {
	var in fields
	if err := base.Decode(r, "role", &in); err != nil {
		return nil, err
	}
	return base.Change(r, func(st state.Reader) (any, error) {
		old, err := find(r, st, "update")
		if err != nil {
			return nil, err
		}
		x := *old
		if err := in.apply(r, &x); err != nil {
			return nil, err
		}
		switch {
		case in.DomainID != nil && structs.DomainID(*in.DomainID) != old.DomainID:
			return nil, httpapi.BadRequest("domain_id cannot be changed: a role stays in its domain")
		case old.Immutable == structs.Yes && (x.Immutable == structs.Yes || in.Name != nil || in.Description != nil):
			return nil, base.Immutable("role", string(old.ID), false)
		}
		if _, err := fsm.RoleWrite.Propose(r.Context(), r.Core, &structs.RoleWriteRequest{Role: x, Index: old.ModifyIndex}); err != nil {
			return nil, err
		}
		return map[string]any{"role": base.ViewRole(r, &x)}, nil
	})
}

func (s *service) deleteRole(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	x, err := find(r, st, "delete")
	if err != nil {
		return nil, err
	}
	if x.Immutable == structs.Yes {
		return nil, base.Immutable("role", string(x.ID), true)
	}
	_, err = fsm.RoleDelete.Propose(r.Context(), r.Core, &structs.RoleDeleteRequest{ID: x.ID})
	return nil, err
}
