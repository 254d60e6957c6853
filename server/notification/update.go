package notification

import (
	"reflect"

	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// instanceChanged tells of an instance that joined a group, and of changes that a user can see.
func instanceChanged(c *translation, e *event.Event) {
	ins, ok := e.Entity.(*structs.Instance)
	if !ok || e.Deleted {
		return
	}
	before, _ := e.Before.(*structs.Instance)
	if before == nil && ins.ServerGroupID != "" {
		c.memberAdded(ins)
	}
	if c.settings.NotifyOnStateChange != NoUpdates {
		c.updated(before, ins)
	}
}

// updated tells of a change by Nova's rules (nova/notifications/base.py, send_update): a change of the states that were asked for has both in its payload, any
// other change only the present ones.
func (c *translation) updated(before, ins *structs.Instance) {
	old := ins
	switch {
	case before == nil:
		old = &structs.Instance{}
	case before.VM != ins.VM, c.settings.NotifyOnStateChange == OnVMAndTaskStates && before.Task != ins.Task:
		old = before
	case !c.visible(before, ins):
		return
	}
	op := c.operation(ins.OperationID)
	if op == nil && before != nil {
		op = c.operation(before.OperationID)
	}
	data := c.instanceData(ins, op)
	data["state_update"] = stateUpdate(old.VM, ins.VM, old.Task, ins.Task)
	data["audit_period"] = c.currentPeriod(ins.UpdatedAt)
	data["tags"] = stringList(ins.Tags)
	data["old_display_name"] = nil
	if before != nil && before.Name != ins.Name {
		data["old_display_name"] = before.Name
	}
	by := publisher(binaryAPI, "")
	if before != nil && ins.Host != "" && (before.VM != ins.VM || before.Task != ins.Task || before.Power != ins.Power) {
		by = publisher(binaryCompute, ins.Host)
	}
	c.tell(telling{event: "instance.update", publisher: by, payload: object("InstanceUpdatePayload", "2.1", data), when: ins.UpdatedAt,
		project: ins.ProjectID, user: ins.UserID})
}

// visible reports whether anything changed that the API shows, beside the time of the change.
func (c *translation) visible(a, b *structs.Instance) bool {
	if a.AccessIPv4 != b.AccessIPv4 || a.AccessIPv6 != b.AccessIPv6 || !reflect.DeepEqual(stringList(a.Tags), stringList(b.Tags)) {
		return true
	}
	x, y := c.instanceData(a, nil), c.instanceData(b, nil)
	delete(x, "updated_at")
	delete(y, "updated_at")
	return !reflect.DeepEqual(x, y)
}
