package compute_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// looseMigration are what the samples' hosts and flavors are called.
const looseMigration = "source_compute source_node dest_compute dest_node dest_host old_instance_type_id new_instance_type_id"

var migrationSamples = []sampleRow{
	{"servers", "server-action-resize", "", "202 POST " + sampleAction, (*world).movable, ""},
	{"servers", "server-action-confirm-resize", "", "204 POST " + sampleAction, (*world).resized, ""},
	{"servers", "server-action-revert-resize", "", "202 POST " + sampleAction, (*world).resized, ""},
	{"os-evacuate", "server-evacuate-req", "server-evacuate-resp", "200 POST " + sampleAction, (*world).stranded, ""},
	{"os-evacuate", "server-evacuate-find-host-req", "server-evacuate-find-host-resp", "200 POST " + sampleAction, (*world).stranded, ""},
	{"os-migrate-server", "migrate-server", "", "202 POST " + sampleAction, (*world).movable, ""},
	{"os-migrate-server", "migrate-server-null", "", "202 POST " + sampleAction, (*world).movable, ""},
	{"os-migrate-server", "live-migrate-server", "", "202 POST " + sampleAction, (*world).checked, ""},
	{"os-migrations", "", "migrations-get", "200 GET /os-migrations", (*world).migrated, looseMigration},
	{"os-migrations", "", "migrations-get-with-limit", "200 GET /os-migrations?limit=1", (*world).migrated, looseMigration},
	{"os-migrations", "", "migrations-get-with-marker", "200 GET /os-migrations?marker={second}", (*world).migrated, looseMigration},
	{"os-migrations", "", "migrations-get-with-changes-since", "200 GET /os-migrations?changes-since={middle}", (*world).migrated, looseMigration},
	{"os-migrations", "", "migrations-get-with-changes-before", "200 GET /os-migrations?changes-before={early}", (*world).migrated, looseMigration},
	{"os-migrations", "", "migrations-get-with-user-or-project-id", "200 GET /os-migrations?user_id={user}&migration_type=live-migration", (*world).migrated, looseMigration},
	{"server-migrations", "live-migrate-server", "", "202 POST " + sampleAction, (*world).checked, ""},
	{"server-migrations", "force_complete", "", "202 POST /servers/{server}/migrations/1/action", (*world).moving, ""},
	{"server-migrations", "", "migrations-get", "200 GET /servers/{server}/migrations/1", (*world).moving, looseMigration},
	{"server-migrations", "", "migrations-index", "200 GET /servers/{server}/migrations", (*world).moving, looseMigration},
}

// movable gives the cloud a second host, which the request may name, and an instance on the first.
func (w *world) movable() {
	if w.vars["server"] == "" {
		w.server()
	}
	var body map[string]map[string]any
	if w.text != "" {
		_ = json.Unmarshal([]byte(w.text), &body) // a body of another form names no host
	}
	name := "compute2"
	for _, in := range body {
		if h, ok := in["host"].(string); ok {
			name = h
		}
	}
	w.host(name, "node2")
}

func (w *world) resized() {
	w.movable()
	w.act(`{"resize": {"flavorRef": "2"}}`)
}

// stranded is movable with the instance's host down.
func (w *world) stranded() {
	w.movable()
	h := w.core.Stale().Host(w.core.Stale().Instance(structs.InstanceID(w.vars["server"])).HostID)
	propose(w.tb, w.core, fsm.HostStatus, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: h.ID, Epoch: h.Epoch, Status: structs.HostDown}}})
}

// checked is movable where somebody does the checks for which a request of before 2.34 waits.
func (w *world) checked() {
	w.movable()
	if w.minor >= 34 {
		return
	}
	begun := w.core.Stale().Index()
	go func() {
		sub, _ := w.core.Events().Subscribe(begun)
		for {
			if _, _, err := sub.Next(w.tb.Context()); err != nil {
				return
			}
			for op := range w.core.Stale().ActiveOperations() {
				if op.Kind == structs.OpLiveMigrate {
					w.core.Drive(nil)
					return
				}
			}
		}
	}()
}

// moving is an instance in the middle of a live migration.
func (w *world) moving() {
	w.movable()
	w.core.Hold = heldAt(structs.StepMigrate)
	w.core.Moving = func(*structs.Migration) (*structs.MigrationProgress, error) {
		return &structs.MigrationProgress{MemoryTotal: 123456, MemoryRemaining: 111111, DiskTotal: 234567, DiskRemaining: 211111}, nil
	}
	w.liveMigrate()
	w.loose += " memory_processed_bytes disk_processed_bytes" // the samples' figures do not add up
}

func (w *world) liveMigrate() {
	w.cloud.want(202, "admin", "2.104", "POST", "/servers/"+w.vars["server"]+"/action", `{"os-migrateLive": {"host": null, "block_migration": "auto"}}`)
	w.core.Drive(func(op *structs.Operation) string {
		if op.Step == structs.StepCheckSource && op.Status == structs.OpRunning && string(op.InstanceID) == w.vars["broken"] {
			return "the CPUs differ"
		}
		return ""
	})
}

// migrated has the samples' migrations, the oldest first: a live one that runs, one that failed, a resize that failed and one that goes on. Each is a minute
// later than the one before.
func (w *world) migrated() {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	w.core.Clock = func() time.Time { return now }
	later := func() string {
		now = now.Add(time.Minute)
		return now.Add(-time.Second).Format(time.RFC3339)
	}
	w.movable()
	w.core.Hold = heldAt(structs.StepMigrate)
	w.liveMigrate()
	w.vars["early"] = later()
	w.server()
	w.vars["broken"] = w.vars["server"]
	w.liveMigrate()
	w.vars["middle"] = later()
	w.server()
	w.resize("no room")
	later()
	w.core.Hold = func(op *structs.Operation) bool {
		return op.Step == structs.StepMigrate || op.Step == structs.StepExport
	}
	w.resize("")
	list := w.cloud.want(200, "admin", "2.80", "GET", "/os-migrations", nil).json(w.tb)["migrations"].([]any)
	w.vars["second"] = fmt.Sprint(list[2].(map[string]any)["uuid"])
	if w.minor < 23 { // the sample shows two that are over
		w.loose += " migrations id status"
	}
}

func (w *world) resize(fail string) {
	w.cloud.want(202, "admin", "2.104", "POST", "/servers/"+w.vars["server"]+"/action", `{"resize": {"flavorRef": "2"}}`)
	w.core.Drive(func(op *structs.Operation) string {
		if op.Step == structs.StepImport && op.Status == structs.OpRunning {
			return fail
		}
		return ""
	})
}
