package libvirt

import (
	"context"
	"errors"
	"io/fs"
	"os"

	golibvirt "github.com/digitalocean/go-libvirt"
	"libvirt.org/go/libvirtxml"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// ConsoleOutput returns the end of the guest's console log. It needs no libvirtd: while that cannot be reached, whoever
// has a folder here is taken to be here.
func (d *Driver) ConsoleOutput(ctx context.Context, req *driver.ConsoleOutputRequest) ([]byte, error) {
	h, err := d.configured()
	if err != nil {
		return nil, err
	}
	f := newFolder(h.cfg.InstancesDir, req.InstanceID)
	_, err = h.mustFind(ctx, req.InstanceID)
	if isKind(err, driver.KindUnavailable) || isKind(err, driver.KindTimeout) {
		if _, statErr := os.Stat(f.path()); errors.Is(statErr, fs.ErrNotExist) {
			return nil, err
		}
		err = nil
	}
	if err != nil {
		return nil, err
	}
	text, err := consoleTail(f.consoleLog(), req.Lines)
	return text, fileError(describe("read the console log of", req.InstanceID), err)
}

// ConsoleEndpoint says where the guest's VNC server listens. Errors: ErrNotSupported for another kind of console and for a guest
// that has no screen, ErrConflict for one that does not run, ErrNotFound.
func (d *Driver) ConsoleEndpoint(ctx context.Context, req *driver.ConsoleEndpointRequest) (*driver.ConsoleEndpoint, error) {
	h, err := d.configured()
	if err != nil {
		return nil, err
	}
	g, err := h.mustFind(ctx, req.InstanceID)
	if err != nil {
		return nil, err
	}
	if req.Kind != driver.ConsoleVNC {
		return nil, driver.Errorf(driver.KindNotSupported, "the libvirt driver has no %s console; it has %s", req.Kind, driver.ConsoleVNC)
	}
	p, err := h.power(ctx, g)
	if err != nil {
		return nil, err
	}
	if !p.on() {
		return nil, notRunning(g, p)
	}
	domain, err := h.liveXML(ctx, g)
	if err != nil {
		return nil, err
	}
	for _, graphics := range domain.Devices.Graphics {
		if graphics.VNC == nil {
			continue
		}
		for _, listener := range graphics.VNC.Listeners {
			switch {
			case listener.Socket != nil:
				return &driver.ConsoleEndpoint{Socket: listener.Socket.Socket}, nil
			case listener.Address != nil:
				return &driver.ConsoleEndpoint{Host: listener.Address.Address, Port: graphics.VNC.Port}, nil
			}
		}
	}
	return nil, driver.Errorf(driver.KindNotSupported, "instance %s has no VNC console: its image asks for no screen, or the driver's vnc is none", g.id)
}

// liveXML returns the guest's definition with what was chosen at its start: ports, device names.
func (h *host) liveXML(ctx context.Context, g *guest) (*libvirtxml.Domain, error) {
	text, err := call(ctx, h.link, describe("read the definition of", g.id), func(s *session) (string, error) {
		return s.DomainGetXMLDesc(g.domain, golibvirt.DomainXMLFlags(0))
	})
	if err != nil {
		return nil, err
	}
	domain := &libvirtxml.Domain{}
	if err := domain.Unmarshal(text); err != nil {
		return nil, driver.Errorf(driver.KindInternal, "the XML of instance %s is not understood: %v", g.id, err)
	}
	if domain.Devices == nil {
		domain.Devices = &libvirtxml.DomainDeviceList{}
	}
	return domain, nil
}
