package cluster

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// The leader's reaper removes the tokens of consoles whose time is over, and no others.
func TestConsoleTokensAreReaped(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := newClusterWith(t, 1, options{memory: true})
	l := c.leader()
	unlimited(t, l)
	h := c.host("h")
	require.Eventually(t, func() bool { x := l.Stale().Host(h.id); return x != nil && x.Status == structs.HostUp }, 20*time.Second, 2*time.Millisecond)
	ids, err := fsm.InstanceCreate.Propose(ctx, l, createRequest(1))
	require.NoError(t, err)
	c.waitActive(ids)
	ins := l.Stale().Instance(ids[0])
	for hash, ends := range map[string]structs.Time{"over": now().Add(-time.Second), "on": now().Add(time.Hour)} {
		_, err := fsm.ConsoleTokenCreate.Propose(ctx, l, &structs.ConsoleTokenCreateRequest{Token: structs.ConsoleToken{
			Hash: hash, InstanceID: ins.ID, HostID: ins.HostID, CreatedAt: now(), ExpiresAt: ends}})
		require.NoError(t, err)
	}
	require.NotNil(t, l.Stale().ConsoleToken("over"))
	l.duties.wake("reaper")
	require.Eventually(t, func() bool { return l.Stale().ConsoleToken("over") == nil }, 20*time.Second, 2*time.Millisecond)
	require.NotNil(t, l.Stale().ConsoleToken("on"))
}

// A console that listens on every address of its host is named by the one that its client is reached at.
func TestReachable(t *testing.T) {
	t.Parallel()
	h := &structs.Host{RPCAddr: "[fd00::5]:4747"}
	for addr, want := range map[string]string{"0.0.0.0": "fd00::5", "::": "fd00::5", "127.0.0.1": "127.0.0.1", "10.0.0.9": "10.0.0.9", "spice.example": "spice.example"} {
		require.Equal(t, want, reachable(addr, h))
	}
	require.Equal(t, "::", reachable("::", &structs.Host{}))
}
