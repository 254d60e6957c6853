package structs

import (
	"maps"
	"slices"
)

// Flavor is a size of instance. An instance keeps its own copy, so that deleting a flavor changes no instance.
type Flavor struct {
	Meta
	ID           FlavorID          `codec:"id"`
	Name         string            `codec:"name"`
	VCPUs        int               `codec:"vcpus"`
	MemoryMiB    int64             `codec:"mem"`
	RootGiB      int64             `codec:"disk"`
	EphemeralGiB int64             `codec:"eph"`
	SwapMiB      int64             `codec:"swap"`
	RxTxFactor   float64           `codec:"rxtx"`
	Public       bool              `codec:"pub"`
	Description  *string           `codec:"desc"` // nil: none was given
	ExtraSpecs   map[string]string `codec:"specs"`
	CreatedAt    Time              `codec:"created"`
	UpdatedAt    Time              `codec:"updated"`
	// Projects may use the flavor beside administrators when it is not public; sorted.
	Projects []ProjectID `codec:"projs,omitempty"`
	Num      int64       `codec:"num,omitempty"` // the integer by which migrations name it, assigned by the state
}

// Grants reports whether a project may use the flavor: everybody a public one.
func (f *Flavor) Grants(p ProjectID) bool {
	if f.Public {
		return true
	}
	_, granted := slices.BinarySearch(f.Projects, p)
	return granted && p != ""
}

// Resources returns what an instance of this flavor claims of a host: DISK_GB counts root, ephemeral and swap rounded up, as Nova does.
func (f *Flavor) Resources() Resources {
	return Resources{VCPUs: int64(f.VCPUs), MemoryMiB: f.MemoryMiB, DiskGiB: f.RootGiB + f.EphemeralGiB + (f.SwapMiB+1023)/1024}
}

// Copy returns a deep copy.
func (f *Flavor) Copy() *Flavor {
	c := *f
	c.ExtraSpecs = maps.Clone(f.ExtraSpecs)
	c.Projects = slices.Clone(f.Projects)
	return &c
}

// FlavorCreateRequest makes a flavor; a taken id or name is KindConflict. With Update the flavor must exist and its
// description is replaced.
type FlavorCreateRequest struct {
	Flavor Flavor `codec:"f"`
	Update bool   `codec:"u"`
}

// FlavorDeleteRequest removes a flavor; an unknown one is KindNotFound.
type FlavorDeleteRequest struct {
	ID FlavorID `codec:"id"`
}

// FlavorAccessRequest lets a project use a flavor or no longer. KindNotFound when there is no such flavor, or nothing to take away; KindConflict when
// the project has access already, and with Private when the flavor is public.
type FlavorAccessRequest struct {
	ID        FlavorID  `codec:"id"`
	ProjectID ProjectID `codec:"proj"`
	Private   bool      `codec:"priv,omitempty"`
	Now       Time      `codec:"now"`
}

// FlavorSpecsSetRequest writes extra specs beside those that the flavor has, which keep their values unless they are named.
type FlavorSpecsSetRequest struct {
	ID    FlavorID          `codec:"id"`
	Specs map[string]string `codec:"specs"`
	Now   Time              `codec:"now"`
}

// FlavorSpecDeleteRequest removes one extra spec; KindNotFound when the flavor has none of that key.
type FlavorSpecDeleteRequest struct {
	ID  FlavorID `codec:"id"`
	Key string   `codec:"key"`
	Now Time     `codec:"now"`
}
