package keystone

import (
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type named struct {
	ID     string `json:"id"`
	Name   string `json:"name"`
	Domain *named `json:"domain"`
}

// validated is Keystone's answer about a token.
type validated struct {
	ExpiresAt string          `json:"expires_at"`
	IssuedAt  string          `json:"issued_at"`
	Methods   []string        `json:"methods"`
	AuditIDs  []string        `json:"audit_ids"`
	User      named           `json:"user"`
	Project   *named          `json:"project"`
	Domain    *named          `json:"domain"`
	System    map[string]bool `json:"system"`
	Roles     []named         `json:"roles"`
	Trust     *named          `json:"OS-TRUST:trust"`
	AppCred   *struct {
		ID          string `json:"id"`
		Restricted  bool   `json:"restricted"`
		AccessRules []struct {
			Service string `json:"service"`
			Method  string `json:"method"`
			Path    string `json:"path"`
		} `json:"access_rules"`
	} `json:"application_credential"`
}

// token is the answer in our words.
func (v *validated) token() (*httpapi.Token, error) {
	expires, err := time.Parse(time.RFC3339, v.ExpiresAt)
	if err != nil {
		return nil, structs.Errorf(structs.KindInternal, "Keystone's answer has the time %q", v.ExpiresAt)
	}
	issued, err := time.Parse(time.RFC3339, v.IssuedAt)
	if err != nil || v.User.ID == "" {
		return nil, structs.Errorf(structs.KindInternal, "Keystone's answer names no user, or the time %q", v.IssuedAt)
	}
	t := &httpapi.Token{UserID: structs.UserID(v.User.ID), UserName: v.User.Name, IssuedAt: structs.TimeOf(issued), ExpiresAt: structs.TimeOf(expires), Methods: v.Methods,
		System: v.System["all"]}
	if v.User.Domain != nil {
		t.UserDomain = structs.DomainID(v.User.Domain.ID)
	}
	if len(v.AuditIDs) > 0 {
		t.AuditID = v.AuditIDs[0]
	}
	if v.Project != nil {
		t.ProjectID, t.ProjectName = structs.ProjectID(v.Project.ID), v.Project.Name
		if v.Project.Domain != nil {
			t.ProjectDomain = structs.DomainID(v.Project.Domain.ID)
		}
	}
	if v.Domain != nil {
		t.DomainID, t.DomainName = structs.DomainID(v.Domain.ID), v.Domain.Name
	}
	for _, x := range v.Roles {
		t.Roles, t.RoleIDs = append(t.Roles, x.Name), append(t.RoleIDs, structs.RoleID(x.ID))
	}
	if v.Trust != nil {
		t.TrustID = v.Trust.ID
	}
	if v.AppCred != nil {
		t.ApplicationCredID, t.ApplicationCredFree = v.AppCred.ID, !v.AppCred.Restricted
		for _, x := range v.AppCred.AccessRules {
			t.AccessRules = append(t.AccessRules, httpapi.AccessRule{Service: x.Service, Method: x.Method, Path: x.Path})
		}
	}
	return t, nil
}
