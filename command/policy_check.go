package command

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	identity "github.com/gophercloud/gophercloud/v2/openstack/identity/v3/tokens"

	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
)

func init() {
	register(func() *definition {
		c := &policyCheck{}
		return &definition{
			name: "policy check", usage: "[options] [RULE]", synopsis: "Say what a token may do", agent: true, output: true, max: 1, run: c.run, flags: c.register,
			prose: "Judges every rule, or one, as a server with that policy file does, and prints\nwhether it allows. Who asks are the roles, project and user that flags name, else\nwhoever the cloud's token stands for. What is asked for belongs to the same\nproject and user, unless -target-project and -target-user say otherwise. " +
				"With one\nRULE that is denied the exit code is 1.",
		}
	})
}

type policyCheck struct {
	file, roles, project, user string
	targetProject, targetUser  string
	named                      bool // by flags
}

func (c *policyCheck) register(set *flag.FlagSet) {
	said := func(to *string) func(string) error {
		return func(text string) error { *to, c.named = text, true; return nil }
	}
	set.StringVar(&c.file, "policy-file", "", policyFileUsage)
	set.Func("token-roles", "`ROLES` of who asks, with commas: member,reader. A role implies no other here. Default: the cloud's token's", said(&c.roles))
	set.Func("project", "`ID` of the project of who asks", said(&c.project))
	set.Func("user", "`ID` of who asks", said(&c.user))
	set.StringVar(&c.targetProject, "target-project", "", "`ID` of the project that owns what is asked for. Default: the project of who asks")
	set.StringVar(&c.targetUser, "target-user", "", "`ID` of the user who owns what is asked for. Default: who asks")
}

// judgedRule is a rule with what it says.
type judgedRule struct {
	policyRuleView
	Allowed bool `json:"allowed"`
}

func (c *policyCheck) run(ctx context.Context, s *session, args []string) error {
	set, err := s.loadPolicy(c.file)
	if err != nil {
		return err
	}
	who, err := c.subject(ctx, s)
	if err != nil {
		return err
	}
	what := policy.Target{UserID: who.UserID, ProjectID: who.ProjectID}
	if c.targetProject != "" {
		what.ProjectID = c.targetProject
	}
	if c.targetUser != "" {
		what.UserID = c.targetUser
	}
	judged := []judgedRule{}
	for _, r := range set.Rules() {
		if len(args) == 0 || r.Name == args[0] {
			judged = append(judged, judgedRule{viewPolicyRule(r), set.Allows(r.Name, r.Check, &who, &what)})
		}
	}
	if len(judged) == 0 {
		return usagef("There is no rule %q; one that `kilonova policy list` prints is right", args[0])
	}
	err = s.print(judged, func(w io.Writer) {
		rows := [][]string{{"Rule", "Answer", "Check"}}
		for _, j := range judged {
			rows = append(rows, []string{j.Name, j.answer(), j.Check})
		}
		table(w, rows)
	})
	if err == nil && len(args) == 1 && !judged[0].Allowed {
		return exitError(ExitFailed)
	}
	return err
}

func (j judgedRule) answer() string {
	if j.Allowed {
		return "allowed"
	}
	return "denied"
}

// subject is who asks: as the flags say, else whom the cloud's token stands for.
func (c *policyCheck) subject(ctx context.Context, s *session) (policy.Subject, error) {
	if c.named {
		roles := strings.FieldsFunc(c.roles, func(r rune) bool { return r == ',' || r == ' ' })
		return policy.Subject{UserID: c.user, ProjectID: c.project, Roles: roles}, nil
	}
	connection, err := s.connect(ctx)
	if err != nil {
		return policy.Subject{}, err
	}
	result, ok := connection.provider.GetAuthResult().(identity.CreateResult)
	if !ok {
		return policy.Subject{}, fmt.Errorf("the cloud's login says nothing of roles; -token-roles, -project and -user are right")
	}
	var token struct {
		User    struct{ ID string }
		Project struct{ ID string }
		Roles   []struct{ Name string }
	}
	if err := result.ExtractInto(&token); err != nil {
		return policy.Subject{}, fmt.Errorf("read the token's roles: %w", err)
	}
	who := policy.Subject{UserID: token.User.ID, ProjectID: token.Project.ID}
	for _, r := range token.Roles {
		who.Roles = append(who.Roles, r.Name)
	}
	slices.Sort(who.Roles)
	return who, nil
}
