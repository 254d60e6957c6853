package agent

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
)

const aggregates = "os_compute_api:os-aggregates:index"

// opened reports whether a set of rules lets readers list aggregates.
func opened(live *policy.Live) bool {
	return live.Set().Allows(aggregates, policy.Admin, &policy.Subject{UserID: "u", ProjectID: "p", Roles: []string{"reader"}}, &policy.Target{ProjectID: "p"})
}

func TestPolicyRules(t *testing.T) {
	t.Parallel()
	set, err := LoadPolicy("")
	require.NoError(t, err)
	defaults := map[string]string{}
	for _, r := range set.Rules() {
		defaults[r.Name] = r.Check
	}
	for name, check := range map[string]string{
		aggregates: policy.Admin, "os_compute_api:servers:create": policy.MemberOrAdmin, "os_compute_api:servers:show": policy.ReaderOrAdmin,
		"os_compute_api:limits": policy.Anybody, "os_compute_api:limits:other_project": policy.Admin, "os_compute_api:os-keypairs:show": policy.SelfOrAdmin,
		"os_compute_api:os-lock-server:unlock:unlock_override": policy.Admin, "kilonova:all_projects": policy.Admin, "kilonova:metrics:show": policy.Anybody,
		"project_member_api": "role:member and project_id:%(project_id)s", "context_is_admin": "role:admin",
	} {
		require.Equal(t, check, defaults[name], name)
	}
}

// A changed file holds by itself; a broken one is said once and changes nothing.
func TestPolicyFileIsFollowed(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policy.yaml")
	log := &journal{}
	write := func(text string) { // as editors do: the new file takes the old one's place
		require.NoError(t, os.WriteFile(path+"~", []byte(text), 0o600))
		require.NoError(t, os.Rename(path+"~", path))
	}
	write("# nothing yet\n")
	k, err := newPolicyKeeper(path, hclog.New(&hclog.LoggerOptions{Output: log}))
	require.NoError(t, err)
	require.False(t, opened(k.live))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { k.run(ctx, time.Millisecond); close(done) }()
	defer func() { cancel(); <-done }()
	said := func(words string) {
		t.Helper()
		all := ""
		require.Eventually(t, func() bool { all += log.take(); return strings.Contains(all, words) }, patience, time.Millisecond, words)
	}

	write(aggregates + ": rule:project_reader_or_admin\n")
	require.Eventually(t, func() bool { return opened(k.live) }, patience, time.Millisecond)
	said("policy file read again")
	write(aggregates + ": rule:project_reader_or_admi\n")
	said("project_reader_or_admi")
	require.True(t, opened(k.live), "the old rules stay")
	require.NoError(t, os.Remove(path))
	said("no such file")
	require.True(t, opened(k.live))
	write(aggregates + ": '!'\n'os_compute_api:os-evacuated': '!'\n")
	said("os-evacuated")
	write("'os_compute_api:os-baremetal-nodes:show': '@'\ndefault: '!'\n")
	said("nothing here asks it")
	require.False(t, opened(k.live))
}

// SIGHUP reads the file even under the same name, and takes over another name.
func TestPolicyFileAtSIGHUP(t *testing.T) {
	t.Parallel()
	r := startAgent(t, ``)
	require.False(t, opened(r.policy.live))
	writeFile(t, r.dir, "policy.yaml", aggregates+": '@'\n")
	conf := "server {\n policy_file = \"DIR/policy.yaml\"\n}\n"
	said := r.hangup(conf)
	require.Contains(t, said, "taken_over=server.policy_file\n")
	require.NotContains(t, said, "restart")
	require.True(t, opened(r.policy.live))

	writeFile(t, r.dir, "policy.yaml", aggregates+": admin\n")
	_, err := Reload(r.flags, r.now)
	require.ErrorContains(t, err, "a.hcl:2,2: server.policy_file: "+r.dir+"/policy.yaml:1: rule "+aggregates+": \"admin\" is no check")
	require.True(t, opened(r.policy.live), "what is wrong changes nothing")

	writeFile(t, r.dir, "policy.yaml", aggregates+": '!'\n")
	require.Contains(t, r.hangup(conf), "taken_over=nothing")
	require.False(t, opened(r.policy.live))
	writeFile(t, r.dir, "policy.yaml", aggregates+": '@'\n")
	require.Contains(t, r.hangup(``), "taken_over=server.policy_file\n")
	require.False(t, opened(r.policy.live), "the defaults hold again")
}
