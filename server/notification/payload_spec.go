package notification

import (
	"encoding/json"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// requestSpecPayload says what was asked of the scheduler.
func requestSpecPayload(c *translation, ins *structs.Instance, op *structs.Operation, _ map[string]any) map[string]any {
	var force any
	if ins.RequestedHost != "" {
		force = []any{ins.RequestedHost}
	}
	var group any
	if g := c.reader.ServerGroup(ins.ServerGroupID); ins.ServerGroupID != "" && g != nil {
		group = serverGroupPayload(g, []any{})
	}
	return object("RequestSpecPayload", "1.1", map[string]any{
		"instance_uuid": string(ins.ID), "project_id": string(ins.ProjectID), "user_id": string(ins.UserID), "num_instances": 1,
		"availability_zone": orNil(ins.PinnedZone), "flavor": flavorPayload(&ins.Flavor, nil), "image": c.imagePayload(ins),
		"force_hosts": force, "force_nodes": nil, "ignore_hosts": nil, "instance_group": group, "numa_topology": nil, "requested_destination": nil,
		"pci_requests": object("InstancePCIRequestsPayload", "1.0", map[string]any{"instance_uuid": string(ins.ID), "requests": []any{}}),
		"retry":        retries(c, op), "scheduler_hints": hints(ins), "security_groups": []any{"default"}})
}

// retries are the hosts that the operation failed on.
func retries(c *translation, op *structs.Operation) any {
	if len(op.AvoidHosts) == 0 {
		return nil
	}
	hosts := make([]any, len(op.AvoidHosts))
	for i, id := range op.AvoidHosts {
		hosts[i] = c.hostName(id)
	}
	return object("SchedulerRetriesPayload", "1.0", map[string]any{"num_attempts": len(hosts) + 1, "hosts": hosts})
}

// hints are the scheduler's hints as lists of texts.
func hints(ins *structs.Instance) map[string]any {
	var said map[string]any
	out := map[string]any{}
	if json.Unmarshal(ins.SchedulerHints, &said) != nil {
		return out
	}
	for k, v := range said {
		switch v := v.(type) {
		case string:
			out[k] = []any{v}
		case []any:
			out[k] = v
		}
	}
	return out
}

// imagePayload is the instance's image: as it is while it exists, else what the instance remembers of it.
func (c *translation) imagePayload(ins *structs.Instance) any {
	if ins.ImageID == "" {
		return nil
	}
	data := map[string]any{"id": string(ins.ImageID), "name": nil, "owner": nil, "checksum": nil, "container_format": nil, "disk_format": nil, "created_at": nil,
		"updated_at": nil, "direct_url": nil, "min_disk": ins.ImageMinDisk, "min_ram": 0, "protected": nil, "size": nil, "status": nil, "tags": nil,
		"virtual_size": nil, "visibility": nil, "properties": object("ImageMetaPropsPayload", "1.19", stringMap(ins.ImageProps))}
	if i := c.reader.Image(ins.ImageID); i != nil {
		for k, v := range imageData(i) {
			data[k] = v
		}
	}
	return object("ImageMetaPayload", "1.0", data)
}

// computeTaskPayload says what the conductor could not do.
func computeTaskPayload(c *translation, ins *structs.Instance, op *structs.Operation, fault map[string]any) map[string]any {
	var reason any
	if fault != nil {
		reason = fault
	}
	return object("ComputeTaskPayload", "1.0", map[string]any{"instance_uuid": string(ins.ID), "reason": reason,
		"request_spec": requestSpecPayload(c, ins, op, nil), "state": orNil(ins.VM)})
}

func imageData(i *structs.Image) map[string]any {
	data := map[string]any{"name": orNil(i.Name), "owner": orNil(i.ProjectID), "checksum": orNil(i.MD5), "container_format": orNil(i.ContainerFormat),
		"disk_format": orNil(i.DiskFormat), "created_at": instant(i.CreatedAt), "updated_at": instant(i.UpdatedAt), "min_disk": i.MinDiskGiB,
		"min_ram": i.MinMemoryMiB, "protected": i.Protected, "size": i.Size, "status": string(i.Status), "tags": stringList(i.Tags), "visibility": orNil(i.Visibility)}
	if i.VirtualSize > 0 {
		data["virtual_size"] = i.VirtualSize
	}
	return data
}
