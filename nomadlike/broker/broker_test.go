package broker

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fakeClock is a clock that tests move.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*fakeTimer
}

type fakeTimer struct {
	clock *fakeClock
	at    time.Time
	call  func()
}

func newClock() *fakeClock { return &fakeClock{now: time.Unix(1000, 0)} }

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) AfterFunc(d time.Duration, f func()) Timer {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &fakeTimer{c, c.now.Add(d), f}
	c.timers = append(c.timers, t)
	return t
}

func (t *fakeTimer) Stop() bool {
	t.clock.mu.Lock()
	defer t.clock.mu.Unlock()
	i := slices.Index(t.clock.timers, t)
	if i >= 0 {
		t.clock.timers = slices.Delete(t.clock.timers, i, i+1)
	}
	return i >= 0
}

// advance moves the clock and makes the calls that are due, in order.
func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	end := c.now.Add(d)
	for {
		var first *fakeTimer
		for _, t := range c.timers {
			if !t.at.After(end) && (first == nil || t.at.Before(first.at)) {
				first = t
			}
		}
		if first == nil {
			break
		}
		c.timers = slices.DeleteFunc(c.timers, func(t *fakeTimer) bool { return t == first })
		c.now = first.at
		c.mu.Unlock()
		first.call()
		c.mu.Lock()
	}
	c.now = end
	c.mu.Unlock()
}

func eval(id, instance string, index uint64) *structs.Evaluation {
	return &structs.Evaluation{Meta: structs.Meta{CreateIndex: index, ModifyIndex: index}, ID: structs.EvaluationID(id),
		InstanceID: structs.InstanceID(instance), OperationID: structs.OperationID("op-" + id), Status: structs.EvalPending}
}

// take dequeues what is ready without waiting.
func take(t require.TestingT, b *Broker, most int) []Lease {
	if b.Stats().Ready == 0 {
		return nil
	}
	l, err := b.Dequeue(context.Background(), most)
	require.NoError(t, err)
	return l
}

func ids(leases []Lease) (out []string) {
	for _, l := range leases {
		out = append(out, string(l.EvaluationID))
	}
	return out
}

func enabled(cfg Config) (*Broker, *fakeClock) {
	c := newClock()
	cfg.Clock = c
	b := New(cfg)
	b.SetEnabled(true)
	return b, c
}

func TestOrderAndDedupe(t *testing.T) {
	t.Parallel()
	b, _ := enabled(Config{})
	done := eval("d", "d", 1)
	done.Status = structs.EvalComplete
	b.Enqueue(eval("c", "3", 3), eval("a", "1", 1), done, eval("b", "2", 2), eval("a", "1", 1))
	b.Enqueue(eval("a", "1", 1))
	require.Equal(t, Stats{Ready: 3}, b.Stats())
	first := take(t, b, 2)
	require.Equal(t, []string{"a", "b"}, ids(first))
	require.Equal(t, Lease{EvaluationID: "a", InstanceID: "1", OperationID: "op-a", Index: 1, Delivery: 1, Token: first[0].Token}, first[0])
	b.Enqueue(eval("a", "1", 1))
	require.Equal(t, Stats{Ready: 1, Unacked: 2}, b.Stats())
	require.Equal(t, []string{"c"}, ids(take(t, b, 5)))
	require.NoError(t, b.Ack(tokens(first)...))
	require.Equal(t, Stats{Unacked: 1}, b.Stats())
	require.True(t, structs.IsKind(firstOf(b.Ack(first[0].Token)), structs.KindNotFound))
}

func firstOf(err error) error {
	if j, ok := err.(interface{ Unwrap() []error }); ok {
		return j.Unwrap()[0]
	}
	return err
}

func TestOnePerInstance(t *testing.T) {
	t.Parallel()
	b, _ := enabled(Config{})
	b.Enqueue(eval("a", "i", 1), eval("b", "i", 2), eval("c", "j", 3), eval("d", "i", 4))
	require.Equal(t, Stats{Ready: 2, Waiting: 2}, b.Stats())
	l := take(t, b, 9)
	require.Equal(t, []string{"a", "c"}, ids(l))
	require.NoError(t, b.Ack(l[0].Token))
	l = take(t, b, 9)
	require.Equal(t, []string{"b"}, ids(l))
	require.NoError(t, b.Nack("no", l[0].Token))
	require.Equal(t, Stats{Unacked: 1, Delayed: 1, Waiting: 1}, b.Stats(), "a nacked one keeps its instance's turn")
}

func TestVisibilityTimeout(t *testing.T) {
	t.Parallel()
	var failed []Failure
	b, clock := enabled(Config{AckTimeout: time.Minute, DeliveryLimit: 2, Fail: func(f Failure) { failed = append(failed, f) }})
	b.Enqueue(eval("a", "i", 1), eval("b", "i", 2))
	l := take(t, b, 1)
	clock.advance(time.Minute - 1)
	require.Equal(t, 1, b.Stats().Unacked)
	clock.advance(1)
	require.Error(t, b.Ack(l[0].Token), "a lease that timed out is no lease")
	again := take(t, b, 1)
	require.Equal(t, "a", ids(again)[0])
	require.Equal(t, 2, again[0].Delivery)
	require.NotEqual(t, l[0].Token, again[0].Token)
	require.Error(t, b.Nack("late", l[0].Token))
	require.Equal(t, int64(60000), b.Stats().OldestMS)
	clock.advance(time.Minute)
	require.Equal(t, []Failure{{"a", "i", "op-a", 2, "its worker said nothing for 1m0s"}}, failed)
	require.Equal(t, []string{"b"}, ids(take(t, b, 1)), "the next of the instance has its turn")
	b.Enqueue(eval("a", "i", 1))
	require.Equal(t, 1, b.Stats().Waiting, "a failed one may come again")
}

func TestNackBacksOff(t *testing.T) {
	t.Parallel()
	b, clock := enabled(Config{NackDelay: time.Second, MaxNackDelay: 3 * time.Second, DeliveryLimit: 100})
	b.Enqueue(eval("a", "i", 1))
	for _, d := range []time.Duration{time.Second, 2 * time.Second, 3 * time.Second, 3 * time.Second} {
		require.NoError(t, b.Nack("no", take(t, b, 1)[0].Token))
		clock.advance(d - 1)
		require.Equal(t, Stats{Delayed: 1, OldestMS: b.Stats().OldestMS}, b.Stats())
		clock.advance(1)
		require.Equal(t, 1, b.Stats().Ready)
	}
}

func TestFailurePlacement(t *testing.T) {
	t.Parallel()
	p := Failure{"a", "i", "o", 5, "no state"}.Placement(7)
	require.Equal(t, structs.Placement{EvaluationID: "a", InstanceID: "i", OperationID: "o", Explanation: &structs.Explanation{Hosts: 7,
		Refused: []structs.FilterCount{{Filter: "the scheduler", Count: 7, Example: "gave up after 5 attempts: no state"}}}}, p)
}

func TestDisabled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := New(Config{})
		_, err := b.Dequeue(t.Context(), 1)
		require.True(t, structs.IsKind(err, structs.KindNotLeader))
		b.Enqueue(eval("a", "i", 1))
		b.SetEnabled(true)
		require.Zero(t, b.Stats(), "what comes while disabled is not kept")
		b.Enqueue(eval("a", "i", 1))
		old := take(t, b, 1)
		ctx, cancel := context.WithCancel(t.Context())
		errs := make(chan error)
		for range 3 {
			go func() { _, err := b.Dequeue(ctx, 1); errs <- err }()
		}
		synctest.Wait()
		b.SetEnabled(false)
		for range 3 {
			require.True(t, structs.IsKind(<-errs, structs.KindNotLeader))
		}
		cancel()
		b.SetEnabled(true)
		b.Enqueue(eval("a", "i", 1))
		require.Error(t, b.Ack(old[0].Token), "a lease of an earlier leadership is none")
		require.Equal(t, 1, b.Stats().Ready)
		b.SetEnabled(true)
		require.Equal(t, 1, b.Stats().Ready, "enabling twice changes nothing")
		b.SetEnabled(false)
	})
}

// Waiters are served in turn; one that gives up hands its turn on, whether it was woken already or not.
func TestDequeueWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := New(Config{})
		b.SetEnabled(true)
		got := make(chan []string, 10)
		wait := func(ctx context.Context, most int) {
			go func() {
				l, err := b.Dequeue(ctx, most)
				if err == nil {
					got <- ids(l)
				}
			}()
			synctest.Wait()
		}
		gone, cancel := context.WithCancel(t.Context())
		wait(gone, 1)
		wait(t.Context(), 1)
		wait(t.Context(), 5)
		cancel()
		synctest.Wait()
		b.Enqueue(eval("a", "1", 1), eval("b", "2", 2), eval("c", "3", 3))
		synctest.Wait()
		close(got)
		var all [][]string
		for g := range got {
			all = append(all, g)
		}
		require.ElementsMatch(t, [][]string{{"a"}, {"b", "c"}}, all)
		b.SetEnabled(false)
	})
	for range 200 { // cancelled and woken at the same moment
		synctest.Test(t, func(t *testing.T) {
			b := New(Config{})
			b.SetEnabled(true)
			ctx, cancel := context.WithCancel(t.Context())
			var mu sync.Mutex
			n := 0
			for _, c := range []context.Context{ctx, t.Context()} {
				go func() {
					l, _ := b.Dequeue(c, 1)
					mu.Lock()
					defer mu.Unlock()
					n += len(l)
				}()
				synctest.Wait()
			}
			go cancel()
			go b.Enqueue(eval("a", "1", 1))
			synctest.Wait()
			mu.Lock()
			require.Equal(t, 1, n)
			mu.Unlock()
			cancel()
			b.SetEnabled(false)
		})
	}
}

// Against a model of plain maps: what may be handed out is, in order, never two of one instance, and nothing is lost.
func TestBrokerModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		gone := map[string]bool{} // failed
		b, clock := enabled(Config{AckTimeout: 10, NackDelay: 3, MaxNackDelay: 7, DeliveryLimit: 3, Fail: func(f Failure) { gone[string(f.EvaluationID)] = true }})
		known, held := map[string]string{}, map[string]Lease{} // evaluation to instance; to lease
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			switch rapid.IntRange(0, 4).Draw(t, "what") {
			case 0, 1:
				id := fmt.Sprint("e", rapid.IntRange(0, 9).Draw(t, "e"))
				instance := "i" + id[1:][:1]
				if rapid.Bool().Draw(t, "shared") {
					instance = "shared"
				}
				if known[id] == "" {
					known[id] = instance
					delete(gone, id)
				}
				b.Enqueue(eval(id, known[id], uint64(step)))
			case 2:
				for _, l := range take(t, b, rapid.IntRange(1, 4).Draw(t, "most")) {
					for other := range held {
						require.NotEqual(t, known[other], string(l.InstanceID), "two of one instance")
					}
					require.Contains(t, known, string(l.EvaluationID))
					held[string(l.EvaluationID)] = l
				}
			case 3:
				clock.advance(time.Duration(rapid.IntRange(0, 12).Draw(t, "ns")))
			case 4:
				for id, l := range held {
					var err error
					if rapid.Bool().Draw(t, "ack") {
						if err = b.Ack(l.Token); err == nil {
							delete(known, id)
						}
					} else {
						err = b.Nack("no", l.Token)
					}
					_ = err // it may have timed out
					delete(held, id)
					break
				}
			}
			for id, l := range held {
				if b.leases[l.Token] == nil {
					delete(held, id)
				}
			}
			for id := range gone {
				delete(known, id)
			}
			s := b.Stats()
			require.Equal(t, len(known), s.Ready+s.Unacked+s.Delayed+s.Waiting, "lost or made up")
			require.Equal(t, len(held), s.Unacked)
			instances := map[string]bool{}
			for _, i := range known {
				instances[i] = true
			}
			require.Equal(t, len(instances), s.Ready+s.Unacked+s.Delayed, "an instance whose turn it is nowhere")
		}
	})
}
