package instance

import (
	"encoding/json"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// resolveGroup puts an instance into the server group that the hint group names, by a UUID or a list of one. What the caller does not see is not there.
func resolveGroup(r *httpapi.Request, rd state.Reader, hints map[string]json.RawMessage, ins *structs.Instance) error {
	raw, ok := hints["group"]
	if !ok {
		return nil
	}
	var id structs.ServerGroupID
	if json.Unmarshal(raw, &id) != nil {
		var list []structs.ServerGroupID
		if json.Unmarshal(raw, &list) != nil || len(list) == 0 {
			return httpapi.BadRequest("Malformed request body")
		}
		id = list[0]
	}
	g := rd.ServerGroup(id)
	if g == nil || !r.Sees(g.ProjectID) {
		return httpapi.BadRequest("Instance group %s could not be found.", id)
	}
	ins.ServerGroupID = g.ID
	return nil
}

// appendServerGroups appends the server group that an instance is in, as a list; one that was deleted is none.
func (w *viewer) appendServerGroups(b []byte, i *structs.Instance) []byte {
	b = base.AppendField(b, "server_groups")
	if i.ServerGroupID == "" || w.rd.ServerGroup(i.ServerGroupID) == nil {
		return append(b, "[]"...)
	}
	return base.AppendStrings(b, []string{string(i.ServerGroupID)})
}
