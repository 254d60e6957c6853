package project

import (
	"net/http"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func keypairRule(verb string) httpapi.Rule {
	return httpapi.SelfOrAdmin("os_compute_api:os-keypairs:" + verb)
}

func (s *service) keypairRoutes() []httpapi.Route {
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/os-keypairs", Rule: keypairRule("index"), Query: keypairListQuery, Handler: s.listKeypairs},
		{Method: http.MethodPost, Path: "/os-keypairs", Rule: keypairRule("create"), Body: keypairCreateSchema, Handler: s.createKeypair},
		{Method: http.MethodGet, Path: "/os-keypairs/{id}", Rule: keypairRule("show"), Query: keypairQuery, Handler: s.showKeypair},
		{Method: http.MethodDelete, Path: "/os-keypairs/{id}", Rule: keypairRule("delete"), Query: keypairQuery, Handler: s.deleteKeypair},
	}
}

// keypairUser returns whose keypairs the request is about: the caller's, or from 2.10 on those of the user named, which takes an administrator.
func keypairUser(r *httpapi.Request) (structs.UserID, error) {
	u := r.Token.UserID
	if v := r.Query()["user_id"]; len(v) > 0 && v[0] != "" {
		u = structs.UserID(v[0])
	}
	return u, r.AllowUser(r.Route.Rule, u)
}

// keypairView is what all of Nova's views of a keypair share; type from 2.2 on.
func keypairView(r *httpapi.Request, k *structs.Keypair) map[string]any {
	v := map[string]any{"name": k.Name, "public_key": k.PublicKey, "fingerprint": k.Fingerprint}
	if r.Version >= 2 {
		v["type"] = k.Type
	}
	return v
}

func (s *service) listKeypairs(r *httpapi.Request) (any, error) {
	u, err := keypairUser(r)
	if err != nil {
		return nil, err
	}
	p, err := r.Page()
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	var found []*structs.Keypair
	if r.Version >= 35 { // by name, in pages
		if p.Marker != "" && rd.Keypair(u, p.Marker) == nil {
			return nil, httpapi.BadRequest("Marker %s could not be found.", p.Marker)
		}
		found, err = httpapi.Paginate(rd.Keypairs(u), p, func(k *structs.Keypair) string { return k.Name })
	} else { // all, in the order of their making
		found = slices.SortedFunc(rd.Keypairs(u), func(a, b *structs.Keypair) int { return int(a.ID - b.ID) })
	}
	if err != nil {
		return nil, err
	}
	list := make([]map[string]any, len(found))
	for i, k := range found {
		list[i] = map[string]any{"keypair": keypairView(r, k)}
	}
	answer := map[string]any{"keypairs": list}
	if n := len(found); n > 0 && r.Version >= 35 {
		if next := r.NextLinks(p, n, found[n-1].Name); next != nil {
			answer["keypairs_links"] = next
		}
	}
	return answer, nil
}

func (s *service) showKeypair(r *httpapi.Request) (any, error) {
	u, err := keypairUser(r)
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	k := rd.Keypair(u, r.Vars["id"])
	if k == nil {
		return nil, httpapi.NotFound("Keypair %s not found for user %s", r.Vars["id"], u)
	}
	v := keypairView(r, k)
	v["user_id"], v["id"], v["created_at"] = k.UserID, k.ID, base.Micros(k.CreatedAt)
	v["deleted"], v["deleted_at"], v["updated_at"] = false, nil, nil
	return map[string]any{"keypair": v}, nil
}

type keypairCreateBody struct {
	Keypair struct {
		Name      string  `json:"name"`
		PublicKey *string `json:"public_key"`
		Type      string  `json:"type"`
		UserID    string  `json:"user_id"`
	} `json:"keypair"`
}

// createKeypair takes a public key, or before 2.92 makes a pair and returns the private key, which is kept nowhere.
func (s *service) createKeypair(r *httpapi.Request) (any, error) {
	body, err := base.Decode[keypairCreateBody](r)
	if err != nil {
		return nil, err
	}
	in := &body.Keypair
	k := structs.Keypair{UserID: r.Token.UserID, Name: in.Name, Type: in.Type, CreatedAt: s.Time()}
	if in.UserID != "" {
		k.UserID = structs.UserID(in.UserID)
	}
	if err := r.AllowUser(r.Route.Rule, k.UserID); err != nil {
		return nil, err
	}
	if k.Type == "" {
		k.Type = keypairSSH
	}
	private := ""
	if in.PublicKey != nil {
		k.PublicKey = *in.PublicKey
	} else if private, k.PublicKey, err = generateKeypair(k.Type); err != nil {
		return nil, err
	}
	if k.Fingerprint, err = fingerprint(k.Type, k.PublicKey); err != nil {
		return nil, err
	}
	made, err := fsm.KeypairCreate.Propose(r.Context(), r.Core, &structs.KeypairCreateRequest{Keypair: k, ProjectID: r.Token.ProjectID})
	if err != nil {
		return nil, err
	}
	v := keypairView(r, made)
	v["user_id"] = made.UserID
	if private != "" {
		v["private_key"] = private
	}
	status := http.StatusOK
	if r.Version >= 2 {
		status = http.StatusCreated
	}
	return httpapi.Reply{Status: status, Body: map[string]any{"keypair": v}}, nil
}

func (s *service) deleteKeypair(r *httpapi.Request) (any, error) {
	u, err := keypairUser(r)
	if err != nil {
		return nil, err
	}
	if _, err := fsm.KeypairDelete.Propose(r.Context(), r.Core, &structs.KeypairDeleteRequest{UserID: u, Name: r.Vars["id"]}); err != nil {
		return nil, err
	}
	if r.Version >= 2 {
		return httpapi.Reply{Status: http.StatusNoContent}, nil
	}
	return httpapi.Reply{Status: http.StatusAccepted}, nil
}
