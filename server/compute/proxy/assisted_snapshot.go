package proxy

import (
	"encoding/json"
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// assistedSnapshotRoutes are asked by the volume service: the hypervisor makes and removes the snapshots of volumes that lie in files.
func (s *service) assistedSnapshotRoutes() []httpapi.Route {
	const all, policy = "/os-assisted-volume-snapshots", "os_compute_api:os-assisted-volume-snapshots:"
	return []httpapi.Route{
		{Method: http.MethodPost, Path: all, Rule: httpapi.ServiceOrAdmin(policy + "create"), Body: assistedSnapshotSchema, Handler: s.createAssistedSnapshot},
		{Method: http.MethodDelete, Path: all + "/{id}", Rule: httpapi.ServiceOrAdmin(policy + "delete"), Query: assistedSnapshotQuery, Status: http.StatusNoContent,
			Handler: s.deleteAssistedSnapshot},
	}
}

var (
	assistedSnapshotSchema = base.Schema(`{"type": "object", "additionalProperties": false, "required": ["snapshot"], "properties": {
		"snapshot": {"type": "object", "additionalProperties": false, "required": ["volume_id", "create_info"], "properties": {
			"volume_id": {"type": "string", "minLength": 1},
			"create_info": {"type": "object", "additionalProperties": false, "required": ["snapshot_id", "type", "new_file"], "properties": {
				"snapshot_id": {"type": "string", "minLength": 1}, "type": {"type": "string", "enum": ["qcow2"]},
				"new_file": {"type": "string", "minLength": 1}, "id": {"type": "string", "minLength": 1}}}}}}}`)

	assistedSnapshotQuery = base.Schema(`{"type": "object", "x-closed-from": 75, "properties": {"delete_info": @text}}`)
)

// assisted is 400 for a volume that no instance has: the body names it, not the URL.
func assisted(err error) error {
	if structs.IsKind(err, structs.KindNotFound) || structs.IsKind(err, structs.KindConflict) {
		return httpapi.BadRequest("%s", err.Error())
	}
	return err
}

func (s *service) createAssistedSnapshot(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Snapshot struct {
			VolumeID string `json:"volume_id"`
			Info     struct {
				SnapshotID string  `json:"snapshot_id"`
				Type       string  `json:"type"`
				NewFile    string  `json:"new_file"`
				ID         *string `json:"id"`
			} `json:"create_info"`
		} `json:"snapshot"`
	}](r)
	if err != nil {
		return nil, err
	}
	in := &body.Snapshot
	a := AssistedSnapshot{VolumeID: in.VolumeID, SnapshotID: in.Info.SnapshotID, Type: in.Info.Type, NewFile: in.Info.NewFile}
	if in.Info.ID != nil {
		a.ID = *in.Info.ID
	}
	if err := s.Attachments.CreateAssistedSnapshot(r, a); err != nil {
		return nil, assisted(err)
	}
	return map[string]any{"snapshot": map[string]any{"id": in.Info.ID, "volumeId": in.VolumeID}}, nil
}

func (s *service) deleteAssistedSnapshot(r *httpapi.Request) (any, error) {
	q := r.Query()
	if !q.Has("delete_info") {
		return nil, httpapi.BadRequest("'delete_info'")
	}
	text := base.Last(q["delete_info"])
	var info map[string]json.RawMessage
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		return nil, httpapi.BadRequest("delete_info is no JSON object: %s", err.Error())
	}
	var volume string
	if id, ok := info["volume_id"]; !ok {
		return nil, httpapi.BadRequest("'volume_id'")
	} else if err := json.Unmarshal(id, &volume); err != nil {
		return nil, httpapi.BadRequest("volume_id is no string: %s", err.Error())
	}
	return nil, assisted(s.Attachments.DeleteAssistedSnapshot(r, volume, r.Vars["id"], json.RawMessage(text)))
}
