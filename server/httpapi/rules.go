package httpapi

import (
	"net"
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
)

// The rules are those of Nova's default policy (nova/policies/base.py): roles imply admin → manager → member → reader (the
// token has them spelt out), a project rule needs a token scoped to a project, and the object's project is the handler's to compare.

// tokenless is a rule that may hold without a token.
type tokenless interface {
	// WithoutToken reports whether this request needs none. A token that comes nevertheless is not looked at.
	WithoutToken(r *http.Request) bool
}

// rule is judged by its name in the set of rules that is in force, by its default check where the set does not have it.
type rule struct{ name, check string }

func (r rule) Name() string         { return r.name }
func (r rule) Check() string        { return r.check }
func (r rule) Allows(t *Token) bool { return judge(policy.Builtin, r, t, t.target()) }

// judge needs a token whatever the rule says: only Anyone does without.
func judge(set *policy.Set, r Rule, t *Token, what policy.Target) bool {
	if open, ok := r.(anyone); ok {
		return open.Allows(t)
	}
	if t == nil {
		return false
	}
	who := t.subject()
	return set.Allows(r.Name(), r.Check(), &who, &what)
}

func (t *Token) subject() policy.Subject {
	s := policy.Subject{UserID: string(t.UserID), UserDomainID: string(t.UserDomain), ProjectID: string(t.ProjectID), ProjectDomainID: string(t.ProjectDomain),
		DomainID: string(t.DomainID), Roles: t.Roles}
	if t.System {
		s.SystemScope = "all"
	}
	return s
}

// target is the caller's own: what a rule is judged for before it is known what is asked for.
func (t *Token) target() policy.Target {
	if t == nil {
		return policy.Target{}
	}
	return policy.Target{UserID: string(t.UserID), ProjectID: string(t.ProjectID)}
}

type anyone struct{}

func (anyone) Name() string                    { return "anyone" }
func (anyone) Check() string                   { return "" }
func (anyone) Allows(*Token) bool              { return true }
func (anyone) WithoutToken(*http.Request) bool { return true }

// Anyone needs no token.
var Anyone Rule = anyone{}

// Authenticated needs a valid token, whatever its scope and roles.
func Authenticated(name string) Rule { return rule{name, policy.Anybody} }

// Admin is context_is_admin: the role admin unless a policy file says otherwise.
func Admin(name string) Rule { return rule{name, policy.Admin} }

// ReaderOrAdmin is project_reader_or_admin.
func ReaderOrAdmin(name string) Rule { return rule{name, policy.ReaderOrAdmin} }

// MemberOrAdmin is project_member_or_admin.
func MemberOrAdmin(name string) Rule { return rule{name, policy.MemberOrAdmin} }

// ManagerOrAdmin is project_manager_or_admin.
func ManagerOrAdmin(name string) Rule { return rule{name, policy.ManagerOrAdmin} }

// ServiceOrAdmin is service_or_admin.
func ServiceOrAdmin(name string) Rule { return rule{name, policy.ServiceOrAdmin} }

// Check needs what a check in the words of oslo.policy says, of the caller alone.
func Check(name, check string) Rule { return rule{name, check} }

// judged is a rule that only the handler can judge: its check asks what the request is about.
type judged struct{ rule }

// Judged is the rule of a row whose check asks about its target. The wrapper lets everybody in who has a token; the handler must judge it by Request.Judge before
// anything else that the caller could see, and an answer of one that did not is withheld.
func Judged(name, check string) Rule { return judged{rule{name, check}} }

// SelfOrAdmin lets every user through to its own things: the handler judges whose the thing is, with Request.AllowUser.
func SelfOrAdmin(name string) Rule { return rule{name, policy.SelfOrAdmin} }

type loopback struct{ Rule }

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
func LoopbackOr(other Rule) Rule { return loopback{other} }

// Allow judges a further rule, one that depends on what is asked for. The error is Nova's 403.
func (r *Request) Allow(rule Rule) error { return r.allow(rule, r.Token.target()) }

// May is Allow without the error: for what is left out of an answer rather than refused.
func (r *Request) May(rule Rule) bool { return r.holds(rule, r.Token.target()) }

// AllowUser judges a SelfOrAdmin rule for what belongs to a user.
func (r *Request) AllowUser(rule Rule, owner structs.UserID) error {
	what := r.Token.target()
	what.UserID = string(owner)
	return r.allow(rule, what)
}

// AllowFor judges a rule for what belongs to a project and, where it does, to a user.
func (r *Request) AllowFor(rule Rule, owner structs.ProjectID, user structs.UserID) error {
	return r.allow(rule, policy.Target{UserID: string(user), ProjectID: string(owner)})
}

// AllowObject judges the row's own rule once more, for the object that the request is about: a policy file may have made it depend on whose
// that is. What the caller does not see at all is for Sees to hide, first.
func (r *Request) AllowObject(owner structs.ProjectID, user structs.UserID) error {
	if r.Route == nil {
		return nil
	}
	return r.AllowFor(r.Route.Rule, owner, user)
}

// Judge judges the row's rule for what the request is about, as far as the caller's request let it be found: an empty target is one that is not there.
func (r *Request) Judge(what policy.Target) error {
	r.judged = true
	return r.allow(r.Route.Rule, what)
}

// Judged is for a handler that has nothing to judge: what it answers is the same for everybody.
func (r *Request) Judged() { r.judged = true }

// AllowTarget judges a further rule for a target.
func (r *Request) AllowTarget(rule Rule, what policy.Target) error { return r.allow(rule, what) }

// MayTarget is AllowTarget without the error.
func (r *Request) MayTarget(rule Rule, what policy.Target) bool { return r.holds(rule, what) }

func (r *Request) allow(rule Rule, what policy.Target) error {
	if r.holds(rule, what) {
		return nil
	}
	return r.policyError(rule)
}

func (r *Request) holds(rule Rule, what policy.Target) bool {
	set := r.policy
	if set == nil {
		set = policy.Builtin
	}
	if rule != Anyone && !r.Service.takes(r.Token) {
		return false
	}
	return judge(set, rule, r.Token, what)
}

// Sees reports whether the caller may know of a project's things: its own, or any for an administrator. What it does not see is 404.
func (r *Request) Sees(p structs.ProjectID) bool {
	return r.Token != nil && (r.Token.IsAdmin() || r.Token.ProjectID != "" && r.Token.ProjectID == p)
}

// policyError is the service's own refusal.
func (r *Request) policyError(rule Rule) error {
	if r.Service != nil {
		switch r.Service.Faults {
		case KeystoneFaults:
			return structs.Errorf(structs.KindForbidden, "You are not authorized to perform the requested action: %s.", rule.Name())
		case GlanceFaults:
			return structs.Errorf(structs.KindForbidden, "You are not authorized to complete %s action.", rule.Name())
		}
	}
	return structs.Errorf(structs.KindForbidden, "Policy doesn't allow %s to be performed.", rule.Name())
}
