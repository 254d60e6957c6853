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

// findDomain finds the domain of a request, and answers 404 for one that is not there.
func findDomain(r *httpapi.Request, st state.Reader) (*structs.Domain, error) {
	if d := st.Domain(structs.DomainID(r.Vars["id"])); d != nil {
		return d, nil
	}
	return nil, base.NotFound("domain", r.Vars["id"])
}

func (s *service) showDomain(r *httpapi.Request) (any, error) {
	return base.Show(r, "domain", func(st state.Reader) (*structs.Domain, error) {
		d, err := findDomain(r, st)
		what := target()
		if d != nil {
			what = target("target.domain.id", string(d.ID))
		}
		if err := r.Judge(what); err != nil {
			return nil, err
		}
		return d, err
	}, base.ViewDomain)
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
	delete(f, "explicit_domain_id") // it is the id, and no field of its own
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
	d.Extra, err = base.ExtraOf(d.Extra, f, "id", "name", "description", "enabled", "tags", "options", "domain_id", "parent_id", "is_domain")
	return err
}

func (s *service) updateDomain(r *httpapi.Request) (any, error) {
	f, err := body(r, "domain")
	if err != nil {
		return nil, err
	}
	return base.Edit(r, "domain", of(r, findDomain), func(_ state.Reader, d *structs.Domain) error { return s.changeDomain(d, f) }, writeDomain(r), base.ViewDomain)
}

// changeDomain changes a domain as a body says. Disabling it ends the tokens of all who are in it.
func (s *service) changeDomain(d *structs.Domain, f fields) error {
	if d.Immutable == structs.Yes && !f.thaws() {
		return base.Immutable("domain", string(d.ID), false)
	}
	was := d.Enabled
	if err := fillDomain(d, f); err != nil {
		return err
	}
	if was && !d.Enabled {
		d.TokensFrom = s.o.Time()
	}
	return nil
}

func writeDomain(r *httpapi.Request) func(structs.Domain, uint64) error {
	return func(d structs.Domain, index uint64) error {
		_, err := fsm.DomainWrite.Propose(r.Context(), r.Core, &structs.DomainWriteRequest{Domain: d, Index: index})
		return err
	}
}

func (s *service) deleteDomain(r *httpapi.Request) (any, error) {
	_, d, err := found(r, findDomain)
	if err != nil {
		return nil, err
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
