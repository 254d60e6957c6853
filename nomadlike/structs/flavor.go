package structs

import "maps"

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
}

// Resources returns what an instance of this flavor claims of a host: DISK_GB counts root, ephemeral and swap rounded up, as Nova does.
func (f *Flavor) Resources() Resources {
	return Resources{VCPUs: int64(f.VCPUs), MemoryMiB: f.MemoryMiB, DiskGiB: f.RootGiB + f.EphemeralGiB + (f.SwapMiB+1023)/1024}
}

// Copy returns a deep copy.
func (f *Flavor) Copy() *Flavor {
	c := *f
	c.ExtraSpecs = maps.Clone(f.ExtraSpecs)
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
