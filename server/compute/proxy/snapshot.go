package proxy

import (
	"net/http"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) snapshotRoutes() []httpapi.Route {
	const policy = "os_compute_api:os-volumes:snapshots:"
	return until(lastProxy, []httpapi.Route{
		{Method: http.MethodGet, Path: "/os-snapshots", Rule: httpapi.ReaderOrAdmin(policy + "list"), Query: pageQuery, Handler: s.listSnapshots},
		{Method: http.MethodGet, Path: "/os-snapshots/detail", Rule: httpapi.ReaderOrAdmin(policy + "detail"), Query: pageQuery, Handler: s.listSnapshots},
		{Method: http.MethodGet, Path: "/os-snapshots/{id}", Rule: httpapi.ReaderOrAdmin(policy + "show"), Query: base.NoQuery, Handler: s.showSnapshot},
		{Method: http.MethodPost, Path: "/os-snapshots", Rule: httpapi.MemberOrAdmin(policy + "create"), Body: snapshotCreateSchema, Handler: s.createSnapshot},
		{Method: http.MethodDelete, Path: "/os-snapshots/{id}", Rule: httpapi.MemberOrAdmin(policy + "delete"), Status: http.StatusAccepted,
			Handler: s.deleteSnapshot},
	})
}

func snapshotView(v *Snapshot) map[string]any {
	return map[string]any{"id": v.ID, "volumeId": v.VolumeID, "status": v.Status, "size": v.SizeGiB, "createdAt": base.Micros(v.CreatedAt),
		"displayName": v.Name, "displayDescription": v.Description}
}

func (s *service) listSnapshots(r *httpapi.Request) (any, error) {
	list, err := s.Snapshots.Snapshots(r)
	if err != nil {
		return nil, err
	}
	return views(r, "snapshots", list, snapshotView)
}

func (s *service) showSnapshot(r *httpapi.Request) (any, error) {
	v, err := s.Snapshots.Snapshot(r, r.Vars["id"])
	if err != nil {
		return nil, err
	}
	return map[string]any{"snapshot": snapshotView(v)}, nil
}

func (s *service) createSnapshot(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Snapshot struct {
			VolumeID    string        `json:"volume_id"`
			Force       base.FlexBool `json:"force"`
			Name        *string       `json:"display_name"`
			Description *string       `json:"display_description"`
		} `json:"snapshot"`
	}](r)
	if err != nil {
		return nil, err
	}
	in := &body.Snapshot
	v, err := s.Snapshots.CreateSnapshot(r, in.VolumeID, in.Name, in.Description, bool(in.Force))
	if err != nil {
		return nil, err
	}
	return map[string]any{"snapshot": snapshotView(v)}, nil
}

func (s *service) deleteSnapshot(r *httpapi.Request) (any, error) {
	return nil, s.Snapshots.DeleteSnapshot(r, r.Vars["id"])
}
