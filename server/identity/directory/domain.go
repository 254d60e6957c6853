package directory

import (
	"net/http"
	"regexp"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

func (s *service) domainRoutes() []httpapi.Route {
	const list, one = "/domains", "/domains/{id}"
	admin := func(name string) httpapi.Rule { return httpapi.Check("identity:"+name, adminOnly) }
	return append(append(
		reads(list, httpapi.Judged("identity:list_domains", systemReader+" or (role:reader and domain_id:%(target.domain.id)s)"), domainQuery, 0, s.listDomains),
		reads(one, httpapi.Judged("identity:get_domain", systemReader+" or token.domain.id:%(target.domain.id)s or token.project.domain.id:%(target.domain.id)s"), nil, 0, s.showDomain)...),
		httpapi.Route{Method: http.MethodPost, Path: list, Rule: admin("create_domain"), Body: domainNew, Status: http.StatusCreated, Handler: s.createDomain},
		httpapi.Route{Method: http.MethodPatch, Path: one, Rule: admin("update_domain"), Body: domainChange, Handler: s.updateDomain},
		httpapi.Route{Method: http.MethodDelete, Path: one, Rule: admin("delete_domain"), Status: http.StatusNoContent, Handler: s.deleteDomain})
}

func (s *service) listDomains(r *httpapi.Request) (any, error) {
	if err := r.Judge(scoped(r, "target.domain.id")); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	var out []base.View
	for d := range st.Domains() {
		if v := base.ViewDomain(r, d); !outside(r, d.ID) && base.Matches(r, v, "name", "enabled") {
			out = append(out, v)
		}
	}
	return page(r, "domains", out)
}

func (s *service) showDomain(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	d := st.Domain(structs.DomainID(r.Vars["id"]))
	what := target()
	if d != nil {
		what = target("target.domain.id", string(d.ID))
	}
	if err := r.Judge(what); err != nil {
		return nil, err
	}
	if d == nil {
		return nil, base.NotFound("domain", r.Vars["id"])
	}
	return map[string]any{"domain": base.ViewDomain(r, d)}, nil
}

// hexID is what ids are that are made here: explicit ones have no other form.
var hexID = regexp.MustCompile(`^[0-9a-f]{32}$`)

func (s *service) createDomain(r *httpapi.Request) (any, error) {
	f, err := body(r, "domain")
	if err != nil {
		return nil, err
	}
	id := f.text("explicit_domain_id")
	switch {
	case id == "":
		id = nomadlike.NewHexID()
	case !hexID.MatchString(id):
		return nil, httpapi.BadRequest("Domain ID does not conform to required UUID format.")
	}
	d, err := s.makeDomain(r, structs.DomainID(id), f)
	if err != nil {
		return nil, err
	}
	return map[string]any{"domain": base.ViewDomain(r, d)}, nil
}

func (s *service) makeDomain(r *httpapi.Request, id structs.DomainID, f fields) (*structs.Domain, error) {
	d := structs.Domain{ID: id, Enabled: true}
	if err := fillDomain(&d, f); err != nil {
		return nil, err
	}
	return fsm.DomainWrite.Propose(r.Context(), r.Core, &structs.DomainWriteRequest{Domain: d})
}

// fillDomain takes over what a body says.
func fillDomain(d *structs.Domain, f fields) error {
	var err error
	if f.has("name") {
		d.Name = f.name("name")
	}
	if _, there := f["description"]; there {
		d.Description = f.text("description")
	}
	if f.has("tags") {
		d.Tags = f.tags("tags")
	}
	d.Enabled, d.Immutable = f.flag("enabled", d.Enabled), f.immutable(d.Immutable)
	d.Extra, err = base.ExtraOf(d.Extra, f, "id", "name", "description", "enabled", "tags", "options", "explicit_domain_id", "domain_id", "parent_id", "is_domain")
	return err
}

func (s *service) updateDomain(r *httpapi.Request) (any, error) {
	f, err := body(r, "domain")
	if err != nil {
		return nil, err
	}
	d, err := base.Change(r, func(st state.Reader) (*structs.Domain, error) {
		d := st.Domain(structs.DomainID(r.Vars["id"]))
		if d == nil {
			return nil, base.NotFound("domain", r.Vars["id"])
		}
		return s.changeDomain(r, d, f)
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"domain": base.ViewDomain(r, d)}, nil
}

// changeDomain writes a domain with what a body says. Disabling it ends the tokens of all who are in it.
func (s *service) changeDomain(r *httpapi.Request, old *structs.Domain, f fields) (*structs.Domain, error) {
	if old.Immutable == structs.Yes && !f.thaws() {
		return nil, base.Immutable("domain", string(old.ID), false)
	}
	d := *old
	if err := fillDomain(&d, f); err != nil {
		return nil, err
	}
	if old.Enabled && !d.Enabled {
		d.TokensFrom = s.o.Time()
	}
	return fsm.DomainWrite.Propose(r.Context(), r.Core, &structs.DomainWriteRequest{Domain: d, Index: old.ModifyIndex})
}

func (s *service) deleteDomain(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	d := st.Domain(structs.DomainID(r.Vars["id"]))
	if d == nil {
		return nil, base.NotFound("domain", r.Vars["id"])
	}
	return nil, dropDomain(r, d)
}

func dropDomain(r *httpapi.Request, d *structs.Domain) error {
	if d.Immutable == structs.Yes {
		return base.Immutable("domain", string(d.ID), true)
	}
	_, err := fsm.DomainDelete.Propose(r.Context(), r.Core, &structs.DomainDeleteRequest{ID: d.ID})
	return err
}
