package state

import (
	"iter"
	"maps"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var limitTable = newTable("limits", func(v *structs.Limit) []string { return []string{v.ID} },
	index[structs.Limit]{"project", func(v *structs.Limit) []string { return []string{string(v.ProjectID)} }},
	index[structs.Limit]{"domain", func(v *structs.Limit) []string { return []string{string(v.DomainID)} }},
	index[structs.Limit]{"registered", func(v *structs.Limit) []string { return []string{v.RegisteredID} }})

// Limit returns a limit by id, or nil.
func (r Reader) Limit(id string) *structs.Limit { return first(r, limitTable, id) }

// Limits iterates over all limits by id.
func (r Reader) Limits() iter.Seq[*structs.Limit] { return all(r, limitTable) }

// LimitsOfProject iterates over the limits of a project, by id.
func (r Reader) LimitsOfProject(p structs.ProjectID) iter.Seq[*structs.Limit] {
	return prefix(r, limitTable, "project", string(p))
}

// LimitsOfDomain iterates over the limits of a domain, by id.
func (r Reader) LimitsOfDomain(d structs.DomainID) iter.Seq[*structs.Limit] {
	return prefix(r, limitTable, "domain", string(d))
}

// LimitsOfRegistered iterates over the limits of a registered limit, by id.
func (r Reader) LimitsOfRegistered(id string) iter.Seq[*structs.Limit] {
	return prefix(r, limitTable, "registered", string(id))
}

// PutLimit writes a limit.
func (t *Txn) PutLimit(v *structs.Limit) { put(t, limitTable, v) }

// DeleteLimit removes a limit and returns it, or nil.
func (t *Txn) DeleteLimit(id string) *structs.Limit { return remove(t, limitTable, id) }

// RegisteredDefaults returns a service's registered limits by resource: those of the cluster's region before those of all.
func (r Reader) RegisteredDefaults(service string) map[string]int64 {
	return r.limits(service, func(l *structs.RegisteredLimit) (int64, bool) { return l.Default, true })
}

// ProjectLimits returns what a project has instead of a service's registered limits, by resource.
func (r Reader) ProjectLimits(service string, p structs.ProjectID) map[string]int64 {
	var own map[string]int64 // by the id of the registered limit
	for l := range r.LimitsOfProject(p) {
		if own == nil {
			own = map[string]int64{}
		}
		own[l.RegisteredID] = l.Value
	}
	if own == nil {
		return nil
	}
	return r.limits(service, func(l *structs.RegisteredLimit) (int64, bool) { n, has := own[l.ID]; return n, has })
}

// limits gathers what value says of a service's registered limits in the cluster's region. They come by region, those of none first.
func (r Reader) limits(service string, value func(*structs.RegisteredLimit) (int64, bool)) map[string]int64 {
	var out map[string]int64
	for l := range r.RegisteredLimitsOfService(service) {
		n, has := value(l)
		if !has || l.RegionID != "" && l.RegionID != r.ClusterSettings().Region {
			continue
		}
		if out == nil {
			out = map[string]int64{}
		}
		out[l.Resource] = n
	}
	return out
}

// ImageLimits returns the limits of a project's images: its own of the Image service's resources, the registered ones (Keystone's unified limits), and what the
// settings say for the rest.
func (r Reader) ImageLimits(p structs.ProjectID, settings structs.ImageLimits) structs.ImageLimits {
	out := structs.ImageLimits{}
	maps.Copy(out, settings)
	unified := r.RegisteredDefaults(structs.ImageServiceID)
	if p != "" && unified != nil { // "" is no project: what has it are the limits of domains
		maps.Copy(unified, r.ProjectLimits(structs.ImageServiceID, p))
	}
	for _, name := range structs.ImageLimitNames {
		if n, is := unified[name]; is {
			out[name] = n
		}
	}
	return out
}
