package libvirt

import (
	"context"
	"encoding/xml"
	"errors"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// guest is a domain of ours, as libvirt knows it.
type guest struct {
	id     string // the instance's
	domain golibvirt.Domain
	meta   metadata
	vcpus  int
	memory int64 // MiB
	folder folder
}

// generation is that which the guest was defined with; 0 for no guest.
func (g *guest) generation() uint64 {
	if g == nil {
		return 0
	}
	return g.meta.Generation
}

// description is the part of a domain's XML that is read back.
type description struct {
	Metadata struct {
		Inner string `xml:",innerxml"`
	} `xml:"metadata"`
	Memory struct {
		Unit  string `xml:"unit,attr"`
		Value int64  `xml:",chardata"`
	} `xml:"memory"`
	VCPU struct {
		Current int `xml:"current,attr"`
		Value   int `xml:",chardata"`
	} `xml:"vcpu"`
}

// foreignError says that the domain of an instance belongs to somebody else, who keeps it in another folder.
type foreignError struct{ folder string }

func (e *foreignError) Error() string {
	if e.folder == "" {
		return "its domain was not made by a Kilonova driver"
	}
	return "its domain belongs to the driver with the folder " + e.folder
}

// parseGuest reads a domain's XML. The error is foreignError when the domain is not this driver's.
func (h *host) parseGuest(domain golibvirt.Domain, text string) (*guest, error) {
	id := instanceOf(domain)
	if id == "" {
		return nil, &foreignError{}
	}
	d := &description{}
	if err := xml.Unmarshal([]byte(text), d); err != nil {
		return nil, driver.Errorf(driver.KindInternal, "the XML of domain %s is not understood: %v", domain.Name, err)
	}
	meta, err := parseMetadata(d.Metadata.Inner)
	if err != nil {
		return nil, driver.Errorf(driver.KindInternal, "the metadata of domain %s is not understood: %v", domain.Name, err)
	}
	f := newFolder(h.cfg.InstancesDir, id)
	if meta == nil {
		return nil, &foreignError{}
	}
	if meta.Folder != f.path() {
		return nil, &foreignError{folder: meta.Folder}
	}
	g := &guest{id: id, domain: domain, meta: *meta, folder: f, vcpus: d.VCPU.Value, memory: d.Memory.Value / 1024}
	if d.VCPU.Current > 0 {
		g.vcpus = d.VCPU.Current
	}
	return g, nil
}

// find returns the instance's guest, or nil when there is none or it is somebody else's. Errors are never ErrNotFound.
func (h *host) find(ctx context.Context, id string) (*guest, error) {
	g, err := h.findAny(ctx, id)
	var foreign *foreignError
	if isKind(err, driver.KindNotFound) || errors.As(err, &foreign) {
		return nil, nil
	}
	return g, err
}

// findAny is find that tells somebody else's guest (foreignError) from none (ErrNotFound).
func (h *host) findAny(ctx context.Context, id string) (*guest, error) {
	if !isInstanceID(id) {
		return nil, notFound(id)
	}
	type found struct {
		domain golibvirt.Domain
		text   string
	}
	f, err := call(ctx, h.link, describe("look up", id), func(s *session) (found, error) {
		domain, err := s.DomainLookupByUUID(golibvirt.UUID(uuid.MustParse(id)))
		if err != nil {
			return found{}, err
		}
		text, err := s.DomainGetXMLDesc(domain, 0)
		return found{domain, text}, err
	})
	if err != nil {
		return nil, err
	}
	return h.parseGuest(f.domain, f.text)
}

// mustFind is find with ErrNotFound for a guest that is not there.
func (h *host) mustFind(ctx context.Context, id string) (*guest, error) {
	g, err := h.find(ctx, id)
	if err == nil && g == nil {
		err = notFound(id)
	}
	return g, err
}

// list returns the status of every guest of ours. A guest that vanishes meanwhile is left out.
func (h *host) list(ctx context.Context) ([]*driver.InstanceStatus, error) {
	domains, err := call(ctx, h.link, "list the domains", func(s *session) ([]golibvirt.Domain, error) {
		domains, _, err := s.ConnectListAllDomains(1, golibvirt.ConnectListDomainsActive|golibvirt.ConnectListDomainsInactive)
		return domains, err
	})
	if err != nil {
		return nil, err
	}
	statuses := []*driver.InstanceStatus{}
	for _, domain := range domains {
		if instanceOf(domain) == "" {
			continue
		}
		text, err := call(ctx, h.link, "read domain "+domain.Name, func(s *session) (string, error) {
			return s.DomainGetXMLDesc(domain, 0)
		})
		var status *driver.InstanceStatus
		if err == nil {
			var g *guest
			if g, err = h.parseGuest(domain, text); err == nil {
				status, err = h.status(ctx, g)
			}
		}
		var foreign *foreignError
		if isKind(err, driver.KindNotFound) || errors.As(err, &foreign) {
			continue
		}
		if err != nil {
			return nil, err
		}
		statuses = append(statuses, status)
	}
	return statuses, nil
}

// power is a guest's state as libvirt has it.
type power struct {
	state  golibvirt.DomainState
	reason int32
	saved  bool // its memory is on disk; only looked at when it is off
}

func (h *host) power(ctx context.Context, g *guest) (power, error) {
	return call(ctx, h.link, describe("read the state of", g.id), func(s *session) (power, error) {
		state, reason, err := s.DomainGetState(g.domain, 0)
		p := power{state: golibvirt.DomainState(state), reason: reason}
		if err == nil && p.state == golibvirt.DomainShutoff {
			var saved int32
			saved, err = s.DomainHasManagedSaveImage(g.domain, 0)
			p.saved = saved == 1
		}
		return p, err
	})
}

// status reads the guest's state and puts it together with what its definition says.
func (h *host) status(ctx context.Context, g *guest) (*driver.InstanceStatus, error) {
	p, err := h.power(ctx, g)
	if err != nil {
		return nil, err
	}
	generation, err := h.fences.generation(g.id)
	if err != nil {
		return nil, err
	}
	status := &driver.InstanceStatus{
		InstanceID:  g.id,
		Power:       p.driverState(),
		Generation:  max(generation, g.meta.Generation),
		OperationID: g.meta.Operation,
		Reason:      p.text(),
		VCPUs:       g.vcpus,
		MemoryMiB:   g.memory,
	}
	if p.on() {
		status.StartedAt = g.folder.startedAt().Truncate(time.Millisecond)
	}
	return status, nil
}

// on says whether a hypervisor process runs for the guest.
func (p power) on() bool {
	switch p.state {
	case golibvirt.DomainShutoff, golibvirt.DomainNostate:
		return false
	default:
		return true
	}
}

// starting says whether the hypervisor process is being made ready.
func (p power) starting() bool {
	return p.state == golibvirt.DomainPaused && golibvirt.DomainPausedReason(p.reason) == golibvirt.DomainPausedStartingUp
}

func (p power) driverState() driver.PowerState {
	switch p.state {
	case golibvirt.DomainRunning, golibvirt.DomainBlocked:
		return driver.PowerRunning
	case golibvirt.DomainPaused:
		if p.starting() {
			return driver.PowerNoState
		}
		return driver.PowerPaused
	case golibvirt.DomainShutdown:
		return driver.PowerShutdown
	case golibvirt.DomainShutoff:
		switch {
		case p.saved:
			return driver.PowerSuspended
		case golibvirt.DomainShutoffReason(p.reason) == golibvirt.DomainShutoffCrashed:
			return driver.PowerCrashed
		}
		return driver.PowerShutdown
	case golibvirt.DomainCrashed:
		return driver.PowerCrashed
	case golibvirt.DomainPmsuspended:
		return driver.PowerSuspended
	default:
		return driver.PowerNoState
	}
}

// text says why the guest is in its state, where libvirt knows more than the state itself says.
func (p power) text() string {
	switch p.state {
	case golibvirt.DomainPaused:
		switch golibvirt.DomainPausedReason(p.reason) {
		case golibvirt.DomainPausedStartingUp:
			return "being started"
		case golibvirt.DomainPausedIoerror:
			return "paused by the hypervisor after an I/O error of its disk"
		case golibvirt.DomainPausedWatchdog:
			return "paused by its watchdog"
		case golibvirt.DomainPausedUser:
			return "paused on request"
		}
	case golibvirt.DomainShutdown:
		return "shutting down"
	case golibvirt.DomainShutoff:
		switch golibvirt.DomainShutoffReason(p.reason) {
		case golibvirt.DomainShutoffShutdown:
			return "the guest shut down"
		case golibvirt.DomainShutoffDestroyed:
			return "its power was cut"
		case golibvirt.DomainShutoffCrashed:
			return "the hypervisor process ended unexpectedly"
		case golibvirt.DomainShutoffSaved:
			return "its memory is saved on disk"
		case golibvirt.DomainShutoffFailed:
			return "the last start failed"
		}
	}
	return ""
}
