package native

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type stepView struct {
	Step       string `json:"step"`
	Attempt    int    `json:"attempt"`
	Undo       bool   `json:"undo"`
	HostID     string `json:"host_id,omitempty"`
	StartedAt  string `json:"started_at"`
	FinishedAt string `json:"finished_at"`
	Error      string `json:"error"`
}

type operationView struct {
	ID          string     `json:"id"`
	InstanceID  string     `json:"instance_id"`
	ProjectID   string     `json:"project_id"`
	UserID      string     `json:"user_id"`
	RequestID   string     `json:"request_id"`
	Kind        string     `json:"kind"`
	Status      string     `json:"status"`
	Step        string     `json:"step"`
	Attempt     int        `json:"attempt"`
	HostID      string     `json:"host_id,omitempty"`
	Error       string     `json:"error"`
	ErrorKind   string     `json:"error_kind,omitempty"`
	History     []stepView `json:"history"`
	StartedAt   string     `json:"started_at"`
	Deadline    string     `json:"deadline"`
	CreatedAt   string     `json:"created_at"`
	UpdatedAt   string     `json:"updated_at"`
	FinishedAt  string     `json:"finished_at"`
	CreateIndex uint64     `json:"create_index"`
	ModifyIndex uint64     `json:"modify_index"`
}

// hiddenError is what a user reads where an administrator reads a fault of ours.
const hiddenError = "an internal error; the administrator sees more"

// viewOperation shows an operation. Hosts, and errors that are no fault of the user's, are for administrators.
func viewOperation(o *structs.Operation, admin bool) *operationView {
	v := &operationView{ID: string(o.ID), InstanceID: string(o.InstanceID), ProjectID: string(o.ProjectID), UserID: string(o.UserID), RequestID: o.RequestID,
		Kind: string(o.Kind), Status: string(o.Status), Step: string(o.Step), Attempt: o.Attempt, Error: o.Error, History: []stepView{}, StartedAt: stamp(o.StartedAt),
		Deadline: stamp(o.Deadline), CreatedAt: stamp(o.CreatedAt), UpdatedAt: stamp(o.UpdatedAt), FinishedAt: stamp(o.FinishedAt), CreateIndex: o.CreateIndex,
		ModifyIndex: o.ModifyIndex}
	if o.Error != "" {
		v.ErrorKind = o.ErrorKind.String()
		if !admin && o.ErrorKind == structs.KindInternal {
			v.Error = hiddenError
		}
	}
	if admin {
		v.HostID = string(o.HostID)
	}
	for _, s := range o.History {
		step := stepView{Step: string(s.Step), Attempt: s.Attempt, Undo: s.Undo, StartedAt: stamp(s.StartedAt), FinishedAt: stamp(s.FinishedAt), Error: s.Error}
		if admin {
			step.HostID = string(s.HostID)
		} else if s.Error != "" {
			step.Error = hiddenError
		}
		v.History = append(v.History, step)
	}
	return v
}

func concernsOperations(r *httpapi.Request, instance structs.InstanceID, all bool) func(*event.Event) bool {
	return func(e *event.Event) bool {
		o, ok := e.Entity.(*structs.Operation)
		return ok && (all || o.ProjectID == r.Token.ProjectID) && (instance == "" || o.InstanceID == instance)
	}
}

func listOperations(r *httpapi.Request) (any, error) {
	p, err := r.Page()
	if err != nil {
		return nil, err
	}
	_, all, err := projectsWanted(r)
	if err != nil {
		return nil, err
	}
	instance := structs.InstanceID(r.Query().Get("instance"))
	all = all || instance != "" && r.Token.IsAdmin()
	st, err := view(r, concernsOperations(r, instance, all))
	if err != nil {
		return nil, err
	}
	found, err := httpapi.Paginate(operationsMatching(r, st, instance, all), p, func(o *structs.Operation) string { return string(o.ID) })
	if err != nil {
		return nil, err
	}
	out := make([]*operationView, len(found))
	for i, o := range found {
		out[i] = viewOperation(o, r.Token.IsAdmin())
	}
	return page(r, "operations", out, p, func(v *operationView) string { return v.ID }), nil
}

// operationsMatching iterates over an instance's operations newest first, over others by id.
func operationsMatching(r *httpapi.Request, st state.Reader, instance structs.InstanceID, all bool) iter.Seq[*structs.Operation] {
	source := st.Operations()
	active := on(r, "active")
	switch {
	case instance != "":
		source = st.OperationsOfInstance(instance)
	case active:
		source = st.ActiveOperations()
	}
	return func(yield func(*structs.Operation) bool) {
		for o := range source {
			if !all && o.ProjectID != r.Token.ProjectID || active && o.Status.Final() {
				continue
			}
			if !yield(o) {
				return
			}
		}
	}
}

func showOperation(r *httpapi.Request) (any, error) {
	id := structs.OperationID(r.Vars["id"])
	notFound := httpapi.NotFound("Operation %s could not be found.", id)
	if o := r.Core.Stale().Operation(id); o != nil && !r.Sees(o.ProjectID) {
		return nil, notFound
	}
	st, err := view(r, func(e *event.Event) bool { o, ok := e.Entity.(*structs.Operation); return ok && o.ID == id })
	if err != nil {
		return nil, err
	}
	o := st.Operation(id)
	if o == nil || !r.Sees(o.ProjectID) {
		return nil, notFound
	}
	return viewOperation(o, r.Token.IsAdmin()), nil
}
