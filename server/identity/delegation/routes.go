// Package delegation is what a user gives away of what it may do, and the secrets that it keeps beside its password: application credentials with their access rules,
// trusts, credentials, and Amazon's keys.
//
// What was given away is never more than its giver has: a token that was delegated sees and makes only what stays within its own bounds.
package delegation

import (
	"net/http"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

type service struct {
	opts   base.Options
	issuer token.Issuer
}

// The checks of Keystone's rules (keystone/common/policies).
const (
	admin         = "rule:admin_required"
	adminOrReader = "rule:admin_required or (role:reader and system_scope:all)"
	orOwner       = " or rule:owner"
	adminService  = "rule:admin_required or rule:service_role"

	ofCredential = "user_id:%(target.credential.user_id)s"
	ofTrustor    = "user_id:%(target.trust.trustor_user_id)s"
	ofTrustee    = "user_id:%(target.trust.trustee_user_id)s"
	ofUser       = "user_id:%(target.user.id)s"
)

// Rules that handlers judge and no row has.
var (
	ruleTrustsOfTrustor = httpapi.Check("identity:list_trusts_for_trustor", adminOrReader+" or "+ofTrustor)
	ruleTrustsOfTrustee = httpapi.Check("identity:list_trusts_for_trustee", adminOrReader+" or "+ofTrustee)
	ruleGetCredential   = httpapi.Check("identity:get_credential", adminOrReader+" or "+ofCredential)
	ruleUpdate          = httpapi.Check("identity:update_credential", admin+" or "+ofCredential)

	// Rules are those of them that no row names.
	Rules = []httpapi.Rule{ruleTrustsOfTrustor, ruleTrustsOfTrustee}
)

// Routes are those of the room.
func Routes(auth *token.Authenticator, o base.Options) []httpapi.Route {
	s := &service{o.WithDefaults(), token.NewIssuer(auth, o)}
	var out []httpapi.Route
	add := func(method, path string, status int, rule httpapi.Rule, body *httpapi.Schema, h httpapi.Handler) {
		out = append(out, httpapi.Route{Method: method, Path: path, Rule: rule, Status: status, Body: body, Handler: h})
	}
	read := func(path string, rule httpapi.Rule, h httpapi.Handler) { // GET, and HEAD beside it
		add(http.MethodGet, path, http.StatusOK, rule, nil, h)
		add(http.MethodHead, path, http.StatusOK, rule, nil, h)
	}
	rule := func(name, check string) httpapi.Rule { return httpapi.Judged("identity:"+name, check) }
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	const made, gone = http.StatusCreated, http.StatusNoContent

	add(get, "/credentials", 0, rule("list_credentials", adminOrReader+" or "+ofCredential), nil, listCredentials)
	add(post, "/credentials", made, rule("create_credential", admin+" or "+ofCredential), credentialCreate, createCredential)
	add(get, "/credentials/{id}", 0, rule("get_credential", adminOrReader+" or "+ofCredential), nil, showCredential)
	add(patch, "/credentials/{id}", 0, rule("update_credential", admin+" or "+ofCredential), credentialUpdate, updateCredential)
	add(del, "/credentials/{id}", gone, rule("delete_credential", admin+" or "+ofCredential), nil, deleteCredential)

	const ec2 = "/users/{user}/credentials/OS-EC2"
	mine := admin + " or (role:member and " + ofCredential + ")"
	add(get, ec2, 0, rule("ec2_list_credentials", adminOrReader+orOwner), nil, listEC2)
	add(post, ec2, made, rule("ec2_create_credential", mine), ec2Create, createEC2)
	add(get, ec2+"/{access}", 0, rule("ec2_get_credential", adminOrReader+" or "+ofCredential), nil, showEC2)
	add(del, ec2+"/{access}", gone, rule("ec2_delete_credential", mine), nil, deleteEC2)
	add(post, "/ec2tokens", 0, httpapi.Check("identity:ec2tokens_validate", adminService), nil, s.ec2Token)
	add(post, "/s3tokens", 0, httpapi.Check("identity:s3tokens_validate", adminService), nil, s.s3Token)

	const appCreds, rules = "/users/{user}/application_credentials", "/users/{user}/access_rules"
	read(appCreds, rule("list_application_credentials", adminOrReader+orOwner), listAppCreds)
	add(post, appCreds, made, rule("create_application_credential", "user_id:%(user_id)s"), appCredCreate, s.createAppCred)
	read(appCreds+"/{id}", rule("get_application_credential", adminOrReader+orOwner), showAppCred)
	add(del, appCreds+"/{id}", gone, rule("delete_application_credential", admin+orOwner), nil, deleteAppCred)
	read(rules, rule("list_access_rules", "(role:reader and system_scope:all) or "+ofUser), listAccessRules)
	read(rules+"/{id}", rule("get_access_rule", "(role:reader and system_scope:all) or "+ofUser), showAccessRule)
	add(del, rules+"/{id}", gone, rule("delete_access_rule", "(role:admin and system_scope:all) or "+ofUser), nil, deleteAccessRule)

	const trusts = "/OS-TRUST/trusts"
	either := adminOrReader + " or " + ofTrustor + " or " + ofTrustee
	read(trusts, rule("list_trusts", adminOrReader), listTrusts)
	add(post, trusts, made, rule("create_trust", ofTrustor), trustCreate, s.createTrust)
	read(trusts+"/{id}", rule("get_trust", either), s.showTrust)
	add(del, trusts+"/{id}", gone, rule("delete_trust", admin+" or "+ofTrustor), nil, s.deleteTrust)
	read(trusts+"/{id}/roles", rule("list_roles_for_trust", either), s.listTrustRoles)
	read(trusts+"/{id}/roles/{role}", rule("get_role_for_trust", either), s.showTrustRole)
	return out
}

const clientError = " The server could not comply with the request since it is either malformed or otherwise incorrect. The client is assumed to be in error."

// missing is Keystone's 400 for what a request lacks.
func missing(attribute, target string) error {
	return httpapi.BadRequest("Expecting to find %s in %s.%s", attribute, target, clientError)
}

func forbidden(action string) error {
	return httpapi.Forbidden("You are not authorized to perform the requested action: %s.", action)
}

// errForbidden is Keystone's refusal that says no reason.
var errForbidden = httpapi.Forbidden("You are not authorized to perform the requested action.")

// expiry reads a time at which something is to end: 0 for none. It is in UTC whatever it says, as in Keystone.
func (s *service) expiry(text *string) (structs.Time, error) {
	if text == nil || *text == "" {
		return 0, nil
	}
	at, err := httpapi.ParseTime(*text)
	if err != nil {
		return 0, httpapi.BadRequest("Timestamp not in expected format.%s", clientError)
	}
	if !at.After(s.opts.Now()) {
		return 0, httpapi.BadRequest("The 'expires_at' must not be before now.%s", clientError)
	}
	return structs.TimeOf(at.Truncate(time.Microsecond)), nil
}

// delegated reports whether the caller acts with what somebody gave it.
func delegated(t *httpapi.Token) bool { return t.TrustID != "" || t.ApplicationCredID != "" }

// restricted reports whether the caller acts with an application credential that may make no others.
func restricted(t *httpapi.Token) bool { return t.ApplicationCredID != "" && !t.ApplicationCredFree }
