package agent

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/go-hclog"
)

// joiner finds the cluster's gossip.
type joiner struct {
	GossipRuntime
	join   func(addrs []string) (int, error)
	lonely func() bool
	logger hclog.Logger
}

// run tries until one agent answers, and again whenever this agent sees no other server: Serf reconnects to those that failed, but not to those that
// left in good order, and all servers may have been stopped so.
func (j *joiner) run(ctx context.Context) {
	for n := 1; ; n++ {
		wait := j.pause(n)
		if j.lonely() {
			got, err := j.join(j.RetryJoin)
			switch {
			case err == nil && !j.lonely():
				j.logger.Info("joined the cluster's gossip", "agents", got)
				n, wait = 0, max(j.RetryInterval, time.Second)
			case j.RetryMax > 0 && n >= j.RetryMax:
				j.logger.Error("giving up joining; run `kilonova server join` by hand", "attempts", n, "error", err)
				return
			case err != nil:
				j.logger.Warn("cannot join yet", "error", err, "attempt", n, "next_in", wait.Round(time.Millisecond))
			}
		} else {
			n, wait = 0, max(j.RetryInterval, time.Second)
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return
		}
	}
}

// pause is how long to wait after the n-th try: short at first, for agents that start together find each other within seconds, and never longer than
// RetryInterval. Up to a quarter is left off by chance, so that a rack that got its power back does not knock at the servers in step.
func (j *joiner) pause(n int) time.Duration {
	d := j.RetryInterval
	if n < 16 { // beyond it the power of two is longer than any interval that makes sense
		d = min(d, time.Second<<(n-1))
	}
	return d - rand.N(d/4+1)
}
