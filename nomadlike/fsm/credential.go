package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// maxCredentials bounds the credentials of one user, and its application credentials: whoever makes them again and again could fill the state otherwise.
const maxCredentials = 1000

// CredentialWrite makes or changes a credential.
var CredentialWrite = registerOnce(88, "credential-write", func(tx *state.Txn, r *structs.CredentialWriteRequest) (*structs.Credential, error) {
	c := &r.Credential
	old := tx.Credential(c.ID)
	if r.Index == 0 && old != nil {
		return nil, structs.Errorf(structs.KindConflict, "Conflict occurred attempting to store credential - Duplicate entry found with ID %s.", c.ID)
	}
	if err := version(old != nil, modified(old), r.Index); err != nil {
		return nil, err
	}
	if tx.User(c.UserID) == nil {
		return nil, noSuch("user", c.UserID)
	}
	if c.ProjectID != "" && tx.Project(c.ProjectID) == nil {
		return nil, noSuch("project", c.ProjectID)
	}
	if old == nil {
		n := 0
		for range tx.CredentialsOfUser(c.UserID) {
			n++
		}
		if n >= maxCredentials {
			return nil, structs.Errorf(structs.KindForbidden, "Unable to create additional credentials, maximum of %d already exceeded for user.", maxCredentials)
		}
	}
	tx.PutCredential(c)
	return c, nil
})

// CredentialDelete removes a credential.
var CredentialDelete = registerOnce(89, "credential-delete", func(tx *state.Txn, r *structs.CredentialDeleteRequest) (None, error) {
	if tx.DeleteCredential(r.ID) == nil {
		return None{}, noSuch("credential", r.ID)
	}
	return None{}, nil
})

// TOTPUse takes a passcode: each is good once, whoever else knows it.
var TOTPUse = registerOnce(96, "totp-use", func(tx *state.Txn, r *structs.TOTPUseRequest) (None, error) {
	old := tx.Credential(r.ID)
	if old == nil || old.LastStep >= r.Step {
		return None{}, structs.Errorf(structs.KindUnauthorized, "The request you have made requires authentication.")
	}
	c := *old
	c.LastStep = r.Step
	tx.PutCredential(&c)
	return None{}, nil
})
