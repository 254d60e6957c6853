package conformance

import (
	"slices"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func checkCreate(s *session) {
	spec := s.spec(true)
	st := s.createAs(spec)
	require.Equal(s, spec.OperationID, st.OperationID)
	require.Equal(s, spec.Generation, st.Generation)
	require.Equal(s, spec.VCPUs, st.VCPUs)
	require.Equal(s, spec.MemoryMiB, st.MemoryMiB)

	repeated := s.createAs(spec)
	require.Equal(s, st.StartedAt, repeated.StartedAt, "a repeated Create does not start the guest again")
	require.Len(s, s.listed(), 1)
	require.Equal(s, st.InstanceID, s.inspect(spec.InstanceID).InstanceID)

	off := s.spec(false)
	off.Files = someFiles
	s.createAs(off)
	s.createAs(off)
	require.Equal(s, driver.PowerShutdown, s.inspect(off.InstanceID).Power)
	require.Len(s, s.listed(), 2)

	// A guest that was stopped since is not started by a late repetition of the call that made it.
	require.NoError(s, s.d.Stop(s.call(), stopReq(again(spec), 0)))
	st, err := s.d.Create(s.call(), spec)
	require.NoError(s, err)
	require.Equal(s, driver.PowerShutdown, st.Power, "Create repeated after Stop")
}

// someFiles are refused by no driver, whether it can put files into guests or not. What became of them cannot be seen from outside of the guest.
var someFiles = []driver.File{{Path: "/etc/motd", Contents: []byte("hello\x00\xff\n")}, {Path: "empty"}}

func checkDestroy(s *session) {
	spec := s.create(true)
	req := &driver.DestroyRequest{InstanceRef: *again(spec), DestroyDisks: true}
	for range 2 {
		require.NoError(s, s.d.Destroy(s.call(), req))
		require.Empty(s, s.listed())
		_, err := s.d.Inspect(s.call(), spec.InstanceID)
		require.ErrorIs(s, err, driver.ErrNotFound)
	}
	_, err := s.d.Recover(s.call(), spec)
	require.ErrorIs(s, err, driver.ErrNotFound, "nothing is left to recover")
	require.NoError(s, s.d.Destroy(s.call(), &driver.DestroyRequest{
		InstanceRef: driver.InstanceRef{InstanceID: id(), OperationID: id(), Generation: 1}, DestroyDisks: true,
	}), "a guest that never was")

	spec.OperationID, spec.Generation = id(), spec.Generation+1
	s.createAs(spec)

	off := s.create(false)
	require.NoError(s, s.d.Destroy(s.call(), &driver.DestroyRequest{InstanceRef: *again(off), DestroyDisks: true}))
	require.NotContains(s, s.listed(), off.InstanceID)
}

// blindMethods are those that name a guest and do not want it there.
var blindMethods = []string{"CheckMigrateDestination", "PrepareMigration", "RollbackMigration", "ImportDisks"}

func checkMissing(s *session) {
	ref := &driver.InstanceRef{InstanceID: id(), OperationID: id(), Generation: 1}
	spec := s.h.Spec(s.tb)
	spec.InstanceRef = *ref
	_, err := s.d.Inspect(s.call(), ref.InstanceID)
	require.ErrorIs(s, err, driver.ErrNotFound, "Inspect")
	_, err = s.d.Recover(s.call(), spec)
	require.ErrorIs(s, err, driver.ErrNotFound, "Recover")
	require.ErrorIs(s, s.d.Start(s.call(), ref), driver.ErrNotFound, "Start")
	require.ErrorIs(s, s.d.Stop(s.call(), stopReq(ref, 0)), driver.ErrNotFound, "Stop")
	require.ErrorIs(s, s.d.Stop(s.call(), stopReq(ref, s.h.Grace)), driver.ErrNotFound, "soft Stop")
	require.ErrorIs(s, s.d.Reboot(s.call(), rebootReq(ref, driver.RebootHard, 0)), driver.ErrNotFound, "Reboot")
	_, err = s.d.ConsoleOutput(s.call(), &driver.ConsoleOutputRequest{InstanceID: ref.InstanceID})
	require.ErrorIs(s, err, driver.ErrNotFound, "ConsoleOutput")

	for _, m := range s.methods() {
		if slices.Contains(blindMethods, m) || !namesGuest(m) {
			continue
		}
		// A method may well look at its other arguments, which are empty here, before it looks for the guest.
		if err := callByName(s, m, ref.InstanceID); driver.KindOf(err) != driver.KindInvalid {
			require.ErrorIs(s, err, driver.ErrNotFound, m)
		}
	}
}

func namesGuest(method string) bool {
	switch method {
	case "VolumeConnector", "VolumeUsage", "HostStats", "HostPower", "HostMaintenance":
		return false
	}
	return true
}

// methods are the optional methods that the driver has.
func (s *session) methods() []string {
	caps, err := s.d.Capabilities(s.call())
	require.NoError(s, err)
	return caps.Methods
}

func (s *session) has(method string) bool { return slices.Contains(s.methods(), method) }

func checkGeneration(s *session) {
	spec := s.spec(true)
	spec.Generation = 5
	s.createAs(spec)
	s.refusesStale(spec)
	s.restart()
	s.refusesStale(spec)

	// Any call that names the guest raises the bar.
	newer := again(spec)
	newer.Generation = 7
	require.NoError(s, s.d.Start(s.call(), newer), "a newer generation")
	s.refusesStale(spec)
	spec.Generation = 7
	require.NoError(s, s.d.Stop(s.call(), stopReq(again(spec), 0)))
}

// refusesStale tries the calls at the spec's generation less one and wants the guest to run on.
func (s *session) refusesStale(spec *driver.InstanceSpec) {
	s.Helper()
	before := s.inspect(spec.InstanceID)
	require.Equal(s, driver.PowerRunning, before.Power)
	stale := again(spec)
	stale.Generation--
	old := *spec
	old.InstanceRef = *stale

	require.ErrorIs(s, s.d.Stop(s.call(), stopReq(stale, 0)), driver.ErrConflict, "stale Stop")
	require.ErrorIs(s, s.d.Start(s.call(), stale), driver.ErrConflict, "stale Start")
	require.ErrorIs(s, s.d.Reboot(s.call(), rebootReq(stale, driver.RebootHard, 0)), driver.ErrConflict, "stale Reboot")
	require.ErrorIs(s, s.d.Destroy(s.call(), &driver.DestroyRequest{InstanceRef: *stale, DestroyDisks: true}),
		driver.ErrConflict, "stale Destroy")
	_, err := s.d.Create(s.call(), &old)
	require.ErrorIs(s, err, driver.ErrConflict, "stale Create")
	_, err = s.d.Recover(s.call(), &old)
	require.ErrorIs(s, err, driver.ErrConflict, "stale Recover")

	after := s.inspect(spec.InstanceID)
	require.Equal(s, driver.PowerRunning, after.Power, "a refused call has no effect")
	require.Equal(s, before.StartedAt, after.StartedAt, "a refused call has no effect")
}

func checkRestart(s *session) {
	running, stopped, gone := s.create(true), s.create(true), s.create(true)
	require.NoError(s, s.d.Stop(s.call(), stopReq(again(stopped), 0)))
	require.NoError(s, s.d.Destroy(s.call(), &driver.DestroyRequest{InstanceRef: *again(gone), DestroyDisks: true}))
	before := s.inspect(running.InstanceID)

	s.restart()
	listed := s.listed()
	require.Len(s, listed, 2)
	require.Equal(s, driver.PowerRunning, listed[running.InstanceID].Power)
	require.Equal(s, driver.PowerShutdown, listed[stopped.InstanceID].Power)

	for range 2 {
		st, err := s.d.Recover(s.call(), running)
		require.NoError(s, err)
		require.Equal(s, driver.PowerRunning, st.Power)
		require.Equal(s, before, st, "Recover does not disturb a running guest, nor forget anything of it")
		st, err = s.d.Recover(s.call(), stopped)
		require.NoError(s, err)
		require.Equal(s, driver.PowerShutdown, st.Power, "Recover does not start a guest")
		_, err = s.d.Recover(s.call(), gone)
		require.ErrorIs(s, err, driver.ErrNotFound)
	}
	s.createAs(running) // the answer to Create was lost with the driver
	require.Equal(s, before.StartedAt, s.inspect(running.InstanceID).StartedAt)
	require.NoError(s, s.d.Stop(s.call(), stopReq(again(running), 0)))
	require.NoError(s, s.d.Start(s.call(), again(stopped)))
	s.wantPower(stopped.InstanceID, driver.PowerRunning)
}

func checkRedefine(s *session) {
	spec := s.create(true)
	require.NoError(s, s.d.Destroy(s.call(), &driver.DestroyRequest{InstanceRef: *again(spec)}))
	require.Empty(s, s.listed())
	s.restart()
	st, err := s.d.Recover(s.call(), spec)
	require.NoError(s, err, "its disks were kept")
	require.Equal(s, driver.PowerShutdown, st.Power)
	require.Contains(s, s.listed(), spec.InstanceID)
	require.NoError(s, s.d.Start(s.call(), again(spec)))
	s.wantPower(spec.InstanceID, driver.PowerRunning)
}
