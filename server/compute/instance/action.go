package instance

import (
	"encoding/json"
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// The rows of POST /servers/{id}/action that are one operation, or one change of the record.

func (s *service) actionRoutes() []httpapi.Route {
	row := func(key string, rule httpapi.Rule, body *httpapi.Schema, h httpapi.Handler) httpapi.Route {
		return httpapi.Route{Method: http.MethodPost, Path: "/servers/{id}/action", Action: key, Rule: rule, Body: body, Status: http.StatusAccepted, Handler: h}
	}
	plain := func(key, rule string, k structs.OperationKind) httpapi.Route {
		return row(key, httpapi.MemberOrAdmin("os_compute_api:"+rule), base.Action(key, `{}`), s.operate(k))
	}
	rescue := row("rescue", httpapi.MemberOrAdmin("os_compute_api:os-rescue"), rescueSchema, s.rescueInstance)
	rescue.Status = http.StatusOK
	crash := row("trigger_crash_dump", httpapi.MemberOrAdmin(instancePolicy+"trigger_crash_dump"), base.Action("trigger_crash_dump", `{"type": "null"}`),
		s.operate(structs.OpCrashDump))
	crash.Min = 17
	return []httpapi.Route{
		plain("pause", "os-pause-server:pause", structs.OpPause),
		plain("unpause", "os-pause-server:unpause", structs.OpUnpause),
		plain("suspend", "os-suspend-server:suspend", structs.OpSuspend),
		plain("resume", "os-suspend-server:resume", structs.OpResume),
		plain("forceDelete", "os-deferred-delete:force", structs.OpDelete),
		plain("restore", "os-deferred-delete:restore", structs.OpRestore),
		plain("unrescue", "os-unrescue", structs.OpUnrescue),
		rescue, crash,
		row("changePassword", httpapi.MemberOrAdmin("os_compute_api:os-admin-password"), passwordSchema, s.setPassword),
		row("lock", httpapi.MemberOrAdmin("os_compute_api:os-lock-server:lock"), lockSchema, s.lockInstance),
		row("unlock", httpapi.MemberOrAdmin("os_compute_api:os-lock-server:unlock"), base.Action("unlock", `{}`), s.unlockInstance),
		row("os-resetState", httpapi.Admin("os_compute_api:os-admin-actions:reset_state"), resetSchema, s.resetState),
		row("injectNetworkInfo", httpapi.Admin("os_compute_api:os-admin-actions:inject_network_info"), base.Action("injectNetworkInfo", `{}`), s.injectNetworkInfo),
		row("rebuild", httpapi.MemberOrAdmin(instancePolicy+"rebuild"), rebuildSchema, s.rebuildInstance),
	}
}

var (
	rescueSchema = base.Action("rescue", `{"type": ["object", "null"], "additionalProperties": false, "properties": {"adminPass": @text, "rescue_image_ref": @uuid}}`)

	passwordSchema = base.Action("changePassword", `{"type": "object", "additionalProperties": false, "required": ["adminPass"], "properties": {"adminPass": @text}}`)

	lockSchema = base.Action("lock", `{"x-when": [{"max": 72, "schema": {}}, {"min": 73, "schema": {"type": ["object", "null"], "additionalProperties": false,
		"properties": {"locked_reason": {"type": "string", "minLength": 1, "maxLength": 255}}}}]}`)

	resetSchema = base.Action("os-resetState", `{"type": "object", "additionalProperties": false, "required": ["state"], "properties": {
		"state": {"type": "string", "enum": ["active", "error"]}}}`)
)

// target returns the instance of the URL.
func target(r *httpapi.Request) (state.Reader, *structs.Instance, error) {
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return rd, nil, err
	}
	ins, err := instanceOf(r, rd, r.Vars["id"])
	return rd, ins, err
}

// asked returns the body that the schema has accepted, and the instance of the URL.
func asked[T any](r *httpapi.Request) (*T, state.Reader, *structs.Instance, error) {
	body, err := base.Decode[T](r)
	if err != nil {
		return nil, state.Reader{}, nil, err
	}
	rd, ins, err := target(r)
	return body, rd, ins, err
}

// operation is the record of what the request asks for.
func (s *service) operation(r *httpapi.Request, ins *structs.Instance, k structs.OperationKind) structs.Operation {
	return structs.Operation{ID: structs.OperationID(nomadlike.NewUUID()), InstanceID: ins.ID, ProjectID: r.Token.ProjectID, UserID: r.Token.UserID,
		RequestID: r.RequestID, Kind: k}
}

// start proposes an operation. The state machine judges lock and states; its refusals are Nova's.
func (s *service) start(r *httpapi.Request, op structs.Operation) error {
	_, err := fsm.OperationCreate.Propose(r.Context(), r.Core, &structs.OperationCreateRequest{Operation: op, Admin: r.Token.IsAdmin(), Now: s.Time()})
	return err
}

// operate returns the handler of an action that is one operation and has no arguments.
func (s *service) operate(k structs.OperationKind) httpapi.Handler {
	return func(r *httpapi.Request) (any, error) { return s.begin(r, k) }
}

// begin starts an operation on the instance of the URL.
func (s *service) begin(r *httpapi.Request, k structs.OperationKind) (any, error) {
	_, ins, err := target(r)
	if err != nil {
		return nil, err
	}
	return nil, s.start(r, s.operation(r, ins, k))
}

// rescueInstance boots another image with the instance's disks beside it: the image that is named, else the instance's own.
func (s *service) rescueInstance(r *httpapi.Request) (any, error) {
	body, _, ins, err := asked[struct {
		Rescue *struct {
			AdminPass *string `json:"adminPass"`
			ImageRef  string  `json:"rescue_image_ref"`
		} `json:"rescue"`
	}](r)
	if err != nil {
		return nil, err
	}
	op, pass := s.operation(r, ins, structs.OpRescue), randomText(passwordLetters, passwordLength)
	op.Args.ImageID = ins.ImageID
	if body.Rescue != nil {
		if body.Rescue.AdminPass != nil {
			pass = *body.Rescue.AdminPass
		}
		if body.Rescue.ImageRef != "" {
			img, err := s.activeImage(r, body.Rescue.ImageRef)
			if err != nil {
				return nil, err
			}
			op.Args.ImageID = img.ID
		}
	}
	if err := s.start(r, op); err != nil {
		return nil, err
	}
	if s.NoAdminPass {
		return map[string]any{}, nil
	}
	return map[string]string{"adminPass": pass}, nil
}

func (s *service) setPassword(r *httpapi.Request) (any, error) {
	body, _, ins, err := asked[struct {
		ChangePassword struct {
			AdminPass string `json:"adminPass"`
		} `json:"changePassword"`
	}](r)
	if err != nil {
		return nil, err
	}
	op := s.operation(r, ins, structs.OpSetPassword)
	op.Args.Secret = body.ChangePassword.AdminPass
	return nil, s.start(r, op)
}

// lockedBy is the word for the caller in Nova's locked_by.
func lockedBy(r *httpapi.Request, ins *structs.Instance) string {
	if r.Token.ProjectID == ins.ProjectID {
		return structs.LockedByOwner
	}
	return structs.LockedByAdmin
}

func (s *service) lockInstance(r *httpapi.Request) (any, error) {
	body, _, ins, err := asked[struct {
		Lock json.RawMessage `json:"lock"` // anything before 2.73, also a number that no float holds
	}](r)
	if err != nil {
		return nil, err
	}
	req := &structs.InstanceLockRequest{ID: ins.ID, Lock: true, By: lockedBy(r, ins), Action: s.operation(r, ins, structs.OpLock), Now: s.Time()}
	if r.Version >= 73 && body.Lock != nil {
		given := struct {
			Reason *string `json:"locked_reason"`
		}{}
		if err := json.Unmarshal(body.Lock, &given); err != nil {
			return nil, httpapi.BadRequest("Malformed request body")
		}
		req.Reason = given.Reason
	}
	_, err = fsm.InstanceLock.Propose(r.Context(), r.Core, req)
	return nil, err
}

// unlockInstance needs one more rule where an administrator locked and another one unlocks.
func (s *service) unlockInstance(r *httpapi.Request) (any, error) {
	_, ins, err := target(r)
	if err != nil {
		return nil, err
	}
	if ins.Locked && ins.LockedBy == structs.LockedByAdmin && lockedBy(r, ins) == structs.LockedByOwner {
		if err := r.AllowFor(ruleUnlockOverride, ins.ProjectID, ins.UserID); err != nil {
			return nil, err
		}
	}
	_, err = fsm.InstanceLock.Propose(r.Context(), r.Core, &structs.InstanceLockRequest{ID: ins.ID, Action: s.operation(r, ins, structs.OpUnlock), Now: s.Time()})
	return nil, err
}

func (s *service) resetState(r *httpapi.Request) (any, error) {
	body, _, ins, err := asked[struct {
		Reset struct{ State structs.VMState } `json:"os-resetState"`
	}](r)
	if err != nil {
		return nil, err
	}
	_, err = fsm.InstanceReset.Propose(r.Context(), r.Core, &structs.InstanceResetRequest{ID: ins.ID, VM: body.Reset.State,
		Action: s.operation(r, ins, structs.OpResetState), Now: s.Time()})
	return nil, err
}

// injectNetworkInfo is accepted and does nothing where guests get their network by other ways, as with Nova's libvirt driver.
func (s *service) injectNetworkInfo(r *httpapi.Request) (any, error) {
	_, ins, err := target(r)
	switch {
	case err != nil:
		return nil, err
	case ins.Locked && !r.Token.IsAdmin():
		return nil, httpapi.Conflict("Instance %s is locked", ins.ID)
	case ins.HostID == "":
		return nil, httpapi.Conflict("Instance %s is not ready", ins.ID)
	}
	return nil, nil
}
