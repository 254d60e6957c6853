package directory

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/access"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

func (s *service) userRoutes() []httpapi.Route {
	const list, one = "/users", "/users/{id}"
	return slices.Concat(
		reads(list, httpapi.Judged("identity:list_users", systemReader+" or (role:reader and domain_id:%(target.domain_id)s)"), userQuery, 0, s.listUsers),
		reads(one, httpapi.Judged("identity:get_user", systemReader+" or (role:reader and token.domain.id:%(target.user.domain_id)s) or user_id:%(target.user.id)s"), nil, 0, s.showUser),
		reads(one+"/projects", httpapi.Judged("identity:list_user_projects", systemReader+" or (role:reader and domain_id:%(target.user.domain_id)s) or user_id:%(target.user.id)s"), nil, 0, s.userProjects),
		reads(one+"/groups", httpapi.Judged("identity:list_groups_for_user", systemReader+" or (role:reader and domain_id:%(target.user.domain_id)s) or user_id:%(user_id)s"), nil, 0, s.userGroups),
		[]httpapi.Route{
			{Method: http.MethodPost, Path: list, Rule: httpapi.Judged("identity:create_user", userManager), Body: userNew, Status: http.StatusCreated, Handler: s.createUser},
			{Method: http.MethodPatch, Path: one, Rule: httpapi.Judged("identity:update_user", userManager), Body: userChange, Handler: s.updateUser},
			{Method: http.MethodDelete, Path: one, Rule: httpapi.Judged("identity:delete_user", userManager), Status: http.StatusNoContent, Handler: s.deleteUser},
			{Method: http.MethodPost, Path: one + "/password", Rule: httpapi.Anyone, Body: userPassword, Status: http.StatusNoContent, Handler: s.changePassword},
		})
}

// findUser finds the user of a request, judges the row's rule for it, and answers 404 for one that is not there.
func findUser(r *httpapi.Request, st state.Reader) (*structs.User, error) {
	u := st.User(structs.UserID(r.Vars["id"]))
	what := policy.Target{}
	if u != nil {
		what = target("target.user.id", string(u.ID), "target.user.domain_id", string(u.DomainID))
		what.UserID = string(u.ID)
	}
	if err := r.Judge(what); err != nil {
		return nil, err
	}
	if u == nil {
		return nil, base.NotFound("user", r.Vars["id"])
	}
	return u, nil
}

// viewUser shows a user; one that was idle for too long counts as disabled.
func (s *service) viewUser(r *httpapi.Request, u *structs.User) base.View {
	v := base.ViewUser(r, u)
	v["enabled"] = u.Enabled && !s.o.Security.Inactive(u, s.o.Time())
	return v
}

// usersIn are the views of those of some users that the query asks for and the caller's scope sees.
func (s *service) usersIn(r *httpapi.Request, some func(yield func(*structs.User) bool)) ([]base.View, error) {
	expires, err := expiryFilter(r.Query().Get("password_expires_at"))
	if err != nil {
		return nil, err
	}
	var out []base.View
	for u := range some {
		if outside(r, u.DomainID) || !expires(u.PasswordExpires) {
			continue
		}
		if v := s.viewUser(r, u); base.Matches(r, v, "domain_id", "enabled", "name") {
			out = append(out, v)
		}
	}
	return out, nil
}

func (s *service) listUsers(r *httpapi.Request) (any, error) {
	if err := r.Judge(scoped(r, "target.domain_id")); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	some := st.Users()
	for _, federated := range []string{"idp_id", "protocol_id", "unique_id"} {
		if r.Query().Has(federated) {
			some = func(func(*structs.User) bool) {} // nobody comes from elsewhere
		}
	}
	out, err := s.usersIn(r, some)
	if err != nil {
		return nil, err
	}
	return page(r, "users", out)
}

// expiries are the comparisons of a filter by when passwords expire.
var expiries = map[string]func(at, with structs.Time) bool{
	"lt": func(a, w structs.Time) bool { return a < w }, "lte": func(a, w structs.Time) bool { return a <= w },
	"gt": func(a, w structs.Time) bool { return a > w }, "gte": func(a, w structs.Time) bool { return a >= w },
	"eq": func(a, w structs.Time) bool { return a == w }, "neq": func(a, w structs.Time) bool { return a != w },
}

// expiryFilter reads OPERATOR:TIME, or a time alone. A password that never expires passes none, as null compares in a database.
func expiryFilter(text string) (func(structs.Time) bool, error) {
	if text == "" {
		return func(structs.Time) bool { return true }, nil
	}
	op := "eq"
	if i := strings.IndexByte(text, ':'); i == 2 || i == 3 {
		op, text = text[:i], text[i+1:]
	}
	compare := expiries[op]
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02"} {
		if at, err := time.Parse(layout, text); err == nil && compare != nil {
			return func(t structs.Time) bool { return !t.IsZero() && compare(t, structs.TimeOf(at)) }, nil
		} else if err == nil {
			return nil, httpapi.BadRequest("The given operator %s is not valid. It must be one of the following: 'eq', 'neq', 'lt', 'lte', 'gt', or 'gte'.", op)
		}
	}
	return nil, httpapi.BadRequest("Timestamp not in expected format. The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error.")
}

func (s *service) showUser(r *httpapi.Request) (any, error) {
	return base.Show(r, "user", of(r, findUser), s.viewUser)
}

// userProjects are those that a user has a role on, disabled ones among them.
func (s *service) userProjects(r *httpapi.Request) (any, error) {
	st, u, err := found(r, findUser)
	if err != nil {
		return nil, err
	}
	list := access.Projects(st, u.ID)
	for p := range st.Projects() {
		if access.EnabledProject(st, p.ID) == nil && len(access.OnProject(st, u.ID, p)) > 0 {
			list = append(list, p)
		}
	}
	var out []base.View
	for _, p := range list {
		if v := base.ViewProject(r, p); base.Matches(r, v, "domain_id", "enabled", "name") {
			out = append(out, v)
		}
	}
	return base.Collection(r, "projects", out), nil
}

func (s *service) userGroups(r *httpapi.Request) (any, error) {
	st, u, err := found(r, findUser)
	if err != nil {
		return nil, err
	}
	var out []base.View
	for m := range st.MembershipsOfUser(u.ID) {
		g := st.Group(m.GroupID)
		v := base.ViewGroup(r, g)
		v["membership_expires_at"] = nil // only those that a federation gives end by themselves
		if !outside(r, g.DomainID) && base.Matches(r, v, "name") {
			out = append(out, v)
		}
	}
	return base.Collection(r, "groups", out), nil
}

func (s *service) createUser(r *httpapi.Request) (any, error) {
	f, err := body(r, "user")
	if err != nil {
		return nil, err
	}
	what := policy.Target{}
	if f.has("domain_id") {
		what = target("target.user.domain_id", f.text("domain_id"))
	}
	if err := r.Judge(what); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	now := s.o.Time()
	u := structs.User{ID: structs.UserID(nomadlike.NewHexID()), DomainID: f.home(r), Enabled: true, CreatedAt: now}
	if st.Domain(u.DomainID) == nil {
		return nil, base.NotFound("domain", u.DomainID)
	}
	if err := fillUser(st, &u, f); err != nil {
		return nil, err
	}
	hash, err := s.newPassword(r, f)
	if err != nil {
		return nil, err
	}
	s.o.Security.Give(&u, hash, now, false)
	made, err := fsm.UserWrite.Propose(r.Context(), r.Core, &structs.UserWriteRequest{User: u})
	if err != nil {
		return nil, err
	}
	return map[string]any{"user": s.viewUser(r, made)}, nil
}

// newPassword hashes the password of a body, nil for null and none at all.
func (s *service) newPassword(r *httpapi.Request, f fields) ([]byte, error) {
	if _, there := f["password"]; !there {
		return nil, nil
	}
	if !f.has("password") {
		if s.o.Security.PasswordRegex != "" {
			return nil, httpapi.BadRequest("Password validation error: Password must be a string type.")
		}
		return nil, nil
	}
	password := f.text("password")
	if err := s.o.Security.Strong(password); err != nil {
		return nil, err
	}
	return s.o.Passwords.Hash(r.Context(), password)
}

// fillUser takes over what a body says, but for the password.
func fillUser(st state.Reader, u *structs.User, f fields) error {
	var err error
	if f.has("name") {
		u.Name = f.name("name")
	}
	if _, there := f["default_project_id"]; there {
		id := f.text("default_project_id")
		if id != "" && st.Domain(structs.DomainID(id)) != nil {
			return httpapi.BadRequest("User's default project ID cannot be a domain ID: %s", id)
		}
		u.DefaultProjectID = structs.ProjectID(id)
	}
	if err := native(f); err != nil {
		return err
	}
	u.Enabled = f.flag("enabled", u.Enabled)
	fillOptions(u, f)
	own := []string{"id", "name", "domain_id", "enabled", "password", "default_project_id", "options", "password_expires_at", "federated"}
	if _, there := f["email"]; there {
		u.Email = f.text("email")
		if u.Email != "" { // what is no text is kept as it came
			own = append(own, "email")
			u.Extra = without(u.Extra, "email")
		}
	}
	u.Extra, err = base.ExtraOf(u.Extra, f, own...)
	return err
}

// native refuses a user from elsewhere: there is no identity provider that it could be of.
func native(f fields) error {
	var list []struct {
		Provider string `json:"idp_id"`
	}
	_ = json.Unmarshal(f["federated"], &list)
	if len(list) > 0 {
		return httpapi.BadRequest("Could not find Identity Provider: %s", list[0].Provider)
	}
	return nil
}

func without(e structs.Extra, key string) structs.Extra {
	var all map[string]json.RawMessage
	if json.Unmarshal(e, &all) != nil {
		return e
	}
	delete(all, key)
	if len(all) == 0 {
		return nil
	}
	text, _ := json.Marshal(all) // it was read from JSON
	return text
}

// fillOptions takes over the options that a body names; null takes one away.
func fillOptions(u *structs.User, f fields) {
	var in map[string]json.RawMessage
	_ = json.Unmarshal(f["options"], &in)
	if in == nil {
		return
	}
	o := structs.UserOptions{}
	if u.Options != nil {
		o = *u.Options
	}
	for name, to := range map[string]**bool{"ignore_change_password_upon_first_use": &o.IgnoreChangeUponFirstUse, "ignore_password_expiry": &o.IgnorePasswordExpiry,
		"ignore_lockout_failure_attempts": &o.IgnoreLockout, "ignore_user_inactivity": &o.IgnoreInactivity, "lock_password": &o.LockPassword,
		"multi_factor_auth_enabled": &o.MultiFactor} {
		if raw, there := in[name]; there {
			*to = nil
			_ = json.Unmarshal(raw, to)
		}
	}
	if raw, there := in["multi_factor_auth_rules"]; there {
		o.MultiFactorRules = nil
		_ = json.Unmarshal(raw, &o.MultiFactorRules)
	}
	u.Options = &o
}

func (s *service) updateUser(r *httpapi.Request) (any, error) {
	f, err := body(r, "user")
	if err != nil {
		return nil, err
	}
	var hash []byte // of the new password, made once
	return base.Edit(r, "user", of(r, findUser), func(st state.Reader, u *structs.User) error {
		old := *u
		if err := f.same(string(u.ID), u.DomainID); err != nil {
			return err
		}
		if err := fillUser(st, u, f); err != nil {
			return err
		}
		if hash == nil {
			var err error
			if hash, err = s.newPassword(r, f); err != nil {
				return err
			}
		}
		s.changeUser(u, &old, f, hash)
		return nil
	}, func(u structs.User, index uint64) error {
		_, err := fsm.UserWrite.Propose(r.Context(), r.Core, &structs.UserWriteRequest{User: u, Index: index})
		return err
	}, s.viewUser)
}

// changeUser does what an administrator's change of a user does beside its words: a new password and being disabled end its tokens, and one that is enabled
// after it is neither locked out nor idle.
func (s *service) changeUser(u, old *structs.User, f fields, hash []byte) {
	now := s.o.Time()
	if _, there := f["password"]; there {
		s.o.Security.Give(u, hash, now, false)
	}
	if old.Enabled && !u.Enabled {
		u.TokensFrom = now
	}
	if u.Enabled && (f.has("enabled") || !s.o.Security.Inactive(old, now)) {
		u.Failures, u.FailedAt = 0, 0
		if s.o.Security.InactiveDays > 0 {
			u.ActiveAt = now
		}
	}
}

func (s *service) deleteUser(r *httpapi.Request) (any, error) {
	_, u, err := found(r, findUser)
	if err != nil {
		return nil, err
	}
	_, err = fsm.UserDelete.Propose(r.Context(), r.Core, &structs.UserDeleteRequest{ID: u.ID})
	return nil, err
}
