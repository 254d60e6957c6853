package delegation

import (
	"encoding/json"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// keys is what an ec2 credential's blob has.
type keys struct {
	Access string `json:"access"`
	Secret string `json:"secret"`
	Trust  string `json:"trust_id,omitempty"`
	App    string `json:"app_cred_id,omitempty"`
}

func keysOf(c *structs.Credential) (k keys) {
	_ = json.Unmarshal([]byte(c.Blob), &k) // of one whose secret is no text, the keys are empty
	return k
}

func viewEC2(r *httpapi.Request, c *structs.Credential) base.View {
	k := keysOf(c)
	v := base.View{"user_id": string(c.UserID), "tenant_id": base.OrNull(string(c.ProjectID)), "access": k.Access, "secret": k.Secret, "trust_id": base.OrNull(c.TrustID)}
	return v.Link(r, "users", string(c.UserID), "credentials", "OS-EC2", k.Access)
}

func listEC2(r *httpapi.Request) (any, error) {
	id := structs.UserID(r.Vars["user"])
	if err := r.Judge(policy.Target{UserID: string(id)}); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	if st.User(id) == nil {
		return nil, base.NotFound("user", id)
	}
	out := []base.View{}
	for c := range st.CredentialsOfUser(id) {
		if isEC2(c) && inBounds(r.Token, c) == nil {
			out = append(out, viewEC2(r, c))
		}
	}
	return base.Collection(r, "credentials", out), nil
}

func createEC2(r *httpapi.Request) (any, error) {
	id := structs.UserID(r.Vars["user"])
	if err := r.Judge(ofUserID(id)); err != nil {
		return nil, err
	}
	if restricted(r.Token) {
		return nil, forbidden("Using method 'application_credential' is not allowed for managing additional application credentials.")
	}
	var in struct {
		TenantID structs.ProjectID `json:"tenant_id"`
	}
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return nil, missing("tenant_id", "request body")
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	if st.User(id) == nil {
		return nil, base.NotFound("user", id)
	}
	if st.Project(in.TenantID) == nil {
		return nil, base.NotFound("project", in.TenantID)
	}
	if delegated(r.Token) && (in.TenantID != r.Token.ProjectID || id != r.Token.UserID) {
		return nil, forbidden("EC2 credential project does not match the project scope of the delegated token")
	}
	k := keys{nomadlike.NewHexID(), nomadlike.NewHexID(), r.Token.TrustID, r.Token.ApplicationCredID}
	blob, _ := json.Marshal(k) // of texts
	c := structs.Credential{ID: accessID(k.Access), UserID: id, ProjectID: in.TenantID, Type: typeEC2, Blob: string(blob), TrustID: k.Trust, AppCredID: k.App}
	if _, err := fsm.CredentialWrite.Propose(r.Context(), r.Core, &structs.CredentialWriteRequest{Credential: c}); err != nil {
		return nil, err
	}
	return map[string]any{"credential": viewEC2(r, &c)}, nil
}

// findEC2 returns the credential with the path's access key, after the rule was judged.
func findEC2(r *httpapi.Request, st state.Reader) (*structs.Credential, error) {
	id := accessID(r.Vars["access"])
	c := st.Credential(id)
	if c != nil && (!isEC2(c) || c.UserID != structs.UserID(r.Vars["user"])) {
		c = nil
	}
	if err := r.Judge(targetCredential(c)); err != nil {
		return nil, err
	}
	if c == nil {
		return nil, base.NotFound("credential", id)
	}
	return c, inBounds(r.Token, c)
}

func showEC2(r *httpapi.Request) (any, error) {
	return base.Show(r, "credential", func(st state.Reader) (*structs.Credential, error) { return findEC2(r, st) }, viewEC2)
}

func deleteEC2(r *httpapi.Request) (any, error) {
	return remove(r, findEC2)
}
