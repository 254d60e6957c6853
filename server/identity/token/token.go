package identity

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type domainRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type roleRef struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

type scopedRef struct {
	ID     string    `json:"id"`
	Name   string    `json:"name"`
	Domain domainRef `json:"domain"`
}

type tokenUser struct {
	scopedRef
	PasswordExpiresAt *string `json:"password_expires_at"`
}

type tokenView struct {
	Methods   []string          `json:"methods"`
	User      tokenUser         `json:"user"`
	AuditIDs  []string          `json:"audit_ids"`
	ExpiresAt string            `json:"expires_at"`
	IssuedAt  string            `json:"issued_at"`
	Project   *scopedRef        `json:"project,omitempty"`
	IsDomain  *bool             `json:"is_domain,omitempty"`
	Roles     []roleRef         `json:"roles,omitempty"`
	Catalog   *[]catalogService `json:"catalog,omitempty"`
}

type catalogService struct {
	ID        string            `json:"id"`
	Type      string            `json:"type"`
	Name      string            `json:"name"`
	Endpoints []catalogEndpoint `json:"endpoints"`
}

type catalogEndpoint struct {
	ID        string `json:"id"`
	Interface string `json:"interface"`
	Region    string `json:"region"`
	RegionID  string `json:"region_id"`
	URL       string `json:"url"`
}

// keystoneTime is Keystone's form: microseconds, Z.
func keystoneTime(t structs.Time) string { return t.Time().Format("2006-01-02T15:04:05.000000Z") }

func domainNamed(st state.Reader, id structs.DomainID) domainRef {
	d := domainRef{ID: string(id)}
	if dom := st.Domain(id); dom != nil {
		d.Name = dom.Name
	}
	return d
}

// tokenBody describes a token. ?nocatalog leaves the catalog out.
func (s *service) tokenBody(r *httpapi.Request, st state.Reader, v verified) any {
	t := v.token
	view := tokenView{Methods: methodsInOrder(t.Methods), AuditIDs: []string{t.AuditID}, ExpiresAt: keystoneTime(t.ExpiresAt), IssuedAt: keystoneTime(t.IssuedAt),
		User: tokenUser{scopedRef: scopedRef{string(t.UserID), t.UserName, domainNamed(st, t.UserDomain)}}}
	if v.parent != "" {
		view.AuditIDs = append(view.AuditIDs, v.parent)
	}
	if t.ProjectID != "" {
		no := false
		view.Project = &scopedRef{string(t.ProjectID), t.ProjectName, domainNamed(st, t.ProjectDomain)}
		view.Roles, view.IsDomain = roleRefs(st, t.Roles), &no
		if !r.URL.Query().Has("nocatalog") {
			c := s.catalog(r, st)
			view.Catalog = &c
		}
	}
	return map[string]any{"token": view}
}

func methodsInOrder(m []string) []string { return slices.Compact(slices.Sorted(slices.Values(m))) }

// stableID makes an id that is the same on every server.
func stableID(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:16])
}

// catalog lists the services that are there, each with its three interfaces at the URL that the client reached us at.
func (s *service) catalog(r *httpapi.Request, st state.Reader) []catalogService {
	region := st.ClusterSettings().Region
	out := []catalogService{}
	for _, e := range s.endpoints {
		url := e.Path
		if strings.HasPrefix(url, "/") {
			url = r.RootURL() + url
		}
		c := catalogService{ID: stableID("service", e.Type, e.Name), Type: e.Type, Name: e.Name}
		for _, i := range []string{"public", "internal", "admin"} {
			c.Endpoints = append(c.Endpoints, catalogEndpoint{ID: stableID("endpoint", e.Type, e.Name, i, region), Interface: i, Region: region, RegionID: region, URL: url})
		}
		out = append(out, c)
	}
	return out
}

// subject returns the token that a request about tokens speaks of. Whose it may ask about: its own, or anybody's for administrators and
// services.
func (s *service) subject(r *httpapi.Request, rule string) (verified, error) {
	text := r.Header.Get(subjectHeader)
	if text == "" {
		return verified{}, httpapi.NotFound("No token in the request")
	}
	v, err := s.auth.verify(text)
	if err != nil {
		return verified{}, httpapi.NotFound("Failed to validate token")
	}
	if v.token.UserID != r.Token.UserID {
		if err := allowed(r, httpapi.ServiceOrAdmin(rule)); err != nil {
			return verified{}, err
		}
	}
	return v, nil
}

// allowed judges a rule with Keystone's words.
func allowed(r *httpapi.Request, rule httpapi.Rule) error {
	if rule.Allows(r.Token) {
		return nil
	}
	return httpapi.Forbidden("You are not authorized to perform the requested action: %s.", rule.Name())
}

func (s *service) validate(r *httpapi.Request) (any, error) {
	v, err := s.subject(r, "identity:validate_token")
	if err != nil {
		return nil, err
	}
	h := r.Writer.Header()
	h.Set(subjectHeader, r.Header.Get(subjectHeader))
	h.Set("Vary", "X-Auth-Token")
	return s.tokenBody(r, r.Core.Stale(), v), nil
}

func (s *service) revoke(r *httpapi.Request) (any, error) {
	v, err := s.subject(r, "identity:revoke_token")
	if err != nil {
		return nil, err
	}
	_, err = fsm.TokenRevoke.Propose(r.Context(), r.Core, &structs.TokenRevokeRequest{Revocation: structs.Revocation{AuditID: v.token.AuditID, ExpiresAt: v.token.ExpiresAt}})
	return nil, err
}

func (s *service) showCatalog(r *httpapi.Request) (any, error) {
	if r.Token.ProjectID == "" {
		return nil, allowed(r, never{"identity:get_auth_catalog"})
	}
	return map[string]any{"catalog": s.catalog(r, r.Core.Stale()), "links": map[string]any{"self": r.Self("auth", "catalog"), "previous": nil, "next": nil}}, nil
}

// never is the rule for what a token of this scope cannot do.
type never struct{ name string }

func (n never) Name() string             { return n.name }
func (never) Check() string              { return "!" }
func (never) Allows(*httpapi.Token) bool { return false }
