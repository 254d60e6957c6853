package identity

import (
	"encoding/json"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// ref names something by id, or by name within a domain.
type ref struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain *ref   `json:"domain"`
}

type authRequest struct {
	Auth struct {
		Identity struct {
			Methods  []string `json:"methods"`
			Password *struct {
				User struct {
					ref
					Password string `json:"password"`
				} `json:"user"`
			} `json:"password"`
			Token *struct {
				ID string `json:"id"`
			} `json:"token"`
		} `json:"identity"`
		Scope json.RawMessage `json:"scope"`
	} `json:"auth"`
}

// parseAuth reads POST /auth/tokens. It is checked by hand rather than by a schema, whose refusals quote the value that they refuse: no
// password is ever sent back.
func parseAuth(body []byte) (*authRequest, error) {
	req := new(authRequest)
	if err := json.Unmarshal(body, req); err != nil {
		return nil, httpapi.BadRequest("the body is no authentication request: a field is missing or has the wrong type")
	}
	if len(req.Auth.Identity.Methods) == 0 {
		return nil, httpapi.BadRequest("Expecting to find methods in auth.identity. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
	}
	return req, nil
}

// scope is what a token is asked for.
type scope struct {
	explicit bool // some scope, or its absence, was asked for
	project  *ref
	other    string // domain, system or trust: which has no grants here
}

func parseScope(raw json.RawMessage) (scope, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return scope{}, nil
	}
	if raw[0] == '"' {
		if string(raw) == `"unscoped"` {
			return scope{explicit: true}, nil
		}
		return scope{}, httpapi.BadRequest("scope is an object, or the word unscoped")
	}
	var s struct {
		Project  *ref             `json:"project"`
		Domain   *ref             `json:"domain"`
		System   json.RawMessage  `json:"system"`
		Trust    json.RawMessage  `json:"OS-TRUST:trust"`
		Unscoped *json.RawMessage `json:"unscoped"`
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return scope{}, httpapi.BadRequest("scope has a field of the wrong type")
	}
	switch {
	case s.Project != nil:
		return scope{explicit: true, project: s.Project}, nil
	case s.Domain != nil:
		return scope{explicit: true, other: "domain"}, nil
	case s.System != nil:
		return scope{explicit: true, other: "system"}, nil
	case s.Trust != nil:
		return scope{explicit: true, other: "trust"}, nil
	case s.Unscoped != nil:
		return scope{explicit: true}, nil
	}
	return scope{}, httpapi.BadRequest("scope names no project: give {\"project\": {\"id\": ...}}, or a name with its domain")
}

// domainOf finds a domain by id or name; nil when there is none.
func domainOf(r state.Reader, d *ref) *structs.Domain {
	if d == nil {
		return nil
	}
	if d.ID != "" {
		return r.Domain(structs.DomainID(d.ID))
	}
	for dom := range r.Domains() {
		if d.Name != "" && strings.EqualFold(dom.Name, d.Name) {
			return dom
		}
	}
	return nil
}

// userOf finds the user that a password request names; nil when there is none. Without id a domain is required.
func userOf(r state.Reader, u *ref) (*structs.User, error) {
	if u.ID != "" {
		return r.User(structs.UserID(u.ID)), nil
	}
	if u.Name == "" || u.Domain == nil {
		return nil, httpapi.BadRequest("auth.identity.password.user needs an id, or a name with its domain")
	}
	d := domainOf(r, u.Domain)
	if d == nil {
		return nil, nil
	}
	return r.UserByName(d.ID, u.Name), nil
}

func projectOf(r state.Reader, p *ref) (*structs.Project, error) {
	if p.ID != "" {
		return r.Project(structs.ProjectID(p.ID)), nil
	}
	if p.Name == "" || p.Domain == nil {
		return nil, httpapi.BadRequest("auth.scope.project needs an id, or a name with its domain")
	}
	d := domainOf(r, p.Domain)
	if d == nil {
		return nil, nil
	}
	return r.ProjectByName(d.ID, p.Name), nil
}
