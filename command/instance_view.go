package command

import (
	"fmt"
	"time"

	"github.com/gophercloud/gophercloud/v2/openstack/compute/v2/servers"
)

// instanceView is an instance as the command line prints it.
type instanceView struct {
	ID        string            `json:"id"`
	Name      string            `json:"name"`
	Status    string            `json:"status"`
	Task      string            `json:"task_state"`
	VMState   string            `json:"vm_state"`
	Power     string            `json:"power_state"`
	Flavor    string            `json:"flavor"`
	VCPUs     int64             `json:"vcpus"`
	MemoryMiB int64             `json:"memory_mib"`
	DiskGiB   int64             `json:"disk_gib"`
	ImageID   string            `json:"image_id"`
	Host      string            `json:"host"` // for administrators
	Zone      string            `json:"zone"`
	ProjectID string            `json:"project_id"`
	UserID    string            `json:"user_id"`
	KeyName   string            `json:"key_name"`
	Metadata  map[string]string `json:"metadata"`
	Addresses []string          `json:"addresses"`
	Created   time.Time         `json:"created_at"`
	Updated   time.Time         `json:"updated_at"`
	Fault     string            `json:"fault"`
}

func viewInstance(s *servers.Server) instanceView {
	return instanceView{ID: s.ID, Name: s.Name, Status: s.Status, Task: s.TaskState, VMState: s.VmState, Power: s.PowerState.String(),
		Flavor: textOf(s.Flavor["original_name"]), VCPUs: numberOf(s.Flavor["vcpus"]), MemoryMiB: numberOf(s.Flavor["ram"]), DiskGiB: numberOf(s.Flavor["disk"]),
		ImageID: textOf(s.Image["id"]), Host: s.Host, Zone: s.AvailabilityZone, ProjectID: s.TenantID, UserID: s.UserID, KeyName: s.KeyName,
		Metadata: s.Metadata, Addresses: addressesOf(s.Addresses), Created: s.Created, Updated: s.Updated, Fault: s.Fault.Message}
}

func textOf(v any) string {
	text, _ := v.(string)
	return text
}

func numberOf(v any) int64 {
	number, _ := v.(float64)
	return int64(number)
}

// addressesOf flattens the compute API's {"network": [{"addr": ...}]}.
func addressesOf(networks map[string]any) []string {
	found := []string{}
	for name, list := range networks {
		entries, _ := list.([]any)
		for _, entry := range entries {
			if fields, ok := entry.(map[string]any); ok {
				found = append(found, name+"="+textOf(fields["addr"]))
			}
		}
	}
	return found
}

func (v *instanceView) state() string {
	if v.Task != "" {
		return v.Status + " (" + v.Task + ")"
	}
	return v.Status
}

func (v *instanceView) details() [][2]string {
	return [][2]string{
		{"ID", v.ID}, {"Name", v.Name}, {"Status", v.state()}, {"VM state", v.VMState}, {"Power", v.Power}, {"Fault", v.Fault},
		{"Flavor", fmt.Sprintf("%s: %d VCPUs, %d MiB memory, %d GiB disk", v.Flavor, v.VCPUs, v.MemoryMiB, v.DiskGiB)}, {"Image", v.ImageID},
		{"Host", v.Host}, {"Zone", v.Zone}, {"Project", v.ProjectID}, {"User", v.UserID}, {"Key", v.KeyName},
		{"Addresses", joined(v.Addresses)}, {"Created", moment(v.Created)}, {"Updated", moment(v.Updated)},
	}
}
