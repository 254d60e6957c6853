package cluster

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
)

// duty is something that only the leader does. start returns what ends it, or nil when it is done at once; it may not block for long.
type duty struct {
	name  string
	start func(ctx context.Context) (stop func(), err error)
}

// leaderDuties is the one list: they start in this order once the barrier is passed, and stop in the reverse one.
func (s *Server) leaderDuties() []duty {
	list := []duty{
		{"cluster-settings", s.ensureSettings},
		{"role-implications", s.ensureImplications},
		{"token-keys", s.periodic("token-keys", time.Minute, nil, s.rotateTokenKeys)},
		{"evaluation-broker", s.startBroker},
		{"plan-applier", s.startPlanApplier},
		{"evaluation-reviver", s.periodic("evaluation-reviver", 10*time.Second, nil, s.reviveEvaluations)},
		{"host-leases", s.startLeases},
		{"host-suspects", s.suspectFailed},
		{"operation-deadlines", s.periodic("operation-deadlines", time.Second, nil, s.expireOperations)},
		{"raft-members", s.periodic("raft-members", 10*time.Second, s.duties.signal("raft-members"), s.reconcileMembers)},
		{"reclaimer", s.periodic("reclaimer", time.Minute, nil, s.reclaim)},
		{"shelved-offloader", s.periodic("shelved-offloader", time.Minute, nil, s.offloadShelved)},
		{"image-caching", s.startImageCaching},
		{"reaper", s.periodic("reaper", time.Minute, s.duties.signal("reaper"), s.reap)},
	}
	for _, d := range s.cfg.Duties {
		list = append(list, duty{d.Name, func(ctx context.Context) (func(), error) { return d.Start(ctx, Lead{asLeader{s}}) }})
	}
	return list
}

// Duty is something that only the leader does and that this package does not know. Start is called each time that this server begins to lead; it must not
// block. ctx ends when leadership does, and then stop is called, which returns when the duty has ended.
type Duty struct {
	Name  string
	Start func(ctx context.Context, l Lead) (stop func(), err error)
}

// Lead is what such a duty has of the server that leads. What it proposes is committed by this server alone: when it leads no more, it is refused.
type Lead struct{ asLeader }

// Stale returns this server's newest moment, which holds all that was committed before it began to lead.
func (l Lead) Stale() state.Reader { return l.s.Stale() }

// Events returns the change stream.
func (l Lead) Events() *event.Broker { return l.s.Events() }

// monitorLeadership starts the duties when leadership is gained and stops them when it is lost. Lost and regained counts as both.
func (s *Server) monitorLeadership(ctx context.Context) {
	var stop func()
	lose := func() {
		if stop != nil {
			stop()
			stop = nil
		}
	}
	defer func() { lose() }()
	for {
		select {
		case leads := <-s.node.LeaderCh():
			lose()
			if leads {
				stop = s.lead(ctx)
			}
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) setEstablished(l *leadership) {
	s.mu.Lock()
	s.leadership = l
	s.mu.Unlock()
}

// lead runs the duties until the returned function is called. When it cannot establish itself it hands leadership away, or, when nobody takes it, tries again.
func (s *Server) lead(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Add(1)
	go func() {
		defer wg.Done()
		for attempt := 0; ctx.Err() == nil && !s.establish(ctx); attempt++ {
			pause(ctx, attempt) // nobody took over, or this server is alone: try again
		}
	}()
	return func() { cancel(); wg.Wait() }
}

// establish passes the barrier, runs the duties until ctx ends and stops them. It returns false when it failed before.
func (s *Server) establish(ctx context.Context) bool {
	term := s.node.Term() // before the barrier: of a later term it would prove nothing
	if err := s.node.Barrier(30 * time.Second); err != nil {
		s.logger.Error("new leader cannot pass its barrier; handing leadership away", "error", err)
		_ = s.node.TransferLeadership()
		return false
	}
	s.logger.Info("this server leads the cluster", "server_id", s.cfg.ID, "index", s.store.Index())
	var stops []func()
	defer func() {
		for _, f := range slices.Backward(stops) {
			f()
		}
		s.duties.clear()
		s.logger.Info("this server no longer leads", "server_id", s.cfg.ID)
	}()
	for _, d := range s.leaderDuties() {
		if ctx.Err() != nil {
			return false
		}
		stop, err := d.start(ctx)
		s.duties.started(d.name, err)
		if err != nil {
			s.logger.Error("cannot start a duty of the leader; handing leadership away", "duty", d.name, "error", err)
			_ = s.node.TransferLeadership()
			return false
		}
		if stop != nil {
			stops = append(stops, stop)
		}
	}
	s.setEstablished(&leadership{ctx, term})
	<-ctx.Done()
	return true
}

// periodic makes a duty of a function that takes no input, is idempotent and runs on a signal and on a period. A run's error is kept
// for operators and logged once until it changes; the next run is the retry.
func (s *Server) periodic(name string, period time.Duration, signal <-chan struct{}, run func(ctx context.Context) error) func(context.Context) (func(), error) {
	return func(parent context.Context) (func(), error) {
		ctx, cancel := context.WithCancel(parent)
		done := make(chan struct{})
		go func() {
			defer close(done)
			timer := time.NewTimer(0)
			defer timer.Stop()
			for {
				select {
				case <-timer.C:
				case <-signal:
				case <-ctx.Done():
					return
				}
				timer.Reset(period) // before the work: whatever it does, there is a next time
				s.duties.ran(s.logger, name, run(ctx))
			}
		}()
		return func() { cancel(); <-done }, nil
	}
}

// dutyList is what operators see of the duties.
type dutyList struct {
	mu      sync.Mutex
	list    []nomadlike.DutyStatus
	signals map[string]chan struct{}
}

// signal returns the channel that wakes a duty.
func (l *dutyList) signal(name string) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.signals == nil {
		l.signals = map[string]chan struct{}{}
	}
	c, ok := l.signals[name]
	if !ok {
		c = make(chan struct{}, 1)
		l.signals[name] = c
	}
	return c
}

// wake makes a duty run soon.
func (l *dutyList) wake(name string) {
	select {
	case l.signal(name) <- struct{}{}:
	default: // it will run anyway
	}
}

func (l *dutyList) started(name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	st := nomadlike.DutyStatus{Name: name, Running: err == nil}
	if err != nil {
		st.LastErr = err.Error()
	}
	l.list = append(l.list, st)
}

func (l *dutyList) ran(logger hclog.Logger, name string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.list {
		d := &l.list[i]
		if d.Name != name {
			continue
		}
		d.Runs++
		was := d.LastErr
		d.LastErr = ""
		if err != nil {
			d.LastErr = err.Error()
			if was != d.LastErr {
				logger.Warn("a duty of the leader failed; it runs again", "duty", name, "error", err)
			}
		}
	}
}

func (l *dutyList) clear() {
	l.mu.Lock()
	l.list = nil
	l.mu.Unlock()
}

func (l *dutyList) status() []nomadlike.DutyStatus {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.list)
}
