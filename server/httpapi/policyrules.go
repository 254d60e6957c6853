package httpapi

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
)

// PolicyRules returns the rules that a policy file may override, with their defaults: those of the rows of the services that follow one, and those that
// their handlers judge. It refuses a name that has two defaults: a file could not say which it means.
func PolicyRules(services []*Service) ([]policy.Rule, error) {
	byName := map[string]int{}
	var list []policy.Rule
	add := func(r Rule, operation string) error {
		if r == nil || r == Anyone {
			return nil
		}
		i, known := byName[r.Name()]
		if !known {
			i, byName[r.Name()] = len(list), len(list)
			list = append(list, policy.Rule{Name: r.Name(), Check: r.Check()})
		}
		if list[i].Check != r.Check() {
			return fmt.Errorf("httpapi: rule %s has two defaults, %q and %q", r.Name(), list[i].Check, r.Check())
		}
		if operation != "" && !slices.Contains(list[i].Operations, operation) {
			list[i].Operations = append(list[i].Operations, operation)
		}
		return nil
	}
	for _, s := range services {
		if !s.FollowsPolicy {
			continue
		}
		for _, r := range s.Routes {
			operation := r.Method + " " + r.Path
			if r.Action != "" {
				operation += " (" + r.Action + ")"
			}
			if err := add(r.Rule, operation); err != nil {
				return nil, err
			}
		}
		for _, r := range s.Rules {
			if err := add(r, ""); err != nil {
				return nil, err
			}
		}
	}
	slices.SortFunc(list, func(a, b policy.Rule) int { return cmp.Compare(a.Name, b.Name) })
	return list, nil
}
