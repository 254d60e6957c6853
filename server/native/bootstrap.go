package native

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	identity "github.com/kilonova-cloud/kilonova/server/identity/bootstrap"
)

// BootstrapService serves PUT /v1/identity/bootstrap: a new cluster's administrator is made once, by whoever asks first, without a token. The state
// machine refuses a second time, so that two who ask at once cannot both succeed.
func BootstrapService() *httpapi.Service {
	return &httpapi.Service{Name: "native", Prefix: "/v1/identity", Faults: httpapi.NativeFaults, Routes: []httpapi.Route{
		{Method: http.MethodPut, Path: "/bootstrap", Rule: httpapi.Anyone, Body: bootstrapSchema, Handler: bootstrap}}}
}

var bootstrapSchema = httpapi.MustSchema(`{"type": "object", "additionalProperties": false, "properties": {
	"user_name": {"type": "string", "minLength": 1, "maxLength": 255},
	"project_name": {"type": "string", "minLength": 1, "maxLength": 64},
	"password": {"type": "string", "minLength": 8, "maxLength": 72}}}`)

// administrator is what a bootstrap answers; the password is in no other answer.
type administrator struct {
	UserName    string `json:"user_name"`
	ProjectName string `json:"project_name"`
	DomainName  string `json:"domain_name"`
	Password    string `json:"password"`
	AuthURL     string `json:"auth_url"`
	Region      string `json:"region"`
}

func bootstrap(r *httpapi.Request) (any, error) {
	var in struct {
		UserName    string `json:"user_name"`
		ProjectName string `json:"project_name"`
		Password    string `json:"password"`
	}
	if err := json.Unmarshal(r.Body, &in); err != nil {
		return nil, structs.Errorf(structs.KindInvalid, "Malformed request body")
	}
	st, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	if st.ClusterSettings().Bootstrapped { // before the work of hashing; the state machine has the last word
		return nil, structs.Errorf(structs.KindConflict, "this cluster has its administrator already; it is made once")
	}
	out := administrator{UserName: "admin", ProjectName: "admin", DomainName: "Default", Password: in.Password, AuthURL: r.RootURL() + "/identity/v3", Region: st.ClusterSettings().Region}
	if in.UserName != "" {
		out.UserName = in.UserName
	}
	if in.ProjectName != "" {
		out.ProjectName = in.ProjectName
	}
	if out.Password == "" {
		out.Password = newPassword()
	}
	req, err := identity.Request(identity.Options{AdminUser: out.UserName, AdminProject: out.ProjectName, AdminPassword: out.Password, Now: structs.TimeOf(time.Now())})
	if err != nil {
		return nil, err
	}
	if _, err := fsm.IdentityUpsert.Propose(r.Context(), r.Core, req); err != nil {
		return nil, err
	}
	return out, nil
}

// newPassword returns 26 letters and digits: 128 random bits.
func newPassword() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))
}
