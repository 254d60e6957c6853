package delegation_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/delegation/awssign"
	"github.com/kilonova-cloud/kilonova/server/identity/identitytest"
)

// keys makes access keys with a token.
func (c *cloud) keys(u structs.UserID, text string) (access, secret string) {
	c.T.Helper()
	m := c.object(201, "POST", "/users/"+string(u)+"/credentials/OS-EC2", text, fmt.Sprintf(`{"tenant_id":%q}`, c.project), "credential")
	return m["access"].(string), m["secret"].(string)
}

// signedV2 is a request that was signed at a time.
func signedV2(access, secret, host string, at time.Time) map[string]any {
	params := map[string]string{"SignatureVersion": "2", "SignatureMethod": "HmacSHA256", "Action": "Test", "Timestamp": at.UTC().Format("2006-01-02T15:04:05Z")}
	sig := awssign.V2(secret, awssign.Request{Verb: "GET", Host: host, Path: "/", Params: params})
	return map[string]any{"access": access, "host": host, "verb": "GET", "path": "/", "params": params, "signature": sig}
}

func signedV4(access, secret string, at time.Time) map[string]any {
	date := at.UTC().Format("20060102T150405Z")
	headers := map[string]string{"Host": "cloud", "X-Amz-Date": date,
		"Authorization": fmt.Sprintf("AWS4-HMAC-SHA256 Credential=%s/%s/r/ec2/aws4_request, SignedHeaders=host;x-amz-date, Signature=x", access, date[:8])}
	sig, _, _ := awssign.V4(secret, awssign.Request{Verb: "POST", Path: "/", Headers: headers, BodyHash: "h"})
	return map[string]any{"access": access, "host": "cloud", "verb": "POST", "path": "/", "params": map[string]string{}, "headers": headers, "body_hash": "h", "signature": sig}
}

func (c *cloud) ec2(text, key string, signed map[string]any) identitytest.Answer {
	c.T.Helper()
	body, err := json.Marshal(map[string]any{key: signed})
	require.NoError(c.T, err)
	return c.Do("POST", "/ec2tokens", text, string(body))
}

// ec2Token is the token of a request that is right.
func (c *cloud) ec2Token(access, secret string) string {
	c.T.Helper()
	a := c.ec2(c.on(svc), "credentials", signedV2(access, secret, "cloud", c.Now()))
	require.Equal(c.T, 200, a.Status, a.Body)
	return a.Header.Get("X-Subject-Token")
}

func TestEC2Tokens(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	access, secret := c.keys(ann, c.on(ann))
	now, service := c.Now(), c.on(svc)
	for name, x := range map[string]struct {
		key    string
		signed map[string]any
		want   int
	}{
		"v2":              {"credentials", signedV2(access, secret, "cloud", now), 200},
		"v2, singular":    {"credential", signedV2(access, secret, "cloud", now), 200},
		"v2, old name":    {"ec2Credentials", signedV2(access, secret, "cloud", now), 200},
		"v4":              {"credentials", signedV4(access, secret, now), 200},
		"wrong secret":    {"credentials", signedV2(access, secret+"x", "cloud", now), 401},
		"wrong secret v4": {"credentials", signedV4(access, secret+"x", now), 401},
		"unknown key":     {"credentials", signedV2("nothing", secret, "cloud", now), 404},
		"no key":          {"credentials", map[string]any{"signature": "x"}, 401},
		"no signature":    {"credentials", map[string]any{"access": access}, 401},
		"no form":         {"credentials", map[string]any{"access": access, "signature": "x"}, 401},
		"a little late":   {"credentials", signedV2(access, secret, "cloud", now.Add(-14*time.Minute)), 200},
		"too late":        {"credentials", signedV2(access, secret, "cloud", now.Add(-16*time.Minute)), 401},
		"too late, v4":    {"credentials", signedV4(access, secret, now.Add(-16*time.Minute)), 401},
		"a fast clock":    {"credentials", signedV2(access, secret, "cloud", now.Add(4*time.Minute)), 200},
		"of tomorrow":     {"credentials", signedV4(access, secret, now.Add(24*time.Hour)), 401},
		"nothing":         {"x", nil, 401},
		"no texts":        {"credentials", map[string]any{"access": 1}, 400},
	} {
		a := c.ec2(service, x.key, x.signed)
		assert.Equal(t, x.want, a.Status, "%s: %s", name, a.Body)
		assert.NotContains(t, a.Body, secret, name)
		assert.Equal(t, x.want == 200, a.Header.Get("X-Subject-Token") != "", name)
	}
	withPort := signedV2(access, secret, "cloud", now)
	withPort["host"] = "cloud:8788"
	assert.Equal(t, 200, c.ec2(service, "credentials", withPort).Status, "who signs without the port")
	stale := signedV4(access, secret, now.Add(-time.Hour))
	stale["params"] = map[string]string{"Timestamp": now.UTC().Format(time.RFC3339)}
	assert.Equal(t, 401, c.ec2(service, "credentials", stale).Status, "a time that was not signed counts for nothing")
	c.Want(400, "POST", "/ec2tokens", service, `{}`)

	a := c.ec2(service, "credentials", signedV4(access, secret, now))
	tok := a.JSON(t)["token"].(map[string]any)
	assert.Equal(t, []any{"ec2credential"}, tok["methods"])
	assert.Equal(t, string(ann), tok["user"].(map[string]any)["id"])
	assert.Equal(t, string(c.project), tok["project"].(map[string]any)["id"])
	signed := a.Header.Get("X-Subject-Token")
	assert.Equal(t, []string{"manager", "member", "reader"}, c.rolesOf(signed))
	assert.Contains(t, c.Want(403, "GET", "/auth/projects", signed, "").Body, "EC2 credential tokens cannot be used for authorization.")
	c.Want(403, "POST", "/users/"+string(ann)+"/application_credentials", signed, `{"application_credential": {"name": "outlives the key"}}`)
	again := c.Want(201, "POST", "/auth/tokens", "", fmt.Sprintf(`{"auth": {"identity": {"methods": ["token"], "token": {"id": %q}}, "scope": {"project": {"id": %q}}}}`, signed, c.project))
	c.Want(403, "GET", "/auth/projects", again.Header.Get("X-Subject-Token"), "")
	for name, text := range map[string]string{"ann": c.on(ann), "reader": c.system(c.Admin.ID)} {
		want := map[string]int{"ann": 403, "reader": 200}[name]
		assert.Equal(t, want, c.ec2(text, "credentials", signedV2(access, secret, "cloud", now)).Status, name)
	}
	assert.Equal(t, 401, c.ec2("", "credentials", signedV2(access, secret, "cloud", now)).Status)
	c.set(ann, func(u *structs.User) { u.Enabled = false })
	assert.Equal(t, 401, c.ec2(service, "credentials", signedV2(access, secret, "cloud", now)).Status, "disabled")
}

// What was signed holds for as long as the operator says, with either version.
func TestLifeOfSignatures(t *testing.T) {
	t.Parallel()
	c := newCloudWith(t, base.Options{SignatureTTL: 2 * time.Minute})
	access, secret := c.keys(ann, c.on(ann))
	for age, want := range map[time.Duration]int{2 * time.Minute: 200, 2*time.Minute + time.Second: 401} {
		at := c.Now().Truncate(time.Second).Add(-age)
		if c.Now().Sub(at) > age && want == 200 { // times are signed in whole seconds
			at = at.Add(time.Second)
		}
		assert.Equal(t, want, c.ec2(c.on(svc), "credentials", signedV2(access, secret, "cloud", at)).Status, "%s, v2", age)
		assert.Equal(t, want, c.ec2(c.on(svc), "credentials", signedV4(access, secret, at)).Status, "%s, v4", age)
	}
}

func TestS3Tokens(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	access, secret := c.keys(ann, c.on(ann))
	ask := func(text, signature string) identitytest.Answer {
		body, _ := json.Marshal(map[string]any{"credentials": map[string]any{"access": access, "signature": signature, "token": base64.URLEncoding.EncodeToString([]byte(text))}})
		return c.Do("POST", "/s3tokens", c.on(svc), string(body))
	}
	for _, text := range []string{"GET\n\n\n\n/b/k?~>>", "AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/s3/aws4_request\nx"} {
		sig, err := awssign.S3(secret, text)
		require.NoError(t, err)
		a := ask(text, sig)
		require.Equal(t, 200, a.Status, a.Body)
		assert.Empty(t, a.Header.Get("X-Subject-Token"))
		assert.Contains(t, a.Body, string(ann))
		assert.Equal(t, 401, ask(text+"x", sig).Status)
		assert.Equal(t, 401, ask(text, strings.Repeat("0", len(sig))).Status)
	}
	assert.Equal(t, 401, ask("AWS4-HMAC-SHA256\n20130524T000000Z\n20130524/us-east-1/ec2/aws4_request\nx", "x").Status)
	c.Want(403, "POST", "/s3tokens", c.on(ann), `{"credentials":{}}`)
}
