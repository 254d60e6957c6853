package event

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
)

func TestStreamInCommitOrder(t *testing.T) {
	t.Parallel()
	b := NewBroker(8)
	a, z := 1, 2
	b.Publish(1, []state.Change{{Table: "t", After: &a}})
	s, ok := b.Subscribe(0)
	require.True(t, ok)
	ev, ok, err := s.Next(context.Background())
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []Event{{Index: 1, Table: "t", Entity: &a}}, timeless(ev))
	b.Publish(2, []state.Change{{Table: "t", Before: &a}, {Table: "t", Before: &a, After: &z}})
	ev, _, err = s.Next(context.Background())
	require.NoError(t, err)
	require.Equal(t, []Event{{Index: 2, Table: "t", Deleted: true, Entity: &a, Before: &a}, {Index: 2, Table: "t", Entity: &z, Before: &a}}, timeless(ev))
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Millisecond)
	defer cancel()
	_, _, err = s.Next(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

// timeless drops the times, which every event has.
func timeless(events []Event) []Event {
	for i := range events {
		if events[i].At > 0 {
			events[i].At = 0
		} else {
			events[i].Table = "an event without a time"
		}
	}
	return events
}

// Who is too slow, or begins too far back, is told so instead of missing events unnoticed.
func TestGapsAreTold(t *testing.T) {
	t.Parallel()
	b := NewBroker(4)
	v := 0
	slow, _ := b.Subscribe(0)
	for i := range uint64(10) {
		b.Publish(i+1, []state.Change{{Table: "t", After: &v}})
	}
	_, ok, err := slow.Next(context.Background())
	require.NoError(t, err)
	require.False(t, ok)
	_, ok = b.Subscribe(3)
	require.False(t, ok)
	s, ok := b.Subscribe(6)
	require.True(t, ok)
	ev, _, _ := s.Next(context.Background())
	require.Len(t, ev, 4)
	require.EqualValues(t, 6, b.Lost())
	require.EqualValues(t, 10, b.Newest())
	rest, ok := b.Subscribe(3)
	require.False(t, ok)
	ev, _, _ = rest.Next(context.Background())
	require.Len(t, ev, 4, "what is left can be read in spite of the gap")
	b.Restored(20)
	require.EqualValues(t, 20, b.Lost())
	require.EqualValues(t, 20, b.Newest())
	_, ok = b.Subscribe(19)
	require.False(t, ok, "after a restore everybody lists again")
}
