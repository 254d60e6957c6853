package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// A host whose record was deleted while its client lived registers again, above the epoch it had, gets a lease at that epoch and works on.
func TestDeletedHostComesBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := newClusterWith(t, 1, options{memory: true})
	l := c.leader()
	unlimited(t, l)
	h := c.host("h")
	at := func(ok func(*structs.Host) bool, what string) *structs.Host {
		t.Helper()
		var found *structs.Host
		require.Eventually(t, func() bool { found = l.Stale().Host(h.id); return found != nil && ok(found) }, 20*time.Second, 2*time.Millisecond, what)
		return found
	}
	before := at(func(x *structs.Host) bool { return x.Status == structs.HostUp }, "the host does not register")
	down := true
	_, err := fsm.HostAdmin.Propose(ctx, l, &structs.HostAdminRequest{HostID: h.id, ForcedDown: &down, Now: now()})
	require.NoError(t, err)
	_, err = fsm.HostDelete.Propose(ctx, l, &structs.HostDeleteRequest{HostID: h.id})
	require.NoError(t, err)
	after := at(func(x *structs.Host) bool { return x.Epoch > before.Epoch }, "the host does not register again")
	require.Equal(t, structs.HostUp, after.Status)
	require.False(t, after.ForcedDown, "it is a new host")
	req := createRequest(1)
	ids, err := fsm.InstanceCreate.Propose(ctx, l, req)
	require.NoError(t, err)
	c.waitActive(ids)
	h.stop()
	at(func(x *structs.Host) bool { return x.Status == structs.HostDown && x.Epoch == after.Epoch }, "the new epoch has no lease that ends")
}
