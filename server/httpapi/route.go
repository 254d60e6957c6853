// Package httpapi is what every HTTP service shares: routes as rows, microversions, authentication, access rules, schema
// validation, error bodies, paging and request ids. A service is a table of rows; one wrapper does the rest, in Nova's order:
// token, microversion, content type, project in the URL, body as JSON, schema, then the handler behind its access rule.
package httpapi

import (
	"net/http"
	"net/url"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
)

// Microversion is a minor number of a service's API: 2.53 of compute is 53. 0 in a Route means unbounded.
type Microversion int

// Service is one OpenStack service under a prefix of the agent's port.
type Service struct {
	Name   string // in logs and metrics: compute, identity, image, placement, native
	Prefix string // "/compute/v2.1"; routes are below it
	// Versioning is nil for a service without microversions.
	Versioning *Versioning
	Faults     FaultStyle
	Routes     []Route
	// ProjectInPath also serves every route below Prefix/{project_id}, which must be the token's project.
	ProjectInPath bool
	// MaxBody bounds a JSON body in bytes; 0 is 114688, as Nova's middleware has it. Raw routes are not bounded.
	MaxBody int64
	// FollowsPolicy: a policy file may override the rules. Rules are those that handlers judge and no row has.
	FollowsPolicy bool
	Rules         []Rule
	// Scopes are those of the tokens that the service takes beside unscoped ones and those on projects (oslo.policy's scope_types). A token of another scope is
	// refused by every rule: an administrator of one domain is none of the cloud.
	Scopes Scope
	// Bars says why a good token is good for nothing at all here (KindForbidden); nil, and a nil func, are no reason.
	Bars func(*Token) error
}

// Scope is a set of what tokens may be for.
type Scope uint8

// What a token may be for beside a project.
const (
	DomainScope Scope = 1 << iota
	SystemScope
)

// takes reports whether the service takes a token's scope.
func (s *Service) takes(t *Token) bool {
	return s == nil || t == nil || (t.DomainID == "" || s.Scopes&DomainScope != 0) && (!t.System || s.Scopes&SystemScope != 0)
}

// Versioning is a service's range of microversions and its headers.
type Versioning struct {
	Type         string // in OpenStack-API-Version: "compute"
	LegacyHeader string // "X-OpenStack-Nova-API-Version", or ""
	Major        int    // 2
	Min, Max     Microversion
}

// Route is one row. The agent refuses to start with a row whose Rule is nil.
type Route struct {
	Method string
	Path   string // a gorilla/mux pattern below the prefix: "/servers/{id}"
	// Action, for POST .../action, is the one key of the body that chooses this row.
	Action   string
	Min, Max Microversion // outside it the route answers 404
	Rule     Rule
	Query    *Schema // nil: query parameters are not checked
	Body     *Schema // nil: the route takes no JSON body
	Status   int     // of success; 0 is 200
	Handler  Handler
	// Raw routes (uploads, downloads, streams) read r.Request.Body and may write r.Writer themselves; such a handler returns Written.
	Raw bool
}

// Handler answers a request. The value is encoded as JSON; nil gives an empty body. An error is mapped by its kind to the service's fault.
type Handler func(r *Request) (any, error)

// Written is what a handler returns that has written its answer itself.
var Written = &struct{ written bool }{true}

// Request is a request that has passed the wrapper.
type Request struct {
	*http.Request
	Writer    http.ResponseWriter // set headers before returning; only Raw handlers write to it
	Core      nomadlike.Core
	Token     *Token       // nil only where Rule is Anyone
	Version   Microversion // that holds for this request; 0 in a service without microversions
	Vars      map[string]string
	Body      []byte // the JSON body, checked by the schema; for an action the whole body
	RequestID string // req-<uuid>
	BaseURL   string // scheme://host/prefix as the client reached it, with the project id when the URL had one, for links
	Route     *Route // the row that answers
	Service   *Service

	query     url.Values // what Query returns
	raw       rawQuery   // the query as it came, parsed when asked for
	rootURL   string     // scheme://host
	projectIn bool       // the URL named the project
	maxLimit  int
	policy    *policy.Set // that the request is judged by; nil is the built-in one
	judged    bool        // Judge was asked
}

// Token is who asks, from a verified token.
type Token struct {
	UserID        structs.UserID
	UserName      string
	UserDomain    structs.DomainID
	ProjectID     structs.ProjectID // "" for an unscoped token
	ProjectName   string
	ProjectDomain structs.DomainID
	DomainID      structs.DomainID // of a token on a domain
	DomainName    string
	System        bool     // a token on the system
	Roles         []string // names, with what they imply
	RoleIDs       []structs.RoleID
	IssuedAt      structs.Time
	ExpiresAt     structs.Time
	AuditID       string
	Methods       []string // password, token, ...

	TrustID             string // of a token that a trust made
	ApplicationCredID   string // of one that an application credential made
	ApplicationCredFree bool   // which is unrestricted
	// AccessRules are the only requests that the token is for; nil is no such bound.
	AccessRules []AccessRule

	admin verdict // of a policy file's context_is_admin
}

// verdict is whether somebody is an administrator where a policy file decides it.
type verdict int8

const (
	byRole verdict = iota // no file does
	isAdmin
	noAdmin
)

// IsAdmin reports whether the caller is an administrator: whether the token has the role admin, unless a policy file says who is one.
func (t *Token) IsAdmin() bool {
	if t != nil && t.admin != byRole {
		return t.admin == isAdmin
	}
	return t.Has("admin")
}

// Has reports whether the token has a role.
func (t *Token) Has(role string) bool {
	if t == nil {
		return false
	}
	for _, r := range t.Roles {
		if r == role {
			return true
		}
	}
	return false
}

// Rule is an access rule: a name as Nova's policy has it and its check. It is judged before the handler runs, without the object; handlers
// hide other projects' objects themselves (404), and judge rules that depend on the object by Request.Allow.
type Rule interface {
	Name() string
	// Check is the default in the words of oslo.policy. In a service that follows the policy file, another may be in force.
	Check() string
	// Allows judges the default.
	Allows(t *Token) bool
}
