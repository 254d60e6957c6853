package cluster

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/notification"
)

// inbox is where all servers of a test's cluster deliver to. It keeps what it took, in order.
type inbox struct {
	mu    sync.Mutex
	taken []notification.Notification
}

func (i *inbox) Name() string { return "test.inbox" }
func (i *inbox) Close()       {}
func (i *inbox) Deliver(ctx context.Context, n *notification.Notification) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.taken = append(i.taken, *n)
	return ctx.Err()
}

// names are the names of keypairs in the order in which they were first told; a message that comes twice is the same message.
func (i *inbox) names(t testing.TB) (names []string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	seen := map[string]string{}
	for _, n := range i.taken {
		text, err := n.Bytes()
		require.NoError(t, err)
		if first, again := seen[n.MessageID]; again {
			require.Equal(t, first, string(text))
			continue
		}
		seen[n.MessageID] = string(text)
		names = append(names, n.Payload["nova_object.data"].(map[string]any)["name"].(string))
	}
	return names
}

// Leaders die one after the other while keypairs are made: the sink gets every notification, in order, and what it gets twice has the same id and the same bytes.
func TestNotificationsSurviveLeaders(t *testing.T) {
	t.Parallel()
	in := &inbox{}
	o := options{duties: func() []Duty {
		r := notification.NewRunner(notification.Config{Logger: hclog.NewNullLogger(), CursorEvery: 20 * time.Millisecond,
			Routes: []notification.Route{{Sink: in, Events: []string{"keypair.import.end"}}}})
		return []Duty{{Name: "notifications", Start: func(ctx context.Context, l Lead) (func(), error) { return r.Start(ctx, l), nil }}}
	}}
	c := newClusterWith(t, 3, o)
	first := c.leader()
	require.Eventually(t, func() bool { return first.Stale().NotificationCursor("test.inbox") != nil }, 20*time.Second, 5*time.Millisecond, "no cursor at the start")
	var want []string
	make := func(n int) {
		for range n {
			name := fmt.Sprintf("key-%03d", len(want))
			want = append(want, name)
			_, err := fsm.KeypairCreate.Propose(t.Context(), c.leader(), &structs.KeypairCreateRequest{Keypair: structs.Keypair{UserID: structs.UserID(name), Name: name,
				Type: "ssh", PublicKey: "k", Fingerprint: "f", CreatedAt: now()}})
			require.NoError(t, err)
		}
	}
	told := func() {
		t.Helper()
		require.Eventually(t, func() bool { return slices.Equal(want, in.names(t)) }, 30*time.Second, 10*time.Millisecond, "not all were told")
	}
	for range 3 {
		make(15)
		l := c.leader()
		l.stop()
		make(15)
		l.startWith(o, c.join())
		told()
	}
	require.Eventually(t, func() bool {
		l := c.leader()
		for _, d := range l.Cluster().Duties {
			if d.Name == "notifications" {
				return d.Running
			}
		}
		return false
	}, 20*time.Second, 10*time.Millisecond, "operators do not see the duty")
	c.requireEqualStates()
}

// kept is a sink that keeps the instances that exist, each time that it is told of one.
type kept struct {
	mu  sync.Mutex
	ids map[string]int // message ids by instance and period, with how often they came
}

func (k *kept) Name() string { return "test.kept" }
func (k *kept) Close()       {}
func (k *kept) Deliver(ctx context.Context, n *notification.Notification) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ids[n.MessageID]++
	return ctx.Err()
}

// Leaders die around the end of a period: the period is told by one of them, and by no other again.
func TestUsageAuditSurvivesLeaders(t *testing.T) {
	t.Parallel()
	sink := &kept{ids: map[string]int{}}
	var over atomic.Bool
	o := options{ttl: time.Hour, duties: func() []Duty {
		r := notification.NewRunner(notification.Config{Logger: hclog.NewNullLogger(), CursorEvery: 10 * time.Millisecond,
			Routes: []notification.Route{{Sink: sink, Events: []string{"instance.exists"}}}})
		a := notification.NewAuditor(notification.AuditConfig{Period: structs.UsagePeriod{Unit: structs.UsageYear}, Logger: hclog.NewNullLogger(), Every: 2 * time.Millisecond,
			Now: func() time.Time {
				if over.Load() {
					return time.Now().AddDate(1, 0, 0)
				}
				return time.Now()
			}})
		return []Duty{{Name: "notifications", Start: func(ctx context.Context, l Lead) (func(), error) { return r.Start(ctx, l), nil }},
			{Name: "usage-audit", Start: func(ctx context.Context, l Lead) (func(), error) { return a.Start(ctx, l), nil }}}
	}}
	c := newClusterWith(t, 3, o)
	l := c.leader()
	unlimited(t, l)
	h := c.host("h")
	require.Eventually(t, func() bool { return l.Stale().Host(h.id) != nil }, 20*time.Second, 2*time.Millisecond, "the host does not register")
	ids, err := fsm.InstanceCreate.Propose(t.Context(), l, createRequest(20))
	require.NoError(t, err)
	c.waitActive(ids)
	over.Store(true)
	told := func() bool {
		sink.mu.Lock()
		defer sink.mu.Unlock()
		return len(sink.ids) == len(ids)
	}
	for range 3 {
		l = c.leader()
		l.stop()
		require.Eventually(t, told, 30*time.Second, 5*time.Millisecond, "the period is told")
		l.startWith(o, c.join())
	}
	r := c.leader().Stale()
	runs := 0
	for a := range r.UsageAudits() {
		if a.Count > 0 {
			runs++
		}
	}
	require.Equal(t, 1, runs, "one run for the one host")
	require.True(t, told(), "and no other message")
	c.requireEqualStates()
}
