package token

import (
	"encoding/json"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
)

// ref names something by id, or by name within a domain.
type ref struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain *ref   `json:"domain"`
}

// loginRequest is the body of POST /auth/tokens. Every method has its own part of identity, which its file decodes.
type loginRequest struct {
	methods []string
	parts   map[string]json.RawMessage
	scope   wanted
}

// wanted is the scope that a token is asked for.
type wanted struct {
	explicit bool // some scope, or its absence, was asked for
	project  *ref
	domain   *ref
	system   bool
	trust    string
}

const malformed = " The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error."

// missing is Keystone's 400 for what a request lacks.
func missing(attribute, target string) error {
	return httpapi.BadRequest("Expecting to find %s in %s.%s", attribute, target, malformed)
}

// parseLogin reads POST /auth/tokens. It is checked by hand rather than by a schema, whose refusals quote the value that they refuse: no
// password is ever sent back.
func parseLogin(body []byte) (*loginRequest, error) {
	var in struct {
		Auth *struct {
			Identity map[string]json.RawMessage `json:"identity"`
			Scope    json.RawMessage            `json:"scope"`
		} `json:"auth"`
	}
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, httpapi.BadRequest("the body is no authentication request: a field is missing or has the wrong type")
	}
	if in.Auth == nil {
		return nil, missing("auth", "request body")
	}
	req := &loginRequest{parts: in.Auth.Identity}
	var methods []string
	if raw, ok := in.Auth.Identity["methods"]; ok {
		if err := json.Unmarshal(raw, &methods); err != nil {
			return nil, httpapi.BadRequest("the body is no authentication request: methods is a list of names")
		}
	}
	for _, m := range methods {
		if !slices.Contains(req.methods, m) {
			req.methods = append(req.methods, m)
		}
	}
	if methods != nil && len(methods) == 0 {
		return nil, errInvalid // no method is one that does not suffice
	}
	if len(req.methods) == 0 {
		return nil, missing("methods", "auth.identity")
	}
	for _, m := range req.methods {
		if _, ok := req.parts[m]; !ok && slices.Contains(methodNames, m) {
			return nil, missing(m, "identity")
		}
	}
	err := req.scope.parse(in.Auth.Scope)
	return req, err
}

// decode reads a method's part.
func (q *loginRequest) decode(method string, into any) error {
	if err := json.Unmarshal(q.parts[method], into); err != nil {
		return httpapi.BadRequest("auth.identity.%s is no object, or a field of it has the wrong type", method)
	}
	return nil
}

func (w *wanted) parse(raw json.RawMessage) error {
	if len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	w.explicit = true
	if raw[0] == '"' {
		if string(raw) == `"unscoped"` {
			return nil
		}
		return httpapi.BadRequest("scope is an object, or the word unscoped")
	}
	var s struct {
		Project  *ref             `json:"project"`
		Domain   *ref             `json:"domain"`
		System   *json.RawMessage `json:"system"`
		Trust    *ref             `json:"OS-TRUST:trust"`
		Unscoped *json.RawMessage `json:"unscoped"`
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return httpapi.BadRequest("scope has a field of the wrong type")
	}
	n := 0
	for _, there := range []bool{s.Project != nil, s.Domain != nil, s.System != nil, s.Trust != nil, s.Unscoped != nil} {
		if there {
			n++
		}
	}
	if n != 1 {
		return missing("system, project, domain, OS-TRUST:trust or unscoped", "scope")
	}
	if s.Trust != nil {
		if w.trust = s.Trust.ID; w.trust == "" {
			return missing("trust_id", "trust")
		}
	}
	w.project, w.domain, w.system = s.Project, s.Domain, s.System != nil
	return nil
}

// domainOf finds a domain by id or name; nil when there is none.
func domainOf(r state.Reader, d *ref) *structs.Domain {
	switch {
	case d == nil:
		return nil
	case d.ID != "":
		return r.Domain(structs.DomainID(d.ID))
	}
	return r.DomainByName(d.Name)
}

// userOf finds the user that a request names; nil when there is none. Without id a domain is required.
func userOf(r state.Reader, u *ref) (*structs.User, error) {
	if u.ID != "" {
		return r.User(structs.UserID(u.ID)), nil
	}
	if u.Name == "" {
		return nil, missing("id or name", "user")
	}
	if u.Domain == nil {
		return nil, missing("domain", "user")
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
	if p.Name == "" {
		return nil, missing("id or name", "project")
	}
	if p.Domain == nil {
		return nil, missing("domain", "project")
	}
	d := domainOf(r, p.Domain)
	if d == nil {
		return nil, nil
	}
	return r.ProjectByName(d.ID, p.Name), nil
}

// settle writes into the claims which scope the token is for: the one asked for, else the user's default project when it has a role there, else none. That the
// user may have it is for bind to say.
func (w *wanted) settle(st state.Reader, c *claims) error {
	switch {
	case c.appCred != "": // an application credential's token is for its project
		return nil
	case w.system:
		c.system = true
	case w.domain != nil:
		d := domainOf(st, w.domain)
		if d == nil {
			return errInvalid
		}
		c.domain = d.ID
	case w.project != nil:
		p, err := projectOf(st, w.project)
		if err != nil {
			return err
		}
		if p == nil {
			return errInvalid
		}
		c.project = p.ID
	case w.trust != "":
		t := st.Trust(w.trust)
		if t == nil || !t.ExpiresAt.IsZero() && t.ExpiresAt <= c.issued || t.RemainingUses != nil && *t.RemainingUses <= 0 {
			return errInvalid
		}
		if t.ProjectID != "" && access.EnabledProject(st, t.ProjectID) == nil {
			return errInvalid
		}
		c.trust, c.project = t.ID, t.ProjectID
	case !w.explicit:
		user := st.User(c.user)
		if user == nil || user.DefaultProjectID == "" {
			return nil
		}
		if p := access.EnabledProject(st, user.DefaultProjectID); p != nil && len(access.OnProject(st, c.user, p)) > 0 {
			c.project = p.ID
		}
	}
	return nil
}
