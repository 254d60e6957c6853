package token

import (
	"context"
	"encoding/base32"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// RFC 6238's examples, cut to six digits.
func TestPasscodes(t *testing.T) {
	t.Parallel()
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		assert.Equal(t, want, totp([]byte("12345678901234567890"), at/totpPeriod))
	}
	padded := base32.StdEncoding.EncodeToString([]byte("abc"))
	assert.Equal(t, []byte("abc"), totpSeed(padded))
	assert.Equal(t, []byte("abc"), totpSeed(strings.TrimRight(padded, "=")))
	assert.Nil(t, totpSeed("1"))
}

const seed = "12345678901234567890"

func (w *world) giveSeed(u structs.UserID, id string) {
	w.t.Helper()
	_, err := fsm.CredentialWrite.Propose(context.Background(), w.core, &structs.CredentialWriteRequest{Credential: structs.Credential{ID: id, UserID: u, Type: "totp",
		Blob: base32.StdEncoding.EncodeToString([]byte(seed))}})
	require.NoError(w.t, err)
}

// code is the passcode of so many steps after now.
func (w *world) code(steps int64) string { return totp([]byte(seed), w.clock.Unix()/totpPeriod+steps) }

func (w *world) login(identity string, header ...string) answer {
	w.t.Helper()
	return w.do("POST", "/identity/v3/auth/tokens", "", `{"auth":{"identity":`+identity+`}}`, header...)
}

func (w *world) byTOTP(u structs.User, code string) string {
	return fmt.Sprintf(`{"methods":["totp"],"totp":{"user":{"id":%q,"passcode":%q}}}`, u.ID, code)
}

func byBoth(u structs.User, password, code string) string {
	return fmt.Sprintf(`{"methods":["password","totp"],"password":{"user":{"id":%q,"password":%q}},"totp":{"user":{"id":%q,"passcode":%q}}}`, u.ID, password, u.ID, code)
}

func byPasswordID(u structs.User, password string) string {
	return fmt.Sprintf(`{"methods":["password"],"password":{"user":{"id":%q,"password":%q}}}`, u.ID, password)
}

func TestTOTPLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.giveSeed(w.demo.ID, "seed")
	for name, code := range map[string]string{"none": "", "wrong": "000000x", "two steps ago": w.code(-2), "the next": w.code(1)} {
		assert.Equal(t, generic401, w.login(w.byTOTP(w.demo, code)).body, name)
	}
	a := w.login(w.byTOTP(w.demo, w.code(-1)))
	require.Equal(t, 201, a.status, "the step before: %s", a.body)
	assert.Contains(t, a.body, `"methods":["totp"]`)
	assert.Equal(t, 401, w.login(w.byTOTP(w.demo, w.code(-1))).status, "once")
	assert.Equal(t, 201, w.login(w.byTOTP(w.demo, w.code(0))).status)
	assert.Equal(t, 401, w.login(w.byTOTP(w.demo, w.code(0))).status, "once")
	assert.Equal(t, 401, w.login(w.byTOTP(w.demo, w.code(-1))).status, "nor an older one")
	w.clock = w.clock.Add(totpPeriod * time.Second)
	assert.Equal(t, 401, w.login(w.byTOTP(w.admin, w.code(0))).status, "another's")
	assert.Equal(t, 401, w.login(byBoth(w.demo, "wr0ng", w.code(0))).status)
	both := w.login(byBoth(w.demo, demoPassword, w.code(0)))
	require.Equal(t, 201, both.status, "a wrong password has not used the passcode up")
	assert.Contains(t, both.body, `"methods":["password","totp"]`)
	w.clock = w.clock.Add(totpPeriod * time.Second)
	two := fmt.Sprintf(`{"methods":["password","totp"],"password":{"user":{"id":%q,"password":%q}},"totp":{"user":{"id":%q,"passcode":%q}}}`, w.admin.ID, adminPassword, w.demo.ID, w.code(0))
	assert.Equal(t, 401, w.login(two).status, "of two users")
	for _, body := range []string{`{"methods":["totp"],"totp":{}}`, `{"methods":["totp"],"totp":{"user":{}}}`, `{"methods":["totp"],"totp":7}`, `{"methods":["totp"],"totp":{"user":{"name":"demo","passcode":"1"}}}`} {
		assert.Equal(t, 400, w.login(body).status, body)
	}
}

// Of many logins at once with one passcode one holds.
func TestPasscodesAreUsedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.giveSeed(w.demo.ID, "seed")
	codes := make(chan int, 8)
	for range cap(codes) {
		go func() { codes <- w.login(w.byTOTP(w.demo, w.code(0))).status }()
	}
	held := 0
	for range cap(codes) {
		if <-codes == 201 {
			held++
		}
	}
	assert.Equal(t, 1, held)
}

func (w *world) setRules(u structs.User, on *bool, rules ...[]string) {
	u.Options = &structs.UserOptions{MultiFactor: on, MultiFactorRules: rules}
	w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{u}})
}

func TestMultiFactor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.giveSeed(w.demo.ID, "seed")
	w.giveSeed(w.admin.ID, "admins")
	w.setRules(w.demo, nil, []string{"password", "totp"}, []string{"token", "totp"}, []string{"saml2"})

	a := w.login(byPasswordID(w.demo, demoPassword))
	require.Equal(t, http.StatusUnauthorized, a.status)
	assert.Empty(t, a.header.Get("X-Subject-Token"))
	receipt := a.header.Get("Openstack-Auth-Receipt")
	require.NotEmpty(t, receipt)
	body := a.json(t)
	assert.Equal(t, []any{[]any{"password", "totp"}}, body["required_auth_methods"])
	r := body["receipt"].(map[string]any)
	assert.Equal(t, []any{"password"}, r["methods"])
	assert.Equal(t, map[string]any{"id": string(w.demo.ID), "name": "demo", "domain": map[string]any{"id": "default", "name": "Default"}}, r["user"])
	assert.Equal(t, base.Time(w.now().Add(5*time.Minute)), r["expires_at"])

	_, err := w.auth.Verify(receipt)
	require.ErrorIs(t, err, errInvalid, "a receipt is no token")
	byToken := fmt.Sprintf(`{"methods":["token"],"token":{"id":%q}}`, receipt)
	assert.Equal(t, 404, w.login(byToken).status)
	withToken := w.login(w.byTOTP(w.demo, w.code(-1)), "Openstack-Auth-Receipt", w.issue(w.demo))
	assert.Contains(t, withToken.body, "Could not find auth receipt", "nor is a token a receipt")
	wrong := w.login(w.byTOTP(w.demo, "1"), "Openstack-Auth-Receipt", receipt)
	assert.Equal(t, generic401, wrong.body)
	others := w.login(w.byTOTP(w.admin, w.code(0)), "Openstack-Auth-Receipt", receipt)
	assert.Equal(t, 401, others.status, "another's receipt")
	held := w.login(w.byTOTP(w.demo, w.code(0)), "Openstack-Auth-Receipt", receipt)
	require.Equal(t, 201, held.status, held.body)
	assert.Contains(t, held.body, `"methods":["password","totp"]`)
	again := w.login(fmt.Sprintf(`{"methods":["token"],"token":{"id":%q}}`, held.header.Get("X-Subject-Token")))
	assert.Equal(t, 201, again.status, "what a token has shown stays shown")
	assert.Equal(t, 401, w.login(fmt.Sprintf(`{"methods":["token"],"token":{"id":%q}}`, w.issue(w.demo))).status, "a token of the password alone is not enough")

	w.clock = w.clock.Add(5 * time.Minute)
	assert.Contains(t, w.login(w.byTOTP(w.demo, w.code(0)), "Openstack-Auth-Receipt", receipt).body, "Could not find auth receipt", "it is over")
	w.clock = w.clock.Add(totpPeriod * time.Second)
	receipt = w.login(byPasswordID(w.demo, demoPassword)).header.Get("Openstack-Auth-Receipt")
	u := w.core.Stale().User(w.demo.ID)
	changed := *u
	changed.PasswordAt = w.now() + 1
	w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{changed}})
	assert.Contains(t, w.login(w.byTOTP(w.demo, w.code(0)), "Openstack-Auth-Receipt", receipt).body, "Could not find auth receipt", "the password is another")

	off := false
	for name, set := range map[string]func(){
		"off":                            func() { w.setRules(w.demo, &off, []string{"password", "totp"}) },
		"no rules":                       func() { w.setRules(w.demo, nil) },
		"rules that nobody could follow": func() { w.setRules(w.demo, nil, []string{"saml2"}, []string{}) },
		"what is unknown is ignored":     func() { w.setRules(w.demo, nil, []string{"password", "saml2"}) },
	} {
		set()
		assert.Equal(t, 201, w.login(byPasswordID(w.demo, demoPassword)).status, name)
	}
}

// A receipt lives as long as the operator says.
func TestLifeOfReceipts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.receipts = time.Minute
	w.serve()
	w.giveSeed(w.demo.ID, "seed")
	w.setRules(w.demo, nil, []string{"password", "totp"})
	for late, want := range map[time.Duration]int{time.Minute - time.Microsecond: 201, time.Minute: 401} {
		a := w.login(byPasswordID(w.demo, demoPassword))
		assert.Equal(t, base.Time(w.now().Add(time.Minute)), a.json(t)["receipt"].(map[string]any)["expires_at"])
		w.clock = w.clock.Add(late)
		assert.Equal(t, want, w.login(w.byTOTP(w.demo, w.code(0)), "Openstack-Auth-Receipt", a.header.Get("Openstack-Auth-Receipt")).status, late)
		w.clock = w.clock.Add(totpPeriod * time.Second) // of another passcode
	}
}

// secure is a world with rules of passwords.
func secure(t *testing.T, s base.Security) *world {
	w := newWorld(t)
	w.security = s
	w.serve()
	return w
}

func TestLockout(t *testing.T) {
	t.Parallel()
	w := secure(t, base.Security{LockoutFailures: 3, LockoutDuration: time.Minute})
	w.giveSeed(w.demo.ID, "seed")
	right := func() int { return w.login(byPasswordID(w.demo, demoPassword)).status }
	wrong := func() { require.Equal(t, generic401, w.login(byPasswordID(w.demo, "wr0ng")).body) }
	failures := func() int { return w.core.Stale().User(w.demo.ID).Failures }
	wrong()
	wrong()
	require.Equal(t, 2, failures())
	require.Equal(t, 201, right())
	require.Zero(t, failures(), "a right one clears the count")
	wrong()
	wrong()
	require.Equal(t, 401, w.login(w.byTOTP(w.demo, "1")).status)
	require.Equal(t, 3, failures(), "passcodes count")
	require.Equal(t, generic401, w.login(byPasswordID(w.demo, demoPassword)).body, "locked out, and not told so")
	require.Equal(t, 401, w.login(w.byTOTP(w.demo, w.code(0))).status)
	wrong()
	require.Equal(t, 3, failures())
	w.clock = w.clock.Add(time.Minute)
	wrong()
	require.Equal(t, 1, failures(), "a new count")
	require.Equal(t, 201, right())
	require.Equal(t, 401, w.login(byBoth(w.demo, demoPassword, "1")).status)
	require.Equal(t, 401, w.login(byBoth(w.demo, demoPassword, "1")).status)
	require.Equal(t, 2, failures(), "the password alone clears nothing")
}

// An ordinary login writes nothing.
func TestLoginWritesNothing(t *testing.T) {
	t.Parallel()
	w := secure(t, base.Security{LockoutFailures: 3, InactiveDays: 30})
	require.Equal(t, 201, w.login(byPasswordID(w.demo, demoPassword)).status)
	before := w.core.Stale().User(w.demo.ID).ModifyIndex
	require.Equal(t, 201, w.login(byPasswordID(w.demo, demoPassword)).status)
	require.Equal(t, before, w.core.Stale().User(w.demo.ID).ModifyIndex)
	w.clock = w.clock.Add(24 * time.Hour)
	require.Equal(t, 201, w.login(byPasswordID(w.demo, demoPassword)).status)
	require.NotEqual(t, before, w.core.Stale().User(w.demo.ID).ModifyIndex, "a day later it is known that it is active")
	w.clock = w.clock.Add(31 * 24 * time.Hour)
	require.Equal(t, generic401, w.login(byPasswordID(w.demo, demoPassword)).body, "inactive")
}

// Whoever knows the password, and nobody else, is told that it is to be changed.
func TestExpiredPassword(t *testing.T) {
	t.Parallel()
	w := secure(t, base.Security{})
	u := w.demo
	u.PasswordExpires = w.now()
	w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{u}})
	require.Contains(t, w.login(byPasswordID(w.demo, demoPassword)).body, "The password is expired and needs to be changed for user: "+string(w.demo.ID)+".")
	require.Equal(t, generic401, w.login(byPasswordID(w.demo, "wr0ng")).body)
	u.Enabled = false
	w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{u}})
	require.Equal(t, generic401, w.login(byPasswordID(w.demo, demoPassword)).body)
}

// Who is unknown, wrong, disabled, locked out or inactive gets the same answer for the same work: one comparison, and one write where wrong passwords are counted.
func TestEqualAnswers(t *testing.T) {
	t.Parallel()
	w := secure(t, base.Security{LockoutFailures: 3, InactiveDays: 1})
	user := func(id structs.UserID, f func(*structs.User)) {
		u := w.demo
		u.ID, u.Name, u.CreatedAt = id, string(id), w.now()
		f(&u)
		w.upsert(&structs.IdentityUpsertRequest{Users: []structs.User{u}})
	}
	user("right", func(*structs.User) {})
	user("off", func(u *structs.User) { u.Enabled = false })
	user("locked", func(u *structs.User) { u.Failures = 3 })
	user("idle", func(u *structs.User) { u.ActiveAt = w.now().Add(-72 * time.Hour) })
	user("bare", func(u *structs.User) { u.PasswordHash = nil })
	for id, password := range map[string]string{"right": "wr0ng", "nobody": demoPassword, "off": demoPassword, "locked": demoPassword, "idle": demoPassword, "bare": demoPassword} {
		work, before := 0, w.core.Stale().Index()
		w.passwords.Observe = func(int) { work++ }
		a := w.login(byPasswordID(structs.User{ID: structs.UserID(id)}, password))
		assert.Equal(t, generic401, a.body, id)
		assert.Equal(t, 401, a.status, id)
		assert.Equal(t, 1, work, id)
		assert.Equal(t, before+1, w.core.Stale().Index(), id)
	}
}
