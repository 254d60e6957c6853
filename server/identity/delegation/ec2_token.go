package delegation

import (
	"encoding/base64"
	"encoding/json"
	"net"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
	"github.com/kilonova-cloud/kilonova/server/identity/delegation/awssign"
	"github.com/kilonova-cloud/kilonova/server/identity/token"
)

// clockSkew is how far a signer's clock may be ahead.
const clockSkew = 5 * time.Minute

// signed is a request that somebody signed with a user's keys, as the service that got it tells of it.
type signed struct {
	Access    string            `json:"access"`
	Signature string            `json:"signature"`
	Verb      string            `json:"verb"`
	Host      string            `json:"host"`
	Path      string            `json:"path"`
	Params    map[string]string `json:"params"`
	Headers   map[string]string `json:"headers"`
	BodyHash  string            `json:"body_hash"`
	Token     string            `json:"token"` // of S3: what was signed, in base64
}

var errUnauthorized = structs.Errorf(structs.KindUnauthorized, "The request you have made requires authentication.")

// readSigned finds what was signed under any of the names that Keystone knows.
func readSigned(r *httpapi.Request) (*signed, error) {
	if len(r.Body) == 0 || string(r.Body) == "{}" {
		return nil, httpapi.BadRequest("request must include a request body")
	}
	var body struct {
		Credentials    *signed `json:"credentials"`
		Credential     *signed `json:"credential"`
		EC2Credentials *signed `json:"ec2Credentials"`
	}
	if err := json.Unmarshal(r.Body, &body); err != nil {
		return nil, httpapi.BadRequest("credentials is no object, or a field of it has the wrong type")
	}
	for _, c := range []*signed{body.Credentials, body.Credential, body.EC2Credentials} {
		if c != nil && c.Access != "" && c.Signature != "" {
			return c, nil
		}
	}
	return nil, errUnauthorized
}

// matches checks a request of versions 2 and 4, which holds for a life from its time on. Some clients sign without the port that the request came to.
func (q *signed) matches(secret string, now time.Time, life time.Duration) bool {
	req := awssign.Request{Verb: q.Verb, Host: q.Host, Path: q.Path, Params: q.Params, Headers: q.Headers, BodyHash: q.BodyHash}
	want, at, err := awssign.Sign(secret, req)
	if err != nil || !at.IsZero() && (now.Sub(at) > life || at.Sub(now) > clockSkew) {
		return false
	}
	if awssign.Equal(want, q.Signature) {
		return true
	}
	host, _, err := net.SplitHostPort(q.Host)
	if err != nil {
		return false
	}
	req.Host = host
	want, _, err = awssign.Sign(secret, req)
	return err == nil && awssign.Equal(want, q.Signature)
}

// matchesS3 checks what S3 signs. How old it may be is S3's to know: a signature may be made for days.
func (q *signed) matchesS3(secret string) bool {
	text, err := base64.URLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_").Replace(q.Token))
	if err != nil {
		return false
	}
	want, err := awssign.S3(secret, string(text))
	return err == nil && awssign.Equal(want, q.Signature)
}

// ec2Token is POST /ec2tokens: a service asks for the token of who signed a request.
func (s *service) ec2Token(r *httpapi.Request) (any, error) {
	text, body, err := s.signedToken(r, func(q *signed, secret string) bool { return q.matches(secret, s.opts.Now(), s.opts.SignatureTTL) })
	if err != nil {
		return nil, err
	}
	r.Writer.Header().Set("X-Subject-Token", text)
	return body, nil
}

// s3Token is POST /s3tokens: the same for S3, which is told who it is, and gets no token.
func (s *service) s3Token(r *httpapi.Request) (any, error) {
	_, body, err := s.signedToken(r, func(q *signed, secret string) bool { return q.matchesS3(secret) })
	return body, err
}

// signedToken makes a token for what an access key stands for: its user on its project, or what it was made with.
func (s *service) signedToken(r *httpapi.Request, right func(q *signed, secret string) bool) (string, any, error) {
	q, err := readSigned(r)
	if err != nil {
		return "", nil, err
	}
	st, err := base.Read(r)
	if err != nil {
		return "", nil, err
	}
	c := st.Credential(accessID(q.Access))
	if c == nil || !isEC2(c) {
		return "", nil, httpapi.NotFound("EC2 access key not found.")
	}
	if secret := keysOf(c).Secret; secret == "" || !right(q, secret) {
		return "", nil, errUnauthorized
	}
	who := token.Known{User: c.UserID, Project: c.ProjectID, Trust: c.TrustID, AppCred: c.AppCredID, Methods: []string{"ec2credential"}}
	if c.TrustID != "" {
		trust := st.Trust(c.TrustID)
		if trust == nil {
			return "", nil, errUnauthorized
		}
		if trust.Impersonation && c.UserID == trust.TrustorID { // it was made by the trustee in the trustor's name
			who.User = trust.TrusteeID
		}
	}
	return s.issuer.Issue(r, who)
}
