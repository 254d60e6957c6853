package fanout

import (
	"context"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHub(t *testing.T) {
	t.Parallel()
	var h Hub[int]
	v := func(n int) *int { return &n }
	ctx, cancel := context.WithCancel(t.Context())
	all, newest := h.Subscribe(ctx, 10, v(1)), h.Subscribe(t.Context(), 1, nil)
	for n := 2; n < 5; n++ {
		h.Publish(v(n))
	}
	for n := 1; n < 5; n++ {
		require.Equal(t, n, *<-all)
	}
	require.Equal(t, 4, *<-newest)

	cancel()
	_, open := <-all
	require.False(t, open, "its context ended")
	h.Publish(v(5))
	require.Equal(t, 5, *<-newest)

	h.Close()
	h.Publish(v(6))
	_, open = <-newest
	require.False(t, open, "the hub closed")
	_, open = <-h.Subscribe(t.Context(), 1, nil)
	require.False(t, open, "the hub is closed")
	h.Close()
}

func TestHubConcurrently(t *testing.T) {
	t.Parallel()
	var h Hub[int]
	var wg sync.WaitGroup
	for range 8 {
		ctx, cancel := context.WithCancel(t.Context())
		ch := h.Subscribe(ctx, 1, nil)
		wg.Go(func() {
			for range ch {
			}
		})
		wg.Go(func() {
			for n := range 200 {
				h.Publish(&n)
			}
			cancel()
		})
	}
	wg.Go(func() {
		for range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			_ = h.Subscribe(ctx, 1, nil)
			cancel()
		}
	})
	wg.Wait()
	h.Close()
}
