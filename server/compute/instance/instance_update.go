package instance

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type instanceUpdateBody struct {
	Server struct {
		Name        *string               `json:"name"`
		DiskConfig  *string               `json:"OS-DCF:diskConfig"`
		AccessIPv4  *string               `json:"accessIPv4"`
		AccessIPv6  *string               `json:"accessIPv6"`
		Hostname    *string               `json:"hostname"`
		Description base.Optional[string] `json:"description"`
		PinnedZone  base.Optional[string] `json:"pinned_availability_zone"`
	} `json:"server"`
}

// updateInstance is PUT /servers/{id}. It is judged neither by lock nor by states (as in Nova's ServersController.update).
func (s *service) updateInstance(r *httpapi.Request) (any, error) {
	body, err := base.Decode[instanceUpdateBody](r)
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	ins, err := instanceOf(r, rd, r.Vars["id"])
	if err != nil {
		return nil, err
	}
	in := &body.Server
	if in.PinnedZone.Set {
		zone := ""
		if in.PinnedZone.Value != nil {
			zone = *in.PinnedZone.Value
		}
		if _, err := fsm.InstancePin.Propose(r.Context(), r.Core, &structs.InstancePinRequest{ID: ins.ID, Zone: zone, Now: s.Time()}); err != nil {
			return nil, err
		}
	}
	_, err = fsm.InstanceUpdate.Propose(r.Context(), r.Core, &structs.InstanceUpdateRequest{ID: ins.ID, Name: in.Name,
		SetDescription: in.Description.Set, NewDescription: in.Description.Value, Hostname: in.Hostname,
		AccessIPv4: in.AccessIPv4, AccessIPv6: in.AccessIPv6, DiskConfig: in.DiskConfig, Now: s.Time()})
	if err != nil {
		return nil, err
	}
	if rd, err = r.Core.Read(r.Context()); err != nil {
		return nil, err
	}
	if ins, err = instanceOf(r, rd, r.Vars["id"]); err != nil {
		return nil, err
	}
	return oneInstance(r, rd, ins, shapeUpdate), nil
}
