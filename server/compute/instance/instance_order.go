package instance

import (
	"cmp"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// instanceOrder is the order of a list of instances: by the keys asked for, then by creation and number, as Nova appends them (api-guide,
// Paginated collections).
type instanceOrder struct {
	steps   []orderStep
	natural bool // newest first, and candidates come so
}

type orderStep struct {
	compare func(a, b *structs.Instance) int
	desc    bool
}

func (o *instanceOrder) compare(a, b *structs.Instance) int {
	for _, s := range o.steps {
		if c := s.compare(a, b); c != 0 {
			if s.desc {
				return -c
			}
			return c
		}
	}
	return 0
}

func by[K cmp.Ordered](key func(*structs.Instance) K) func(a, b *structs.Instance) int {
	return func(a, b *structs.Instance) int { return cmp.Compare(key(a), key(b)) }
}

func byText(c column) func(rd state.Reader) func(a, b *structs.Instance) int {
	return func(rd state.Reader) func(a, b *structs.Instance) int {
		return by(func(i *structs.Instance) string { v, _ := c(i, rd); return v })
	}
}

func plainly(f func(a, b *structs.Instance) int) func(state.Reader) func(a, b *structs.Instance) int {
	return func(state.Reader) func(a, b *structs.Instance) int { return f }
}

// instanceSortKeys are the keys that sort; the schema lets others through before 2.75, which are then dropped.
var instanceSortKeys = func() map[string]func(state.Reader) func(a, b *structs.Instance) int {
	keys := map[string]func(state.Reader) func(a, b *structs.Instance) int{
		"created_at":       plainly(by(func(i *structs.Instance) structs.Time { return i.CreatedAt })),
		"updated_at":       plainly(by(func(i *structs.Instance) structs.Time { return i.UpdatedAt })),
		"launched_at":      plainly(by(func(i *structs.Instance) structs.Time { return i.LaunchedAt })),
		"terminated_at":    plainly(by(func(i *structs.Instance) structs.Time { return i.TerminatedAt })),
		"instance_type_id": plainly(by(func(i *structs.Instance) structs.FlavorID { return i.Flavor.ID })),
		"project_id":       plainly(by(func(i *structs.Instance) structs.ProjectID { return i.ProjectID })),
		"power_state":      plainly(by(func(i *structs.Instance) structs.PowerState { return i.Power })),
		"progress":         plainly(by(func(i *structs.Instance) int { return i.Progress })),
		"launch_index":     plainly(by(func(i *structs.Instance) int { return i.LaunchIndex })),
		"locked":           plainly(func(a, b *structs.Instance) int { return base.CompareBools(a.Locked, b.Locked) }),
	}
	for _, k := range []string{"image_ref", "uuid", "user_id", "vm_state", "task_state", "host"} {
		keys[k] = byText(exactColumns[k])
	}
	for _, k := range []string{"access_ip_v4", "access_ip_v6", "auto_disk_config", "availability_zone", "config_drive", "display_description", "display_name",
		"hostname", "kernel_id", "key_name", "locked_by", "node", "ramdisk_id", "root_device_name"} {
		keys[k] = byText(regexColumns[k])
	}
	return keys
}()

func newInstanceOrder(r *httpapi.Request, rd state.Reader) (*instanceOrder, error) {
	keys, dirs, err := sortParams(r)
	if err != nil {
		return nil, err
	}
	o := &instanceOrder{natural: len(keys) == 1 && keys[0] == "created_at" && dirs[0] == "desc"}
	rest := dirs[0]
	for n, k := range keys {
		o.steps = append(o.steps, orderStep{instanceSortKeys[k](rd), dirs[n] == "desc"})
	}
	if !slices.Contains(keys, "created_at") {
		o.steps = append(o.steps, orderStep{by(func(i *structs.Instance) structs.Time { return i.CreatedAt }), rest == "desc"})
	}
	o.steps = append(o.steps, orderStep{by(func(i *structs.Instance) int64 { return i.Num }), rest == "desc"})
	return o, nil
}

// sortParams returns the keys and as many directions: those that are missing are the first one's.
func sortParams(r *httpapi.Request) (keys, dirs []string, err error) {
	for _, d := range r.Query()["sort_dir"] {
		dirs = append(dirs, strings.TrimSpace(d))
	}
	for _, k := range r.Query()["sort_key"] {
		_, known := instanceSortKeys[k]
		switch {
		case !known || k == "locked" && r.Version < 73:
			if n := len(keys); n < len(dirs) {
				dirs = slices.Delete(dirs, n, n+1)
			}
		case (k == "host" || k == "node") && !r.Token.IsAdmin():
			return nil, nil, httpapi.Forbidden("Only administrators can sort servers by %s", k)
		default:
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		keys = []string{"created_at"}
	}
	if len(dirs) == 0 {
		dirs = []string{"desc"}
	}
	for _, d := range dirs {
		if d != "asc" && d != "desc" {
			return nil, nil, httpapi.BadRequest("Invalid input received: Unknown sort direction, must be 'desc' or 'asc'")
		}
	}
	if len(dirs) > len(keys) {
		return nil, nil, httpapi.BadRequest("Invalid input received: Sort direction size exceeds sort key size")
	}
	for len(dirs) < len(keys) {
		dirs = append(dirs, dirs[0])
	}
	return keys, dirs, nil
}
