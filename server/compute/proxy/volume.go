package proxy

import (
	"fmt"
	"net/http"

	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) volumeRoutes() []httpapi.Route {
	reader := func(verb string) httpapi.Rule { return httpapi.ReaderOrAdmin("os_compute_api:os-volumes:" + verb) }
	member := func(verb string) httpapi.Rule { return httpapi.MemberOrAdmin("os_compute_api:os-volumes:" + verb) }
	return until(lastProxy, []httpapi.Route{
		{Method: http.MethodGet, Path: "/os-volumes", Rule: reader("list"), Query: pageQuery, Handler: s.listVolumes},
		{Method: http.MethodGet, Path: "/os-volumes/detail", Rule: reader("detail"), Query: pageQuery, Handler: s.listVolumes},
		{Method: http.MethodGet, Path: "/os-volumes/{id}", Rule: reader("show"), Query: base.NoQuery, Handler: s.showVolume},
		{Method: http.MethodPost, Path: "/os-volumes", Rule: member("create"), Body: volumeCreateSchema, Handler: s.createVolume},
		{Method: http.MethodDelete, Path: "/os-volumes/{id}", Rule: member("delete"), Status: http.StatusAccepted, Handler: s.deleteVolume},
	})
}

func textOrNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// volumeView is the same in all of Nova's answers about a volume. One that is attached nowhere has one empty attachment.
func volumeView(v *Volume) map[string]any {
	attachment := map[string]any{}
	if v.AttachedTo != "" {
		attachment = map[string]any{"id": v.ID, "volumeId": v.ID, "serverId": v.AttachedTo}
		if v.Device != "" {
			attachment["device"] = v.Device
		}
	}
	metadata := v.Metadata
	if metadata == nil {
		metadata = map[string]string{}
	}
	return map[string]any{"id": v.ID, "status": v.Status, "size": v.SizeGiB, "availabilityZone": textOrNull(v.Zone), "createdAt": base.Micros(v.CreatedAt),
		"attachments": []any{attachment}, "displayName": v.Name, "displayDescription": v.Description, "volumeType": textOrNull(v.Type),
		"snapshotId": textOrNull(v.SnapshotID), "metadata": metadata}
}

// views cuts a list to the page that was asked for and shows each.
func views[T any](r *httpapi.Request, key string, list []T, view func(*T) map[string]any) (any, error) {
	p, err := r.Page()
	if err != nil {
		return nil, err
	}
	out := []map[string]any{}
	for _, v := range httpapi.Slice(r, list, p) {
		out = append(out, view(&v))
	}
	return map[string]any{key: out}, nil
}

func (s *service) listVolumes(r *httpapi.Request) (any, error) {
	list, err := s.Volumes.Volumes(r)
	if err != nil {
		return nil, err
	}
	return views(r, "volumes", list, volumeView)
}

func (s *service) showVolume(r *httpapi.Request) (any, error) {
	v, err := s.Volumes.Volume(r, r.Vars["id"])
	if err != nil {
		return nil, err
	}
	return map[string]any{"volume": volumeView(v)}, nil
}

func (s *service) createVolume(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Volume struct {
			Size        base.FlexInt   `json:"size"`
			Name        *string        `json:"display_name"`
			Description *string        `json:"display_description"`
			Type        string         `json:"volume_type"`
			Zone        string         `json:"availability_zone"`
			SnapshotID  string         `json:"snapshot_id"`
			Metadata    map[string]any `json:"metadata"`
		} `json:"volume"`
	}](r)
	if err != nil {
		return nil, err
	}
	in := &body.Volume
	spec := VolumeSpec{SizeGiB: int64(in.Size), Name: in.Name, Description: in.Description, Type: in.Type, Zone: in.Zone, SnapshotID: in.SnapshotID,
		Metadata: map[string]string{}}
	for k, v := range in.Metadata {
		spec.Metadata[k] = fmt.Sprint(v)
	}
	v, err := s.Volumes.CreateVolume(r, spec)
	if err != nil {
		return nil, err
	}
	r.Writer.Header().Set("Location", r.Self("os-volumes", v.ID))
	return map[string]any{"volume": volumeView(v)}, nil
}

func (s *service) deleteVolume(r *httpapi.Request) (any, error) {
	return nil, s.Volumes.DeleteVolume(r, r.Vars["id"])
}
