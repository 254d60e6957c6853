package fake

import (
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// guest is one record: all that is kept of a guest, in memory and in the journal. Only its driver touches it, under mu.
type guest struct {
	ID         string             `json:"id"`
	Generation uint64             `json:"gen"`           // the highest seen
	Shape      string             `json:"shape"`         // operation that made, rebuilt or resized it
	Done       string             `json:"done"`          // method and operation of the last completed call, see repeated
	State      state              `json:"state"`         // what of it is there
	Power      driver.PowerState  `json:"power"`         //
	Reason     string             `json:"why,omitempty"` // for its power state
	StartedAt  int64              `json:"at,omitempty"`  // Unix nanoseconds, 0 when off
	Name       string             `json:"name,omitempty"`
	Hostname   string             `json:"host,omitempty"`
	VCPUs      int                `json:"cpus"`
	MemoryMiB  int64              `json:"mem"`
	RootGiB    int64              `json:"root"`
	Stubborn   bool               `json:"stubborn,omitempty"` // does not shut down when asked
	Rescued    bool               `json:"rescued,omitempty"`
	Quiesced   bool               `json:"quiesced,omitempty"`
	Volumes    []driver.Volume    `json:"vols,omitempty"`
	Interfaces []driver.Interface `json:"nics,omitempty"`
	Snapshots  []string           `json:"snaps,omitempty"`  // volume id/snapshot id
	Shares     []string           `json:"shares,omitempty"` // share ids
	Files      []driver.File      `json:"files,omitempty"`  // on its root disk
}

// state is what of a guest is on the host.
type state string

const (
	stateDefined  state = ""         // a guest as any other
	stateDisks    state = "disks"    // its definition is gone, its disks are left; Recover brings it back
	stateIncoming state = "incoming" // a migration prepared it; FinishMigration makes it a guest
)

// StubbornKey is the key of an instance's metadata or flavor extra specs that, with the value "true", makes a guest
// that does not shut down when asked.
const StubbornKey = "fake:ignore_shutdown"

func newGuest(spec *driver.InstanceSpec) *guest {
	g := &guest{ID: spec.InstanceID}
	g.shape(spec)
	g.Volumes = slices.Clone(spec.Volumes)
	g.Interfaces = slices.Clone(spec.Interfaces)
	g.Files = slices.Clone(spec.Files)
	return g
}

// shape takes what a spec says of a guest's form.
func (g *guest) shape(spec *driver.InstanceSpec) {
	g.Generation = max(g.Generation, spec.Generation)
	g.Shape = spec.OperationID
	g.Name, g.Hostname = spec.Name, spec.Hostname
	g.VCPUs, g.MemoryMiB, g.RootGiB = spec.VCPUs, spec.MemoryMiB, spec.RootGiB
	g.Stubborn = spec.Metadata[StubbornKey] == "true" || spec.ExtraSpecs[StubbornKey] == "true"
}

func (g *guest) status() *driver.InstanceStatus {
	s := &driver.InstanceStatus{
		InstanceID: g.ID, Power: g.Power, Generation: g.Generation, OperationID: g.Shape, Reason: g.Reason,
		VCPUs: g.VCPUs, MemoryMiB: g.MemoryMiB,
	}
	if g.StartedAt != 0 {
		s.StartedAt = time.Unix(0, g.StartedAt).UTC()
	}
	return s
}

// setPower moves the guest; a start is stamped, an end forgets the stamp, the rest keeps it.
func (g *guest) setPower(p driver.PowerState, reason string, now time.Time) {
	switch p {
	case driver.PowerRunning:
		if g.StartedAt == 0 || g.off() {
			g.StartedAt = now.UnixNano()
		}
	case driver.PowerShutdown, driver.PowerCrashed, driver.PowerSuspended:
		g.StartedAt, g.Quiesced = 0, false
	}
	g.Power, g.Reason = p, reason
}

func (g *guest) off() bool {
	return g.Power == driver.PowerShutdown || g.Power == driver.PowerCrashed || g.Power == driver.PowerNoState
}

// graves keep the generations of guests that are gone, so that a late call of an older generation cannot bring one back.
// They are bounded: the oldest are forgotten, long after any call about them can still be under way.
type graves struct {
	gens  map[string]uint64
	order []string
}

const maxGraves = 4096

func (g *graves) put(id string, gen uint64) {
	if g.gens == nil {
		g.gens = map[string]uint64{}
	}
	if _, ok := g.gens[id]; !ok {
		g.order = append(g.order, id)
		if len(g.order) > 2*maxGraves {
			for _, old := range g.order[:maxGraves] {
				delete(g.gens, old)
			}
			g.order = slices.Clone(g.order[maxGraves:])
		}
	}
	g.gens[id] = max(g.gens[id], gen)
}

// hostState is what is kept of the host itself.
type hostState struct {
	Powered     bool            `json:"powered"`
	Healthy     bool            `json:"healthy"`
	Description string          `json:"description,omitempty"`
	Maintenance bool            `json:"maintenance,omitempty"`
	Fired       map[string]bool `json:"fired,omitempty"`   // crash rules, by key
	Control     int64           `json:"control,omitempty"` // bytes of the control file that were obeyed
}

func (h *hostState) fired(key string) {
	if h.Fired == nil {
		h.Fired = map[string]bool{}
	}
	h.Fired[key] = true
}
