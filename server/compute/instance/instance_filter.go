package instance

import (
	"iter"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// instanceFilter is what a list's query asks of instances; which filters there are, and for whom, is Nova's.
type instanceFilter struct {
	project structs.ProjectID // "" is all projects
	live    bool              // instances that are there
	deleted bool              // instances that are gone
	nothing bool              // nothing can match
	tests   []func(*structs.Instance) bool
}

// forUsers says from which microversion on a user may filter by a parameter; administrators may filter by all.
var forUsers = map[string]httpapi.Microversion{
	"reservation_id": 1, "name": 1, "status": 1, "image": 1, "flavor": 1, "ip": 1, "changes-since": 1, "all_tenants": 1,
	"ip6": 5, "tags": 26, "tags-any": 26, "not-tags": 26, "not-tags-any": 26, "changes-before": 66, "locked": 73,
	"availability_zone": 83, "config_drive": 83, "key_name": 83, "created_at": 83, "launched_at": 83, "terminated_at": 83, "power_state": 83,
	"task_state": 83, "vm_state": 83, "progress": 83, "user_id": 83, "hostname": 90,
}

// joinedTables are names that Nova's database has as tables of their own: it refuses to filter by them.
var joinedTables = []string{"block_device_mapping", "services", "metadata", "system_metadata", "info_cache", "security_groups", "pci_devices"}

// allowedFilters returns the parameters that filter for this caller. What a user may not filter by is dropped without a word.
func allowedFilters(r *httpapi.Request) map[string]string {
	opts, any := map[string]string{}, r.May(ruleAllFilters)
	for k, v := range r.Query() {
		switch k {
		case "limit", "marker", "sort_key", "sort_dir":
			continue
		}
		if from, ok := forUsers[k]; any || ok && r.Version >= from {
			opts[k] = base.Last(v)
		}
	}
	return opts
}

func newInstanceFilter(r *httpapi.Request, rd state.Reader, detail bool) (*instanceFilter, error) {
	opts := allowedFilters(r)
	for _, k := range sortedKeys(opts) {
		if slices.Contains(joinedTables, k) || strings.HasPrefix(k, "_") {
			return nil, httpapi.BadRequest("Invalid filter field: %s.", k)
		}
	}
	f := &instanceFilter{live: true}
	if err := f.byStatus(r, opts); err != nil {
		return nil, err
	}
	if err := f.byChange(opts); err != nil {
		return nil, err
	}
	if err := f.byProject(r, opts, detail); err != nil {
		return nil, err
	}
	if err := f.byLocked(opts); err != nil {
		return nil, err
	}
	f.byTags(opts)
	if id, ok := opts["flavor"]; ok {
		if rd.Flavor(structs.FlavorID(id)) == nil {
			f.nothing = true
		}
		f.equal(id, func(i *structs.Instance) string { return string(i.Flavor.ID) })
	}
	if _, ok := opts["ip"]; ok {
		f.nothing = true // no instance has an address before a network service exists
	}
	if _, ok := opts["ip6"]; ok {
		f.nothing = true
	}
	return f, f.byColumns(rd, opts)
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (f *instanceFilter) test(t func(*structs.Instance) bool) { f.tests = append(f.tests, t) }

func (f *instanceFilter) equal(want string, column func(*structs.Instance) string) {
	f.test(func(i *structs.Instance) bool { return column(i) == want })
}

// byStatus turns status into vm_states and task_states, which then replace what else was asked of those.
func (f *instanceFilter) byStatus(r *httpapi.Request, opts map[string]string) error {
	asked, ok := r.Query()["status"]
	delete(opts, "status")
	if !ok {
		return nil
	}
	vms, tasks, byDefault := statesOf(asked)
	if len(vms) == 0 {
		if r.Version >= 38 {
			return httpapi.BadRequest("Invalid status value")
		}
		f.nothing = true
		return nil
	}
	if len(vms) == 1 && vms[0] == structs.VMDeleted {
		if !r.Token.IsAdmin() {
			return httpapi.Forbidden("Only administrators may list deleted instances")
		}
		opts["deleted"] = "true"
	}
	delete(opts, "vm_state")
	f.test(func(i *structs.Instance) bool { return slices.Contains(vms, i.VM) })
	if !byDefault {
		delete(opts, "task_state")
		f.test(func(i *structs.Instance) bool { return slices.Contains(tasks, i.Task) })
	}
	return nil
}

// byChange reads changes-since, changes-before and deleted. The first two show deleted instances too, unless deleted says otherwise.
func (f *instanceFilter) byChange(opts map[string]string) error {
	since, err := changeTime(opts, "changes-since")
	if err != nil {
		return err
	}
	before, err := changeTime(opts, "changes-before")
	if err != nil {
		return err
	}
	if since != 0 && before != 0 && before < since {
		return httpapi.BadRequest("The value of changes-since must be less than or equal to changes-before.")
	}
	if since != 0 {
		f.test(func(i *structs.Instance) bool { return i.UpdatedAt >= since })
	}
	if before != 0 { // Nova keeps whole seconds: an instance of that second belongs to it
		f.test(func(i *structs.Instance) bool { return i.UpdatedAt-i.UpdatedAt%structs.Time(time.Second) <= before })
	}
	if v, ok := opts["deleted"]; ok {
		f.deleted, _ = base.ParseBool(v)
		f.live = !f.deleted
	} else {
		f.deleted = since != 0 || before != 0
	}
	soft, asked := base.ParseBool(opts["soft_deleted"])
	if !asked {
		soft = f.deleted
	}
	switch {
	case !soft:
		f.test(func(i *structs.Instance) bool { return i.VM != structs.VMSoftDeleted })
	case f.deleted && !f.live: // only deleted ones are asked for; those that can be restored stand among the living
		f.live = true
		f.test(func(i *structs.Instance) bool { return !i.Counts() })
	}
	return nil
}

func changeTime(opts map[string]string, name string) (structs.Time, error) {
	v, ok := opts[name]
	if !ok {
		return 0, nil
	}
	t, err := httpapi.ParseTime(v)
	if err != nil {
		return 0, httpapi.BadRequest("Invalid filter field: %s.", name)
	}
	return structs.TimeOf(t), nil
}

// byProject narrows the list to the caller's project, unless all_tenants is asked for, which only administrators may.
func (f *instanceFilter) byProject(r *httpapi.Request, opts map[string]string, detail bool) error {
	all := false
	if v, ok := opts["all_tenants"]; ok {
		all = true
		if v != "" {
			var err error
			if all, err = base.StrictBool(v); err != nil {
				return err
			}
		}
	}
	if !all {
		f.project = r.Token.ProjectID
		if f.project == "" { // an administrator's token without a project has its user's instances
			f.equal(string(r.Token.UserID), func(i *structs.Instance) string { return string(i.UserID) })
		}
		return nil
	}
	rule := ruleAllProjects
	if detail {
		rule = ruleAllProjectsDetail
	}
	if err := r.Allow(rule); err != nil {
		return err
	}
	for _, k := range []string{"tenant_id", "project_id"} {
		if v, ok := opts[k]; ok {
			f.project = structs.ProjectID(v)
			f.equal(v, func(i *structs.Instance) string { return string(i.ProjectID) })
		}
	}
	return nil
}

func (f *instanceFilter) byLocked(opts map[string]string) error {
	v, ok := opts["locked"]
	if !ok {
		return nil
	}
	locked, err := base.StrictBool(v)
	f.test(func(i *structs.Instance) bool { return i.Locked == locked })
	return err
}

// byTags reads the four tag filters: all of, any of, not all of, not any of the tags in a list.
func (f *instanceFilter) byTags(opts map[string]string) {
	for _, t := range []struct {
		name     string
		all, not bool
	}{{"tags", true, false}, {"tags-any", false, false}, {"not-tags", true, true}, {"not-tags-any", false, true}} {
		v, ok := opts[t.name]
		if !ok {
			continue
		}
		want := strings.Split(v, ",")
		f.test(func(i *structs.Instance) bool {
			n := 0
			for _, tag := range want {
				if _, has := slices.BinarySearch(i.Tags, tag); has {
					n++
				}
			}
			holds := n > 0 && (!t.all || n == len(want))
			return holds != t.not
		})
	}
}

// column gives an instance's value in a column of Nova's table; ok is false for NULL.
type column func(i *structs.Instance, rd state.Reader) (v string, ok bool)

func text(f func(*structs.Instance) string) column {
	return func(i *structs.Instance, _ state.Reader) (string, bool) { return f(i), true }
}

// nullable is a text column whose empty value is NULL, which nothing matches.
func nullable(f func(*structs.Instance) string) column {
	return func(i *structs.Instance, _ state.Reader) (string, bool) { v := f(i); return v, v != "" }
}

func moment(f func(*structs.Instance) structs.Time) column {
	return func(i *structs.Instance, _ state.Reader) (string, bool) {
		t := f(i)
		return t.Time().Format(time.DateTime), !t.IsZero()
	}
}

// exactColumns are compared as they are.
var exactColumns = map[string]column{
	"user_id":    text(func(i *structs.Instance) string { return string(i.UserID) }),
	"image_ref":  text(func(i *structs.Instance) string { return string(i.ImageID) }),
	"image":      text(func(i *structs.Instance) string { return string(i.ImageID) }),
	"vm_state":   text(func(i *structs.Instance) string { return string(i.VM) }),
	"task_state": nullable(func(i *structs.Instance) string { return string(i.Task) }),
	"uuid":       text(func(i *structs.Instance) string { return string(i.ID) }),
	"host":       nullable(func(i *structs.Instance) string { return i.Host }),
}

// regexColumns are searched with a regular expression. Letter case is ignored, as by the databases that Nova runs on.
var regexColumns = map[string]column{
	"name":                text(func(i *structs.Instance) string { return i.Name }),
	"display_name":        text(func(i *structs.Instance) string { return i.Name }),
	"display_description": describe,
	"hostname":            text(func(i *structs.Instance) string { return i.Hostname }),
	"key_name":            nullable(func(i *structs.Instance) string { return i.KeyName }),
	"kernel_id":           text(func(i *structs.Instance) string { return i.ImageProps["kernel_id"] }),
	"ramdisk_id":          text(func(i *structs.Instance) string { return i.ImageProps["ramdisk_id"] }),
	"power_state":         text(func(i *structs.Instance) string { return strconv.Itoa(int(i.Power)) }),
	"progress":            text(func(i *structs.Instance) string { return strconv.Itoa(i.Progress) }),
	"launch_index":        text(func(i *structs.Instance) string { return strconv.Itoa(i.LaunchIndex) }),
	"reservation_id":      text(func(i *structs.Instance) string { return i.ReservationID }),
	"root_device_name":    nullable(rootDevice),
	"locked_by":           nullable(func(i *structs.Instance) string { return i.LockedBy }),
	"availability_zone":   nullable(zoneOf),
	"access_ip_v4":        nullable(func(i *structs.Instance) string { return i.AccessIPv4 }),
	"access_ip_v6":        nullable(func(i *structs.Instance) string { return i.AccessIPv6 }),
	"config_drive":        text(configDriveText),
	"auto_disk_config": text(func(i *structs.Instance) string {
		return map[bool]string{true: "1", false: "0"}[i.DiskConfig == "AUTO"]
	}),
	"created_at":    moment(func(i *structs.Instance) structs.Time { return i.CreatedAt }),
	"launched_at":   moment(func(i *structs.Instance) structs.Time { return i.LaunchedAt }),
	"terminated_at": moment(func(i *structs.Instance) structs.Time { return i.TerminatedAt }),
	"node":          nodeColumn,
}

func describe(i *structs.Instance, _ state.Reader) (string, bool) {
	if i.Description == nil {
		return "", false
	}
	return *i.Description, true
}

func nodeColumn(i *structs.Instance, rd state.Reader) (string, bool) {
	if i.HostID == "" {
		return "", false
	}
	if h := rd.Host(i.HostID); h != nil {
		return base.NodeName(h), true
	}
	return "", false
}

func configDriveText(i *structs.Instance) string {
	if i.ConfigDrive {
		return "True"
	}
	return ""
}

// zoneOf is the zone that an instance is in, or until it is placed the one that was asked for.
func zoneOf(i *structs.Instance) string {
	if i.Zone != "" {
		return i.Zone
	}
	return i.PinnedZone
}

func (f *instanceFilter) byColumns(rd state.Reader, opts map[string]string) error {
	for _, k := range sortedKeys(opts) {
		v := opts[k]
		if c, ok := exactColumns[k]; ok {
			f.test(func(i *structs.Instance) bool { have, ok := c(i, rd); return ok && have == v })
			continue
		}
		c, ok := regexColumns[k]
		if !ok {
			continue
		}
		re, err := regexp.Compile("(?i:" + v + ")")
		if err != nil {
			return httpapi.BadRequest("Invalid input for query parameters %s. Value: %s. '%s' is not a 'regex'", k, v, v)
		}
		f.test(func(i *structs.Instance) bool { have, ok := c(i, rd); return ok && re.MatchString(have) })
	}
	return nil
}

func (f *instanceFilter) match(i *structs.Instance) bool {
	for _, t := range f.tests {
		if !t(i) {
			return false
		}
	}
	return true
}

// candidates iterates over what the tests are worth asking of, newest first within a project. from, when not nil, is the instance that a page of a
// sorted list begins after: what is newer is not looked at.
func (f *instanceFilter) candidates(rd state.Reader, from *structs.Instance) iter.Seq[*structs.Instance] {
	return func(yield func(*structs.Instance) bool) {
		if f.nothing {
			return
		}
		for _, seq := range f.sequences(rd, from) {
			for i := range seq {
				if !yield(i) {
					return
				}
			}
		}
	}
}

func (f *instanceFilter) sequences(rd state.Reader, from *structs.Instance) (all []iter.Seq[*structs.Instance]) {
	if f.live {
		switch {
		case f.project != "" && from != nil:
			all = append(all, rd.InstancesFrom(f.project, from.CreatedAt))
		case f.project != "":
			all = append(all, rd.Instances(f.project))
		default:
			all = append(all, rd.AllInstances())
		}
	}
	if f.deleted {
		switch {
		case f.project != "" && from != nil:
			all = append(all, rd.DeletedInstancesFrom(f.project, from.CreatedAt))
		case f.project != "":
			all = append(all, rd.DeletedInstances(f.project))
		default:
			all = append(all, rd.AllDeletedInstances())
		}
	}
	return all
}

// sorted reports whether candidates come newest first as a whole.
func (f *instanceFilter) sorted() bool { return f.project != "" && f.live != f.deleted }
