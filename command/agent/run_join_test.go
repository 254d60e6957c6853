package agent

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"
)

// An agent that starts before the servers tries again soon, then later and later, and never waits longer than retry_interval. The clock is the test's own.
func TestJoinIsTriedAgainSoon(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun, tries := time.Now(), []time.Duration{}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		var joined atomic.Bool
		j := joiner{GossipRuntime: GossipRuntime{RetryJoin: []string{"a:1"}, RetryInterval: 30 * time.Second}, logger: hclog.NewNullLogger(),
			lonely: func() bool { return !joined.Load() },
			join: func(addrs []string) (int, error) {
				require.Equal(t, []string{"a:1"}, addrs)
				if tries = append(tries, time.Since(begun)); len(tries) < 10 {
					return 0, errors.New("nobody there")
				}
				joined.Store(true)
				return 1, nil
			}}
		ended := make(chan struct{})
		go func() { defer close(ended); j.run(ctx) }()
		<-time.After(10 * time.Minute)
		synctest.Wait()
		require.Len(t, tries, 10, "not asked again once it is in")
		for i, most := range []time.Duration{1, 2, 4, 8, 16, 30, 30, 30, 30} {
			most *= time.Second
			pause := tries[i+1] - tries[i]
			require.LessOrEqual(t, pause, most, "pause %d", i+1)
			require.GreaterOrEqual(t, pause, most*3/4, "pause %d", i+1)
		}
		require.Zero(t, tries[0])

		joined.Store(false) // every server left in good order
		<-time.After(31 * time.Second)
		synctest.Wait()
		require.Len(t, tries, 11)
		cancel()
		<-ended
	})
}

// A short retry_interval is kept from the first try on, and retry_max_attempts ends the tries.
func TestJoinGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun, tries := time.Now(), 0
		j := joiner{GossipRuntime: GossipRuntime{RetryInterval: 100 * time.Millisecond, RetryMax: 3}, logger: hclog.NewNullLogger(),
			lonely: func() bool { return true }, join: func([]string) (int, error) { tries++; return 0, errors.New("nobody there") }}
		j.run(t.Context())
		require.Equal(t, 3, tries)
		require.LessOrEqual(t, time.Since(begun), 200*time.Millisecond)
	})
}

// The jitter tells agents apart that started at the same moment.
func TestJoinPausesDiffer(t *testing.T) {
	t.Parallel()
	j := joiner{GossipRuntime: GossipRuntime{RetryInterval: 30 * time.Second}}
	seen := map[time.Duration]bool{}
	for range 100 {
		seen[j.pause(3)] = true
	}
	require.Greater(t, len(seen), 50)
	require.LessOrEqual(t, j.pause(1_000_000), 30*time.Second)
}
