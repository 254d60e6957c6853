package command

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/command/agent"
)

// What policy list prints is a policy file that changes nothing, and with every line in use the same rules.
func TestPolicyList(t *testing.T) {
	clearEnvironment(t)
	r := run(t, "policy", "list")
	require.Equal(t, 0, r.code, r.err)
	require.Contains(t, r.out, "# GET /os-aggregates\n#\"os_compute_api:os-aggregates:index\": \"rule:context_is_admin\"\n")
	require.Contains(t, r.out, "#\"project_member_api\": \"role:member and project_id:%(project_id)s\"\n")
	require.Contains(t, r.out, "#\"os_compute_api:limits:other_project\": ")
	defaults, err := agent.LoadPolicy("")
	require.NoError(t, err)
	for _, text := range []string{r.out, strings.ReplaceAll(r.out, "\n#\"", "\n\"")} {
		require.NoError(t, os.WriteFile("policy.yaml", []byte(text), 0o600))
		set, err := agent.LoadPolicy("policy.yaml")
		require.NoError(t, err)
		require.Len(t, set.Rules(), len(defaults.Rules()))
		for i, rule := range set.Rules() {
			require.Equal(t, defaults.Rules()[i].Check, rule.Check, rule.Name)
		}
	}
	again := run(t, "policy", "list", "-policy-file", "policy.yaml")
	require.Contains(t, again.out, "\n\"os_compute_api:os-aggregates:index\": \"rule:context_is_admin\"\n", "what a file says is no comment")
	var views []policyRuleView
	require.NoError(t, json.Unmarshal([]byte(run(t, "policy", "list", "-json").out), &views))
	require.Len(t, views, len(defaults.Rules()))
}

func TestPolicyCheck(t *testing.T) {
	clearEnvironment(t)
	const aggregates, show = "os_compute_api:os-aggregates:index", "os_compute_api:servers:show"
	reader := []string{"-token-roles", "reader", "-project", "p", "-user", "u"}
	check := func(args ...string) result { return run(t, append([]string{"policy", "check"}, args...)...) }
	r := check(append(reader, aggregates)...)
	require.Equal(t, ExitFailed, r.code)
	require.Regexp(t, aggregates+`\s+denied\s+rule:context_is_admin`, r.out)
	require.Equal(t, 0, check(append(reader, show)...).code)
	require.Equal(t, ExitFailed, check(append(reader, "-target-project", "q", show)...).code)
	require.Equal(t, ExitFailed, check(append(reader, "-target-user", "v", "os_compute_api:os-keypairs:show")...).code)
	require.Equal(t, 0, check("-token-roles", "admin", aggregates).code)

	require.NoError(t, os.WriteFile("policy.yaml", []byte("\""+aggregates+"\": rule:ours\nours: role:reader\n\"os_compute_api:os-baremetal-nodes\": '!'\ndefault: '!'\n"), 0o600))
	r = check(append(reader, "-policy-file", "policy.yaml", aggregates)...)
	require.Equal(t, 0, r.code, r.err)
	require.Regexp(t, aggregates+`\s+allowed\s+rule:ours`, r.out)
	require.Contains(t, r.err, "Note: policy.yaml:4: rule default")
	r = check(append(reader, "-policy-file", "policy.yaml", "-json")...)
	require.Equal(t, 0, r.code)
	var judged []judgedRule
	require.NoError(t, json.Unmarshal([]byte(r.out), &judged))
	found := map[string]judgedRule{}
	for _, j := range judged {
		found[j.Name] = j
	}
	require.True(t, found[aggregates].Allowed)
	require.Equal(t, "policy.yaml:1", found[aggregates].Where)
	require.Equal(t, []string{"GET /os-aggregates"}, found[aggregates].Operations)
	require.False(t, found["os_compute_api:servers:create"].Allowed)

	r = check(append(reader, "nonsense")...)
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.err, `There is no rule "nonsense"`)
	require.NoError(t, os.WriteFile("policy.yaml", []byte("\n\""+aggregates+"\": admin\n"), 0o600))
	r = check(append(reader, "-policy-file", "policy.yaml")...)
	require.Equal(t, ExitFailed, r.code)
	require.Contains(t, r.err, `policy.yaml:2: rule `+aggregates+`: "admin" is no check`)
	require.Empty(t, r.out)
}

// Without flags it is about whom the cloud's token stands for.
func TestPolicyCheckOfTheToken(t *testing.T) {
	c := newCloud(t)
	c.login()
	r := run(t, "policy", "check", "os_compute_api:os-aggregates:index")
	require.Equal(t, 0, r.code, r.err)
	require.Contains(t, r.out, "allowed")
	require.NoError(t, os.WriteFile("policy.yaml", []byte("\"os_compute_api:os-aggregates:index\": role:nobody\n"), 0o600))
	require.Equal(t, ExitFailed, run(t, "policy", "check", "-policy-file", "policy.yaml", "os_compute_api:os-aggregates:index").code)
	r = run(t, "policy", "check")
	require.Equal(t, 0, r.code, r.err)
	require.Regexp(t, `os_compute_api:servers:create\s+allowed`, r.out)
}
