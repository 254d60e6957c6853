package token

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
)

// bind turns a token's claims into who they stand for now, or refuses. Roles are looked up and not carried: a token never has more than its bearer.
func bind(r state.Reader, c claims, now structs.Time) (*httpapi.Token, error) {
	if c.expires <= now || r.Revoked(c.audit) { // revoking a token leaves those that were made from it, as in Keystone
		return nil, errInvalid
	}
	u, d := holderIn(r, c.user, c.issued)
	if u == nil {
		return nil, errInvalid
	}
	t := &httpapi.Token{IssuedAt: c.issued, ExpiresAt: c.expires, AuditID: c.audit, Methods: c.methods}
	t.UserID, t.UserName, t.UserDomain = u.ID, u.Name, u.DomainID
	var p *structs.Project
	if c.project != "" {
		if p = onProjectOf(r, t, c, d); p == nil {
			return nil, errInvalid
		}
	}
	if c.domain != "" && !onDomainOf(r, t, c) {
		return nil, errInvalid
	}
	var roles []*structs.Role
	switch {
	case c.trust != "":
		var err error
		if roles, err = trusted(r, t, c, now); err != nil {
			return nil, err
		}
	case c.appCred != "":
		var err error
		if roles, err = delegated(r, t, c, now); err != nil {
			return nil, err
		}
	case c.project != "":
		roles = access.OnProject(r, u.ID, p)
	case c.domain != "":
		roles = access.OnDomain(r, u.ID, c.domain)
	case c.system:
		t.System, roles = true, access.OnSystem(r, u.ID)
	default:
		return t, nil
	}
	if len(roles) == 0 {
		return nil, errInvalid
	}
	for _, x := range roles {
		t.Roles, t.RoleIDs = append(t.Roles, x.Name), append(t.RoleIDs, x.ID)
	}
	return t, nil
}

// holder returns the user when a token that was issued then may still stand for it, else nil.
func holder(r state.Reader, id structs.UserID, issued structs.Time) *structs.User {
	u, _ := holderIn(r, id, issued)
	return u
}

// holderIn is holder with the user's domain. Every request looks here, so nothing is looked up twice.
func holderIn(r state.Reader, id structs.UserID, issued structs.Time) (*structs.User, *structs.Domain) {
	u := r.User(id)
	if u == nil || !u.Enabled || issued < u.PasswordAt || issued < u.TokensFrom {
		return nil, nil
	}
	d := r.Domain(u.DomainID)
	if d == nil || !d.Enabled || issued < d.TokensFrom {
		return nil, nil
	}
	return u, d
}

// onProjectOf puts the claims' project into the token and returns it; nil when the token stands for nobody there. d is a domain that may be the project's.
func onProjectOf(r state.Reader, t *httpapi.Token, c claims, d *structs.Domain) *structs.Project {
	p := r.Project(c.project)
	if p == nil || !p.Enabled || c.issued < p.TokensFrom {
		return nil
	}
	if d.ID != p.DomainID {
		d = r.Domain(p.DomainID)
	}
	if d == nil || !d.Enabled || c.issued < d.TokensFrom {
		return nil
	}
	t.ProjectID, t.ProjectName, t.ProjectDomain = p.ID, p.Name, p.DomainID
	return p
}

func onDomainOf(r state.Reader, t *httpapi.Token, c claims) bool {
	d := r.Domain(c.domain)
	if d == nil || !d.Enabled || c.issued < d.TokensFrom {
		return false
	}
	t.DomainID, t.DomainName = d.ID, d.Name
	return true
}

// delegated returns the roles of a token that an application credential made: those of its roles that its user still has on its project.
func delegated(r state.Reader, t *httpapi.Token, c claims, now structs.Time) ([]*structs.Role, error) {
	a := r.ApplicationCredential(c.appCred)
	if a == nil || a.UserID != c.user || a.ProjectID != c.project || !a.ExpiresAt.IsZero() && a.ExpiresAt <= now {
		return nil, errInvalid
	}
	t.ApplicationCredID, t.ApplicationCredFree = a.ID, a.Unrestricted
	for _, id := range a.AccessRules {
		var rule httpapi.AccessRule // of one that is gone: for nothing
		if x := r.AccessRule(id); x != nil {
			rule = httpapi.AccessRule{Service: x.Service, Method: x.Method, Path: x.Path}
		}
		t.AccessRules = append(t.AccessRules, rule)
	}
	return among(r, a.RoleIDs, access.OnProject(r, c.user, r.Project(c.project))), nil
}

// among returns of some roles, with what they imply, those that somebody has.
func among(r state.Reader, ids []structs.RoleID, has []*structs.Role) []*structs.Role {
	return slices.DeleteFunc(access.Expand(r, ids), func(x *structs.Role) bool {
		return !slices.ContainsFunc(has, func(h *structs.Role) bool { return h.ID == x.ID })
	})
}

// trusted returns the roles of a token that a trust made, and has the token be the trustor's when the trust impersonates. Whoever gave first must still have all
// that was given, and every trust that this one was made with must still stand behind it.
func trusted(r state.Reader, t *httpapi.Token, c claims, now structs.Time) ([]*structs.Role, error) {
	trust := r.Trust(c.trust)
	if trust == nil || trust.TrusteeID != c.user || trust.ProjectID != c.project || c.project == "" {
		return nil, errInvalid
	}
	trustor, giver := holder(r, trust.TrustorID, c.issued), holder(r, firstGiver(r, trust, now), c.issued)
	if trustor == nil || giver == nil {
		return nil, errInvalid
	}
	t.TrustID = trust.ID
	if trust.Impersonation {
		t.UserID, t.UserName, t.UserDomain = trustor.ID, trustor.Name, trustor.DomainID
	}
	has := access.OnProject(r, giver.ID, r.Project(c.project))
	roles := access.Expand(r, trust.RoleIDs)
	for _, x := range roles {
		if !slices.ContainsFunc(has, func(h *structs.Role) bool { return h.ID == x.ID }) {
			return nil, errInvalid
		}
	}
	for _, id := range trust.RoleIDs {
		if !slices.ContainsFunc(roles, func(x *structs.Role) bool { return x.ID == id }) {
			return nil, errInvalid
		}
	}
	return roles, nil
}

// firstGiver follows a trust to the user at the head of its chain, "" when the chain is broken: a trust is gone, is over, or does not allow what was made with it,
// or one who handed it on is there no more.
func firstGiver(r state.Reader, trust *structs.Trust, now structs.Time) structs.UserID {
	for t := trust; ; {
		if !t.ExpiresAt.IsZero() && t.ExpiresAt <= now || access.EnabledUser(r, t.TrusteeID) == nil {
			return ""
		}
		if t.RedelegatedID == "" {
			return t.TrustorID
		}
		from := r.Trust(t.RedelegatedID)
		if from == nil || !fsm.HandsOn(from, t) { // each is handed on less often than that before it, so this ends
			return ""
		}
		t = from
	}
}
