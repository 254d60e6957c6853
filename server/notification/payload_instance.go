package notification

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// powerNames are Nova's words for power states.
var powerNames = map[structs.PowerState]string{structs.PowerNoState: "pending", structs.PowerRunning: "running", structs.PowerPaused: "paused",
	structs.PowerShutdown: "shutdown", structs.PowerCrashed: "crashed", structs.PowerSuspended: "suspended"}

// instanceData are the fields of InstancePayload 1.9. Volumes, addresses and shares are other services' and not part of an instance here.
func (c *translation) instanceData(ins *structs.Instance, op *structs.Operation) map[string]any {
	data := map[string]any{
		"uuid": string(ins.ID), "tenant_id": string(ins.ProjectID), "user_id": string(ins.UserID),
		"display_name": ins.Name, "display_description": orNull(ins.Description), "host_name": ins.Hostname,
		"reservation_id": ins.ReservationID, "key_name": orNil(ins.KeyName), "metadata": stringMap(ins.Metadata),
		"state": string(ins.VM), "task_state": orNil(ins.Task), "power_state": powerNames[ins.Power], "progress": ins.Progress,
		"host": orNil(ins.Host), "node": nil, "availability_zone": orNil(ins.Zone),
		"flavor": flavorPayload(&ins.Flavor, nil), "image_uuid": orNil(ins.ImageID), "auto_disk_config": orNil(ins.DiskConfig),
		"architecture": firstOf(ins.ImageProps, "hw_architecture", "architecture"), "os_type": firstOf(ins.ImageProps, "os_type"),
		"kernel_id": ins.ImageProps["kernel_id"], "ramdisk_id": ins.ImageProps["ramdisk_id"],
		"locked": ins.Locked, "locked_reason": orNull(ins.LockedReason),
		"created_at": instant(ins.CreatedAt), "updated_at": instant(ins.UpdatedAt), "launched_at": instant(ins.LaunchedAt),
		"terminated_at": instant(ins.TerminatedAt), "deleted_at": instant(ins.DeletedAt),
		"block_devices": []any{}, "ip_addresses": []any{}, "shares": []any{},
		"request_id": nil, "action_initiator_user": nil, "action_initiator_project": nil,
	}
	if h := c.host(ins.HostID); h != nil {
		data["node"] = orNil(h.HypervisorHostname)
	}
	if op != nil {
		data["request_id"], data["action_initiator_user"], data["action_initiator_project"] = orNil(op.RequestID), orNil(op.UserID), orNil(op.ProjectID)
	}
	return data
}

func stringMap(m map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range m {
		out[k] = v
	}
	return out
}

func stringList[T ~string](l []T) []any {
	out := make([]any, len(l))
	for i, s := range l {
		out[i] = string(s)
	}
	return out
}

func firstOf(props map[string]string, names ...string) any {
	for _, n := range names {
		if v := props[n]; v != "" {
			return v
		}
	}
	return nil
}

// actionData are the fields of InstanceActionPayload: InstancePayload and the fault.
func (c *translation) actionData(ins *structs.Instance, op *structs.Operation, fault map[string]any, more map[string]any) map[string]any {
	data := c.instanceData(ins, op)
	data["fault"] = nil
	if fault != nil {
		data["fault"] = fault
	}
	maps.Copy(data, more)
	return data
}

func actionPayload(c *translation, ins *structs.Instance, op *structs.Operation, fault map[string]any) map[string]any {
	return object("InstanceActionPayload", "1.9", c.actionData(ins, op, fault, nil))
}

func createPayload(c *translation, ins *structs.Instance, op *structs.Operation, fault map[string]any) map[string]any {
	keys := []any{}
	if k := c.reader.Keypair(ins.UserID, ins.KeyName); ins.KeyName != "" && k != nil {
		keys = append(keys, keypairPayload(k))
	}
	return object("InstanceCreatePayload", "1.13", c.actionData(ins, op, fault, map[string]any{
		"keypairs": keys, "tags": stringList(ins.Tags), "instance_name": fmt.Sprintf("instance-%08x", ins.Num), "trusted_image_certificates": certificates(ins)}))
}

func certificates(ins *structs.Instance) any {
	if len(ins.TrustedCerts) == 0 {
		return nil
	}
	return stringList(ins.TrustedCerts)
}

func rebuildPayload(c *translation, ins *structs.Instance, op *structs.Operation, fault map[string]any) map[string]any {
	return object("InstanceActionRebuildPayload", "1.10", c.actionData(ins, op, fault, map[string]any{"trusted_image_certificates": certificates(ins)}))
}

// resizePrepPayload names the flavor to come; a migration's is the one that is.
func resizePrepPayload(c *translation, ins *structs.Instance, op *structs.Operation, fault map[string]any) map[string]any {
	flavor := op.Args.NewFlavor
	if flavor == nil {
		flavor = &ins.Flavor
	}
	return object("InstanceActionResizePrepPayload", "1.4", c.actionData(ins, op, fault, map[string]any{"new_flavor": flavorPayload(flavor, nil)}))
}

func rescuePayload(c *translation, ins *structs.Instance, op *structs.Operation, fault map[string]any) map[string]any {
	image := op.Args.ImageID
	if image == "" {
		image = ins.ImageID
	}
	return object("InstanceActionRescuePayload", "1.4", c.actionData(ins, op, fault, map[string]any{"rescue_image_ref": orNil(image)}))
}

func snapshotPayload(c *translation, ins *structs.Instance, op *structs.Operation, fault map[string]any) map[string]any {
	return object("InstanceActionSnapshotPayload", "1.10", c.actionData(ins, op, fault, map[string]any{"snapshot_image_id": orNil(op.Args.NewImageID)}))
}

// stateUpdate says from which state to which an instance went.
func stateUpdate(oldVM, newVM structs.VMState, oldTask, newTask structs.TaskState) map[string]any {
	return object("InstanceStateUpdatePayload", "1.0", map[string]any{"old_state": orNil(oldVM), "state": orNil(newVM),
		"old_task_state": orNil(oldTask), "new_task_state": orNil(newTask)})
}

// exceptionData is what ExceptionPayload says.
type exceptionData struct{ Name, Message, Function, Trace string }

func exception(e exceptionData) map[string]any {
	return object("ExceptionPayload", "1.1", map[string]any{"exception": e.Name, "exception_message": e.Message, "module_name": "kilonova.operation",
		"function_name": e.Function, "traceback": e.Trace})
}

// exceptionNames are Nova's exceptions that fit a kind of error; of the others it is NovaException.
var exceptionNames = map[structs.Kind]string{structs.KindNoCapacity: "NoValidHost", structs.KindTimeout: "MessagingTimeout", structs.KindInvalid: "Invalid",
	structs.KindNotSupported: "NotSupported", structs.KindNotFound: "NotFound", structs.KindUnavailable: "ComputeServiceUnavailable", structs.KindConflict: "Conflict"}

// exceptionName is Nova's name for an error.
func exceptionName(kind structs.Kind) string {
	if name := exceptionNames[kind]; name != "" {
		return name
	}
	return "NovaException"
}

// faultOf says why an operation failed: the step in place of the function, and the attempts in place of a traceback.
func faultOf(op *structs.Operation) map[string]any {
	step, trace := op.Step, strings.Builder{}
	for _, r := range op.History {
		if r.Error != "" {
			fmt.Fprintf(&trace, "step %s, attempt %d: %s\n", r.Step, r.Attempt, r.Error)
		}
	}
	for _, r := range slices.Backward(op.History) {
		if r.Error != "" && !r.Undo {
			step = r.Step
			break
		}
	}
	return exception(exceptionData{Name: exceptionName(op.ErrorKind), Message: op.Error, Function: string(step), Trace: trace.String()})
}

// callFailed says why an attempt at a step failed on its host: it and the attempts at the step before it in place of a traceback. The error's kind is known of the one
// that ended the step.
func callFailed(op *structs.Operation, at int) map[string]any {
	failed, kind, trace := op.History[at], structs.Kind(0), strings.Builder{}
	if op.Error == failed.Error {
		kind = op.ErrorKind
	}
	for _, r := range op.History[:at+1] {
		if r.Error != "" && r.Step == failed.Step && r.Undo == failed.Undo && r.HostID == failed.HostID {
			fmt.Fprintf(&trace, "step %s, attempt %d: %s\n", r.Step, r.Attempt, r.Error)
		}
	}
	return exception(exceptionData{Name: exceptionName(kind), Message: failed.Error, Function: string(failed.Step), Trace: trace.String()})
}
