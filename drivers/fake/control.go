package fake

import (
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// Action is what a Control does.
type Action string

const (
	// HostPowerLoss stops every guest without events and makes every call but fingerprints fail, until HostPowerOn.
	HostPowerLoss Action = "host_power_loss"
	// HostPowerOn ends HostPowerLoss. Guests stay off.
	HostPowerOn Action = "host_power_on"
	// HostHealth sets what the fingerprint says of the host's health; calls go on working.
	HostHealth Action = "host_health"
	// GuestPowerOff is the guest shutting itself down; with an event, as are the next three.
	GuestPowerOff Action = "guest_power_off"
	// GuestPowerOn is somebody starting the guest behind the agent's back.
	GuestPowerOn Action = "guest_power_on"
	// GuestCrash is the guest's kernel or its hypervisor process crashing.
	GuestCrash Action = "guest_crash"
	// GuestRemove is somebody removing the guest behind the agent's back.
	GuestRemove Action = "guest_remove"
	// SetScript replaces latency, failures and crashes until the next Configure.
	SetScript Action = "script"
	// Die kills the driver's process.
	Die Action = "die"
)

// Control is one thing done to the fake host or to a guest from outside the contract. Through the control file it is one
// line of JSON: {"action":"guest_power_off","instance":"..."}.
type Control struct {
	Action      Action `json:"action"`
	Instance    string `json:"instance"`    // guest_*
	Healthy     bool   `json:"healthy"`     // host_health
	Description string `json:"description"` // host_health, and the reason of a guest's new state
	Script
}

// Control does what c says. An unknown action is ErrInvalid, an unknown guest ErrNotFound.
func (d *Driver) Control(c Control) error {
	switch c.Action {
	case Die:
		d.die()
		return nil
	case SetScript:
		s, err := newScript(c.Script)
		if err != nil {
			return err
		}
		d.script.Store(s)
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.config == nil {
		return driver.Errorf(driver.KindUnavailable, "the driver is not configured yet")
	}
	switch c.Action {
	case HostPowerLoss:
		return d.losePowerLocked("the host lost power")
	case HostPowerOn:
		return d.healthLocked(true, true, "")
	case HostHealth:
		return d.healthLocked(d.host.Powered, c.Healthy, c.Description)
	case GuestPowerOff, GuestPowerOn, GuestCrash, GuestRemove:
		return d.guestActsLocked(c)
	}
	return invalid("control action %q: one such as host_power_loss or guest_power_off is right", c.Action)
}

// losePowerLocked turns the host and every guest off.
func (d *Driver) losePowerLocked(why string) error {
	for _, g := range d.guests {
		if g.off() {
			continue
		}
		g.setPower(driver.PowerShutdown, why, d.now())
		if err := d.putLocked(g); err != nil {
			return err
		}
	}
	d.notifyLocked()
	return d.healthLocked(false, d.host.Healthy, d.host.Description)
}

func (d *Driver) healthLocked(powered, healthy bool, why string) error {
	d.host.Powered, d.host.Healthy, d.host.Description = powered, healthy, why
	d.fingerprints.Publish(d.fingerprintLocked())
	return d.putHostLocked()
}

func (d *Driver) guestActsLocked(c Control) error {
	g := d.guests[c.Instance]
	if g == nil || g.State != stateDefined {
		return missing(c.Instance)
	}
	event := &driver.Event{InstanceID: g.ID, Time: d.now().UTC(), Detail: c.Description}
	var err error
	switch c.Action {
	case GuestPowerOff:
		event.Type = driver.EventStopped
		g.setPower(driver.PowerShutdown, c.Description, d.now())
		err = d.putLocked(g)
	case GuestPowerOn:
		event.Type = driver.EventStarted
		g.setPower(driver.PowerRunning, c.Description, d.now())
		err = d.putLocked(g)
	case GuestCrash:
		event.Type = driver.EventCrashed
		g.setPower(driver.PowerCrashed, c.Description, d.now())
		err = d.putLocked(g)
	case GuestRemove:
		event.Type = driver.EventRemoved
		err = d.buryLocked(g.ID, g.Generation)
	}
	d.notifyLocked()
	d.events.Publish(event)
	return err
}
