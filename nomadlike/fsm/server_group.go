package fsm

import (
	"fmt"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func groupNotFound(kind structs.Kind, id structs.ServerGroupID) error {
	return structs.Errorf(kind, "Instance group %s could not be found.", id)
}

// ServerGroupCreate makes a server group within the quota of its project and of its user.
var ServerGroupCreate = register(35, "server-group-create", func(tx *state.Txn, r *structs.ServerGroupCreateRequest) (*structs.ServerGroup, error) {
	g := &r.Group
	if again := tx.ServerGroup(g.ID); again != nil {
		return again, nil // proposed again by someone who did not learn that it was applied
	}
	for _, whose := range []structs.UserID{"", g.UserID} {
		if whose != "" && tx.Quota(g.ProjectID, whose) == nil {
			continue
		}
		if limit := tx.UserQuotaLimits(g.ProjectID, whose).ServerGroups; limit >= 0 && tx.ServerGroupCount(g.ProjectID, whose) >= limit {
			return nil, structs.Errorf(structs.KindQuota, "Quota exceeded, too many server groups.")
		}
	}
	tx.PutServerGroup(g)
	return g, nil
})

// ServerGroupDelete removes a server group. Its members stay.
var ServerGroupDelete = register(36, "server-group-delete", func(tx *state.Txn, r *structs.ServerGroupDeleteRequest) (None, error) {
	if tx.DeleteServerGroup(r.ID) == nil {
		return None{}, groupNotFound(structs.KindNotFound, r.ID)
	}
	return None{}, nil
})

// groupTakes refuses n new instances where their group is gone, or would have more members of their user than the quota allows.
func groupTakes(tx *state.Txn, model *structs.Instance, n int) error {
	id := model.ServerGroupID
	if id == "" {
		return nil
	}
	if tx.ServerGroup(id) == nil {
		return groupNotFound(structs.KindInvalid, id)
	}
	have := int64(0)
	for m := range tx.GroupMembers(id) {
		if m.UserID == model.UserID {
			have++
		}
	}
	if limit := tx.UserQuotaLimits(model.ProjectID, model.UserID).ServerGroupMembers; limit >= 0 && have+int64(n) > limit {
		return structs.Errorf(structs.KindQuota, "Quota exceeded, too many servers in group")
	}
	return nil
}

// groupRefuses says why an instance's server group does not let it onto a host, "" when it does. It is judged when a placement is committed: two that were
// planned at once may each be right alone.
func groupRefuses(tx *state.Txn, ins *structs.Instance, h *structs.Host) string {
	if ins.ServerGroupID == "" {
		return ""
	}
	g := tx.ServerGroup(ins.ServerGroupID)
	if g == nil || g.Policy != structs.PolicyAffinity && g.Policy != structs.PolicyAntiAffinity {
		return ""
	}
	here, elsewhere := int64(0), int64(0)
	for m := range tx.GroupMembers(g.ID) {
		switch {
		case m.ID == ins.ID || m.HostID == "":
		case m.HostID == h.ID:
			here++
		default:
			elsewhere++
		}
	}
	switch {
	case g.Policy == structs.PolicyAntiAffinity && here >= g.PerHost():
		return fmt.Sprintf("the host has %d of the members of server group %s by now, which allows %d", here, g.ID, g.PerHost())
	case g.Policy == structs.PolicyAffinity && here == 0 && elsewhere > 0:
		return fmt.Sprintf("the members of server group %s are on another host by now", g.ID)
	}
	return ""
}
