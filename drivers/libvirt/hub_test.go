package libvirt

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHubOfStatesKeepsTheNewest(t *testing.T) {
	t.Parallel()
	h := newHub[int](1)
	early := h.subscribe(t.Context())
	for i := range 5 {
		h.publish(i)
	}
	require.Equal(t, 4, <-early)
	require.Equal(t, 4, <-h.subscribe(t.Context()), "a late subscriber gets the last value at once")
	h.close()
	_, open := <-early
	require.False(t, open)
	_, open = <-h.subscribe(t.Context())
	require.False(t, open)
}

func TestHubOfHappeningsCutsOffWhoFallsBehind(t *testing.T) {
	t.Parallel()
	h := newHub[int](3)
	slow, quick := h.subscribe(t.Context()), h.subscribe(t.Context())
	for i := range 4 {
		h.publish(i)
		require.Equal(t, i, <-quick)
	}
	var got []int
	for i := range slow {
		got = append(got, i)
	}
	require.Equal(t, []int{0, 1, 2}, got)

	ctx, cancel := context.WithCancel(t.Context())
	ended := h.subscribe(ctx)
	cancel()
	_, open := <-ended
	require.False(t, open)
	h.publish(9)
	require.Equal(t, 9, <-quick)
}

func TestInstanceLocks(t *testing.T) {
	t.Parallel()
	l := newInstanceLocks()
	unlock, err := l.lock(t.Context(), "a")
	require.NoError(t, err)
	other, err := l.lock(t.Context(), "b")
	require.NoError(t, err)
	other()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = l.lock(ctx, "a")
	require.ErrorIs(t, err, context.Canceled)
	unlock()
	unlock, err = l.lock(t.Context(), "a")
	require.NoError(t, err)
	unlock()
	require.Empty(t, l.locks)
}
