package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/consensus"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// The histories are of two kinds of registers. A flavor is one that is written only when it is absent and deleted only when it is there, so that the
// answer of a write says what it found; a project's quota is one that is overwritten blindly.
type action int

const (
	read action = iota
	create
	remove
	overwrite
)

type registerInput struct {
	key    string
	action action
	value  string
}

type registerOutput struct {
	unknown bool // the write may or may not have been applied, then or later
	refused bool // a create of what is there, a delete of what is not
	value   string
}

// registers is what the cluster promises of both kinds; each key is checked on its own.
var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		var order []string
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			k := op.Input.(registerInput).key
			if byKey[k] == nil {
				order = append(order, k)
			}
			byKey[k] = append(byKey[k], op)
		}
		var out [][]porcupine.Operation
		for _, k := range order {
			out = append(out, byKey[k])
		}
		return out
	},
	Init: func() any { return "" },
	Step: func(s, in, out any) (bool, any) {
		have, i, o := s.(string), in.(registerInput), out.(registerOutput)
		switch i.action {
		case read:
			return o.value == have, have
		case overwrite:
			return true, i.value
		case create:
			if have != "" {
				return o.refused || o.unknown, have
			}
			return !o.refused, i.value
		default:
			if have == "" {
				return o.refused || o.unknown, have
			}
			return !o.refused, ""
		}
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

// history collects what clients saw.
type history struct {
	began time.Time
	mu    sync.Mutex
	ops   []porcupine.Operation
}

func (h *history) now() int64 { return time.Since(h.began).Nanoseconds() }

func (h *history) add(op porcupine.Operation) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, op)
}

// check reports whether the history could be that of one register served by one thread. Who never learned what became of a write has it pending to the end.
func (h *history) check(t *testing.T) porcupine.CheckResult {
	h.mu.Lock()
	defer h.mu.Unlock()
	end := h.now()
	for i := range h.ops {
		if h.ops[i].Return == 0 {
			h.ops[i].Return = end
		}
	}
	res := porcupine.CheckOperationsTimeout(registers, h.ops, 20*time.Second)
	t.Logf("%d operations: %s", len(h.ops), res)
	return res
}

func (h *history) requireLinearizable(t *testing.T) {
	t.Helper()
	require.Equal(t, porcupine.Ok, h.check(t))
}

func quotaOf(r state.Reader, key string) string {
	l := r.QuotaLimits(structs.ProjectID(key))
	if l.Instances == structs.DefaultQuotaLimits().Instances {
		return ""
	}
	return fmt.Sprint(l.Instances)
}

func flavorOf(r state.Reader, key string) string {
	if f := r.Flavor(structs.FlavorID(key)); f != nil {
		return f.Name
	}
	return ""
}

var values atomic.Int64 // every write of a test has a value of its own

// do carries out an operation on a server and adds it to the history. It reports whether the outcome is known. A read that failed says nothing.
func (h *history) do(ctx context.Context, client int, s *Server, in registerInput, moment func(context.Context, *Server) (state.Reader, error)) bool {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	v := values.Add(1) + 1000
	in.value = fmt.Sprint(v)
	op := porcupine.Operation{ClientId: client, Call: h.now()}
	var out registerOutput
	var err error
	switch in.action {
	case read:
		var r state.Reader
		if r, err = moment(ctx, s); err != nil {
			return false
		}
		if out.value = flavorOf(r, in.key); in.key[0] == 'q' {
			out.value = quotaOf(r, in.key)
		}
		in.value = ""
	case create:
		_, err = fsm.FlavorCreate.Propose(ctx, s, &structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: structs.FlavorID(in.key), Name: in.value}})
	case remove:
		_, err = fsm.FlavorDelete.Propose(ctx, s, &structs.FlavorDeleteRequest{ID: structs.FlavorID(in.key)})
	case overwrite:
		_, err = fsm.QuotaSet.Propose(ctx, s, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: structs.ProjectID(in.key), Limits: structs.QuotaLimits{Instances: v}}})
	}
	op.Input = in
	switch structs.KindOf(err) {
	case structs.KindConflict, structs.KindNotFound:
		out.refused = true
	default:
		out.unknown = err != nil
	}
	op.Output = out
	if !out.unknown {
		op.Return = h.now()
	}
	h.add(op)
	return !out.unknown
}

// clients run random operations on random servers until ctx ends.
type clients struct {
	wg     sync.WaitGroup
	served counter // operations whose outcome is known
}

func (h *history) load(ctx context.Context, n int, seed uint64, server func(*rand.Rand) *Server) *clients {
	c := &clients{}
	for id := range n {
		c.wg.Add(1)
		go func() {
			defer c.wg.Done()
			rnd := rand.New(rand.NewPCG(seed, uint64(id)))
			for ctx.Err() == nil {
				s := server(rnd)
				if s == nil {
					pause(ctx, 0)
					continue
				}
				in := registerInput{key: fmt.Sprintf("f%d", rnd.IntN(3)), action: action(rnd.IntN(3))}
				if rnd.IntN(3) == 0 {
					in = registerInput{key: fmt.Sprintf("q%d", rnd.IntN(2)), action: []action{read, overwrite}[rnd.IntN(2)]}
				}
				if h.do(ctx, id, s, in, func(ctx context.Context, s *Server) (state.Reader, error) { return s.Read(ctx) }) {
					c.served.n.Add(1)
				}
				pause(ctx, 0)
			}
		}()
	}
	return c
}

// running are the servers that run, for clients, while the test stops and starts members.
type running struct{ servers []atomic.Pointer[Server] }

func newRunning(c *testCluster) *running {
	r := &running{servers: make([]atomic.Pointer[Server], len(c.members))}
	for i, m := range c.members {
		r.servers[i].Store(m.Server)
	}
	return r
}

func (r *running) any(rnd *rand.Rand) *Server { return r.servers[rnd.IntN(len(r.servers))].Load() }

func (r *running) restart(c *testCluster, m *member, o options, between func()) {
	for i := range c.members {
		if c.members[i] == m {
			r.servers[i].Store(nil)
			m.stop()
			between()
			m.startWith(o, c.join())
			r.servers[i].Store(m.Server)
		}
	}
}

// Clients read and write on random servers while leaders are stopped, cut off and asked to hand over: whatever they saw could have been seen of one
// register in one place.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 99))
	o := options{net: newFaultNet(t), raft: consensus.Tuning{Multiplier: 1}} // the longer nobody leads, the more writes have an unknown fate, and the check takes exponentially longer
	c := newClusterWith(t, 3, o)
	c.leader()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	run := newRunning(c)
	h := &history{began: time.Now()}
	load := h.load(ctx, 8, seed, run.any)
	more := func(n int64) { load.served.reach(t, load.served.n.Load()+n) }
	more(100)
	for _, fault := range []string{"transfer", "stop", "hold", "hold out", "refuse", "transfer", "hold in"} {
		l := c.leader()
		t.Logf("%s: %s of leader %s after %d operations", time.Since(h.began).Round(time.Millisecond), fault, l.id, load.served.n.Load())
		switch fault {
		case "transfer":
			_ = l.node.TransferLeadership()
		case "stop":
			run.restart(c, l, o, func() { more(int64(10 + rnd.IntN(30))) })
		default:
			out, in := held, held
			switch fault {
			case "refuse":
				out, in = refused, refused
			case "hold out":
				in = passing
			case "hold in":
				out = passing
			}
			o.net.isolate(c, l, out, in)
			c.leaderAmong(c.others(l))
			more(int64(10 + rnd.IntN(30)))
			o.net.heal(c)
		}
		more(40)
	}
	cancel()
	load.wg.Wait()
	h.requireLinearizable(t)
	c.requireEqualStates()
}

// The check above is able to fail: reads that do not ask the leader are caught on a server that is cut off.
func TestStaleReadsAreCaught(t *testing.T) {
	t.Parallel()
	o := options{net: newFaultNet(t), memory: true}
	c := newClusterWith(t, 3, o)
	l := c.leader()
	f := c.follower()
	ctx := context.Background()
	h := &history{began: time.Now()}
	stale := func(_ context.Context, s *Server) (state.Reader, error) { return s.Stale(), nil }
	require.True(t, h.do(ctx, 0, l.Server, registerInput{key: "q", action: overwrite}, nil))
	require.Eventually(t, func() bool { return f.Stale().Index() == l.Stale().Index() }, 10*time.Second, time.Millisecond)
	require.True(t, h.do(ctx, 0, f.Server, registerInput{key: "q", action: read}, stale))
	require.Equal(t, porcupine.Ok, h.check(t), "nothing is stale yet")
	o.net.isolate(c, f, held, held)
	require.True(t, h.do(ctx, 0, l.Server, registerInput{key: "q", action: overwrite}, nil))
	require.False(t, h.do(ctx, 1, f.Server, registerInput{key: "q", action: read}, func(ctx context.Context, s *Server) (state.Reader, error) { return s.Read(ctx) }),
		"a server that is cut off answers no consistent read")
	require.Equal(t, porcupine.Ok, h.check(t))
	require.True(t, h.do(ctx, 1, f.Server, registerInput{key: "q", action: read}, stale))
	require.Equal(t, porcupine.Illegal, h.check(t), "a stale read must be found out")
}
