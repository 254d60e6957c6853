package delegation

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/httpapi/policy"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

const typeEC2 = "ec2"

var credentialKnown = []string{"id", "blob", "project_id", "type", "user_id"}

func viewCredential(r *httpapi.Request, c *structs.Credential) base.View {
	v := base.NewView(c.Extra)
	v["id"], v["user_id"], v["project_id"], v["type"], v["blob"] = c.ID, string(c.UserID), base.OrNull(string(c.ProjectID)), c.Type, c.Blob
	return v.Link(r, "credentials", c.ID)
}

func ofUserID(u structs.UserID) policy.Target {
	return policy.Target{More: map[string]string{"target.credential.user_id": string(u)}}
}

func targetCredential(c *structs.Credential) policy.Target {
	if c == nil {
		return policy.Target{}
	}
	return ofUserID(c.UserID)
}

var errOutOfScope = forbidden("Credential project does not match the project scope of the delegated token")

// inBounds refuses a credential to who acts with what somebody gave it, unless the credential was made with the very same: any other stands for more of what its
// user may do.
func inBounds(t *httpapi.Token, c *structs.Credential) error {
	if delegated(t) && (c.ProjectID != t.ProjectID || c.TrustID != t.TrustID || c.AppCredID != t.ApplicationCredID) {
		return errOutOfScope
	}
	return nil
}

// listCredentials lists what the caller may see of them.
func listCredentials(r *httpapi.Request) (any, error) {
	what := policy.Target{}
	if !r.Token.System {
		what = ofUserID(r.Token.UserID)
	}
	if err := r.Judge(what); err != nil {
		return nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	out := []base.View{}
	for c := range st.Credentials() {
		if v := viewCredential(r, c); r.MayTarget(ruleGetCredential, targetCredential(c)) && inBounds(r.Token, c) == nil && base.Matches(r, v, "user_id", "type") {
			out = append(out, v)
		}
	}
	return base.Collection(r, "credentials", out), nil
}

// find returns the credential of the path, after the rule was judged.
func find(r *httpapi.Request, st state.Reader) (*structs.Credential, error) {
	c := st.Credential(r.Vars["id"])
	if err := r.Judge(targetCredential(c)); err != nil {
		return nil, err
	}
	if c == nil {
		return nil, base.NotFound("credential", r.Vars["id"])
	}
	return c, inBounds(r.Token, c)
}

func showCredential(r *httpapi.Request) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	c, err := find(r, st)
	if err != nil {
		return nil, err
	}
	return map[string]any{"credential": viewCredential(r, c)}, nil
}

// fields are those of a credential that a request may set.
type fields struct {
	Blob      *string           `json:"blob"`
	ProjectID *string           `json:"project_id"`
	Type      *string           `json:"type"`
	UserID    *structs.UserID   `json:"user_id"`
	raw       map[string]rawKey // as they came
}

type rawKey = json.RawMessage

func readFields(r *httpapi.Request) (f fields, err error) {
	if f.raw, err = base.Body(r, "credential"); err == nil {
		err = base.Decode(r, "credential", &f)
	}
	return f, err
}

// apply writes a request's fields into a credential.
func (f *fields) apply(c *structs.Credential) (err error) {
	if f.Blob != nil {
		c.Blob = *f.Blob
	}
	if f.ProjectID != nil {
		c.ProjectID = structs.ProjectID(*f.ProjectID)
	} else if _, there := f.raw["project_id"]; there {
		c.ProjectID = ""
	}
	if f.Type != nil {
		c.Type = *f.Type
	}
	if f.UserID != nil {
		c.UserID = *f.UserID
	}
	c.Extra, err = base.ExtraOf(c.Extra, f.raw, credentialKnown...)
	return err
}

func isEC2(c *structs.Credential) bool { return strings.EqualFold(c.Type, typeEC2) }

// ec2Blob is what an ec2 credential keeps.
func ec2Blob(text string) (map[string]any, error) {
	var blob map[string]any
	if err := json.Unmarshal([]byte(text), &blob); err != nil {
		return nil, httpapi.BadRequest("Invalid blob in credential")
	}
	if len(blob) == 0 {
		return nil, missing("blob", "credential")
	}
	if access, _ := blob["access"].(string); access == "" {
		return nil, missing("access", "credential")
	}
	return blob, nil
}

// boundKeys are those of an ec2 credential's blob that say what it was made with. The record has that too, and it is the record that counts.
var boundKeys = []string{"trust_id", "app_cred_id", "access_token_id", "access_id"}

func accessID(access string) string {
	sum := sha256.Sum256([]byte(access))
	return hex.EncodeToString(sum[:])
}

// mayManage refuses Amazon's keys to an application credential that may make no others.
func mayManage(t *httpapi.Token, c *structs.Credential) error {
	if restricted(t) && isEC2(c) {
		return forbidden("Using method 'application_credential' is not allowed for managing additional credentials.")
	}
	return nil
}

// createCredential makes a credential. One that is made with a trust or an application credential stands for no more than that.
func createCredential(r *httpapi.Request) (any, error) {
	f, err := readFields(r)
	if err != nil {
		return nil, err
	}
	c := structs.Credential{ID: nomadlike.NewHexID(), TrustID: r.Token.TrustID, AppCredID: r.Token.ApplicationCredID}
	if f.UserID != nil {
		c.UserID = *f.UserID
	}
	if err := r.Judge(targetCredential(&c)); err != nil {
		return nil, err
	}
	if err := f.apply(&c); err != nil {
		return nil, err
	}
	if err := mayManage(r.Token, &c); err != nil {
		return nil, err
	}
	if delegated(r.Token) && (c.UserID != r.Token.UserID || strings.EqualFold(c.Type, "totp")) { // a seed logs its user in, without the bounds of what made it
		return nil, errOutOfScope
	}
	if err := inBounds(r.Token, &c); err != nil {
		return nil, err
	}
	if isEC2(&c) {
		if err := bindEC2(&c); err != nil {
			return nil, err
		}
	}
	if _, err := fsm.CredentialWrite.Propose(r.Context(), r.Core, &structs.CredentialWriteRequest{Credential: c}); err != nil {
		return nil, err
	}
	return map[string]any{"credential": viewCredential(r, &c)}, nil
}

// bindEC2 gives an ec2 credential its id, and has its blob say what it was made with.
func bindEC2(c *structs.Credential) error {
	c.Type = typeEC2
	if c.ProjectID == "" {
		return missing("project_id", "credential")
	}
	blob, err := ec2Blob(c.Blob)
	if err != nil {
		return err
	}
	c.ID = accessID(blob["access"].(string))
	for _, k := range boundKeys {
		if blob[k] != nil {
			return httpapi.BadRequest("%s can not be set for credential", k)
		}
	}
	if c.TrustID == "" && c.AppCredID == "" {
		return nil
	}
	if c.TrustID != "" {
		blob["trust_id"] = c.TrustID
	}
	if c.AppCredID != "" {
		blob["app_cred_id"] = c.AppCredID
	}
	text, _ := json.Marshal(blob) // it was JSON
	c.Blob = string(text)
	return nil
}

func updateCredential(r *httpapi.Request) (any, error) {
	f, err := readFields(r)
	if err != nil {
		return nil, err
	}
	return base.Change(r, func(st state.Reader) (any, error) {
		old, err := find(r, st)
		if err != nil {
			return nil, err
		}
		c := *old
		if id, ok := f.raw["id"]; ok && string(id) != `"`+c.ID+`"` {
			return nil, httpapi.BadRequest("Cannot change credential ID")
		}
		if err := f.apply(&c); err != nil {
			return nil, err
		}
		if err := keepsBounds(old, &c); err != nil {
			return nil, err
		}
		if err := r.AllowTarget(ruleUpdate, targetCredential(&c)); err != nil { // nor is it given to somebody else
			return nil, err
		}
		if err := inBounds(r.Token, &c); err != nil {
			return nil, err
		}
		if delegated(r.Token) && (c.UserID != old.UserID || c.Type != old.Type) {
			return nil, errOutOfScope
		}
		if err := mayManage(r.Token, &c); err != nil {
			return nil, err
		}
		if _, err := fsm.CredentialWrite.Propose(r.Context(), r.Core, &structs.CredentialWriteRequest{Credential: c, Index: old.ModifyIndex}); err != nil {
			return nil, err
		}
		return map[string]any{"credential": viewCredential(r, &c)}, nil
	})
}

// keepsBounds refuses a change after which an ec2 credential could not be used, or said that it was made with something else.
func keepsBounds(old, c *structs.Credential) error {
	if !isEC2(c) && !isEC2(old) {
		return nil
	}
	if isEC2(c) {
		c.Type = typeEC2
		if c.ProjectID == "" {
			return missing("project_id", "credential")
		}
	}
	if c.Blob == old.Blob && isEC2(old) {
		return nil
	}
	blob, err := ec2Blob(c.Blob)
	if err != nil {
		return err
	}
	var was map[string]any
	if isEC2(old) {
		_ = json.Unmarshal([]byte(old.Blob), &was) // it was made by this package
	}
	for _, k := range boundKeys {
		if blob[k] != was[k] {
			return httpapi.BadRequest("%s can not be updated for credential", k)
		}
	}
	return nil
}

func deleteCredential(r *httpapi.Request) (any, error) { return remove(r, find) }

// remove deletes the credential that the path names, if the caller may manage it.
func remove(r *httpapi.Request, find func(*httpapi.Request, state.Reader) (*structs.Credential, error)) (any, error) {
	st, err := base.Read(r)
	if err != nil {
		return nil, err
	}
	c, err := find(r, st)
	if err != nil {
		return nil, err
	}
	if err := mayManage(r.Token, c); err != nil {
		return nil, err
	}
	_, err = fsm.CredentialDelete.Propose(r.Context(), r.Core, &structs.CredentialDeleteRequest{ID: c.ID})
	return nil, err
}
