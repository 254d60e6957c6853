package scheduler

import (
	"encoding/binary"
	"slices"
	"strings"
)

// profile is what a kind of request asks of hosts apart from amounts and names: the parsed part of extra specs and image
// properties. Requests of equal signature share one, with the verdicts that it remembers.
type profile struct {
	zone         string
	capabilities []capability // of what ClassOf hashes
	liveCaps     []capability // of load and of names
	required     []string     // traits, sorted
	forbidden    []string     // traits, sorted
	classes      []string     // resource classes asked for that no host has, sorted
	image        imageNeeds

	// Of aggregates; project and flavor are "" and imageProperties are nil while no host's verdict depends on them.
	aggregateSpecs  []aggregateSpec
	project, flavor string
	imageProperties []imageProperty

	verdicts []uint8          // by class number: verdictUnknown, or filter position + verdictBase; passes + verdictBase at most
	whys     map[int32]string // by class number: why the class is refused
}

const (
	verdictUnknown = 0
	verdictBase    = 1
	passes         = maxFilters // the position behind the last filter: no filter refused
)

// query is a request with what was parsed of it, for the filters.
type query struct {
	*Request
	*profile
	hints     hints
	servers   serverGroup
	scheduler *Scheduler
}

// query prepares a request.
func (s *Scheduler) query(r *Request) *query {
	q := &s.cache.query
	*q = query{Request: r, profile: s.cache.profileOf(r), scheduler: s}
	if len(r.Hints) > 2 { // not empty, "{}" or "[]"
		q.hints = s.parseHints(r.Hints)
	}
	q.servers = s.serverGroup(r)
	return q
}

// profileOf returns the profile of the request's kind, parsed at its first sight.
func (c *Cache) profileOf(r *Request) *profile {
	c.signature = c.appendSignature(c.signature[:0], r)
	if p, ok := c.profiles[string(c.signature)]; ok {
		return p
	}
	if len(c.profiles) >= maxProfiles {
		clear(c.profiles)
	}
	p := c.parseProfile(r)
	c.profiles[string(c.signature)] = p
	return p
}

// pair is one relevant extra spec or image property.
type pair struct {
	kind       byte // 's' extra spec, 'i' image property
	key, value string
}

// appendSignature appends an encoding of all that parseProfile reads: equal bytes mean equal profiles.
func (c *Cache) appendSignature(b []byte, r *Request) []byte {
	b = appendString(b, r.Zone)
	if c.groups.tenants {
		b = appendString(b, string(r.ProjectID))
	}
	if c.groups.types {
		b = appendString(b, r.Flavor)
	}
	pairs := c.pairs[:0]
	for k, v := range r.ExtraSpecs {
		if specMatters(k) {
			pairs = append(pairs, pair{'s', k, v})
		}
	}
	for k, v := range r.ImageProps {
		if propertyMatters(k) || c.groups.properties[k] {
			pairs = append(pairs, pair{'i', k, v})
		}
	}
	slices.SortFunc(pairs, func(x, y pair) int {
		if x.kind != y.kind {
			return int(x.kind) - int(y.kind)
		}
		return strings.Compare(x.key, y.key)
	})
	for _, p := range pairs {
		b = append(b, p.kind)
		b = appendString(appendString(b, p.key), p.value)
	}
	c.pairs = pairs
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// specMatters reports whether a filter of this package reads the extra spec.
func specMatters(key string) bool {
	if !strings.Contains(key, ":") || key == specMaxPhysAddr || strings.HasPrefix(key, "capabilities:") || strings.HasPrefix(key, aggregateScope) {
		return true
	}
	if _, ok := grouped(key, "trait"); ok {
		return true
	}
	_, ok := grouped(key, "resources")
	return ok
}

func propertyMatters(key string) bool {
	return strings.HasPrefix(key, "trait:") || slices.Contains(imageKeys, key)
}

func (c *Cache) parseProfile(r *Request) *profile {
	p := &profile{zone: r.Zone, image: parseImageNeeds(r.ImageProps)}
	for key, value := range r.ExtraSpecs {
		p.addCapability(key, value)
		p.addAggregateSpec(key, value)
		if t, ok := grouped(key, "trait"); ok {
			switch value {
			case "required":
				p.required = append(p.required, t)
			case "forbidden":
				p.forbidden = append(p.forbidden, t)
			}
		}
		if class, n, ok := resourceSpec(key, value); ok && n > 0 && !slices.Contains(standardClasses, class) {
			p.classes = append(p.classes, class)
		}
	}
	for key, value := range r.ImageProps {
		if t, ok := strings.CutPrefix(key, "trait:"); ok && value == "required" {
			p.required = append(p.required, t)
		}
		if value != "" && c.groups.properties[key] {
			p.imageProperties = append(p.imageProperties, imageProperty{key, value})
		}
	}
	if c.groups.tenants {
		p.project = string(r.ProjectID)
	}
	if c.groups.types {
		p.flavor = r.Flavor
	}
	slices.Sort(p.required)
	p.required = slices.Compact(p.required)
	slices.Sort(p.forbidden)
	slices.Sort(p.classes)
	slices.SortFunc(p.capabilities, compareCapabilities)
	slices.SortFunc(p.liveCaps, compareCapabilities)
	slices.SortFunc(p.aggregateSpecs, compareAggregateSpecs)
	slices.SortFunc(p.imageProperties, func(a, b imageProperty) int { return strings.Compare(a.key, b.key) })
	return p
}

// standardClasses are the resource classes that hosts have.
var standardClasses = []string{"VCPU", "MEMORY_MB", "DISK_GB"}

// verdict returns the position of the first filter that refuses the host for what its class is, or passes. It is
// worked out once per class and profile.
func (c *Cache) verdict(q *query, h *candidate) int {
	if int(h.class) < len(q.verdicts) {
		if v := q.verdicts[h.class]; v != verdictUnknown {
			return int(v) - verdictBase
		}
	}
	return c.judge(q, h)
}

func (c *Cache) judge(q *query, h *candidate) int {
	if n := int(c.classCount); len(q.verdicts) < n {
		q.profile.verdicts = append(q.profile.verdicts, make([]uint8, n-len(q.verdicts))...)
	}
	at := passes
	for i, f := range c.filters {
		f, ok := f.(staticFilter)
		if !ok {
			continue
		}
		if why := f.refuse(q.profile, h); why != "" {
			at = i
			if q.profile.whys == nil {
				q.profile.whys = map[int32]string{}
			}
			q.profile.whys[h.class] = why
			break
		}
	}
	q.profile.verdicts[h.class] = uint8(at + verdictBase)
	return at
}
