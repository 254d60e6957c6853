package delegation

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

var trustKnown = []string{"id", "trustor_user_id", "trustee_user_id", "impersonation", "project_id", "remaining_uses", "expires_at", "allow_redelegation", "redelegation_count",
	"redelegated_trust_id", "roles", "roles_links", "deleted_at"}

func viewTrust(r *httpapi.Request, t *structs.Trust) base.View {
	v := base.NewView(t.Extra)
	v["id"], v["trustor_user_id"], v["trustee_user_id"], v["impersonation"] = t.ID, string(t.TrustorID), string(t.TrusteeID), t.Impersonation
	v["project_id"], v["remaining_uses"], v["redelegation_count"], v["deleted_at"] = base.OrNull(string(t.ProjectID)), t.RemainingUses, t.Redelegations, nil
	v["redelegated_trust_id"], v["expires_at"] = base.OrNull(t.RedelegatedID), nil
	if !t.ExpiresAt.IsZero() {
		v["expires_at"] = base.Time(t.ExpiresAt)
	}
	return v.Link(r, "OS-TRUST", "trusts", t.ID)
}

func rolesLinks(r *httpapi.Request, t *structs.Trust) map[string]any {
	return map[string]any{"self": r.Self("OS-TRUST", "trusts", t.ID, "roles"), "next": nil, "previous": nil}
}

func viewRoles(r *httpapi.Request, st state.Reader, t *structs.Trust) []base.View {
	out := []base.View{}
	for _, id := range t.RoleIDs {
		if x := st.Role(id); x != nil {
			out = append(out, base.ViewRole(r, x))
		}
	}
	return out
}

func wholeTrust(r *httpapi.Request, st state.Reader, t *structs.Trust) any {
	v := viewTrust(r, t)
	v["roles"], v["roles_links"] = viewRoles(r, st, t), rolesLinks(r, t)
	return map[string]any{"trust": v}
}

// notByAppCred refuses application credentials, unrestricted ones too: a trust would reach beyond what they are for.
func notByAppCred(t *httpapi.Token) error {
	if t.ApplicationCredID != "" || slices.Contains(t.Methods, "application_credential") {
		return forbidden("Using method 'application_credential' is not allowed for managing trusts.")
	}
	return nil
}

func targetTrust(trustor, trustee structs.UserID) policy.Target {
	return policy.Target{More: map[string]string{"target.trust.trustor_user_id": string(trustor), "target.trust.trustee_user_id": string(trustee)}}
}

// listTrusts lists the trusts of a trustor or a trustee, or all.
func listTrusts(r *httpapi.Request) (any, error) {
	q := r.Query()
	trustor, trustee := structs.UserID(q.Get("trustor_user_id")), structs.UserID(q.Get("trustee_user_id"))
	var err error
	switch {
	case trustor != "":
		r.Judged()
		err = r.AllowTarget(ruleTrustsOfTrustor, targetTrust(trustor, ""))
	case trustee != "":
		r.Judged()
		err = r.AllowTarget(ruleTrustsOfTrustee, targetTrust("", trustee))
	default:
		err = r.Judge(policy.Target{})
	}
	if err == nil {
		err = notByAppCred(r.Token)
	}
	if err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	out := []base.View{}
	for t := range st.Trusts() {
		if (trustor == "" || t.TrustorID == trustor) && (trustee == "" || t.TrusteeID == trustee) {
			out = append(out, viewTrust(r, t))
		}
	}
	return base.Collection(r, "trusts", out), nil
}

// findTrust returns the trust of the path, after the rule was judged. One that is not there, is over or used up is 404 for everybody, as in Keystone: ids cannot be
// guessed.
func (s *service) findTrust(r *httpapi.Request) (state.Reader, *structs.Trust, error) {
	st, err := base.Read(r)
	if err != nil {
		return st, nil, err
	}
	t := st.Trust(r.Vars["id"])
	if t == nil || !t.ExpiresAt.IsZero() && t.ExpiresAt <= s.opts.Time() || t.RemainingUses != nil && *t.RemainingUses <= 0 {
		r.Judged()
		return st, nil, base.NotFound("trust", r.Vars["id"])
	}
	if err := r.Judge(targetTrust(t.TrustorID, t.TrusteeID)); err != nil {
		return st, nil, err
	}
	return st, t, notByAppCred(r.Token)
}

func (s *service) showTrust(r *httpapi.Request) (any, error) {
	st, t, err := s.findTrust(r)
	if err != nil {
		return nil, err
	}
	return wholeTrust(r, st, t), nil
}

// deleteTrust removes a trust with those that were made with it. Who acts with a trust takes back no other than those.
func (s *service) deleteTrust(r *httpapi.Request) (any, error) {
	st, t, err := s.findTrust(r)
	if err != nil {
		return nil, err
	}
	if r.Token.TrustID != "" && !madeWith(st, t, r.Token.TrustID) {
		return nil, errForbidden
	}
	_, err = fsm.TrustDelete.Propose(r.Context(), r.Core, &structs.TrustDeleteRequest{ID: t.ID})
	return nil, err
}

// madeWith reports whether a trust was handed on from another. Each of a chain is handed on less often than that before it, so chains end.
func madeWith(st state.Reader, t *structs.Trust, id string) bool {
	for ; t != nil && t.RedelegatedID != ""; t = st.Trust(t.RedelegatedID) {
		if t.RedelegatedID == id {
			return true
		}
	}
	return false
}

// tooOften reports whether a trust, or one that it was made with, was to be handed on more often than any may be now.
func (s *service) tooOften(st state.Reader, t *structs.Trust) bool {
	for ; t != nil; t = st.Trust(t.RedelegatedID) {
		if t.Redelegations > *s.opts.MaxRedelegations {
			return true
		}
	}
	return false
}

func (s *service) listTrustRoles(r *httpapi.Request) (any, error) {
	st, t, err := s.findTrust(r)
	if err != nil {
		return nil, err
	}
	return map[string]any{"roles": viewRoles(r, st, t), "links": rolesLinks(r, t)}, nil
}

func (s *service) showTrustRole(r *httpapi.Request) (any, error) {
	st, t, err := s.findTrust(r)
	if err != nil {
		return nil, err
	}
	id := structs.RoleID(r.Vars["role"])
	x := st.Role(id)
	if x == nil || !slices.Contains(t.RoleIDs, id) {
		return nil, base.NotFound("role", id)
	}
	return map[string]any{"role": base.ViewRole(r, x)}, nil
}

// trustRequest is the body of a creation.
type trustRequest struct {
	TrustorID     structs.UserID     `json:"trustor_user_id"`
	TrusteeID     structs.UserID     `json:"trustee_user_id"`
	ProjectID     *structs.ProjectID `json:"project_id"`
	Impersonation bool               `json:"impersonation"`
	RemainingUses *int               `json:"remaining_uses"`
	ExpiresAt     *string            `json:"expires_at"`
	Allow         *bool              `json:"allow_redelegation"`
	Count         *int               `json:"redelegation_count"`
	Roles         []roleRef          `json:"roles"`
}

// createTrust makes a trust of the caller's roles on a project; or, for who acts with a trust, hands that one on.
func (s *service) createTrust(r *httpapi.Request) (any, error) {
	var in trustRequest
	fields, err := base.Body(r, "trust")
	if err == nil {
		err = base.Decode(r, "trust", &in)
	}
	if err != nil {
		return nil, err
	}
	if err := r.Judge(targetTrust(in.TrustorID, in.TrusteeID)); err != nil {
		return nil, err
	}
	if err := notByAppCred(r.Token); err != nil {
		return nil, err
	}
	t := structs.Trust{ID: nomadlike.NewHexID(), TrustorID: in.TrustorID, TrusteeID: in.TrusteeID, Impersonation: in.Impersonation, RemainingUses: in.RemainingUses, CreatedAt: s.opts.Time()}
	if in.ProjectID != nil {
		t.ProjectID = *in.ProjectID
	}
	switch {
	case t.ProjectID != "" && len(in.Roles) == 0:
		return nil, forbidden("At least one role should be specified")
	case r.Token.UserID != t.TrustorID:
		return nil, forbidden("The authenticated user should match the trustor")
	}
	if t.Extra, err = base.ExtraOf(nil, fields, trustKnown...); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	if err := s.fill(st, r.Token, &in, &t); err != nil {
		return nil, err
	}
	if _, err := fsm.TrustCreate.Propose(r.Context(), r.Core, &structs.TrustCreateRequest{Trust: t}); err != nil {
		return nil, err
	}
	return wholeTrust(r, st, &t), nil
}

// fill gives a trust its roles, its end, and how often it may be handed on.
func (s *service) fill(st state.Reader, caller *httpapi.Token, in *trustRequest, t *structs.Trust) (err error) {
	if st.User(t.TrusteeID) == nil {
		return base.NotFound("user", t.TrusteeID)
	}
	if err := giveRoles(st, caller, in.Roles, t); err != nil {
		return err
	}
	if t.ExpiresAt, err = s.expiry(in.ExpiresAt); err != nil {
		return err
	}
	again := in.Allow != nil && *in.Allow && (in.Count == nil || *in.Count != 0)
	if again {
		if in.Count != nil && *in.Count > *s.opts.MaxRedelegations {
			return errForbidden
		}
		if t.RemainingUses != nil {
			return httpapi.BadRequest("remaining_uses must not be set if redelegation is allowed")
		}
		t.Redelegations = *s.opts.MaxRedelegations
		if in.Count != nil {
			t.Redelegations = *in.Count
		}
	}
	if caller.TrustID == "" {
		return nil
	}
	from := st.Trust(caller.TrustID)
	if from == nil {
		return errForbidden
	}
	t.RedelegatedID = from.ID
	if again {
		if in.Count != nil && *in.Count != from.Redelegations-1 {
			return errForbidden
		}
		t.Redelegations = max(0, from.Redelegations-1)
	}
	if t.ExpiresAt.IsZero() {
		t.ExpiresAt = from.ExpiresAt
	}
	if s.tooOften(st, from) || !fsm.HandsOn(from, t) {
		return errForbidden
	}
	return nil
}

// giveRoles finds the roles of a trust, which its trustor must have on the project; of one that is handed on, who gave first. A role that it has not is none to it.
func giveRoles(st state.Reader, caller *httpapi.Token, want []roleRef, t *structs.Trust) error {
	for _, ref := range want {
		x, err := findRole(st, ref)
		if err != nil {
			return err
		}
		if !slices.Contains(t.RoleIDs, x.ID) {
			t.RoleIDs = append(t.RoleIDs, x.ID)
		}
	}
	slices.Sort(t.RoleIDs)
	var has []*structs.Role
	if t.ProjectID != "" {
		p := st.Project(t.ProjectID)
		if p == nil {
			return base.NotFound("project", t.ProjectID)
		}
		has = access.OnProject(st, firstGiver(st, caller), p)
	}
	for _, id := range t.RoleIDs {
		if !slices.ContainsFunc(has, func(x *structs.Role) bool { return x.ID == id }) {
			return base.NotFound("role", id)
		}
	}
	return nil
}

// firstGiver is whose roles a caller gives: its own, or those of who is at the head of the chain of trusts that it acts with.
func firstGiver(st state.Reader, caller *httpapi.Token) structs.UserID {
	giver := caller.UserID
	for t := st.Trust(caller.TrustID); t != nil; t = st.Trust(t.RedelegatedID) {
		giver = t.TrustorID
	}
	return giver
}
