package libvirt

import (
	"testing"

	golibvirt "github.com/digitalocean/go-libvirt"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func TestEventOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		event  golibvirt.DomainEventType
		detail int32
		kind   driver.EventType
	}{
		{golibvirt.DomainEventDefined, 0, ""},
		{golibvirt.DomainEventUndefined, 0, driver.EventRemoved},
		{golibvirt.DomainEventStarted, int32(golibvirt.DomainEventStartedBooted), driver.EventStarted},
		{golibvirt.DomainEventSuspended, int32(golibvirt.DomainEventSuspendedPaused), driver.EventPaused},
		{golibvirt.DomainEventSuspended, int32(golibvirt.DomainEventSuspendedIoerror), driver.EventPaused},
		{golibvirt.DomainEventResumed, 0, driver.EventResumed},
		{golibvirt.DomainEventStopped, int32(golibvirt.DomainEventStoppedShutdown), driver.EventStopped},
		{golibvirt.DomainEventStopped, int32(golibvirt.DomainEventStoppedDestroyed), driver.EventStopped},
		{golibvirt.DomainEventStopped, int32(golibvirt.DomainEventStoppedCrashed), driver.EventCrashed},
		{golibvirt.DomainEventStopped, int32(golibvirt.DomainEventStoppedSaved), driver.EventSuspended},
		{golibvirt.DomainEventStopped, int32(golibvirt.DomainEventStoppedFailed), driver.EventCrashed},
		{golibvirt.DomainEventShutdown, 0, ""},
		{golibvirt.DomainEventPmsuspended, 0, ""},
		{golibvirt.DomainEventCrashed, 0, driver.EventCrashed},
		{99, 0, ""},
	} {
		kind, _ := eventOf(test.event, test.detail)
		require.Equal(t, test.kind, kind, "%v %d", test.event, test.detail)
	}
}

// What libvirt tells of one guest, in its words, becomes each change once, in ours.
func TestKnownGuestsTellEachChangeOnce(t *testing.T) {
	t.Parallel()
	k := newKnownGuests()
	require.Empty(t, k.replace(map[string]driver.EventType{}), "the first list is no news")
	var told []driver.EventType
	for _, kind := range []driver.EventType{
		driver.EventResumed, driver.EventStarted, // a start
		driver.EventPaused, driver.EventResumed,
		driver.EventCrashed, driver.EventStopped, // a panic
		driver.EventStarted, driver.EventPaused, driver.EventSuspended, // a managed save
		driver.EventResumed, // and its end
		driver.EventStopped, driver.EventRemoved, driver.EventRemoved,
	} {
		if news := k.change("g", kind); news != "" {
			told = append(told, news)
		}
	}
	require.Equal(t, []driver.EventType{
		driver.EventStarted, driver.EventPaused, driver.EventResumed, driver.EventCrashed, driver.EventStarted,
		driver.EventPaused, driver.EventSuspended, driver.EventStarted, driver.EventStopped, driver.EventRemoved,
	}, told)
	require.False(t, k.has("g"))
}

func TestKnownGuestsAfterAGap(t *testing.T) {
	t.Parallel()
	k := newKnownGuests()
	k.replace(map[string]driver.EventType{
		"same": driver.EventResumed, "died": driver.EventStarted, "gone": driver.EventStopped, "off": driver.EventCrashed,
	})
	require.Equal(t, map[string]driver.EventType{
		"died": driver.EventCrashed, "gone": driver.EventRemoved, "new": driver.EventStarted,
	}, k.replace(map[string]driver.EventType{
		"same": driver.EventStarted, "died": driver.EventCrashed, "off": driver.EventStopped,
		"new": driver.EventStarted, "new and off": driver.EventStopped,
	}))
	require.Empty(t, k.change("died", driver.EventCrashed), "an event that comes after the list told of it")
}

func TestPowerStates(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		power
		state driver.PowerState
		on    bool
		text  string
	}{
		{power{state: golibvirt.DomainRunning}, driver.PowerRunning, true, ""},
		{power{state: golibvirt.DomainBlocked}, driver.PowerRunning, true, ""},
		{power{state: golibvirt.DomainPaused, reason: 1}, driver.PowerPaused, true, "paused on request"},
		{power{state: golibvirt.DomainPaused, reason: 5}, driver.PowerPaused, true, "paused by the hypervisor after an I/O error of its disk"},
		{power{state: golibvirt.DomainPaused, reason: 11}, driver.PowerNoState, true, "being started"},
		{power{state: golibvirt.DomainShutdown}, driver.PowerShutdown, true, "shutting down"},
		{power{state: golibvirt.DomainShutoff, reason: 1}, driver.PowerShutdown, false, "the guest shut down"},
		{power{state: golibvirt.DomainShutoff, reason: 2}, driver.PowerShutdown, false, "its power was cut"},
		{power{state: golibvirt.DomainShutoff, reason: 3}, driver.PowerCrashed, false, "the hypervisor process ended unexpectedly"},
		{power{state: golibvirt.DomainShutoff, reason: 5, saved: true}, driver.PowerSuspended, false, "its memory is saved on disk"},
		{power{state: golibvirt.DomainCrashed}, driver.PowerCrashed, true, ""},
		{power{state: golibvirt.DomainNostate}, driver.PowerNoState, false, ""},
	} {
		require.Equal(t, test.state, test.driverState(), "%+v", test.power)
		require.Equal(t, test.on, test.power.on(), "%+v", test.power)
		require.Equal(t, test.text, test.power.text(), "%+v", test.power)
	}
}

func TestInstanceOf(t *testing.T) {
	t.Parallel()
	id := golibvirt.UUID(uuid.MustParse(testID))
	require.Equal(t, testID, instanceOf(golibvirt.Domain{Name: "kilonova-" + testID, UUID: id}))
	require.Empty(t, instanceOf(golibvirt.Domain{Name: "web", UUID: id}))
	require.Empty(t, instanceOf(golibvirt.Domain{Name: "kilonova-" + testID}))
	require.False(t, isInstanceID("{"+testID+"}"))
	require.False(t, isInstanceID(""))
}
