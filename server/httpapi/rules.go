package httpapi

import (
	"net"
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// The rules are those of Nova's default policy (nova/policies/base.py): roles imply admin → manager → member → reader (the
// token has them spelt out), a project rule needs a token scoped to a project, and the object's project is the handler's to compare.

// tokenless is a rule that may hold without a token.
type tokenless interface {
	// WithoutToken reports whether this request needs none. A token that comes nevertheless is not looked at.
	WithoutToken(r *http.Request) bool
}

type rule struct {
	name  string
	holds func(*Token) bool
}

func (r rule) Name() string         { return r.name }
func (r rule) Allows(t *Token) bool { return t != nil && r.holds(t) }

type anyone struct{}

func (anyone) Name() string                    { return "anyone" }
func (anyone) Allows(*Token) bool              { return true }
func (anyone) WithoutToken(*http.Request) bool { return true }

// Anyone needs no token.
var Anyone Rule = anyone{}

// Authenticated needs a valid token, whatever its scope and roles.
func Authenticated(name string) Rule { return rule{name, func(*Token) bool { return true }} }

// Admin needs the role admin.
func Admin(name string) Rule { return rule{name, (*Token).IsAdmin} }

func projectRole(name, role string) Rule {
	return rule{name, func(t *Token) bool { return t.IsAdmin() || t.ProjectID != "" && t.Has(role) }}
}

// ReaderOrAdmin is project_reader_or_admin.
func ReaderOrAdmin(name string) Rule { return projectRole(name, "reader") }

// MemberOrAdmin is project_member_or_admin.
func MemberOrAdmin(name string) Rule { return projectRole(name, "member") }

// ManagerOrAdmin is project_manager_or_admin.
func ManagerOrAdmin(name string) Rule { return projectRole(name, "manager") }

// ServiceOrAdmin is service_or_admin.
func ServiceOrAdmin(name string) Rule {
	return rule{name, func(t *Token) bool { return t.IsAdmin() || t.Has("service") }}
}

// SelfOrAdmin lets every user through to its own things: the handler judges whose the thing is, with Request.AllowUser.
func SelfOrAdmin(name string) Rule { return Authenticated(name) }

type loopback struct{ rule }

// WithoutToken holds for a caller on this machine that is no proxy for another.
func (loopback) WithoutToken(r *http.Request) bool {
	if r.Header.Get("X-Forwarded-For") != "" || r.Header.Get("Forwarded") != "" {
		return false
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// LoopbackOr needs no token from a process on this machine, and what the other rule needs from anywhere else.
func LoopbackOr(other Rule) Rule { return loopback{rule{other.Name(), other.Allows}} }

// Allow judges a further rule, one that depends on what is asked for. The error is Nova's 403.
func (r *Request) Allow(rule Rule) error {
	if rule.Allows(r.Token) {
		return nil
	}
	return policyError(rule)
}

// AllowUser judges a SelfOrAdmin rule for what belongs to a user.
func (r *Request) AllowUser(rule Rule, owner structs.UserID) error {
	if r.Token != nil && (r.Token.UserID == owner || r.Token.IsAdmin()) {
		return nil
	}
	return policyError(rule)
}

// Sees reports whether the caller may know of a project's things: its own, or any for an administrator. What it does not see is 404.
func (r *Request) Sees(p structs.ProjectID) bool {
	return r.Token != nil && (r.Token.IsAdmin() || r.Token.ProjectID != "" && r.Token.ProjectID == p)
}

func policyError(rule Rule) error {
	return structs.Errorf(structs.KindForbidden, "Policy doesn't allow %s to be performed.", rule.Name())
}
