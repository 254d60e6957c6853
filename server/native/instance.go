package native

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type faultView struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Details string `json:"details,omitempty"`
	At      string `json:"at"`
}

type flavorView struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	VCPUs     int    `json:"vcpus"`
	MemoryMiB int64  `json:"memory_mib"`
	RootGiB   int64  `json:"root_gib"`
}

type refusalView struct {
	Filter  string `json:"filter"`
	Count   int    `json:"count"`
	Example string `json:"example,omitempty"`
}

type explanationView struct {
	Hosts   int           `json:"hosts"`
	Refused []refusalView `json:"refused"`
}

// instanceView is an instance without user data, keys and hints. What names hosts is for administrators.
type instanceView struct {
	ID          string            `json:"id"`
	Name        string            `json:"name"`
	ProjectID   string            `json:"project_id"`
	UserID      string            `json:"user_id"`
	VMState     string            `json:"vm_state"`
	TaskState   string            `json:"task_state"`
	PowerState  int               `json:"power_state"`
	Fault       *faultView        `json:"fault"`
	Progress    int               `json:"progress"`
	Flavor      flavorView        `json:"flavor"`
	ImageID     string            `json:"image_id"`
	KeyName     string            `json:"key_name"`
	Metadata    map[string]string `json:"metadata"`
	Tags        []string          `json:"tags"`
	Zone        string            `json:"zone"`
	Locked      bool              `json:"locked"`
	HostID      string            `json:"host_id,omitempty"`
	Host        string            `json:"host,omitempty"`
	HostStatus  string            `json:"host_status,omitempty"`
	Generation  uint64            `json:"generation"`
	OperationID string            `json:"operation_id"`
	Operation   *operationView    `json:"operation,omitempty"`
	Explanation *explanationView  `json:"explanation,omitempty"`
	CreatedAt   string            `json:"created_at"`
	UpdatedAt   string            `json:"updated_at"`
	LaunchedAt  string            `json:"launched_at"`
	DeletedAt   string            `json:"deleted_at"`
	CreateIndex uint64            `json:"create_index"`
	ModifyIndex uint64            `json:"modify_index"`
}

// viewInstance shows an instance as its record says.
func viewInstance(i *structs.Instance, admin bool) *instanceView {
	v := &instanceView{ID: string(i.ID), Name: i.Name, ProjectID: string(i.ProjectID), UserID: string(i.UserID), VMState: string(i.VM), TaskState: string(i.Task),
		PowerState: int(i.Power), Progress: i.Progress, ImageID: string(i.ImageID), KeyName: i.KeyName, Metadata: i.Metadata, Tags: list(i.Tags), Zone: i.Zone,
		Flavor: flavorView{string(i.Flavor.ID), i.Flavor.Name, i.Flavor.VCPUs, i.Flavor.MemoryMiB, i.Flavor.RootGiB},
		Locked: i.Locked, Generation: i.Generation, OperationID: string(i.OperationID), CreatedAt: stamp(i.CreatedAt), UpdatedAt: stamp(i.UpdatedAt),
		LaunchedAt: stamp(i.LaunchedAt), DeletedAt: stamp(i.DeletedAt), CreateIndex: i.CreateIndex, ModifyIndex: i.ModifyIndex}
	if v.Metadata == nil {
		v.Metadata = map[string]string{}
	}
	if f := i.Fault; f != nil {
		v.Fault = &faultView{Code: f.Code, Message: f.For(admin), At: stamp(f.At)}
		if admin || f.Code != 500 { // as Nova shows details
			v.Fault.Details = f.Details
		}
	}
	if admin {
		v.HostID, v.Host = string(i.HostID), i.Host
	}
	return v
}

// withContext adds what other records say: the operation that runs, the host's status, and how the newest placement came out.
func (v *instanceView) withContext(st state.Reader, i *structs.Instance, admin bool) *instanceView {
	if i.OperationID != "" {
		if op := st.Operation(i.OperationID); op != nil {
			v.Operation = viewOperation(op, admin)
		}
	}
	if admin && i.HostID != "" {
		if h := st.Host(i.HostID); h != nil {
			v.HostStatus = string(h.Status)
		}
	}
	var newest *structs.Evaluation
	for e := range st.EvaluationsOfInstance(i.ID) {
		if e.Result != nil && (newest == nil || e.ModifyIndex > newest.ModifyIndex) {
			newest = e
		}
	}
	if newest != nil {
		v.Explanation = viewExplanation(newest.Result, admin)
	}
	return v
}

func viewExplanation(x *structs.Explanation, admin bool) *explanationView {
	if x == nil {
		return nil
	}
	v := &explanationView{Hosts: x.Hosts, Refused: []refusalView{}}
	for _, f := range x.Refused {
		c := refusalView{Filter: f.Filter, Count: f.Count}
		if admin {
			c.Example = f.Example
		}
		v.Refused = append(v.Refused, c)
	}
	return v
}

// concernsInstances holds for events about instances that the caller sees (or about one), their operations and evaluations.
func concernsInstances(r *httpapi.Request, id structs.InstanceID, all bool) func(*event.Event) bool {
	mine := func(p structs.ProjectID, i structs.InstanceID) bool {
		return (id == "" || i == id) && (all || p == r.Token.ProjectID || id != "")
	}
	return func(e *event.Event) bool {
		switch v := e.Entity.(type) {
		case *structs.Instance:
			return mine(v.ProjectID, v.ID)
		case *structs.Operation:
			return mine(v.ProjectID, v.InstanceID)
		case *structs.Evaluation:
			return id != "" && v.InstanceID == id
		}
		return false
	}
}

// projectsWanted says whose things a list is of: an administrator may name a project or ask for all; everybody else has its own.
func projectsWanted(r *httpapi.Request) (p structs.ProjectID, all bool, err error) {
	q := r.Query()
	if on(r, "all_projects") || q.Has("project") {
		if err := r.Allow(ruleAllProjects); err != nil {
			return "", false, err
		}
		return structs.ProjectID(q.Get("project")), q.Get("project") == "", nil
	}
	return r.Token.ProjectID, false, nil
}

func listInstances(r *httpapi.Request) (any, error) {
	p, err := r.Page()
	if err != nil {
		return nil, err
	}
	project, all, err := projectsWanted(r)
	if err != nil {
		return nil, err
	}
	st, err := view(r, concernsInstances(r, "", all || project != r.Token.ProjectID))
	if err != nil {
		return nil, err
	}
	source := st.Instances(project)
	if all {
		source = st.AllInstances()
	}
	found, err := httpapi.Paginate(instancesMatching(r, source), p, func(i *structs.Instance) string { return string(i.ID) })
	if err != nil {
		return nil, err
	}
	admin := r.Token.IsAdmin()
	out := make([]*instanceView, len(found))
	for n, i := range found {
		out[n] = viewInstance(i, admin).withContext(st, i, admin)
	}
	return page(r, "instances", out, p, func(v *instanceView) string { return v.ID }), nil
}

func instancesMatching(r *httpapi.Request, source iter.Seq[*structs.Instance]) iter.Seq[*structs.Instance] {
	q, admin := r.Query(), r.Token.IsAdmin()
	host, name := q.Get("host"), q.Get("name")
	return func(yield func(*structs.Instance) bool) {
		for i := range source {
			if host != "" && (!admin || i.Host != host && string(i.HostID) != host) || name != "" && i.Name != name {
				continue
			}
			if !yield(i) {
				return
			}
		}
	}
}

func showInstance(r *httpapi.Request) (any, error) {
	id := structs.InstanceID(r.Vars["id"])
	if i := r.Core.Stale().Instance(id); i != nil && !r.Sees(i.ProjectID) {
		return nil, instanceNotFound(id)
	}
	st, err := view(r, concernsInstances(r, id, false))
	if err != nil {
		return nil, err
	}
	i := st.Instance(id)
	if i == nil || !r.Sees(i.ProjectID) {
		return nil, instanceNotFound(id)
	}
	admin := r.Token.IsAdmin()
	return viewInstance(i, admin).withContext(st, i, admin), nil
}

func instanceNotFound(id structs.InstanceID) error {
	return httpapi.NotFound("Instance %s could not be found.", id)
}
