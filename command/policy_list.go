package command

import (
	"context"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/kilonova-cloud/kilonova/command/agent"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
)

func init() {
	registerParent("policy", "Look at access rules", "Shows the access rules and what a policy file makes of them. A policy file is what server.policy_file\nof the agent's configuration names.")
	register(func() *definition {
		c := &policyList{}
		return &definition{
			name: "policy list", usage: "[options]", synopsis: "Print all access rules", output: true, run: c.run,
			flags: func(set *flag.FlagSet) { set.StringVar(&c.file, "policy-file", "", policyFileUsage) },
			prose: "Prints every rule with its default as a policy file in which all lines are\ncomments: take out the # of what is to differ. With -policy-file it prints what\nis in force with that file; lines of the file are no comments.",
		}
	})
}

const policyFileUsage = "`FILE` in the form of policy.yaml. Default: none, the rules are the defaults"

type policyList struct{ file string }

// policyRuleView is a rule as the command line prints it.
type policyRuleView struct {
	Name       string   `json:"name"`
	Check      string   `json:"check"`
	Operations []string `json:"operations"`
	Base       bool     `json:"base"`  // only other rules refer to it
	Where      string   `json:"where"` // file and line that say so; "" for a default
}

func viewPolicyRule(r policy.Rule) policyRuleView {
	return policyRuleView{r.Name, r.Check, append([]string{}, r.Operations...), r.Base, r.Where}
}

func (c *policyList) run(_ context.Context, s *session, _ []string) error {
	set, err := s.loadPolicy(c.file)
	if err != nil {
		return err
	}
	views := []policyRuleView{}
	for _, r := range set.Rules() {
		views = append(views, viewPolicyRule(r))
	}
	return s.print(views, func(w io.Writer) {
		for _, base := range []bool{true, false} {
			for _, v := range views {
				if v.Base == base {
					v.write(w)
				}
			}
		}
	})
}

// write writes the rule as lines of a policy file.
func (v policyRuleView) write(w io.Writer) {
	for _, o := range v.Operations {
		_, _ = fmt.Fprintf(w, "# %s\n", o)
	}
	mark := "#"
	if v.Where != "" {
		mark = ""
	}
	_, _ = fmt.Fprintf(w, "%s\"%s\": %s\n\n", mark, v.Name, yamlText(v.Check))
}

// yamlText quotes a check for YAML.
func yamlText(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// loadPolicy reads a policy file as a server does, and tells its notes.
func (s *session) loadPolicy(file string) (*policy.Set, error) {
	set, err := agent.LoadPolicy(file)
	if err != nil {
		return nil, err
	}
	for _, note := range set.Notes() {
		s.notef("Note: %s", note)
	}
	return set, nil
}
