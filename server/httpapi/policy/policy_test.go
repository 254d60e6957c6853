package policy

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var defaults = []Rule{
	{Name: "os_compute_api:servers:create", Check: MemberOrAdmin, Operations: []string{"POST /servers"}},
	{Name: "os_compute_api:servers:show", Check: ReaderOrAdmin},
	{Name: "os_compute_api:os-aggregates:index", Check: Admin},
	{Name: "os_compute_api:os-keypairs:show", Check: SelfOrAdmin},
	{Name: "os_compute_api:limits", Check: Anybody},
}

// The people of the tests.
var (
	nobody  = Subject{}
	reader  = Subject{UserID: "r", ProjectID: "p", Roles: []string{"reader"}}
	member  = Subject{UserID: "m", ProjectID: "p", Roles: []string{"member", "reader"}}
	manager = Subject{UserID: "g", ProjectID: "p", Roles: []string{"manager", "member", "reader"}}
	admin   = Subject{UserID: "a", ProjectID: "q", Roles: []string{"Admin", "manager", "member", "reader"}}
	service = Subject{UserID: "s", ProjectID: "q", Roles: []string{"service"}}
	persons = []Subject{nobody, reader, member, manager, admin, service}
)

// allowed says for each of persons whether a check lets it do something with what belongs to member in project p.
func allowed(t testing.TB, text string) string {
	t.Helper()
	s, err := New([]Rule{{Name: "x", Check: text}})
	require.NoError(t, err, text)
	var b strings.Builder
	for _, who := range persons {
		b.WriteString(map[bool]string{true: "1", false: "0"}[s.Allows("x", "", &who, &Target{UserID: "m", ProjectID: "p"})])
	}
	return b.String()
}

func TestLanguage(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"": "111111", "  ": "111111", "@": "111111", "!": "000000", "not !": "111111", "NOT not @": "111111",
		"role:reader": "011110", "role:ADMIN": "000010", "role:member and not role:manager": "001000",
		"is_admin:True": "000010", "is_admin:False": "111101",
		"project_id:%(project_id)s": "011100", "user_id:%(user_id)s": "001000", "user_id:g": "000100",
		"'m':%(user_id)s": "111111", `"p":%(project_id)s`: "111111", "'x':%(user_id)s": "000000", "'a':a": "111111",
		Admin: "000010", ReaderOrAdmin: "011110", MemberOrAdmin: "001110", ManagerOrAdmin: "000110", ServiceOrAdmin: "000011", SelfOrAdmin: "001010",
		"rule:admin_api": "000010", "rule:admin_or_owner": "011110",
		"role:service or role:member and user_id:m":                         "001001", // and binds tighter, wherever it stands
		"role:member and user_id:m or role:service":                         "001001",
		"(role:service or role:member) and user_id:m":                       "001000",
		"((role:service) or (rule:context_is_admin and (not role:reader)))": "000001",
		"not role:reader and not role:service":                              "100000",
		"not (role:reader or role:service)":                                 "100000",
	} {
		assert.Equal(t, want, allowed(t, text), text)
	}
}

// What has no project belongs to nobody, and a token without one owns nothing.
func TestMissingAttributes(t *testing.T) {
	t.Parallel()
	s, err := New([]Rule{{Name: "x", Check: "project_id:%(project_id)s or user_id:%(user_id)s or '':%(user_id)s"}})
	require.NoError(t, err)
	assert.False(t, s.Allows("x", "", &Subject{}, &Target{}))
	assert.False(t, s.Allows("unknown", "unknown", &admin, &Target{}), "a rule that nobody knows is refused")
	assert.True(t, s.Allows("unknown", Admin, &admin, &Target{}), "a default check is known")
}

// The words of Keystone's rules: the token's scope, attributes of the target, and None for what is missing.
func TestScopes(t *testing.T) {
	t.Parallel()
	onDomain := Subject{UserID: "u", UserDomainID: "d", DomainID: "d", Roles: []string{"manager", "reader"}}
	onSystem := Subject{UserID: "u", UserDomainID: "d", SystemScope: "all", Roles: []string{"reader"}}
	onProject := Subject{UserID: "u", UserDomainID: "d", ProjectID: "p", ProjectDomainID: "d", Roles: []string{"reader"}}
	user := Target{More: map[string]string{"target.user.id": "u", "target.user.domain_id": "d"}}
	for _, c := range []struct {
		check                   string
		what                    Target
		domain, system, project bool
	}{
		{"role:reader and system_scope:all", Target{}, false, true, false},
		{"token.domain.id:%(target.user.domain_id)s", user, true, false, false},
		{"domain_id:%(target.user.domain_id)s", user, true, false, false},
		{"token.project.domain.id:%(target.user.domain_id)s", user, false, false, true},
		{"user_id:%(target.user.id)s", user, true, true, true},
		{"user_id:%(target.user.id)s", Target{}, false, false, false},
		{"domain_id:%(target.user.domain_id)s", Target{More: map[string]string{"target.user.domain_id": ""}}, false, false, false},
		{"None:%(target.role.domain_id)s", Target{More: map[string]string{"target.role.domain_id": ""}}, true, true, true},
		{"None:%(target.role.domain_id)s", Target{More: map[string]string{"target.role.domain_id": "d"}}, false, false, false},
		{"None:%(target.role.domain_id)s", Target{}, false, false, false},
		{"not None:%(target.role.domain_id)s", Target{}, true, true, true},
		{"role:reader and not domain_id:None", Target{}, true, false, false},
		{"role:manager and rule:domain_managed_target_role", Target{More: map[string]string{"target.role.name": "member"}}, true, false, false},
		{"role:manager and rule:domain_managed_target_role", Target{More: map[string]string{"target.role.name": "admin"}}, false, false, false},
	} {
		for i, want := range []bool{c.domain, c.system, c.project} {
			who := []Subject{onDomain, onSystem, onProject}[i]
			assert.Equal(t, want, Builtin.Allows("x", c.check, &who, &c.what), "%s %v %d", c.check, c.what, i)
			parsed, err := parse(c.check)
			require.NoError(t, err)
			again, err := parse(parsed.String())
			require.NoError(t, err)
			assert.Equal(t, parsed, again)
		}
	}
}

func TestOldForm(t *testing.T) {
	t.Parallel()
	for list, want := range map[string]string{
		`[]`: "@", `[[]]`: "!", `["role:a"]`: "role:a", `[["role:a"]]`: "role:a",
		`[["role:a", "role:b"], "rule:admin_api", []]`: "(role:a and role:b) or rule:admin_api",
		`[["role:a", "project_id:%(project_id)s"]]`:    "role:a and project_id:%(project_id)s",
	} {
		s, err := Parse("p.yaml", []byte(`os_compute_api:limits: `+list), defaults)
		require.NoError(t, err, list)
		for _, r := range s.Rules() {
			if r.Name == "os_compute_api:limits" {
				assert.Equal(t, want, r.Check, list)
				assert.Equal(t, "p.yaml:1", r.Where)
			}
		}
	}
}

// What is wrong is refused by file and line, with what would be right.
func TestRefusals(t *testing.T) {
	t.Parallel()
	limits := func(check string) string { return "\n\"os_compute_api:limits\": \"" + check + "\"\n" }
	for text, want := range map[string]string{
		limits("role:a or"):                                      `p.yaml:2: rule os_compute_api:limits: it ends where a check is missing; KIND:MATCH such as role:member is right`,
		limits("role:a role:b"):                                  `"role:b" stands where the check could end; "and" or "or" before it is right`,
		limits("and role:a"):                                     `"and" stands where a check is missing`,
		limits("(role:a"):                                        `a ( is not closed`,
		limits("(role:a role:b)"):                                `"role:b" stands where a ) could`,
		limits("role:a)"):                                        `a ) closes nothing`,
		limits("()"):                                             `")" stands where a check is missing`,
		limits("member"):                                         `"member" is no check; KIND:MATCH is right, such as role:member for a role or rule:member for another rule`,
		limits("'role:a'"):                                       `is no check`,
		limits("role:"):                                          `names no role`,
		limits("role:%(user_id)s"):                               `names no role`,
		limits("rule:"):                                          `names no rule`,
		limits("is_admin:yes"):                                   `is_admin:True or is_admin:False is right`,
		limits("http://acl.example.org"):                         `asks another server, which is not done here`,
		limits("https:x"):                                        `asks another server`,
		limits("None:None"):                                      `compares nothing with nothing`,
		limits("tenant_id:%(tenant_id)s"):                        `there is no check of the kind "tenant_id"; role:, rule:, is_admin:, None:, 'literal': and the caller's user_id:, `,
		limits("project_id:%(target.owner)s"):                    `%(target.owner)s is nothing that a target has; %(project_id)s and %(user_id)s are right`,
		limits("user_id:"):                                       `compares with nothing`,
		limits("rule:project_member"):                            `p.yaml:2: rule os_compute_api:limits: there is no rule "project_member" to refer to; "project_member_api" may be right`,
		limits(strings.Repeat("(", 99) + "@"):                    `nested more than 64 deep`,
		limits(strings.Repeat("not ", 99) + "@"):                 `nested more than 64 deep`,
		"servers:create: '@'":                                    `p.yaml:1: there is no rule "servers:create", and no other rule refers to it; "os_compute_api:servers:create" may be right`,
		"os_compute_api:servers:creat: '@'":                      `"os_compute_api:servers:create" may be right`,
		"zzz: '@'":                                               `a name that ` + "`kilonova policy list`" + ` prints is right`,
		"a: rule:b\nb: rule:a\n":                                 `p.yaml:1: rule a: it refers to itself: a -> b -> a`,
		"context_is_admin: is_admin:True":                        `p.yaml:1: rule context_is_admin: it refers to itself: context_is_admin -> context_is_admin`,
		"project_reader_api: rule:project_reader_or_admin":       `p.yaml:1: rule project_reader_api: it refers to itself: project_reader_api -> project_reader_or_admin -> project_reader_api`,
		"os_compute_api:limits: '@'\nos_compute_api:limits: '!'": `p.yaml:2: rule os_compute_api:limits: it is there twice, first in line 1`,
		"os_compute_api:limits:":                                 `p.yaml:1: rule os_compute_api:limits: this is no check; a text such as "role:admin" is right`,
		"os_compute_api:limits: true":                            `this is no check`,
		"os_compute_api:limits: {a: b}":                          `this is no check`,
		"os_compute_api:limits: [[['@']]]":                       `the list has something else than single checks`,
		"os_compute_api:limits: ['a b']":                         `the list has something else than single checks`,
		"1: '@'":                                                 `p.yaml:1: this is no rule's name`,
		"- '@'":                                                  `p.yaml:1: the file is no map of rules`,
		"a: '@'\n b: [":                                          `: this is no YAML`,
		"a: '@'\n---\nb: '@'":                                    `a second document`,
		"a: \"@":                                                 `this is no YAML`,
		bomb():                                                   `comes to more than 10000 checks`,
		strings.Repeat("#", maxFile+1):                           `larger than`,
	} {
		_, err := Parse("p.yaml", []byte(text), defaults)
		if assert.Error(t, err, "%.200s", text) {
			assert.Contains(t, err.Error(), want, "%.200s", text)
		}
	}
	_, err := Parse("p.yaml", []byte("os_compute_api:limits: member\nzzz: '@'\nos_compute_api:servers:show: http:x\n"), defaults)
	assert.Equal(t, 2, strings.Count(err.Error(), "p.yaml:"), "all that is wrong is said at once: %v", err)
}

// bomb are rules that each refer to the one before twice.
func bomb() string {
	var b strings.Builder
	b.WriteString("r0: role:a and role:b\n")
	for i := range 40 {
		fmt.Fprintf(&b, "r%d: rule:r%d and rule:r%d\n", i+1, i, i)
	}
	b.WriteString("os_compute_api:limits: rule:r40\n")
	return b.String()
}

func TestFile(t *testing.T) {
	t.Parallel()
	yaml := "# ours\n\"os_compute_api:os-aggregates:index\": rule:project_reader_or_admin\n\"os_compute_api:servers:create\": \"role:boss or\n  rule:ours\"\n" +
		"ours: role:service\nproject_reader_api: role:auditor\n\"os_compute_api:os-evacuate\": '!'\n"
	path := filepath.Join(t.TempDir(), "policy.yaml")
	require.NoError(t, os.WriteFile(path, []byte(yaml), 0o600))
	s, err := Load(path, defaults)
	require.NoError(t, err)
	auditor := Subject{UserID: "x", ProjectID: "z", Roles: []string{"auditor"}}
	assert.True(t, s.Allows("os_compute_api:os-aggregates:index", Admin, &auditor, &Target{}))
	assert.False(t, s.Allows("os_compute_api:servers:create", MemberOrAdmin, &manager, &Target{ProjectID: "p"}))
	assert.True(t, s.Allows("os_compute_api:servers:create", MemberOrAdmin, &service, &Target{ProjectID: "p"}))
	assert.True(t, s.Allows("os_compute_api:servers:show", ReaderOrAdmin, &auditor, &Target{ProjectID: "p"}), "base rules hold for the defaults")
	assert.True(t, s.Allows("ad-hoc", ReaderOrAdmin, &auditor, &Target{ProjectID: "p"}), "and for rules without a name")
	assert.Equal(t, []string{path + ":7: rule os_compute_api:os-evacuate is Nova's, but nothing here asks it"}, s.Notes())
	assert.False(t, s.RedefinesAdmin())
	for _, r := range s.Rules() {
		if r.Name == "os_compute_api:servers:create" {
			assert.Equal(t, Rule{Name: r.Name, Check: "role:boss or rule:ours", Operations: []string{"POST /servers"}, Where: path + ":3"}, r)
		}
	}
	_, err = Load(path+"x", defaults)
	assert.ErrorContains(t, err, "policy.yamlx: no such file")
}

func TestJSONAndEmpty(t *testing.T) {
	t.Parallel()
	s, err := Parse("p.json", []byte("{\n\t\"context_is_admin\":\t\"role:boss\",\n\t\"os_compute_api:limits\": [[\"is_admin:True\"]]\n}"), defaults)
	require.NoError(t, err)
	assert.True(t, s.RedefinesAdmin())
	assert.False(t, s.IsAdmin(&admin))
	assert.True(t, s.Allows("os_compute_api:limits", Anybody, &Subject{Roles: []string{"boss"}}, &Target{}))
	for _, text := range []string{"", "# nothing\n", "{}", "---\n"} {
		s, err := Parse("p.yaml", []byte(text), defaults)
		require.NoError(t, err, text)
		assert.Equal(t, len(base)+len(defaults), len(s.Rules()))
	}
}

// TestAgreesWithTruthTable compares random checks with a judgement of their own, and with themselves written out and read again.
func TestAgreesWithTruthTable(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 2000 {
		var held [4]bool
		who := Subject{UserID: "u", ProjectID: "p"}
		for i := range held {
			if held[i] = random.IntN(2) == 0; held[i] {
				who.Roles = append(who.Roles, fmt.Sprint("r", i))
			}
		}
		text, want := randomCheck(random, held, 4)
		c, err := parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, c.holds(&who, &Target{}), text)
		again, err := parse(c.String())
		require.NoError(t, err, c.String())
		require.Equal(t, c.String(), again.String())
		require.Equal(t, want, again.holds(&who, &Target{}), c.String())
	}
}

// randomCheck writes a check of roles r0 to r3, with no more parentheses than it needs, and says whether it holds for those who have held.
func randomCheck(random *rand.Rand, held [4]bool, depth int) (text string, holds bool) {
	kind := random.IntN(5)
	if depth == 0 {
		kind = 0
	}
	a, x := "", false
	if kind > 0 {
		a, x = randomCheck(random, held, depth-1)
	}
	switch kind {
	case 1:
		return "not (" + a + ")", !x
	case 2:
		b, y := randomCheck(random, held, depth-1)
		return a + " or " + b, x || y
	case 3:
		b, y := randomCheck(random, held, depth-1)
		return "(" + a + ") AND (" + b + ")", x && y
	case 4:
		return "( " + a + " )", x
	}
	i := random.IntN(4)
	return fmt.Sprint("role:r", i), held[i]
}

func TestNoAllocation(t *testing.T) {
	for _, r := range defaults {
		require.Zero(t, testing.AllocsPerRun(100, func() { judgeOnce(r) }), r.Name)
	}
}

var benchmarked = func() *Set {
	s, err := New(defaults)
	if err != nil {
		panic(err)
	}
	return s
}()

func judgeOnce(r Rule) bool {
	who, what := Subject{UserID: "m", ProjectID: "p", Roles: member.Roles}, Target{UserID: "m", ProjectID: "p"}
	return benchmarked.Allows(r.Name, r.Check, &who, &what)
}

func BenchmarkAllows(b *testing.B) {
	for _, r := range defaults {
		b.Run(r.Check, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				judgeOnce(r)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "os_compute_api:limits: '@'", "a: rule:b\nb: rule:a", `{"os_compute_api:limits": [["role:a", "rule:admin_api"], "!"]}`,
		"x: &a 'role:b'\nos_compute_api:limits: *a", "os_compute_api:limits: (not role:a) or 'b':%(user_id)s and is_admin:True", "<<: {a: b}", "? [a]\n: b", bomb()} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("p.yaml", []byte(text), defaults)
		if err != nil {
			require.Contains(t, err.Error(), "p.yaml:")
			return
		}
		for _, r := range s.Rules() {
			again, err := parse(r.Check)
			require.NoError(t, err, "%s: what is printed can be read", r.Check)
			require.Equal(t, s.rules[r.Name].String(), again.String())
			for _, who := range persons {
				s.Allows(r.Name, r.Check, &who, &Target{UserID: "m", ProjectID: "p"})
			}
		}
	})
}

func FuzzCheck(f *testing.F) {
	for _, seed := range []string{"role:a and (role:b or not rule:c)", "'x':%(user_id)s", "@ or !", "((role:a)", "not not is_admin:False", `"a":b`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parse(text)
		if err != nil {
			return
		}
		again, err := parse(c.String())
		require.NoError(t, err, "%q written as %q", text, c.String())
		require.Equal(t, c.String(), again.String())
	})
}
