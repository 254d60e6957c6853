package token

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/catalog"
)

type service struct {
	auth *Authenticator
	opts base.Options
}

// Routes are what is below /auth.
func Routes(auth *Authenticator, o base.Options) []httpapi.Route {
	s := &service{auth, o.WithDefaults()}
	get, head := http.MethodGet, http.MethodHead
	const tokens = "/auth/tokens"
	return []httpapi.Route{
		{Method: http.MethodPost, Path: tokens, Rule: httpapi.Anyone, Status: http.StatusCreated, Handler: s.login},
		{Method: get, Path: tokens, Rule: httpapi.Judged("identity:validate_token", "rule:admin_required or (role:reader and system_scope:all) or rule:service_role or rule:token_subject"), Handler: s.validate},
		{Method: head, Path: tokens, Rule: httpapi.Judged("identity:check_token", "rule:admin_required or (role:reader and system_scope:all) or rule:token_subject"), Handler: s.validate},
		{Method: http.MethodDelete, Path: tokens, Rule: httpapi.Judged("identity:revoke_token", "rule:admin_required or rule:token_subject"), Status: http.StatusNoContent, Handler: s.revoke},
		{Method: get, Path: "/auth/catalog", Rule: httpapi.Authenticated("identity:get_auth_catalog"), Handler: s.showCatalog},
		{Method: get, Path: "/auth/projects", Rule: httpapi.Authenticated("identity:get_auth_projects"), Handler: ownProjects},
		{Method: get, Path: "/auth/domains", Rule: httpapi.Authenticated("identity:get_auth_domains"), Handler: ownDomains},
		{Method: get, Path: "/auth/system", Rule: httpapi.Authenticated("identity:get_auth_system"), Handler: ownSystem},
	}
}

type named struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type scoped struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain named  `json:"domain"`
}

type user struct {
	scoped
	PasswordExpiresAt *string `json:"password_expires_at"`
}

// view is a token as keystone/common/render_token.py shows it.
type view struct {
	Methods   []string           `json:"methods"`
	User      user               `json:"user"`
	AuditIDs  []string           `json:"audit_ids"`
	ExpiresAt string             `json:"expires_at"`
	IssuedAt  string             `json:"issued_at"`
	Project   *scoped            `json:"project,omitempty"`
	IsDomain  *bool              `json:"is_domain,omitempty"`
	Domain    *named             `json:"domain,omitempty"`
	System    *system            `json:"system,omitempty"`
	Trust     *trustView         `json:"OS-TRUST:trust,omitempty"`
	AppCred   *appCredView       `json:"application_credential,omitempty"`
	Roles     []named            `json:"roles,omitempty"`
	Catalog   *[]catalog.Service `json:"catalog,omitempty"`
}

type system struct {
	All bool `json:"all"`
}

type idOnly struct {
	ID string `json:"id"`
}

type trustView struct {
	ID            string `json:"id"`
	Trustor       idOnly `json:"trustor_user"`
	Trustee       idOnly `json:"trustee_user"`
	Impersonation bool   `json:"impersonation"`
}

type appCredView struct {
	ID          string           `json:"id"`
	Name        string           `json:"name"`
	Restricted  bool             `json:"restricted"`
	AccessRules []accessRuleView `json:"access_rules,omitempty"`
}

type accessRuleView struct {
	ID      string `json:"id"`
	Service string `json:"service"`
	Path    string `json:"path"`
	Method  string `json:"method"`
}

func viewAppCred(st state.Reader, c *structs.ApplicationCredential) *appCredView {
	v := &appCredView{ID: c.ID, Name: c.Name, Restricted: !c.Unrestricted}
	for _, id := range c.AccessRules {
		if x := st.AccessRule(id); x != nil {
			v.AccessRules = append(v.AccessRules, accessRuleView{x.ID, x.Service, x.Path, x.Method})
		}
	}
	return v
}

func domainNamed(st state.Reader, id structs.DomainID) named {
	d := named{ID: string(id)}
	if dom := st.Domain(id); dom != nil {
		d.Name = dom.Name
	}
	return d
}

// tokenBody describes a token. ?nocatalog leaves the catalog out.
func (s *service) tokenBody(r *httpapi.Request, st state.Reader, v verified) any {
	t := v.token
	out := view{Methods: methodsInOrder(t.Methods), AuditIDs: []string{t.AuditID}, ExpiresAt: base.Time(t.ExpiresAt), IssuedAt: base.Time(t.IssuedAt),
		User: user{scoped: scoped{string(t.UserID), t.UserName, domainNamed(st, t.UserDomain)}}}
	if u := st.User(t.UserID); u != nil && !u.PasswordExpires.IsZero() {
		at := base.Time(u.PasswordExpires)
		out.User.PasswordExpiresAt = &at
	}
	if v.parent != "" {
		out.AuditIDs = append(out.AuditIDs, v.parent)
	}
	for i, name := range t.Roles {
		out.Roles = append(out.Roles, named{string(t.RoleIDs[i]), name})
	}
	switch {
	case t.System:
		out.System = &system{true}
	case t.DomainID != "":
		out.Domain = &named{string(t.DomainID), t.DomainName}
	case t.ProjectID != "":
		out.Project = &scoped{string(t.ProjectID), t.ProjectName, domainNamed(st, t.ProjectDomain)}
		if t.TrustID == "" {
			out.IsDomain = new(bool)
		}
	default:
		return map[string]any{"token": out}
	}
	if trust := st.Trust(t.TrustID); trust != nil {
		out.Trust = &trustView{trust.ID, idOnly{string(trust.TrustorID)}, idOnly{string(trust.TrusteeID)}, trust.Impersonation}
	}
	if c := st.ApplicationCredential(t.ApplicationCredID); c != nil {
		out.AppCred = viewAppCred(st, c)
	}
	if !r.URL.Query().Has("nocatalog") {
		c := catalog.For(r, st, s.opts.Endpoints, t)
		out.Catalog = &c
	}
	return map[string]any{"token": out}
}

func methodsInOrder(m []string) []string { return slices.Compact(slices.Sorted(slices.Values(m))) }

// subject returns the token that a request about tokens speaks of. One that does not hold is judged as nobody's.
func (s *service) subject(r *httpapi.Request) (verified, error) {
	text := r.Header.Get(subjectHeader)
	v, err := s.auth.verify(text)
	what := policy.Target{More: map[string]string{}}
	if err == nil {
		what.More["target.token.user_id"] = string(v.token.UserID)
	}
	if text == "" || err != nil {
		r.Judged() // every token may ask about what is none
		if text == "" {
			return verified{}, httpapi.NotFound("No token in the request")
		}
		return verified{}, httpapi.NotFound("Failed to validate token")
	}
	return v, r.Judge(what)
}

func (s *service) validate(r *httpapi.Request) (any, error) {
	v, err := s.subject(r)
	if err != nil {
		return nil, err
	}
	if v.token.AccessRules != nil && !knowsAccessRules(r) {
		return nil, httpapi.NotFound("Failed to validate token")
	}
	h := r.Writer.Header()
	h.Set(subjectHeader, r.Header.Get(subjectHeader))
	h.Set("Vary", "X-Auth-Token")
	return s.tokenBody(r, r.Core.Stale(), v), nil
}

// knowsAccessRules reports whether the service that asks what a token is would heed its access rules. To one that would not, such a token is none.
func knowsAccessRules(r *httpapi.Request) bool {
	version, err := strconv.ParseFloat(r.Header.Get("OpenStack-Identity-Access-Rules"), 64)
	return err == nil && version >= 1
}

func (s *service) revoke(r *httpapi.Request) (any, error) {
	v, err := s.subject(r)
	if err != nil {
		return nil, err
	}
	_, err = fsm.TokenRevoke.Propose(r.Context(), r.Core, &structs.TokenRevokeRequest{Revocation: structs.Revocation{AuditID: v.token.AuditID, ExpiresAt: v.token.ExpiresAt}})
	return nil, err
}

// showCatalog is the catalog of a token on a project; other tokens have theirs in the answer that they came with.
func (s *service) showCatalog(r *httpapi.Request) (any, error) {
	t := r.Token
	if t.ProjectID == "" {
		return nil, httpapi.Forbidden("A project-scoped token is required to produce a service catalog.")
	}
	return map[string]any{"catalog": catalog.For(r, r.Core.Stale(), s.opts.Endpoints, t), "links": map[string]any{"self": r.Self("auth", "catalog")}}, nil
}

// ownProjects are those that the caller has a role on; of a token that was delegated, no more than the project that it is for.
func ownProjects(r *httpapi.Request) (any, error) {
	st := r.Core.Stale()
	list := access.Projects(st, r.Token.UserID)
	if r.Token.ApplicationCredID != "" || r.Token.TrustID != "" {
		list = slices.DeleteFunc(list, func(p *structs.Project) bool { return p.ID != r.Token.ProjectID })
	}
	out := []base.View{}
	for _, p := range list {
		if v := base.ViewProject(r, p); base.Matches(r, v, "name", "domain_id", "enabled", "parent_id") {
			out = append(out, v)
		}
	}
	return base.Collection(r, "projects", out), nil
}

func ownDomains(r *httpapi.Request) (any, error) {
	out := []base.View{}
	if r.Token.ApplicationCredID == "" && r.Token.TrustID == "" {
		for _, d := range access.Domains(r.Core.Stale(), r.Token.UserID) {
			if v := base.ViewDomain(r, d); base.Matches(r, v, "name", "enabled") {
				out = append(out, v)
			}
		}
	}
	return base.Collection(r, "domains", out), nil
}

func ownSystem(r *httpapi.Request) (any, error) {
	out := []map[string]bool{}
	if r.Token.ApplicationCredID == "" && r.Token.TrustID == "" && len(access.OnSystem(r.Core.Stale(), r.Token.UserID)) > 0 {
		out = append(out, map[string]bool{"all": true})
	}
	return map[string]any{"system": out, "links": map[string]any{"self": r.Self("auth", "system")}}, nil
}
