package fsm

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// ApplicationCredentialCreate makes an application credential.
var ApplicationCredentialCreate = registerOnce(90, "application-credential-create", func(tx *state.Txn, r *structs.ApplicationCredentialCreateRequest) (*structs.ApplicationCredential, error) {
	c := &r.Credential
	switch {
	case tx.ApplicationCredential(c.ID) != nil:
		return nil, structs.Errorf(structs.KindConflict, "Conflict occurred attempting to store application_credential - Duplicate entry found with ID %s.", c.ID)
	case tx.User(c.UserID) == nil:
		return nil, noSuch("user", c.UserID)
	case tx.Project(c.ProjectID) == nil:
		return nil, noSuch("project", c.ProjectID)
	case len(c.RoleIDs) == 0:
		return nil, structs.Errorf(structs.KindInvalid, "Invalid application credential: it has no role")
	}
	for _, id := range c.RoleIDs {
		if tx.Role(id) == nil {
			return nil, noSuch("role", id)
		}
	}
	n := 0
	for other := range tx.ApplicationCredentialsOfUser(c.UserID) {
		if n++; other.Name == c.Name {
			return nil, duplicate("application_credential", c.Name)
		}
	}
	if n >= maxCredentials {
		return nil, structs.Errorf(structs.KindForbidden, "Unable to create additional application credentials, maximum of %d already exceeded for user.", maxCredentials)
	}
	if err := takeRules(tx, c, r.Rules); err != nil {
		return nil, err
	}
	tx.PutApplicationCredential(c)
	return c, nil
})

// takeRules makes the rules that are new, and puts in the place of the others those that the user has. A rule of another user is none.
func takeRules(tx *state.Txn, c *structs.ApplicationCredential, rules []structs.AccessRule) error {
	var ids []string
	for _, id := range c.AccessRules {
		i := slices.IndexFunc(rules, func(x structs.AccessRule) bool { return x.ID == id })
		if have := tx.AccessRule(id); i < 0 && (have == nil || have.UserID != c.UserID) {
			return noSuch("Access Rule", id)
		}
		if i >= 0 {
			id = takeRule(tx, c.UserID, &rules[i])
		}
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	c.AccessRules = ids
	return nil
}

func takeRule(tx *state.Txn, user structs.UserID, x *structs.AccessRule) string {
	for have := range tx.AccessRulesOfUser(user) {
		if have.Service == x.Service && have.Method == x.Method && have.Path == x.Path {
			return have.ID
		}
	}
	x.UserID = user
	tx.PutAccessRule(x)
	return x.ID
}

// ApplicationCredentialDelete removes an application credential.
var ApplicationCredentialDelete = registerOnce(91, "application-credential-delete", func(tx *state.Txn, r *structs.ApplicationCredentialDeleteRequest) (None, error) {
	if tx.DeleteApplicationCredential(r.ID) == nil {
		return None{}, noSuch("Application Credential", r.ID)
	}
	return None{}, nil
})

// AccessRuleDelete removes an access rule that no application credential has: one that lost a rule would be for more than its giver said, if it was the last.
var AccessRuleDelete = registerOnce(92, "access-rule-delete", func(tx *state.Txn, r *structs.AccessRuleDeleteRequest) (None, error) {
	x := tx.AccessRule(r.ID)
	if x == nil {
		return None{}, noSuch("Access Rule", r.ID)
	}
	for c := range tx.ApplicationCredentialsOfUser(x.UserID) {
		if slices.Contains(c.AccessRules, x.ID) {
			return None{}, structs.Errorf(structs.KindForbidden, "May not delete access rule in use")
		}
	}
	tx.DeleteAccessRule(x.ID)
	return None{}, nil
})
