package instance

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// passwordRoutes are about the password that a guest made up and reported, encrypted with its keypair. They do not touch the guest.
func (s *service) passwordRoutes() []httpapi.Route {
	const path, policy = "/servers/{server_id}/os-server-password", "os_compute_api:os-server-password:"
	return []httpapi.Route{
		{Method: http.MethodGet, Path: path, Rule: httpapi.ReaderOrAdmin(policy + "show"), Query: base.NoQuery, Handler: s.showPassword},
		{Method: http.MethodDelete, Path: path, Rule: httpapi.MemberOrAdmin(policy + "clear"), Status: http.StatusNoContent, Handler: s.clearPassword},
	}
}

func (s *service) showPassword(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil {
		return nil, err
	}
	return map[string]string{"password": ins.Password}, nil
}

func (s *service) clearPassword(r *httpapi.Request) (any, error) {
	ins, err := instanceOfURL(r)
	if err != nil || ins.Password == "" {
		return nil, err
	}
	_, err = fsm.InstancePassword.Propose(r.Context(), r.Core, &structs.InstancePasswordRequest{ID: ins.ID, Now: s.Time()})
	return nil, err
}
