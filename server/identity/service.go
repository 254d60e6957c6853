package identity

import (
	"cmp"
	"net/http"
	"runtime"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"

	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// DefaultTokenTTL is how long a token lives when Options say nothing.
const DefaultTokenTTL = 12 * time.Hour

// Endpoint is one service in the catalog that a token comes with.
type Endpoint struct {
	Type string // compute, identity, image, placement, network, volumev3
	Name string // nova, keystone, glance, placement, neutron, cinderv3
	// Path is below the URL that the client reached us at ("/compute/v2.1"). An absolute URL names a service that runs elsewhere.
	Path string
}

// The endpoints of the services in this binary.
var (
	Compute   = Endpoint{"compute", "nova", "/compute/v2.1"}
	Identity  = Endpoint{"identity", "keystone", "/identity/v3"}
	Image     = Endpoint{"image", "glance", "/image"}
	Placement = Endpoint{"placement", "placement", "/placement"}
)

// Options configure the service.
type Options struct {
	Auth *Authenticator // required; the same that the handler's Options have
	// Endpoints are the services that are there, and nothing else: clients call what the catalog names.
	Endpoints []Endpoint
	TokenTTL  time.Duration // 0: DefaultTokenTTL
	// PasswordChecks bounds how many passwords are hashed at once; 0 is the number of processors. Others wait.
	PasswordChecks int
	// BcryptCost is what an unknown user costs while there is no known one to cost the same as; 0 is bcrypt.DefaultCost.
	BcryptCost int
}

type service struct {
	auth      *Authenticator
	endpoints []Endpoint
	ttl       time.Duration
	cost      int
	checks    *semaphore.Weighted
	dummy     func(cost int) []byte // a hash that no password has
}

// Services returns the version list at /identity and the API at /identity/v3.
func Services(o Options) []*httpapi.Service {
	s := &service{auth: o.Auth, endpoints: o.Endpoints, ttl: cmp.Or(o.TokenTTL, DefaultTokenTTL), cost: cmp.Or(o.BcryptCost, bcrypt.DefaultCost)}
	s.checks = semaphore.NewWeighted(int64(cmp.Or(o.PasswordChecks, runtime.GOMAXPROCS(0))))
	s.dummy = dummyHashes()
	return []*httpapi.Service{
		{Name: "identity", Prefix: "/identity", Faults: httpapi.KeystoneFaults, Routes: []httpapi.Route{
			{Method: http.MethodGet, Path: "", Rule: httpapi.Anyone, Handler: versions},
			{Method: http.MethodGet, Path: "/", Rule: httpapi.Anyone, Handler: versions},
		}},
		{Name: "identity", Prefix: "/identity/v3", Faults: httpapi.KeystoneFaults, Routes: s.routes()},
	}
}

// dummyHashes returns a function that makes, once for each cost, a hash that no password has.
func dummyHashes() func(cost int) []byte {
	var made sync.Map // cost to func() []byte
	return func(cost int) []byte {
		f, _ := made.LoadOrStore(cost, sync.OnceValue(func() []byte {
			h, err := bcrypt.GenerateFromPassword([]byte(newAuditID()), cost)
			if err != nil {
				panic("identity: " + err.Error()) // bcrypt refuses the cost: a programmer's mistake
			}
			return h
		}))
		return f.(func() []byte)()
	}
}

func (s *service) routes() []httpapi.Route {
	get, head, post, del := http.MethodGet, http.MethodHead, http.MethodPost, http.MethodDelete
	user := httpapi.Authenticated
	admin := httpapi.Admin
	return []httpapi.Route{
		{Method: get, Path: "", Rule: httpapi.Anyone, Handler: version},
		{Method: get, Path: "/", Rule: httpapi.Anyone, Handler: version},

		{Method: post, Path: "/auth/tokens", Rule: httpapi.Anyone, Status: http.StatusCreated, Handler: s.authenticate},
		{Method: get, Path: "/auth/tokens", Rule: user("identity:validate_token"), Handler: s.validate},
		{Method: head, Path: "/auth/tokens", Rule: user("identity:check_token"), Handler: s.validate},
		{Method: del, Path: "/auth/tokens", Rule: user("identity:revoke_token"), Status: http.StatusNoContent, Handler: s.revoke},
		{Method: get, Path: "/auth/catalog", Rule: user("identity:get_auth_catalog"), Handler: s.showCatalog},
		{Method: get, Path: "/auth/projects", Rule: user("identity:get_auth_projects"), Handler: ownProjects},
		{Method: get, Path: "/auth/domains", Rule: user("identity:get_auth_domains"), Handler: ownDomains},

		{Method: get, Path: "/users", Rule: admin("identity:list_users"), Handler: listUsers},
		{Method: get, Path: "/users/{id}", Rule: user("identity:get_user"), Handler: showUser},
		{Method: get, Path: "/users/{id}/projects", Rule: user("identity:list_user_projects"), Handler: userProjects},
		{Method: get, Path: "/projects", Rule: admin("identity:list_projects"), Handler: listProjects},
		{Method: get, Path: "/projects/{id}", Rule: user("identity:get_project"), Handler: showProject},
		{Method: get, Path: "/roles", Rule: admin("identity:list_roles"), Handler: listRoles},
		{Method: get, Path: "/roles/{id}", Rule: admin("identity:get_role"), Handler: showRole},
		{Method: get, Path: "/domains", Rule: admin("identity:list_domains"), Handler: listDomains},
		{Method: get, Path: "/domains/{id}", Rule: user("identity:get_domain"), Handler: showDomain},
		{Method: get, Path: "/role_assignments", Rule: user("identity:list_role_assignments"), Handler: listAssignments},
	}
}
