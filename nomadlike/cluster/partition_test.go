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

// lateBy is how much later than its timeout a call may return before it counts as hanging.
const lateBy = 10 * time.Second

// A leader is cut off from the others, in each way that networks do that, with clients on both sides. It acknowledges nothing and answers no consistent
// read; what was on its way there ends in time; its duties stop. The others go on. Healed, all have the same state with all that was acknowledged.
func TestLeaderCutOff(t *testing.T) {
	t.Parallel()
	for name, x := range map[string]struct {
		out, in  flowMode
		patience time.Duration // it takes long until a call without a deadline is told no, so only one case has such
	}{
		"refused":          {refused, refused, 700 * time.Millisecond},
		"black hole":       {held, held, 0},
		"nothing gets out": {held, passing, 700 * time.Millisecond},
		"nothing gets in":  {passing, held, 700 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cutOff(t, x.out, x.in, x.patience)
		})
	}
}

// oldLeader is a leader that a test cuts off, with the clients that go on asking it.
type oldLeader struct {
	t           *testing.T
	m           *member
	patience    time.Duration // of its clients; 0 is as long as Read and Propose wait by themselves
	served      counter
	stopWriters chan struct{}
	wg          sync.WaitGroup

	mu    sync.Mutex
	acked map[string]bool
	cut   time.Time
}

func (o *oldLeader) ack(id string) {
	o.mu.Lock()
	o.acked[id] = true
	o.mu.Unlock()
}

// as is a client's context, and how long a call that has none of its own may take.
func (o *oldLeader) as(own time.Duration) (context.Context, context.CancelFunc, time.Duration) {
	if o.patience == 0 {
		return context.Background(), func() {}, own
	}
	ctx, cancel := context.WithTimeout(context.Background(), o.patience)
	return ctx, cancel, o.patience
}

// write proposes until stopWriters: nothing is acknowledged that began after the cut, and nothing hangs.
func (o *oldLeader) write(name string) {
	defer o.wg.Done()
	for n := 0; ; n++ {
		select {
		case <-o.stopWriters:
			return
		default:
		}
		id, began := fmt.Sprint(name, "-", n), time.Now()
		ctx, cancel, limit := o.as(proposeTimeout)
		err := flavor(ctx, o.m, id)
		cancel()
		assert.LessOrEqual(o.t, time.Since(began), limit+lateBy, "a proposal outlives its timeout: %v", err)
		o.served.n.Add(1)
		if err == nil {
			o.mu.Lock()
			late := !o.cut.IsZero() && began.After(o.cut)
			o.acked[id] = true
			o.mu.Unlock()
			assert.False(o.t, late, "%s was acknowledged by a leader that is cut off", id)
		}
	}
}

// steppedDown returns when it has stopped to act as the leader.
func (o *oldLeader) steppedDown() {
	require.Eventually(o.t, func() bool { return !o.m.isEstablished() && len(o.m.Cluster().Duties) == 0 }, 10*time.Second, 5*time.Millisecond)
	_, err := o.m.broker.Dequeue(context.Background(), 1)
	require.True(o.t, structs.IsKind(err, structs.KindNotLeader), "%v", err)
	_, err = o.m.plans.Submit(context.Background(), []structs.Placement{{}})
	require.True(o.t, structs.IsKind(err, structs.KindNotLeader), "%v", err)
	o.m.leases.mu.Lock()
	defer o.m.leases.mu.Unlock()
	require.Nil(o.t, o.m.leases.table)
}

// tellsItsClients returns when none of its clients waits any more; each was told no in its time.
func (o *oldLeader) tellsItsClients() {
	began := time.Now()
	ctx, cancel, limit := o.as(readTimeout)
	_, err := o.m.Read(ctx)
	cancel()
	require.Error(o.t, err, "a consistent read on a server that is cut off")
	require.LessOrEqual(o.t, time.Since(began), limit+lateBy)
	close(o.stopWriters)
	o.wg.Wait()
}

func cutOff(t *testing.T, out, in flowMode, patience time.Duration) {
	o := options{net: newFaultNet(t), memory: true}
	c := newClusterWith(t, 3, o)
	old := &oldLeader{t: t, m: c.leader(), patience: patience, stopWriters: make(chan struct{}), acked: map[string]bool{}}
	others := c.others(old.m)
	ctx := context.Background()
	require.NoError(t, flavor(ctx, old.m, "before"))
	old.ack("before")
	for w := range 4 {
		old.wg.Add(1)
		go old.write(fmt.Sprint("old-", w))
	}
	old.served.reach(t, 50)
	old.mu.Lock()
	o.net.isolate(c, old.m, out, in)
	old.cut = time.Now()
	old.mu.Unlock()

	next := c.leaderAmong(others)
	for i := range 20 {
		id := fmt.Sprint("new-", i)
		require.NoError(t, flavor(ctx, others[i%2], id))
		old.ack(id)
	}
	r, err := others[0].Read(ctx)
	require.NoError(t, err)
	require.NotNil(t, r.Flavor("new-19"))
	old.steppedDown()
	old.tellsItsClients()

	o.net.heal(c)
	require.Eventually(t, func() bool {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		r, err := old.m.Read(ctx)
		return err == nil && r.Flavor("new-19") != nil
	}, 20*time.Second, time.Millisecond, "the healed server does not answer")
	require.NoError(t, flavor(ctx, old.m, "healed"))
	old.ack("healed")
	c.requireEqualStates()
	r, err = next.Read(ctx)
	require.NoError(t, err)
	for id := range old.acked {
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
	done := make(chan struct{})
	go func() { l.stop(); close(done) }()
	select {
	case <-done:
	case <-time.After(readTimeout): // less than what Raft's transport waits for one that does not answer
		t.Fatal("it waits for answers that will not come")
	}
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
