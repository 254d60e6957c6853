// Package identity serves Keystone's Identity v3 API and the tokens that every service's requests carry.
//
// A token is a Fernet message over a compact payload: who, which project, until when. It is signed and encrypted with the replicated ring of
// keys (structs.TokenKey), so that any server verifies any server's token without asking anybody. What may void it sooner (a revocation, a
// disabled user, project or domain, a new password, a lost grant) is read from this server's own newest state.
package identity
