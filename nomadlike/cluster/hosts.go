package cluster

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/go-memdb"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/lease"
	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/scheduler"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// leases guards the leader's lease table.
type leases struct {
	mu    sync.Mutex
	ttl   time.Duration
	table *lease.Table // nil while this server does not lead
	wake  chan struct{}
	// clock goes evenly whatever is done to the computer's: setting that must end no lease. It is of use in this process only.
	clock func() structs.Time
}

func (l *leases) init(ttl time.Duration) {
	began := time.Now()
	l.ttl, l.wake, l.clock = ttl, make(chan struct{}, 1), func() structs.Time { return structs.TimeOf(began).Add(time.Since(began)) }
}

// startLeases gives every host that is not down a whole new lease: the leader before may have renewed it a moment ago.
func (s *Server) startLeases(parent context.Context) (func(), error) {
	s.leases.mu.Lock()
	s.leases.table = lease.New(s.leases.ttl)
	s.leases.mu.Unlock()
	for h := range s.store.Snapshot().Hosts() { // what is committed after this moment leaseCommitted sees
		s.leases.cover(h)
	}
	ctx, cancel := context.WithCancel(parent)
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.watchLeases(ctx)
	}()
	return func() {
		cancel()
		<-done
		s.leases.mu.Lock()
		s.leases.table = nil
		s.leases.mu.Unlock()
	}, nil
}

// leaseCommitted keeps true, on the leader, that every host that is not down has a lease, or nobody would ever find out that its client is gone: who took in a
// registration need not lead any more when it is committed.
func (s *Server) leaseCommitted(_ uint64, changes []state.Change) {
	for _, c := range changes {
		if h, ok := c.After.(*structs.Host); ok {
			s.leases.cover(h)
		}
	}
}

// cover grants a lease to a host that has none at its epoch and should. It is called by commits, so nothing that holds mu may use the store.
func (l *leases) cover(h *structs.Host) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.table == nil || h.Status == structs.HostDown {
		return
	}
	if epoch, ok := l.table.Epoch(h.ID); !ok || epoch < h.Epoch {
		l.table.Grant(h.ID, h.Epoch, l.clock())
		l.changed()
	}
}

// ended adds to pending the hosts whose lease has ended, takes out those that have one again, and returns for how long nothing more ends.
func (l *leases) ended(pending []structs.HostStatusChange) ([]structs.HostStatusChange, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.table.Expire(l.clock()) {
		pending = append(pending, structs.HostStatusChange{HostID: e.HostID, Epoch: e.Epoch, Status: structs.HostDown,
			Reason: "its client did not renew its lease for " + l.ttl.String()})
	}
	pending = slices.DeleteFunc(pending, func(c structs.HostStatusChange) bool { _, again := l.table.Epoch(c.HostID); return again })
	if next := l.table.Next(); next != 0 {
		return pending, max(next.Sub(l.clock()), time.Millisecond)
	}
	return pending, time.Minute
}

// changed makes the watcher look again.
func (l *leases) changed() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// watchLeases proposes the hosts down whose lease has ended. A proposal that fails is made again, unless the host registered meanwhile. Each is made once:
// a repetition behind watchLeases' back might come after the registration.
func (s *Server) watchLeases(ctx context.Context) {
	var pending []structs.HostStatusChange
	var wait time.Duration
	for {
		pending, wait = s.leases.ended(pending)
		if len(pending) > 0 {
			if _, err := fsm.HostStatus.Propose(ctx, asLeader{s}, &structs.HostStatusRequest{Changes: pending, Now: now()}); err == nil {
				for _, c := range pending {
					s.logger.Warn("a host is down", "host_id", c.HostID, "reason", c.Reason)
				}
				pending = nil
				continue
			}
			wait = 100 * time.Millisecond
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-s.leases.wake:
		case <-ctx.Done():
			t.Stop()
			return
		}
		t.Stop()
	}
}

// suspectFailed looks once, when leadership begins, at the clients that gossip had lost by then: nobody led who would have acted on that news.
func (s *Server) suspectFailed(ctx context.Context) (func(), error) {
	var failed []string
	for _, m := range s.gossip.Members() {
		if m.Status == "failed" && m.Tags.Role != "server" {
			failed = append(failed, m.Tags.RPCAddr)
		}
	}
	if len(failed) > 0 {
		s.suspectHosts(ctx, failed)
	}
	return nil, nil
}

func (s *Server) grantLease(id structs.HostID, epoch uint64) {
	s.leases.mu.Lock()
	defer s.leases.mu.Unlock()
	if s.leases.table == nil {
		return
	}
	s.leases.table.Grant(id, epoch, s.leases.clock())
	s.leases.changed()
}

// hostRegister is Host.Register: a client's first word, and whenever what it says of its host changes.
func (s *Server) hostRegister(ctx context.Context, req *structs.HostRegisterRequest) (*structs.HostRegisterResponse, error) {
	if !s.isEstablished() {
		if addr, ok := s.otherLeader(); ok {
			return rpc.Call[structs.HostRegisterResponse](ctx, s.pool, addr, "Host.Register", req)
		}
		return nil, structs.Errorf(structs.KindUnavailable, "there is no leader to register with now")
	}
	r := *req
	r.Now, r.Host.Class = now(), scheduler.ClassOf(&req.Host)
	h, err := fsm.HostRegister.Propose(ctx, s, &r)
	if err != nil {
		return nil, err
	}
	s.grantLease(h.ID, h.Epoch)
	return &structs.HostRegisterResponse{Host: h, LeaseTTLMS: s.leases.ttl.Milliseconds(), BeatMS: s.beatMS()}, nil
}

// beatMS is how often clients are to renew their leases.
func (s *Server) beatMS() int64 {
	return cmp.Or(s.cfg.HeartbeatInterval, s.leases.ttl/3).Milliseconds()
}

func (s *Server) otherLeader() (string, bool) {
	_, addr := s.node.Leader()
	return addr, addr != "" && addr != s.cfg.Advertise
}

// hostHeartbeat is Host.Heartbeat: it costs no log entry, unless a suspect host speaks and is up again, or one tells what it measured.
func (s *Server) hostHeartbeat(ctx context.Context, req *structs.HostHeartbeatRequest) (*structs.HostHeartbeatResponse, error) {
	if !s.isEstablished() {
		if addr, ok := s.otherLeader(); ok {
			return rpc.Call[structs.HostHeartbeatResponse](ctx, s.pool, addr, "Host.Heartbeat", req)
		}
		return nil, structs.Errorf(structs.KindUnavailable, "there is no leader to renew the lease with now")
	}
	resp := &structs.HostHeartbeatResponse{LeaseTTLMS: s.leases.ttl.Milliseconds(), BeatMS: s.beatMS()}
	r := s.store.Snapshot()
	var up []structs.HostStatusChange
	var measured structs.HostMetricsRequest
	s.leases.mu.Lock()
	for _, b := range req.Beats {
		h := r.Host(b.HostID)
		ok := h != nil && h.Status != structs.HostDown && s.leases.table != nil
		if ok {
			_, ok = s.leases.table.Renew(b.HostID, b.Epoch, s.leases.clock())
		}
		if !ok {
			resp.Register = append(resp.Register, b.HostID)
			continue
		}
		if h.Status == structs.HostSuspect {
			up = append(up, structs.HostStatusChange{HostID: h.ID, Epoch: b.Epoch, Status: structs.HostUp})
		}
		if b.Metrics != nil {
			measured.Hosts = append(measured.Hosts, structs.HostMeasured{HostID: h.ID, Epoch: b.Epoch, Metrics: b.Metrics})
		}
	}
	s.leases.mu.Unlock()
	if len(measured.Hosts) > 0 {
		if _, err := fsm.HostMetrics.Propose(ctx, s, &measured); err != nil { // the next ones come soon; the leases are renewed
			s.logger.Debug("the metrics of hosts are not kept", "error", err)
		}
	}
	if len(up) > 0 {
		if _, err := fsm.HostStatus.Propose(ctx, s, &structs.HostStatusRequest{Changes: up, Now: now()}); err != nil {
			return nil, err
		}
	}
	return resp, nil
}

// hostLeave is Host.Leave: the client goes in good order, perhaps to be back in a moment with a newer program. Its host takes no more instances from now on,
// but keeps its lease: a build that was under way goes on when the client is back in time, and moves elsewhere when the lease ends.
func (s *Server) hostLeave(ctx context.Context, req *structs.HostLeaveRequest) (*structs.Ack, error) {
	_, err := fsm.HostStatus.Propose(ctx, s, &structs.HostStatusRequest{Now: now(), Changes: []structs.HostStatusChange{
		{HostID: req.HostID, Epoch: req.Epoch, Status: structs.HostSuspect, Reason: "its client was stopped"}}})
	return &structs.Ack{}, err
}

// hostReport is Host.Report; hostSync is Host.Sync.
func (s *Server) hostReport(ctx context.Context, req *structs.OperationReportRequest) (*structs.Ack, error) {
	r := *req
	r.Now = now()
	_, err := fsm.OperationReport.Propose(ctx, s, &r)
	return &structs.Ack{}, err
}

func (s *Server) hostSync(ctx context.Context, req *structs.InstanceSyncRequest) (*structs.Ack, error) {
	r := *req
	r.Now = now()
	_, err := fsm.InstanceSync.Propose(ctx, s, &r)
	return &structs.Ack{}, err
}

// hostWatch is Host.Watch: the host's open work now, then whatever changes, from this server's own state.
func (s *Server) hostWatch(ctx context.Context, stream rpc.Stream) error {
	var req structs.HostWatchRequest
	if err := stream.Recv(&req); err != nil {
		return err
	}
	// Begin no earlier than the registration, or this server might not know the epoch yet.
	if _, err := s.Read(ctx); err != nil {
		return err
	}
	sent, leftovers := uint64(0), uint64(0)
	for first := true; ; first = false {
		ws := memdb.NewWatchSet()
		r := s.store.Snapshot()
		h := r.Watching(ws).Host(req.HostID)
		if h == nil || h.Epoch != req.Epoch {
			return structs.Errorf(structs.KindConflict, "host %s has a newer session", req.HostID)
		}
		batch := &structs.WorkBatch{Index: r.Index(), Work: openWork(r.Watching(ws), r, req.HostID, sent), Reconcile: !first && h.Leftovers != leftovers}
		sent, leftovers = r.Index(), h.Leftovers
		if first || len(batch.Work) > 0 || batch.Reconcile {
			if err := stream.Send(batch); err != nil {
				return nil // the client went away
			}
		}
		if err := ws.WatchCtx(ctx); err != nil {
			return nil
		}
	}
}

// openWork lists what the host is to do that changed after index since. Only the list itself is watched.
func openWork(watching, r state.Reader, host structs.HostID, since uint64) []structs.Work {
	var work []structs.Work
	for op := range watching.OperationsOnHost(host) {
		if op.ModifyIndex <= since || len(operation.Run(op)) == 0 {
			continue
		}
		ins := r.Instance(op.InstanceID)
		if ins == nil {
			continue
		}
		work = append(work, workOf(r, op, ins))
	}
	return work
}

func workOf(r state.Reader, op *structs.Operation, ins *structs.Instance) structs.Work {
	w := structs.Work{Operation: op, Instance: ins}
	image := ins.ImageID
	if op != nil {
		image = operation.ImageOf(op, ins)
	}
	if image != "" {
		w.Image = r.Image(image)
	}
	if op == nil || op.MigrationID == "" {
		return w
	}
	w.Migration = r.Migration(op.MigrationID)
	other := op.SourceID
	if op.HostID == op.SourceID {
		other = op.DestID
	}
	if h := r.Host(other); h != nil {
		w.Peer = h.RPCAddr
	}
	return w
}

// hostReconcile is Host.Reconcile. A guest is to be destroyed only when the cluster positively knows that it was deleted or moved; of one
// that it knows nothing, nothing is said but that.
func (s *Server) hostReconcile(ctx context.Context, req *structs.HostReconcileRequest) (*structs.HostReconcileResponse, error) {
	r, err := s.Read(ctx)
	if err != nil {
		return nil, err
	}
	if h := r.Host(req.HostID); h == nil || h.Epoch != req.Epoch {
		return nil, structs.Errorf(structs.KindConflict, "host %s has a newer session", req.HostID)
	}
	resp := &structs.HostReconcileResponse{}
	claimed := map[structs.InstanceID]bool{} // those that may yet come back to this host among them
	for c := range r.ClaimsOnHost(req.HostID) {
		claimed[c.InstanceID] = true
		if ins := r.Instance(c.InstanceID); ins != nil && ins.ImageSHA512 != "" {
			resp.Images = append(resp.Images, ins.ImageSHA512)
		}
	}
	for ins := range r.InstancesOnHost(req.HostID) {
		if ins.OperationID == "" && !ins.Deleted() {
			resp.Instances = append(resp.Instances, workOf(r, nil, ins))
		}
	}
	listed := map[structs.InstanceID]bool{}
	for _, g := range req.Guests {
		listed[g.InstanceID] = true
		switch ins := r.Instance(g.InstanceID); {
		case ins == nil:
			resp.Unknown = append(resp.Unknown, g)
		case ins.Deleted(), ins.HostID != req.HostID && !claimed[ins.ID]:
			resp.Destroy = append(resp.Destroy, g)
		}
	}
	for ins := range r.InstancesOnHost(req.HostID) { // deleted while the host was down, and the guest is gone by itself
		if ins.Deleted() && ins.Cleanup && !listed[ins.ID] {
			resp.Destroy = append(resp.Destroy, structs.Guest{InstanceID: ins.ID, Generation: ins.Generation})
		}
	}
	return resp, nil
}
