package directory_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

func TestUser(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	admin := w.AdminToken()
	made := thing(t, w.Want(201, "POST", "/users", admin, `{"user": {"name": " ann ", "password": "s3cret-Pw", "email": "a@b", "description": "d", "colour": null, "default_project_id": "`+p1+`",
		"options": {"lock_password": false, "ignore_password_expiry": true, "multi_factor_auth_rules": [["password", "totp"]], "ignore_lockout_failure_attempts": null}}}`), "user")
	id := made["id"].(string)
	of := "/users/" + id
	want := map[string]any{"id": id, "name": "ann", "domain_id": "default", "enabled": true, "email": "a@b", "description": "d", "colour": nil, "default_project_id": p1,
		"password_expires_at": nil, "options": map[string]any{"lock_password": false, "ignore_password_expiry": true, "multi_factor_auth_rules": []any{[]any{"password", "totp"}}},
		"links": map[string]any{"self": "http://cloud:4746/identity/v3" + of}}
	assert.Equal(t, want, made)
	assert.Equal(t, want, thing(t, w.Want(200, "GET", of, admin, ""), "user"))
	w.Want(200, "HEAD", of, admin, "")

	for _, c := range []struct {
		body   string
		status int
	}{
		{`{"name": "ANN"}`, 200}, {`{"name": "admin"}`, 409}, {`{"id": "x"}`, 400}, {`{"domain_id": "` + d1 + `"}`, 400}, {`{"domain_id": "default"}`, 200}, {`{}`, 400},
		{`{"default_project_id": "` + d1 + `"}`, 400}, {`{"default_project_id": "none"}`, 200}, {`{"default_project_id": null}`, 200}, {`{"email": null, "description": null}`, 200},
		{`{"options": {"colour": true}}`, 400}, {`{"options": {"lock_password": "true"}}`, 400}, {`{"options": {"multi_factor_auth_rules": [["a", "a"]]}}`, 400},
		{`{"options": {"multi_factor_auth_rules": [["a"], ["a"]]}}`, 400}, {`{"options": {"multi_factor_auth_rules": [[]]}}`, 400}, {`{"options": {"multi_factor_auth_rules": [[1]]}}`, 400},
		{`{"options": {"multi_factor_auth_rules": "a"}}`, 400}, {`{"options": {"lock_password": null, "multi_factor_auth_enabled": true, "multi_factor_auth_rules": null}}`, 200},
		{`{"federated": [{"idp_id": "x", "protocols": [{"protocol_id": "p", "unique_id": "u"}]}]}`, 400}, {`{"federated": []}`, 200},
		{`{"password": "` + strings.Repeat("x", 5000) + `"}`, 400}, {`{"name": ""}`, 400}, {`{"name": " "}`, 400}, {`{"enabled": 1}`, 400},
	} {
		a := w.Want(c.status, "PATCH", of, admin, `{"user": `+c.body+`}`)
		assert.NotContains(t, a.Body, "xxxx", "a password")
	}
	got := thing(t, w.Want(200, "GET", of, admin, ""), "user")
	assert.Equal(t, map[string]any{"ignore_password_expiry": true, "multi_factor_auth_enabled": true}, got["options"])
	assert.NotContains(t, got, "default_project_id")
	assert.Contains(t, got, "email")
	assert.Nil(t, got["email"], "it is kept as it came")
	got = thing(t, w.Want(200, "PATCH", of, admin, `{"user": {"email": "new@b", "colour": "red"}}`), "user")
	assert.Equal(t, []any{"new@b", "red"}, []any{got["email"], got["colour"]})

	w.Want(404, "POST", "/users", admin, `{"user": {"name": "x", "domain_id": "none"}}`)
	w.Want(409, "POST", "/users", admin, `{"user": {"name": "Ann"}}`)
	w.Want(400, "POST", "/users", admin, `{"user": {"name": "x", "default_project_id": "`+d1+`"}}`)
	w.Want(204, "DELETE", of, admin, "")
	w.Want(404, "DELETE", of, admin, "")
	w.Want(404, "PATCH", of, admin, `{"user": {"name": "x"}}`)
}

func (w *town) login(t *testing.T, id, password string) int {
	t.Helper()
	return w.Do("POST", "/auth/tokens", "", `{"auth":{"identity":{"methods":["password"],"password":{"user":{"id":"`+id+`","password":"`+password+`"}}}}}`).Status
}

func (w *town) change(id, original, password string) (int, string) {
	a := w.Do("POST", "/users/"+id+"/password", "", `{"user": {"original_password": "`+original+`", "password": "`+password+`"}}`)
	return a.Status, a.Body
}

// What ends tokens: being disabled, and a new password.
func TestTokensEnd(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	admin := w.AdminToken()
	id := w.Make("users", "user", `{"name": "ann", "password": "one"}`)
	alive := func(text string) bool { return w.Do("GET", "/users/"+id, text, "").Status == 200 }
	for what, end := range map[string]func(){
		"disabled and enabled": func() {
			w.Want(200, "PATCH", "/users/"+id, admin, `{"user": {"enabled": false}}`)
			w.Want(200, "PATCH", "/users/"+id, admin, `{"user": {"enabled": true}}`)
		},
		"a new password": func() { w.Want(200, "PATCH", "/users/"+id, admin, `{"user": {"password": "one"}}`) },
		"its own": func() {
			status, body := w.change(id, "one", "one")
			require.Equal(t, 204, status, body)
		},
	} {
		w.Pass(time.Second)
		mine := w.Token(structs.UserID(id), token.Scope{})
		assert.True(t, alive(mine), what)
		w.Pass(time.Second)
		w.Want(200, "PATCH", "/users/"+id, admin, `{"user": {"description": "x"}}`)
		assert.True(t, alive(mine), what)
		end()
		assert.False(t, alive(mine), what)
	}
	assert.Equal(t, 201, w.login(t, id, "one"))
	w.Want(200, "PATCH", "/users/"+id, admin, `{"user": {"password": null}}`)
	assert.Equal(t, 401, w.login(t, id, "one"))
	assert.Equal(t, 401, w.login(t, id, ""))
}

// Who may change a password is whoever has the one of now, and nobody learns why it was refused.
func TestChangePassword(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	admin := w.AdminToken()
	id := w.Make("users", "user", `{"name": "ann", "password": "one", "domain_id": "`+d1+`"}`)
	none := w.Make("users", "user", `{"name": "bob"}`)
	for _, c := range []struct{ id, original string }{{id, "two"}, {"none", "one"}, {none, ""}, {none, "one"}} {
		status, body := w.change(c.id, c.original, "two")
		assert.Equal(t, 401, status)
		assert.Contains(t, body, `"The request you have made requires authentication."`)
	}
	for _, body := range []string{`{}`, `{"user": {}}`, `{"user": {"password": "two"}}`, `{"user": {"original_password": "one", "password": null}}`, `{"user": {"original_password": "one", "password": "two", "x": 1}}`} {
		w.Want(400, "POST", "/users/"+id+"/password", admin, body)
	}
	status, body := w.change(id, "one", strings.Repeat("x", 5000))
	assert.Equal(t, 400, status, body)
	w.Want(405, "GET", "/users/"+id+"/password", admin, "")
	status, body = w.change(id, "one", "two")
	require.Equal(t, 204, status, body)
	assert.Equal(t, []int{401, 201}, []int{w.login(t, id, "one"), w.login(t, id, "two")})
	w.Want(200, "PATCH", "/users/"+id, admin, `{"user": {"options": {"lock_password": true}}}`)
	status, body = w.change(id, "two", "three")
	assert.Equal(t, 400, status)
	assert.Contains(t, body, "password policy disallowing password changes")
	w.Want(200, "PATCH", "/users/"+id, admin, `{"user": {"options": {"lock_password": null}}}`)
	for _, off := range []string{"/users/" + id, "/domains/" + d1} {
		key := strings.TrimSuffix(strings.Split(off, "/")[1], "s")
		w.Want(200, "PATCH", off, admin, `{"`+key+`": {"enabled": false}}`)
		status, _ = w.change(id, "two", "three")
		assert.Equal(t, 401, status, off)
		w.Want(200, "PATCH", off, admin, `{"`+key+`": {"enabled": true}}`)
	}
}

// Of many who change one password at once with the same old one, one has its way.
func TestChangePasswordAtOnce(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{})
	id := w.Make("users", "user", `{"name": "ann", "password": "one"}`)
	won := make([]string, 8)
	var wg sync.WaitGroup
	for i := range won {
		wg.Go(func() {
			p := fmt.Sprint("new", i)
			if status, _ := w.change(id, "one", p); status == http.StatusNoContent {
				won[i] = p
			}
		})
	}
	wg.Wait()
	winners := strings.Fields(strings.Join(won, " "))
	require.Len(t, winners, 1)
	assert.Equal(t, 201, w.login(t, id, winners[0]))
}

const day = 24 * time.Hour

// The life of a password under Keystone's security compliance.
func TestSecurityCompliance(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{TokenTTL: 1000 * day, Security: base.Security{PasswordExpiresDays: 30, MinimumAgeDays: 2, UniquePasswords: 3, PasswordRegex: `^(?=.*\d).{4,}$`,
		PasswordRegexWords: "four characters with a digit", ChangeAtFirstUse: true}})
	admin := func() string { return w.AdminToken() }
	assert.Contains(t, message(t, w.Want(400, "POST", "/users", admin(), `{"user": {"name": "ann", "password": "word"}}`)), "does not match the requirements: four characters with a digit.")
	w.Want(400, "POST", "/users", admin(), `{"user": {"name": "ann", "password": null}}`)
	id := w.Make("users", "user", `{"name": "ann", "password": "pw-1"}`)
	expires := func() any {
		return thing(t, w.Want(200, "GET", "/users/"+id, admin(), ""), "user")["password_expires_at"]
	}
	at := func(d time.Duration) string {
		return w.Now().Add(d).UTC().Truncate(time.Second).Format("2006-01-02T15:04:05.000000Z")
	}
	assert.Equal(t, w.Now().UTC().Format("2006-01-02T15:04:05.000000Z"), expires(), "its user changes it first")
	try := func(want int, says, original, password string) {
		t.Helper()
		status, body := w.change(id, original, password)
		require.Equal(t, want, status, body)
		assert.Contains(t, body, says)
	}
	try(400, "does not match the requirements", "pw-1", "word")
	try(400, "must be unique is 3", "pw-1", "pw-1")
	try(204, "", "pw-1", "pw-2")
	assert.Equal(t, at(30*day), expires())
	try(400, "Please try again in 2 day(s)", "pw-2", "pw-3")
	w.Pass(2 * day)
	try(204, "", "pw-2", "pw-3")
	w.Pass(2 * day)
	for _, old := range []string{"pw-1", "pw-2", "pw-3"} {
		try(400, "identical to a previous password", "pw-3", old)
	}
	try(204, "", "pw-3", "pw-4")
	w.Pass(2 * day)
	try(204, "", "pw-4", "pw-1")
	w.Pass(31 * day)
	try(204, "", "pw-1", "pw-5") // it has expired, and can be changed
	w.Want(200, "PATCH", "/users/"+id, admin(), `{"user": {"password": "pw-5", "options": {"ignore_change_password_upon_first_use": true}}}`)
	assert.Equal(t, at(30*day), expires(), "an administrator may give the same one again")
	w.Want(200, "PATCH", "/users/"+id, admin(), `{"user": {"password": "pw-6", "options": {"ignore_password_expiry": true}}}`)
	assert.Nil(t, expires())
	w.Want(400, "PATCH", "/users/"+id, admin(), `{"user": {"password": "word"}}`)
}

// Wrong passwords lock a user out of changing it, too; an administrator's change and time end it.
func TestLockout(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{Security: base.Security{LockoutFailures: 2, LockoutDuration: time.Minute, InactiveDays: 5}})
	id := w.Make("users", "user", `{"name": "ann", "password": "one"}`)
	try := func(want int, original string) {
		t.Helper()
		status, body := w.change(id, original, "one")
		require.Equal(t, want, status, body)
	}
	lock := func() { try(401, "x"); try(401, "x"); try(401, "one") }
	try(401, "x")
	try(204, "one") // and the count is at its beginning
	lock()
	w.Pass(time.Minute)
	try(401, "x") // the first again
	try(204, "one")
	lock()
	w.Want(200, "PATCH", "/users/"+id, w.AdminToken(), `{"user": {"enabled": true}}`)
	try(204, "one")
	lock()
	w.Want(200, "PATCH", "/users/"+id, w.AdminToken(), `{"user": {"options": {"ignore_lockout_failure_attempts": true}}}`)
	try(204, "one")

	enabled := func() any { return thing(t, w.Want(200, "GET", "/users/"+id, w.AdminToken(), ""), "user")["enabled"] }
	assert.Equal(t, true, enabled())
	w.Pass(6 * day)
	assert.Equal(t, false, enabled(), "it was idle")
	try(401, "one")
	w.Want(200, "PATCH", "/users/"+id, w.AdminToken(), `{"user": {"description": "x"}}`)
	assert.Equal(t, false, enabled())
	w.Want(200, "PATCH", "/users/"+id, w.AdminToken(), `{"user": {"enabled": true}}`)
	assert.Equal(t, true, enabled())
	try(204, "one")
}

// Logins and changes of the password count wrong ones together, and a right one ends the count whatever becomes of the change.
func TestWrongPasswordsCountTogether(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{Security: base.Security{LockoutFailures: 3, LockoutDuration: time.Minute, PasswordRegex: "^[a-z]+$", PasswordRegexWords: "letters"}})
	id := w.Make("users", "user", `{"name": "ann", "password": "one"}`)
	failures := func() int { return w.Core.Stale().User(structs.UserID(id)).Failures }
	try := func(want int, original, password string) {
		t.Helper()
		status, body := w.change(id, original, password)
		require.Equal(t, want, status, body)
	}
	try(401, "x", "two")
	require.Equal(t, 401, w.login(t, id, "x"))
	require.Equal(t, 2, failures())
	try(400, "one", "2") // right, but what it is to become is not
	require.Zero(t, failures(), "a right one clears the count, as at a login")
	try(401, "x", "two")
	try(401, "x", "2")
	try(401, "x", "two")
	require.Equal(t, 3, failures())
	require.Equal(t, 401, w.login(t, id, "one"), "locked out of logins, too")
	try(401, "one", "two")
	require.Equal(t, 401, w.login(t, id, "x"))
	try(401, "x", "two")
	require.Equal(t, 3, failures(), "who is locked out does not make it longer")
	w.Pass(time.Minute)
	try(401, "x", "two")
	require.Equal(t, 1, failures(), "a new count")
	try(204, "one", "two")
	require.Equal(t, 201, w.login(t, id, "two"))
}

// Of whom a login asks for more than the password, the password alone clears no count: passcodes could be guessed at without end.
func TestChangesClearNoPasscodes(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{Security: base.Security{LockoutFailures: 3, PasswordRegex: "^[a-z]+$", PasswordRegexWords: "letters"}})
	id := w.Make("users", "user", `{"name": "ann", "password": "one", "options": {"multi_factor_auth_enabled": true, "multi_factor_auth_rules": [["password", "totp"]]}}`)
	failures := func() int { return w.Core.Stale().User(structs.UserID(id)).Failures }
	for range 2 {
		w.Want(401, "POST", "/auth/tokens", "", `{"auth":{"identity":{"methods":["totp"],"totp":{"user":{"id":"`+id+`","passcode":"000000"}}}}}`)
	}
	status, body := w.change(id, "one", "1")
	require.Equal(t, 400, status, body)
	require.Equal(t, 2, failures())
	status, body = w.change(id, "one", "two")
	require.Equal(t, 204, status, body)
	require.Equal(t, 2, failures())
	w.Want(200, "PATCH", "/users/"+id, w.AdminToken(), `{"user": {"password": "three"}}`)
	require.Zero(t, failures(), "an administrator's new password ends it")
}

// Whoever may not change a password gets the same answer for the same work, whyever: one comparison, and one write where wrong passwords are counted.
func TestChangesThatAreRefusedLookAlike(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{Security: base.Security{LockoutFailures: 3, InactiveDays: 1}})
	user := func(id structs.UserID, f func(*structs.User)) {
		u := w.Demo
		u.ID, u.Name, u.CreatedAt = id, string(id), structs.TimeOf(w.Now())
		f(&u)
		w.Upsert(&structs.IdentityUpsertRequest{Users: []structs.User{u}})
	}
	user("right", func(*structs.User) {})
	user("off", func(u *structs.User) { u.Enabled = false })
	user("locked", func(u *structs.User) { u.Failures = 3 })
	user("idle", func(u *structs.User) { u.ActiveAt = structs.TimeOf(w.Now().Add(-72 * time.Hour)) })
	user("bare", func(u *structs.User) { u.PasswordHash = nil })
	_, want := w.change("nobody", identitytest.DemoPassword, "new")
	for id, password := range map[string]string{"right": "wr0ng", "nobody": identitytest.DemoPassword, "off": identitytest.DemoPassword, "locked": identitytest.DemoPassword,
		"idle": identitytest.DemoPassword, "bare": identitytest.DemoPassword} {
		work, before := 0, w.Core.Stale().Index()
		w.Passwords.Observe = func(int) { work++ }
		status, body := w.change(id, password, "new")
		assert.Equal(t, 401, status, id)
		assert.Equal(t, want, body, id)
		assert.Equal(t, 1, work, id)
		assert.Equal(t, before+1, w.Core.Stale().Index(), id)
	}
}

func TestUserFilters(t *testing.T) {
	t.Parallel()
	w := newTown(t, base.Options{Security: base.Security{PasswordExpiresDays: 10}})

	w.Make("users", "user", `{"name": "early", "domain_id": "`+d2+`", "password": "x"}`)
	w.Pass(5 * day)
	admin := w.AdminToken()
	w.Make("users", "user", `{"name": "late", "domain_id": "`+d2+`", "password": "x", "enabled": false}`)
	between := w.Now().Add(7 * day).UTC().Format(time.RFC3339)
	exactly := w.Now().Add(10 * day).UTC().Truncate(time.Second).Format(time.RFC3339)
	for q, want := range map[string]string{
		"domain_id=" + d1 + "&name__startswith=u": "u1", "name=U1": "u1", "name=none": "", "domain_id=none": "", "enabled=false": "late", "domain_id=" + d2 + "&enabled=1&name__contains=arl": "early",
		"password_expires_at=lt:" + between: "early", "password_expires_at=gt:" + between: "late", "password_expires_at=gte:" + exactly: "late", "password_expires_at=lte:" + exactly: "early late",
		"password_expires_at=" + exactly: "late", "password_expires_at=eq:" + exactly: "late", "password_expires_at=neq:" + exactly: "early",
		"idp_id=x": "", "protocol_id=x": "", "unique_id=x": "", "colour=red&name=u2": "u2",
	} {
		assert.ElementsMatch(t, strings.Fields(want), names(t, w.Want(200, "GET", "/users?"+q, admin, "")), q)
	}
	assert.Contains(t, message(t, w.Want(400, "GET", "/users?password_expires_at=xx:"+between, admin, "")), "The given operator xx is not valid.")
	assert.Contains(t, message(t, w.Want(400, "GET", "/users?password_expires_at=lt:soon", admin, "")), "Timestamp not in expected format.")
}
