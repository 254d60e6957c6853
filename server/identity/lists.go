package identity

import (
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
)

type selfLink struct {
	Self string `json:"self"`
}

type userView struct {
	ID                string   `json:"id"`
	Name              string   `json:"name"`
	DomainID          string   `json:"domain_id"`
	Enabled           bool     `json:"enabled"`
	Email             string   `json:"email,omitempty"`
	DefaultProjectID  string   `json:"default_project_id,omitempty"`
	PasswordExpiresAt *string  `json:"password_expires_at"`
	Options           struct{} `json:"options"`
	Links             selfLink `json:"links"`
}

type projectView struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	DomainID    string   `json:"domain_id"`
	ParentID    string   `json:"parent_id"`
	Enabled     bool     `json:"enabled"`
	IsDomain    bool     `json:"is_domain"`
	Tags        []string `json:"tags"`
	Options     struct{} `json:"options"`
	Links       selfLink `json:"links"`
}

type domainView struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Enabled     bool     `json:"enabled"`
	Tags        []string `json:"tags"`
	Options     struct{} `json:"options"`
	Links       selfLink `json:"links"`
}

func viewUser(r *httpapi.Request, u *structs.User) userView {
	return userView{ID: string(u.ID), Name: u.Name, DomainID: string(u.DomainID), Enabled: u.Enabled, Email: u.Email, DefaultProjectID: string(u.DefaultProjectID),
		Links: selfLink{r.Self("users", string(u.ID))}}
}

func viewProject(r *httpapi.Request, p *structs.Project) projectView {
	return projectView{ID: string(p.ID), Name: p.Name, Description: p.Description, DomainID: string(p.DomainID), ParentID: string(p.DomainID), Enabled: p.Enabled,
		Tags: []string{}, Links: selfLink{r.Self("projects", string(p.ID))}}
}

func viewDomain(r *httpapi.Request, d *structs.Domain) domainView {
	return domainView{ID: string(d.ID), Name: d.Name, Description: d.Description, Enabled: d.Enabled, Tags: []string{}, Links: selfLink{r.Self("domains", string(d.ID))}}
}

// collection is a list's body: Keystone's lists are whole, their next and previous null.
func collection[T any](r *httpapi.Request, key string, items []T) any {
	self := r.RootURL() + r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		self += "?" + r.URL.RawQuery
	}
	return map[string]any{key: items, "links": map[string]any{"self": self, "previous": nil, "next": nil}}
}

// matches compares a thing with the filters that all lists have. A filter that a list does not have is ignored, as in Keystone.
func matches(r *httpapi.Request, name, domain string, enabled bool) bool {
	q := r.Query()
	if q.Has("name") && !strings.EqualFold(q.Get("name"), name) {
		return false
	}
	if q.Has("domain_id") && q.Get("domain_id") != domain {
		return false
	}
	if q.Has("enabled") {
		want := !slices.Contains([]string{"0", "false", "no", "off"}, strings.ToLower(q.Get("enabled")))
		return want == enabled
	}
	return true
}

// allowed judges a rule with Keystone's words.
func allowed(r *httpapi.Request, rule httpapi.Rule) error { return r.Allow(rule) }

func read(r *httpapi.Request) (state.Reader, error) { return r.Core.Read(r.Context()) }

func listUsers(r *httpapi.Request) (any, error) {
	st, err := read(r)
	if err != nil {
		return nil, err
	}
	out := []userView{}
	for u := range st.Users() {
		if matches(r, u.Name, string(u.DomainID), u.Enabled) {
			out = append(out, viewUser(r, u))
		}
	}
	return collection(r, "users", out), nil
}

func showUser(r *httpapi.Request) (any, error) {
	id := structs.UserID(r.Vars["id"])
	if id != r.Token.UserID {
		if err := allowed(r, httpapi.Admin("identity:get_user")); err != nil {
			return nil, err
		}
	}
	st, err := read(r)
	if err != nil {
		return nil, err
	}
	u := st.User(id)
	if u == nil {
		return nil, httpapi.NotFound("Could not find user: %s.", id)
	}
	return map[string]any{"user": viewUser(r, u)}, nil
}

func userProjects(r *httpapi.Request) (any, error) {
	id := structs.UserID(r.Vars["id"])
	if id != r.Token.UserID {
		if err := allowed(r, httpapi.Admin("identity:list_user_projects")); err != nil {
			return nil, err
		}
	}
	st, err := read(r)
	if err != nil {
		return nil, err
	}
	if st.User(id) == nil {
		return nil, httpapi.NotFound("Could not find user: %s.", id)
	}
	return projectList(r, st, id), nil
}

func projectList(r *httpapi.Request, st state.Reader, u structs.UserID) any {
	out := []projectView{}
	for _, p := range access.Projects(st, u) {
		if matches(r, p.Name, string(p.DomainID), p.Enabled) {
			out = append(out, viewProject(r, p))
		}
	}
	return collection(r, "projects", out)
}

func listProjects(r *httpapi.Request) (any, error) {
	st, err := read(r)
	if err != nil {
		return nil, err
	}
	out := []projectView{}
	for p := range st.Projects() {
		if matches(r, p.Name, string(p.DomainID), p.Enabled) {
			out = append(out, viewProject(r, p))
		}
	}
	return collection(r, "projects", out), nil
}

// showProject shows a project to administrators, and to those whose token is scoped to it.
func showProject(r *httpapi.Request) (any, error) {
	id := structs.ProjectID(r.Vars["id"])
	if id != r.Token.ProjectID {
		if err := allowed(r, httpapi.Admin("identity:get_project")); err != nil {
			return nil, err
		}
	}
	st, err := read(r)
	if err != nil {
		return nil, err
	}
	p := st.Project(id)
	if p == nil {
		return nil, httpapi.NotFound("Could not find project: %s.", id)
	}
	return map[string]any{"project": viewProject(r, p)}, nil
}

func listDomains(r *httpapi.Request) (any, error) {
	st, err := read(r)
	if err != nil {
		return nil, err
	}
	out := []domainView{}
	for d := range st.Domains() {
		if matches(r, d.Name, "", d.Enabled) {
			out = append(out, viewDomain(r, d))
		}
	}
	return collection(r, "domains", out), nil
}

// showDomain shows a domain to administrators, and to those whose token's project is in it.
func showDomain(r *httpapi.Request) (any, error) {
	id := structs.DomainID(r.Vars["id"])
	if id != r.Token.ProjectDomain {
		if err := allowed(r, httpapi.Admin("identity:get_domain")); err != nil {
			return nil, err
		}
	}
	st, err := read(r)
	if err != nil {
		return nil, err
	}
	d := st.Domain(id)
	if d == nil {
		return nil, httpapi.NotFound("Could not find domain: %s.", id)
	}
	return map[string]any{"domain": viewDomain(r, d)}, nil
}
