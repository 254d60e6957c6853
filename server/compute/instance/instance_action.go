package instance

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const actionPolicy = "os_compute_api:os-instance-actions:"

func (s *service) instanceActionRoutes() []httpapi.Route {
	reader := func(verb string) httpapi.Rule { return httpapi.ReaderOrAdmin(actionPolicy + verb) }
	return []httpapi.Route{
		{Method: http.MethodGet, Path: "/servers/{server_id}/os-instance-actions", Rule: reader("list"), Query: actionListQuery, Handler: s.listActions},
		{Method: http.MethodGet, Path: "/servers/{server_id}/os-instance-actions/{id}", Rule: reader("show"), Query: base.NoQuery, Handler: s.showAction},
	}
}

// actedOn returns the instance whose actions are asked for. Those of a deleted one can be read from 2.21 on.
func actedOn(r *httpapi.Request, rd state.Reader) (*structs.Instance, error) {
	if r.Version < 21 {
		return instanceOf(r, rd, r.Vars["server_id"])
	}
	return instanceOrDeleted(r, rd, r.Vars["server_id"])
}

// actionName is Nova's name of an operation; both reboots have one.
func actionName(k structs.OperationKind) string {
	if t := operation.Of(k); t != nil {
		return t.Action
	}
	return string(k)
}

func actionView(r *httpapi.Request, op *structs.Operation) map[string]any {
	v := map[string]any{"action": actionName(op.Kind), "instance_uuid": op.InstanceID, "request_id": op.RequestID, "user_id": op.UserID,
		"project_id": op.ProjectID, "start_time": base.Micros(op.CreatedAt), "message": nil}
	if op.Status == structs.OpFailed {
		v["message"] = "Error"
	}
	if r.Version >= 58 {
		v["updated_at"] = base.Micros(op.UpdatedAt)
	}
	return v
}

func (s *service) listActions(r *httpapi.Request) (any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	ins, err := actedOn(r, rd)
	if err != nil {
		return nil, err
	}
	ops := slices.Collect(rd.OperationsOfInstance(ins.ID)) // newest first
	var p httpapi.Page
	if r.Version >= 58 {
		if p, err = r.Page(); err != nil {
			return nil, err
		}
		if ops, err = actionsBetween(r, ops, p); err != nil {
			return nil, err
		}
	}
	list := make([]map[string]any, len(ops))
	for i, op := range ops {
		list[i] = actionView(r, op)
	}
	answer := map[string]any{"instanceActions": list}
	if n := len(ops); n > 0 && r.Version >= 58 {
		if next := r.NextLinks(p, n, ops[n-1].RequestID); next != nil {
			answer["links"] = next
		}
	}
	return answer, nil
}

// actionsBetween applies marker, changes-since, changes-before and limit.
func actionsBetween(r *httpapi.Request, ops []*structs.Operation, p httpapi.Page) ([]*structs.Operation, error) {
	opts := map[string]string{}
	for _, k := range []string{"changes-since", "changes-before"} {
		if v := r.Query()[k]; len(v) > 0 {
			opts[k] = base.Last(v)
		}
	}
	since, err := changeTime(opts, "changes-since")
	if err != nil {
		return nil, err
	}
	before, err := changeTime(opts, "changes-before")
	if err != nil {
		return nil, err
	}
	if since != 0 && before != 0 && before < since {
		return nil, httpapi.BadRequest("The value of changes-since must be less than or equal to changes-before.")
	}
	if p.Marker != "" {
		i := slices.IndexFunc(ops, func(op *structs.Operation) bool { return op.RequestID == p.Marker })
		if i < 0 {
			return nil, httpapi.BadRequest("Marker %s could not be found.", p.Marker)
		}
		ops = ops[i+1:]
	}
	var found []*structs.Operation
	for _, op := range ops {
		at := op.UpdatedAt
		if (since == 0 || at >= since) && (before == 0 || at-at%structs.Time(time.Second) <= before) {
			found = append(found, op)
		}
	}
	return found[:min(p.Limit, len(found))], nil
}

func (s *service) showAction(r *httpapi.Request) (any, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	ins, err := actedOn(r, rd)
	if err != nil {
		return nil, err
	}
	for op := range rd.OperationsOfInstance(ins.ID) {
		if op.RequestID != r.Vars["id"] {
			continue
		}
		v := actionView(r, op)
		if r.Version >= 51 || r.May(ruleActionEvents) {
			v["events"] = eventViews(r, rd, ins, op)
		}
		return map[string]any{"instanceAction": v}, nil
	}
	return nil, httpapi.NotFound("Action %s not found", r.Vars["id"])
}

// actionEvent is what Nova records of one service's part in an action.
type actionEvent struct {
	name     string
	host     string
	started  structs.Time
	finished structs.Time // 0 while it goes on
	failure  string
}

// eventName is Nova's name of what a host does for an operation.
func eventName(k structs.OperationKind) string {
	if t := operation.Of(k); t != nil {
		return t.Event
	}
	return "compute_" + string(k)
}

// placementEvent is the event of a build that found no host; a placement that succeeded is no event, as in Nova.
const placementEvent = "conductor_schedule_and_build_instances"

// eventsOf folds an operation's attempts at steps into events, newest first: what one host did in one stretch is one event, with the last
// attempt's outcome.
func eventsOf(rd state.Reader, op *structs.Operation) []actionEvent {
	var events []actionEvent
	hostName := func(id structs.HostID) string {
		if h := rd.Host(id); h != nil {
			return h.Name
		}
		return ""
	}
	var at structs.HostID // whose stretch the last event is
	for i := range op.History {
		rec := &op.History[i]
		if rec.Step == structs.StepPlace {
			if rec.Error != "" {
				events = append(events, actionEvent{placementEvent, "", rec.StartedAt, rec.FinishedAt, rec.Error})
			}
			at = ""
			continue
		}
		if rec.Undo {
			continue
		}
		if at != rec.HostID || len(events) == 0 {
			events = append(events, actionEvent{name: eventName(op.Kind), host: hostName(rec.HostID), started: rec.StartedAt})
			at = rec.HostID
		}
		e := &events[len(events)-1]
		e.finished, e.failure = rec.FinishedAt, rec.Error
	}
	if step, ok := operation.Lookup(op); ok && step.On == operation.OnHost && op.Status == structs.OpRunning {
		if at == op.HostID && len(events) > 0 {
			events[len(events)-1].finished, events[len(events)-1].failure = 0, ""
		} else {
			events = append(events, actionEvent{name: eventName(op.Kind), host: hostName(op.HostID), started: op.StartedAt})
		}
	}
	if op.Status == structs.OpCancelled && op.HostID != "" {
		if len(events) == 0 || at != op.HostID {
			events = append(events, actionEvent{name: eventName(op.Kind), host: hostName(op.HostID), started: op.StartedAt})
		}
		events[len(events)-1].finished, events[len(events)-1].failure = op.FinishedAt, op.Error
	}
	slices.Reverse(events)
	return events
}

// eventViews shows events: what went wrong and the host's name to administrators, the hash of the host's name to everybody from 2.62 on.
func eventViews(r *httpapi.Request, rd state.Reader, ins *structs.Instance, op *structs.Operation) []map[string]any {
	list, details := []map[string]any{}, r.May(ruleEventDetails)
	for _, e := range eventsOf(rd, op) {
		v := map[string]any{"event": e.name, "start_time": base.Micros(e.started), "finish_time": base.Micros(e.finished), "result": nil}
		if !e.finished.IsZero() {
			v["result"] = "Success"
			if e.failure != "" {
				v["result"] = "Error"
			}
		}
		var why any
		if e.failure != "" {
			why = e.failure
		}
		if r.May(ruleActionEvents) {
			v["traceback"] = why
		}
		if r.Version >= 62 {
			v["hostId"] = hostIDOf(cmp.Or(op.ProjectID, ins.ProjectID), e.host)
			if r.May(ruleActionEvents) {
				v["host"] = e.host
			}
		}
		if r.Version >= 84 && details {
			v["details"] = why
		}
		list = append(list, v)
	}
	return list
}
