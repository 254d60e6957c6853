package placement

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type inventory struct {
	AllocationRatio float64 `json:"allocation_ratio"`
	MaxUnit         int64   `json:"max_unit"`
	MinUnit         int64   `json:"min_unit"`
	Reserved        int64   `json:"reserved"`
	StepSize        int64   `json:"step_size"`
	Total           int64   `json:"total"`
}

type inventoryOf struct {
	inventory
	Generation uint64 `json:"resource_provider_generation"`
}

// inventoryFor returns what a host has of a class; ok is false when it has none.
func inventoryFor(c *class, h *structs.Host, s *structs.ClusterSettings) (inv inventory, ok bool) {
	total := c.amount(h.Total)
	return inventory{AllocationRatio: c.ratio(s), MaxUnit: total, MinUnit: 1, Reserved: c.amount(h.Reserved), StepSize: 1, Total: total}, total > 0
}

func listInventories(_ *httpapi.Request, st state.Reader, h *structs.Host) (any, error) {
	settings, out := st.ClusterSettings(), map[string]inventory{}
	for i := range classes {
		if inv, ok := inventoryFor(&classes[i], h, settings); ok {
			out[classes[i].name] = inv
		}
	}
	return map[string]any{"inventories": out, "resource_provider_generation": generation(st, h)}, nil
}

func showInventory(r *httpapi.Request, st state.Reader, h *structs.Host) (any, error) {
	name := r.Vars["class"]
	if c := classNamed(name); c != nil {
		if inv, ok := inventoryFor(c, h, st.ClusterSettings()); ok {
			return inventoryOf{inv, generation(st, h)}, nil
		}
	}
	return nil, httpapi.NotFound("No inventory of class %s for %s", name, h.ID)
}

func providerUsages(_ *httpapi.Request, st state.Reader, h *structs.Host) (any, error) {
	used, settings, out := st.HostUsage(h.ID).Used, st.ClusterSettings(), map[string]int64{}
	for i := range classes {
		if _, ok := inventoryFor(&classes[i], h, settings); ok {
			out[classes[i].name] = classes[i].amount(used)
		}
	}
	return map[string]any{"resource_provider_generation": generation(st, h), "usages": out}, nil
}
