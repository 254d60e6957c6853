package libvirt

import (
	"context"
	"os"
	"sync"
	"time"

	golibvirt "github.com/digitalocean/go-libvirt"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// reconnectEvery is how often libvirtd is dialled while it cannot be reached. A failed attempt on a unix socket costs
// next to nothing.
const reconnectEvery = 500 * time.Millisecond

// watchEvents keeps a connection to libvirtd and turns its lifecycle events into the driver's. After each new connection
// it compares what it knew with what is there, and publishes the difference: nothing that happened in a gap is missed,
// though several changes of one guest may come as one.
func (h *host) watchEvents() {
	for {
		s, err := h.link.session(h.ctx)
		if err == nil {
			err = h.watchSession(s)
		}
		if h.ctx.Err() != nil {
			return
		}
		h.log.Debug("not watching libvirtd's events", "error", err)
		h.askFingerprint()
		if !h.sleep(reconnectEvery) {
			return
		}
	}
}

// watchSession follows one connection until it ends.
//
// The subscription is never cancelled on a live connection: go-libvirt stops to take events out of the stream before it
// tells libvirtd, and an event in between blocks its reader for good.
func (h *host) watchSession(s *session) error {
	stream, err := call(h.ctx, h.link, "subscribe to libvirt's events", func(*session) (<-chan any, error) {
		return s.SubscribeEvents(context.Background(), golibvirt.DomainEventIDLifecycle, nil)
	})
	if err != nil {
		s.drop()
		return err
	}
	// Events are queued from now on, so that none is lost between the list and the first one that is read.
	if err := h.compare(); err != nil {
		s.drop()
		drain(stream)
		return err
	}
	h.askFingerprint()
	h.log.Debug("watching libvirtd's events", "socket", h.cfg.Socket)
	for {
		select {
		case raw, open := <-stream:
			if !open {
				return errLostConnection
			}
			if message, ok := raw.(*golibvirt.DomainEventCallbackLifecycleMsg); ok {
				h.lifecycle(message.Msg)
			}
		case <-s.over():
			drain(stream)
			return errLostConnection
		case <-h.ctx.Done():
			s.drop()
			drain(stream)
			return h.ctx.Err()
		}
	}
}

// drain takes what is left of a subscription, until go-libvirt closes it: its goroutine blocks on a channel that nobody
// reads.
func drain(stream <-chan any) {
	go func() {
		for range stream {
			continue // the values are of no use any more
		}
	}()
}

// lifecycle publishes one event of libvirt's, when it is of a guest of ours and changes something.
func (h *host) lifecycle(message golibvirt.DomainEventLifecycleMsg) {
	id := instanceOf(message.Dom)
	if id == "" {
		return
	}
	kind, detail := eventOf(golibvirt.DomainEventType(message.Event), message.Detail)
	if kind == "" || !h.known.has(id) && !h.hasFolder(id) {
		return
	}
	if news := h.known.change(id, kind); news != "" {
		h.publish(id, news, detail)
	}
}

// hasFolder says, without asking libvirt, whether a guest that shows up is one of this driver's.
func (h *host) hasFolder(id string) bool {
	_, err := os.Stat(newFolder(h.cfg.InstancesDir, id).path())
	return err == nil
}

func (h *host) publish(id string, kind driver.EventType, detail string) {
	h.log.Debug("guest event", "instance_id", id, "event", kind, "detail", detail)
	h.events.publish(&driver.Event{InstanceID: id, Type: kind, Time: time.Now(), Detail: detail})
}

// compare brings what is known of the guests up to date. The first time, there is nothing to compare with, and nothing
// is published: the agent lists by itself.
func (h *host) compare() error {
	guests, err := h.list(h.ctx)
	if err != nil {
		return err
	}
	now := make(map[string]driver.EventType, len(guests))
	for _, guest := range guests {
		now[guest.InstanceID] = eventOfPower(guest.Power)
	}
	for id, kind := range h.known.replace(now) {
		h.publish(id, kind, "noticed after libvirtd was not reachable for a while")
	}
	return nil
}

// eventOf translates libvirt's event; "" for one that says nothing about power or existence.
func eventOf(event golibvirt.DomainEventType, detail int32) (driver.EventType, string) {
	switch event {
	case golibvirt.DomainEventStarted:
		return driver.EventStarted, ""
	case golibvirt.DomainEventResumed:
		return driver.EventResumed, ""
	case golibvirt.DomainEventSuspended:
		switch golibvirt.DomainEventSuspendedDetailType(detail) {
		case golibvirt.DomainEventSuspendedIoerror:
			return driver.EventPaused, "the hypervisor paused it after an I/O error of its disk"
		case golibvirt.DomainEventSuspendedWatchdog:
			return driver.EventPaused, "its watchdog paused it"
		}
		return driver.EventPaused, ""
	case golibvirt.DomainEventStopped:
		switch golibvirt.DomainEventStoppedDetailType(detail) {
		case golibvirt.DomainEventStoppedShutdown:
			return driver.EventStopped, "the guest shut down"
		case golibvirt.DomainEventStoppedDestroyed:
			return driver.EventStopped, "its power was cut"
		case golibvirt.DomainEventStoppedCrashed:
			return driver.EventCrashed, "the hypervisor process ended"
		case golibvirt.DomainEventStoppedSaved:
			return driver.EventSuspended, "its memory was saved to disk"
		case golibvirt.DomainEventStoppedMigrated:
			return driver.EventStopped, "it moved to another host"
		case golibvirt.DomainEventStoppedFailed:
			return driver.EventCrashed, "the hypervisor failed"
		}
		return driver.EventStopped, ""
	case golibvirt.DomainEventCrashed:
		return driver.EventCrashed, "the guest's kernel panicked"
	case golibvirt.DomainEventUndefined:
		return driver.EventRemoved, ""
	}
	return "", ""
}

// eventOfPower returns the event after which a guest has the given power state.
func eventOfPower(power driver.PowerState) driver.EventType {
	switch power {
	case driver.PowerRunning:
		return driver.EventStarted
	case driver.PowerPaused:
		return driver.EventPaused
	case driver.PowerSuspended:
		return driver.EventSuspended
	case driver.PowerCrashed:
		return driver.EventCrashed
	default:
		return driver.EventStopped
	}
}

// knownGuests is the last state of each guest that the event stream knows, as the event that led to it.
type knownGuests struct {
	mu     sync.Mutex
	states map[string]driver.EventType // nil before the first comparison
}

func newKnownGuests() *knownGuests { return &knownGuests{} }

func (k *knownGuests) has(id string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	_, known := k.states[id]
	return known
}

// change notes an event and returns what to tell of it: "" when it is no news, since libvirt reports one start as resumed
// and started, and the list after a reconnection may already have told of an event that comes late.
func (k *knownGuests) change(id string, kind driver.EventType) driver.EventType {
	k.mu.Lock()
	defer k.mu.Unlock()
	before, known := k.states[id]
	switch {
	case kind == driver.EventRemoved:
		delete(k.states, id)
		if !known {
			return ""
		}
		return kind
	case known && sameState(before, kind):
		return ""
	case stateAfter(kind) == driver.PowerRunning:
		// Going on after a pause is one thing, and everything else that ends in a running guest is a start.
		kind = driver.EventStarted
		if before == driver.EventPaused {
			kind = driver.EventResumed
		}
	}
	k.states[id] = kind
	return kind
}

// replace takes over a whole list and returns the events that lead from the old one to it.
func (k *knownGuests) replace(now map[string]driver.EventType) map[string]driver.EventType {
	k.mu.Lock()
	defer k.mu.Unlock()
	before := k.states
	k.states = now
	if before == nil {
		return nil
	}
	news := map[string]driver.EventType{}
	for id, kind := range now {
		old, known := before[id]
		switch {
		case known && !sameState(old, kind), !known && kind == driver.EventStarted:
			news[id] = kind
		}
	}
	for id := range before {
		if _, there := now[id]; !there {
			news[id] = driver.EventRemoved
		}
	}
	return news
}

// sameState says whether a guest is in one state after either event.
func sameState(a, b driver.EventType) bool { return stateAfter(a) == stateAfter(b) }

func stateAfter(kind driver.EventType) driver.PowerState {
	switch kind {
	case driver.EventStarted, driver.EventResumed:
		return driver.PowerRunning
	case driver.EventPaused:
		return driver.PowerPaused
	default: // stopped, suspended, crashed: off, whatever the reason
		return driver.PowerShutdown
	}
}
