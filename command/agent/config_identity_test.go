package agent

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	idbase "github.com/kilonova-cloud/kilonova/server/identity/base"
)

// Every setting of the identity block reaches the Identity API.
func TestIdentityOptions(t *testing.T) {
	t.Parallel()
	o := IdentityRuntime{LockoutFailures: 1, LockoutDuration: time.Second, PasswordExpiresDays: 2, MinimumPasswordAge: 3, UniquePasswords: 4, PasswordRegex: "a", PasswordRegexWords: "b",
		InactiveDays: 5, ChangeAtFirstUse: true, MaxProjectDepth: 6, HashRounds: bcrypt.MinCost + 1, ChecksAtOnce: 7,
		SignatureTTL: 8 * time.Second, MaxRedelegations: 9, ReceiptTTL: 10 * time.Second}.Options()
	assert.Equal(t, idbase.Security{LockoutFailures: 1, LockoutDuration: time.Second, PasswordExpiresDays: 2, MinimumAgeDays: 3, UniquePasswords: 4, PasswordRegex: "a", PasswordRegexWords: "b",
		InactiveDays: 5, ChangeAtFirstUse: true}, o.Security)
	for i := range reflect.TypeFor[idbase.Security]().NumField() {
		assert.False(t, reflect.ValueOf(o.Security).Field(i).IsZero(), "a setting that no key sets")
	}
	assert.Equal(t, 6, o.MaxProjectDepth)
	assert.Equal(t, []any{8 * time.Second, 9, 10 * time.Second}, []any{o.SignatureTTL, *o.MaxRedelegations, o.ReceiptTTL})
	none := IdentityRuntime{}.Options().WithDefaults()
	assert.Zero(t, *none.MaxRedelegations, "0 is none at all, and not the default")
	hash, err := o.Passwords.Hash(t.Context(), "x")
	assert.NoError(t, err)
	assert.Equal(t, bcrypt.MinCost+1, idbase.UsualCost(hash))
}

func TestLivesThatAreNone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := writeFile(t, dir, "agent.hcl", `data_dir = "DIR/data"
server {
  enabled = true
  bootstrap_expect = 1
  identity {
    credential_auth_ttl    = "15"
    max_redelegation_count = -1
    receipt_expiration     = "25h"
  }
}`)
	_, problems := load(t, "-config", path)
	for _, want := range []string{`server.identity.credential_auth_ttl: "15" is no duration`, "server.identity.max_redelegation_count: -1 is too small", "server.identity.receipt_expiration: 25h0m0s is too long"} {
		require.Contains(t, problems.Error(), want)
	}
}

func TestKeystoneProblems(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing said": {`mode = "keystone"`, []string{`server.identity.auth_url: "" is no URL`, "server.identity.username: is needed", "server.identity.project: is needed", "server.identity.password_file: is needed"}},
		"no mode":      {`auth_url = "https://keystone.example.org/v3"`, []string{"server.identity.auth_url: has no effect without a Keystone"}},
		"wrong mode":   {`mode = "ldap"`, []string{`server.identity.mode: "ldap" is not known`}},
		"wrong values": {"mode = \"keystone\"\nauth_url = \"keystone\"\nusername = \"u\"\nproject = \"p\"\npassword_file = \"DIR/none\"\nca_file = \"ca.pem\"\ncache_time = \"-1s\"",
			[]string{`"keystone" is no URL`, "DIR/none: no such file", `"ca.pem" is relative`, "server.identity.cache_time"}},
	} {
		path := writeFile(t, dir, name+"/agent.hcl", "data_dir = \"DIR/data\"\nserver {\n  enabled = true\n  bootstrap_expect = 1\n  identity {\n"+c.text+"\n  }\n}")
		_, problems := load(t, "-config", path)
		text := strings.ReplaceAll(problems.Error(), dir, "DIR")
		for _, want := range c.want {
			require.Contains(t, text, want, name)
		}
	}
}
