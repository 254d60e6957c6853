package cluster

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func flavor(ctx context.Context, p fsm.Proposer, id string) error {
	_, err := fsm.FlavorCreate.Propose(ctx, p, &structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: structs.FlavorID(id), Name: id}})
	return err
}

func setQuota(ctx context.Context, p fsm.Proposer, n int64) error {
	_, err := fsm.QuotaSet.Propose(ctx, p, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: "q", Limits: structs.QuotaLimits{Instances: n}}})
	return err
}

// lateBy is how much later than its timeout a call may return here, on a busy machine.
const lateBy = 2 * time.Second

// A leader is cut off from the others, in each way that networks do that, with clients on both sides. It acknowledges nothing and answers no consistent
// read; what was on its way there ends in time; its duties stop. The others go on. Healed, all have the same state with all that was acknowledged.
func TestLeaderCutOff(t *testing.T) {
	t.Parallel()
	for name, flows := range map[string][2]flowMode{"refused": {refused, refused}, "black hole": {held, held}, "nothing gets out": {held, passing}, "nothing gets in": {passing, held}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cutOff(t, flows[0], flows[1], name == "black hole")
		})
	}
}

// patient clients wait as long as Read and Propose do by themselves; that takes long, so only one case has them.
func cutOff(t *testing.T, out, in flowMode, patient bool) {
	o := options{net: newFaultNet(t), memory: true}
	c := newClusterWith(t, 3, o)
	old := c.leader()
	others := c.others(old)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	readTime, proposeTime := readTimeout, proposeTimeout
	if !patient {
		readTime, proposeTime = 500*time.Millisecond, 700*time.Millisecond
	}
	var mu sync.Mutex
	acked, cut := map[string]bool{}, time.Time{}
	var wg sync.WaitGroup
	defer wg.Wait()
	ack := func(id string) { mu.Lock(); acked[id] = true; mu.Unlock() }
	require.NoError(t, flavor(ctx, old, "before"))
	ack("before")

	// Writers at the old leader do not stop for the cut; none is acknowledged that began after it, and none hangs.
	var inFlight counter
	stopWriters := make(chan struct{})
	for w := range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for n := 0; ; n++ {
				select {
				case <-stopWriters:
					return
				default:
				}
				id, began := fmt.Sprintf("old-%d-%d", w, n), time.Now()
				ctx, cancel := ctx, func() {}
				if !patient {
					ctx, cancel = context.WithTimeout(ctx, proposeTime)
				}
				err := flavor(ctx, old, id)
				cancel()
				assert.LessOrEqual(t, time.Since(began), proposeTime+lateBy, "a proposal outlives its timeout: %v", err)
				inFlight.n.Add(1)
				if err == nil {
					mu.Lock()
					late := !cut.IsZero() && began.After(cut)
					acked[id] = true
					mu.Unlock()
					assert.False(t, late, "%s was acknowledged by a leader that is cut off", id)
				}
			}
		}()
	}
	inFlight.reach(t, 50)
	mu.Lock()
	o.net.isolate(c, old, out, in)
	cut = time.Now()
	mu.Unlock()
	next := c.leaderAmong(others)
	t.Logf("the next leader is established %s after the cut", time.Since(cut).Round(time.Millisecond))
	for i := range 20 {
		id := fmt.Sprint("new-", i)
		require.NoError(t, flavor(ctx, others[i%2], id))
		ack(id)
	}
	r, err := others[0].Read(ctx)
	require.NoError(t, err)
	require.NotNil(t, r.Flavor("new-19"))

	// The old one knows by now, and has stopped to act as the leader.
	require.Eventually(t, func() bool { return !old.isEstablished() && len(old.Cluster().Duties) == 0 }, 5*time.Second, 5*time.Millisecond)
	_, err = old.broker.Dequeue(ctx, 1)
	require.True(t, structs.IsKind(err, structs.KindNotLeader), "%v", err)
	_, err = old.plans.Submit(ctx, []structs.Placement{{}})
	require.True(t, structs.IsKind(err, structs.KindNotLeader), "%v", err)
	old.leases.mu.Lock()
	require.Nil(t, old.leases.table)
	old.leases.mu.Unlock()

	// Its clients are told in the documented time.
	began := time.Now()
	rctx, rcancel := ctx, func() {}
	if !patient {
		rctx, rcancel = context.WithTimeout(ctx, readTime)
	}
	_, err = old.Read(rctx)
	took := time.Since(began)
	rcancel()
	require.Error(t, err, "a consistent read on a server that is cut off")
	require.InDelta(t, readTime.Seconds(), took.Seconds(), lateBy.Seconds())
	t.Logf("a read on the server that is cut off ended after %s: %v", took.Round(time.Millisecond), err)
	close(stopWriters)
	began = time.Now()
	wg.Wait()
	t.Logf("the writers on the server that is cut off ended after another %s", time.Since(began).Round(time.Millisecond))

	healed := time.Now()
	o.net.heal(c)
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		r, err := old.Read(ctx)
		return err == nil && r.Flavor("new-19") != nil
	}, 20*time.Second, time.Millisecond, "the healed server does not answer")
	t.Logf("the healed server answers consistent reads after %s", time.Since(healed).Round(time.Millisecond))
	require.NoError(t, flavor(ctx, old, "healed"))
	ack("healed")
	c.requireEqualStates()
	r, err = next.Read(ctx)
	require.NoError(t, err)
	for id := range acked {
		require.NotNil(t, r.Flavor(structs.FlavorID(id)), "%s was acknowledged and is lost", id)
	}
}

// A follower that is cut off neither disturbs the others nor, when it comes back, the leader that they have.
func TestFollowerCutOff(t *testing.T) {
	t.Parallel()
	o := options{net: newFaultNet(t), memory: true}
	c := newClusterWith(t, 3, o)
	l, f := c.leader(), c.follower()
	term := l.node.Term()
	o.net.isolate(c, f, held, held)
	require.Eventually(t, func() bool { id, _ := f.node.Leader(); return id == "" }, 10*time.Second, 5*time.Millisecond)
	for i := range 20 {
		require.NoError(t, flavor(context.Background(), l, fmt.Sprint(i)))
	}
	o.net.heal(c)
	require.Eventually(t, func() bool { return f.Stale().Flavor("19") != nil }, 20*time.Second, 5*time.Millisecond)
	c.requireEqualStates()
	require.True(t, l.isEstablished())
	require.Equal(t, term, l.node.Term(), "the one that was cut off forced an election")
}

// Two servers of three that see nobody answer nothing, and go on by themselves when the network is whole again.
func TestNoMajority(t *testing.T) {
	t.Parallel()
	o := options{net: newFaultNet(t), memory: true}
	c := newClusterWith(t, 3, o)
	c.leader()
	require.NoError(t, flavor(context.Background(), c.members[0], "a"))
	for _, m := range c.members {
		o.net.isolate(c, m, held, held)
	}
	require.Eventually(t, func() bool {
		return !c.members[0].isEstablished() && !c.members[1].isEstablished() && !c.members[2].isEstablished()
	}, 10*time.Second, 5*time.Millisecond)
	var wg sync.WaitGroup
	for _, m := range c.members {
		wg.Add(2)
		go func() {
			defer wg.Done()
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			_, err := m.Read(ctx)
			assert.True(t, structs.IsKind(err, structs.KindUnavailable) || structs.IsKind(err, structs.KindTimeout), "%v", err)
		}()
		go func() {
			defer wg.Done()
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			err := flavor(ctx, m, "b")
			assert.True(t, structs.IsKind(err, structs.KindUnavailable) || structs.IsKind(err, structs.KindTimeout), "%v", err)
		}()
	}
	wg.Wait()
	o.net.heal(c)
	c.leader()
	r, err := c.members[2].Read(context.Background())
	require.NoError(t, err)
	require.NotNil(t, r.Flavor("a"))
	c.requireEqualStates()
}

// A server that is cut off stops at once: it does not wait for answers that will not come.
func TestStopWhileCutOff(t *testing.T) {
	t.Parallel()
	o := options{net: newFaultNet(t), memory: true}
	c := newClusterWith(t, 3, o)
	l := c.leader()
	o.net.isolate(c, l, held, held)
	c.leaderAmong(c.others(l))
	began := time.Now()
	l.stop()
	require.Less(t, time.Since(began), 4*time.Second)
}

// A blind write whose answer is lost is not made again behind its proposer's back: in between somebody else may have been told that theirs stands.
func TestLostAnswerIsNoSecondWrite(t *testing.T) {
	t.Parallel()
	o := options{net: newFaultNet(t), memory: true}
	c := newClusterWith(t, 3, o)
	l, f := c.leader(), c.follower()
	ctx := context.Background()
	require.Eventually(t, func() bool { id, _ := f.node.Leader(); return id == l.id }, 10*time.Second, time.Millisecond)
	o.net.set(string(l.id), string(f.id), held)
	answer := make(chan error, 1)
	go func() { answer <- setQuota(ctx, f, 1) }()
	require.Eventually(t, func() bool { return l.Stale().QuotaLimits("q").Instances == 1 }, 10*time.Second, time.Millisecond)
	require.NoError(t, setQuota(ctx, l, 2))
	o.net.set(string(l.id), string(f.id), refused) // the connection breaks, and with it the answer
	o.net.set(string(l.id), string(f.id), passing)
	err := <-answer
	r, rerr := l.Read(ctx)
	require.NoError(t, rerr)
	require.EqualValues(t, 2, r.QuotaLimits("q").Instances, "a write that was acknowledged was undone by the repetition of an older one")
	require.True(t, structs.IsKind(err, structs.KindUnavailable), "%v", err)
}

// What a server decided as the leader does not reach the next one through it.
func TestDutiesDoNotForward(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 3, options{memory: true})
	c.leader()
	f := c.follower()
	require.Eventually(t, func() bool { id, _ := f.node.Leader(); return id != "" }, 10*time.Second, time.Millisecond)
	require.NoError(t, setQuota(context.Background(), f, 5), "as a client it forwards")
	require.True(t, structs.IsKind(setQuota(context.Background(), asLeader{f.Server}, 6), structs.KindNotLeader))
	_, err := f.applyPlan(context.Background(), []structs.Placement{{EvaluationID: "e"}})
	require.True(t, structs.IsKind(err, structs.KindNotLeader), "%v", err)
	require.EqualValues(t, 5, c.leader().Stale().QuotaLimits("q").Instances)
}

// A server answers consistent reads only in the term in which it passed its barrier: when leadership was lost and gained again, the other leader's writes
// may not be applied yet, and what ran out of the first time must not count as the second.
func TestEstablishedInOneTermOnly(t *testing.T) {
	t.Parallel()
	c := newClusterWith(t, 1, options{memory: true})
	l := c.leader()
	l.mu.Lock()
	good := l.leadership
	l.mu.Unlock()
	l.setEstablished(&leadership{good.ctx, good.term - 1})
	_, err := l.readIndex(context.Background())
	require.True(t, structs.IsKind(err, structs.KindNotLeader), "%v", err)
	over, cancel := context.WithCancel(good.ctx)
	l.setEstablished(&leadership{over, good.term})
	_, err = l.readIndex(context.Background())
	require.NoError(t, err)
	cancel()
	_, err = l.readIndex(context.Background())
	require.True(t, structs.IsKind(err, structs.KindNotLeader), "%v", err)
	l.setEstablished(good)
}
