package instance

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const migratePolicy = "os_compute_api:os-migrate-server:"

// The rows of POST /servers/{id}/action that take an instance to another host or flavor.

func (s *service) migrateRoutes() []httpapi.Route {
	row := func(key string, rule httpapi.Rule, body *httpapi.Schema, h httpapi.Handler) httpapi.Route {
		return httpapi.Route{Method: http.MethodPost, Path: "/servers/{id}/action", Action: key, Rule: rule, Body: body, Status: http.StatusAccepted, Handler: h}
	}
	confirm := row("confirmResize", httpapi.MemberOrAdmin(instancePolicy+"confirm_resize"), base.Action("confirmResize", `{}`), s.operate(structs.OpConfirmResize))
	confirm.Status = http.StatusNoContent
	evacuate := row("evacuate", httpapi.Admin("os_compute_api:os-evacuate"), evacuateSchema, s.evacuateInstance)
	evacuate.Status = http.StatusOK
	return []httpapi.Route{
		row("resize", httpapi.MemberOrAdmin(instancePolicy+"resize"), resizeSchema, s.resizeInstance),
		confirm,
		row("revertResize", httpapi.MemberOrAdmin(instancePolicy+"revert_resize"), base.Action("revertResize", `{}`), s.operate(structs.OpRevertResize)),
		row("migrate", httpapi.ManagerOrAdmin(migratePolicy+"migrate"), migrateSchema, s.migrateInstance),
		row("os-migrateLive", httpapi.ManagerOrAdmin(migratePolicy+"migrate_live"), migrateLiveSchema, s.liveMigrateInstance),
		evacuate,
	}
}

var (
	resizeSchema = base.Action("resize", `{"type": "object", "additionalProperties": false, "required": ["flavorRef"], "properties": {
		"flavorRef": {"type": ["string", "integer"], "minLength": 1}, "OS-DCF:diskConfig": {"type": "string", "enum": ["AUTO", "MANUAL"]}}}`)

	migrateSchema = base.Action("migrate", `{"x-when": [{"max": 55, "schema": {}}, {"min": 56, "schema": {"type": ["object", "null"], "additionalProperties": false,
		"properties": {"host": {"anyOf": [@host, {"type": "null"}]}}}}]}`)

	migrateLiveSchema = base.Action("os-migrateLive", `{"type": "object", "additionalProperties": false,
		"required": ["block_migration", "host"], "x-required": {"disk_over_commit": {"max": 24}}, "properties": {
		"host": {"anyOf": [@host, {"type": "null"}]},
		"block_migration": {"x-when": [{"max": 24, "schema": @bool}, {"min": 25, "schema": {"anyOf": [@bool, {"type": "string", "enum": ["auto"]}]}}]},
		"disk_over_commit": {"x-max": 24, "anyOf": [@bool]},
		"force": {"x-min": 30, "x-max": 67, "anyOf": [@bool]}}}`)

	evacuateSchema = base.Action("evacuate", `{"type": "object", "additionalProperties": false, "x-required": {"onSharedStorage": {"max": 13}}, "properties": {
		"host": @host, "adminPass": @text,
		"onSharedStorage": {"x-max": 13, "anyOf": [@bool]}, "force": {"x-min": 29, "x-max": 67, "anyOf": [@bool]}}}`)
)

// move proposes an operation that makes a migration.
func (s *service) move(r *httpapi.Request, op structs.Operation, diskConfig string) error {
	_, err := fsm.OperationCreate.Propose(r.Context(), r.Core, &structs.OperationCreateRequest{Operation: op, Admin: r.Token.IsAdmin(), Now: s.Time(),
		Migration: structs.MigrationID(nomadlike.NewUUID()), DiskConfig: diskConfig})
	return err
}

func (s *service) resizeInstance(r *httpapi.Request) (any, error) {
	body, rd, ins, err := asked[struct {
		Resize struct {
			FlavorRef  base.FlexText `json:"flavorRef"`
			DiskConfig string        `json:"OS-DCF:diskConfig"`
		} `json:"resize"`
	}](r)
	if err != nil {
		return nil, err
	}
	if body.Resize.DiskConfig == "AUTO" && strings.EqualFold(ins.ImageProps["auto_disk_config"], "disabled") {
		return nil, httpapi.BadRequest("Requested image %s has automatic disk resize disabled.", ins.ImageID)
	}
	f, err := flavorOf(r, rd, string(body.Resize.FlavorRef))
	if err != nil {
		return nil, err
	}
	switch {
	case f.ID == ins.Flavor.ID && f.CreatedAt == ins.Flavor.CreatedAt:
		return nil, httpapi.BadRequest("When resizing, instances must change flavor!")
	case f.RootGiB == 0 && ins.Flavor.RootGiB != 0:
		return nil, httpapi.BadRequest("Server disk was unable to be resized because: Resize to zero disk flavor is not allowed.")
	case ins.ImageMinDisk > f.RootGiB && f.RootGiB > 0:
		return nil, httpapi.BadRequest("Flavor's disk is smaller than the minimum size specified in image metadata. Flavor disk is %d bytes, minimum size is %d bytes.",
			f.RootGiB*gibibyte, ins.ImageMinDisk*gibibyte)
	}
	if img := rd.Image(ins.ImageID); img != nil && img.MinMemoryMiB > f.MemoryMiB {
		return nil, httpapi.BadRequest("Flavor's memory is too small for requested image.")
	}
	op := s.operation(r, ins, structs.OpResize)
	op.Args.NewFlavor, op.Args.SameHost = f, s.ResizeToSameHost
	return nil, s.move(r, op, body.Resize.DiskConfig)
}

// destination judges the host that a move asks for by name; nil is any.
func destination(r *httpapi.Request, rd state.Reader, ins *structs.Instance, rule httpapi.Rule, host string, missing func(string) error, same error) (*structs.Pin, error) {
	if host == "" {
		return nil, nil
	}
	if rule != nil {
		if err := r.AllowFor(rule, ins.ProjectID, ins.UserID); err != nil {
			return nil, err
		}
	}
	if rd.HostByName(host) == nil {
		return nil, missing(host)
	}
	if host == ins.Host {
		return nil, same
	}
	return &structs.Pin{Host: host}, nil
}

func noSuchHost(host string) error {
	return httpapi.BadRequest("Compute host %s could not be found.", host)
}

// migrateInstance takes an instance to another host with its guest switched off.
func (s *service) migrateInstance(r *httpapi.Request) (any, error) {
	rd, ins, err := target(r)
	if err != nil {
		return nil, err
	}
	op := s.operation(r, ins, structs.OpMigrate)
	if r.Version >= 56 { // before it the value may be anything and says nothing
		body, err := base.Decode[struct{ Migrate *struct{ Host *string } }](r)
		if err != nil {
			return nil, err
		}
		if m := body.Migrate; m != nil && m.Host != nil {
			op.Args.Pin, err = destination(r, rd, ins, ruleMigrateHost, *m.Host, noSuchHost, httpapi.BadRequest("Cannot migrate to the host where the server exists."))
			if err != nil {
				return nil, err
			}
		}
	}
	return nil, s.move(r, op, "")
}

// forced refuses to force what names no host. A host that is forced is judged like one that is not: the room that it would overrun is its instances'.
func forced(force base.FlexBool, host string) error {
	if bool(force) && host == "" {
		return httpapi.BadRequest("Can't force to a non-provided destination")
	}
	return nil
}

func (s *service) liveMigrateInstance(r *httpapi.Request) (any, error) {
	body, rd, ins, err := asked[struct {
		Live struct {
			Host           *string
			BlockMigration base.FlexText `json:"block_migration"`
			Force          base.FlexBool
		} `json:"os-migrateLive"`
	}](r)
	if err != nil {
		return nil, err
	}
	host := ""
	if body.Live.Host != nil {
		host = *body.Live.Host
	}
	if err := forced(body.Live.Force, host); err != nil {
		return nil, err
	}
	op := s.operation(r, ins, structs.OpLiveMigrate)
	op.Args.Pin, err = destination(r, rd, ins, ruleMigrateLiveHost, host, noSuchHost,
		httpapi.BadRequest("Unable to migrate instance (%s) to current host (%s).", ins.ID, ins.Host))
	if err != nil {
		return nil, err
	}
	if b := string(body.Live.BlockMigration); b != "auto" {
		op.Args.BlockMigration, _ = base.ParseBool(b)
	} else {
		op.Args.BlockMigration = true // disks are local here
	}
	if err := s.move(r, op, ""); err != nil {
		return nil, err
	}
	if r.Version < 34 {
		return nil, preChecked(r, op.ID)
	}
	return nil, nil
}

// preCheckWait bounds how long a request of before 2.34 waits for the checks before a live migration.
const preCheckWait = 30 * time.Second

// preChecked waits until the checks before a live migration are over, and answers with what they found: before 2.34 the request itself is refused.
func preChecked(r *httpapi.Request, id structs.OperationID) error {
	ctx, cancel := context.WithTimeout(r.Context(), preCheckWait)
	defer cancel()
	index := r.Core.Stale().Index()
	for {
		sub, _ := r.Core.Events().Subscribe(index)
		rd := r.Core.Stale()
		if op := rd.Operation(id); op != nil {
			switch {
			case op.Status == structs.OpFailed:
				return httpapi.BadRequest("Migration pre-check error: %s", op.Error)
			case op.Status != structs.OpRunning, op.Step != structs.StepPlace && op.Step != structs.StepCheckDestination && op.Step != structs.StepCheckSource:
				return nil
			}
		}
		index = rd.Index()
		if _, _, err := sub.Next(ctx); err != nil {
			return nil // it goes on; its migration tells how it ends
		}
	}
}

// evacuateInstance builds an instance anew on another host: its own is down.
func (s *service) evacuateInstance(r *httpapi.Request) (any, error) {
	body, rd, ins, err := asked[struct {
		Evacuate struct {
			Host            string
			AdminPass       *string       `json:"adminPass"`
			OnSharedStorage base.FlexBool `json:"onSharedStorage"`
			Force           base.FlexBool
		}
	}](r)
	if err != nil {
		return nil, err
	}
	in := &body.Evacuate
	pass := ""
	switch {
	case in.AdminPass != nil && bool(in.OnSharedStorage):
		return nil, httpapi.BadRequest("admin password can't be changed on existing disk")
	case in.AdminPass != nil:
		pass = *in.AdminPass
	case !bool(in.OnSharedStorage):
		pass = randomText(passwordLetters, passwordLength)
	}
	if err := forced(in.Force, in.Host); err != nil {
		return nil, err
	}
	op := s.operation(r, ins, structs.OpEvacuate)
	op.Args.StayOff = r.Version >= 95
	op.Args.Pin, err = destination(r, rd, ins, nil, in.Host, func(host string) error { return httpapi.NotFound("Compute host %s not found.", host) },
		httpapi.BadRequest("The target host can't be the same one."))
	if err != nil {
		return nil, err
	}
	if err := s.move(r, op, ""); err != nil {
		return nil, err
	}
	switch {
	case r.Version >= 14:
		return nil, nil
	case s.NoAdminPass:
		return map[string]any{}, nil
	case pass == "":
		return map[string]any{"adminPass": nil}, nil
	}
	return map[string]any{"adminPass": pass}, nil
}
