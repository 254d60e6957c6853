package cluster

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/operation"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func now() structs.Time { return structs.TimeOf(time.Now()) }

// ensureSettings writes the cluster's settings when it has none yet.
func (s *Server) ensureSettings(ctx context.Context) (func(), error) {
	if s.store.Snapshot().HasClusterSettings() {
		return nil, nil
	}
	d := structs.DefaultClusterSettings()
	d.ClusterID, d.Region, d.CreatedAt = nomadlike.NewUUID(), s.cfg.Region, now()
	_, err := fsm.ClusterSettingsSet.Propose(ctx, asLeader{s}, &structs.ClusterSettingsRequest{Settings: d, OnlyIfAbsent: true})
	return nil, err
}

// ensureImplications makes the default implications of roles in a cluster whose administrator was made when they were no records.
func (s *Server) ensureImplications(ctx context.Context) (func(), error) {
	if c := s.store.Snapshot().ClusterSettings(); !c.Bootstrapped || c.RolesImply {
		return nil, nil
	}
	_, err := fsm.IdentityUpsert.Propose(ctx, asLeader{s}, &structs.IdentityUpsertRequest{Implications: true})
	return nil, err
}

// rotateTokenKeys keeps the ring of token keys as nomadlike.RotateTokenKeys says.
func (s *Server) rotateTokenKeys(ctx context.Context) error {
	req := nomadlike.RotateTokenKeys(slices.Collect(s.store.Snapshot().TokenKeys()), now(), s.cfg.TokenTTL)
	if req == nil {
		return nil
	}
	_, err := fsm.TokenKeyRotate.Propose(ctx, asLeader{s}, req)
	return err
}

// expireOperations reports the attempts whose deadline has passed as failed. The host may still be at it: the next attempt
// is numbered otherwise, and what the old one reports is then stale.
func (s *Server) expireOperations(ctx context.Context) error {
	at := now()
	var late structs.OperationReportRequest
	for op := range s.store.Snapshot().ActiveOperations() {
		if op.Deadline > at {
			continue
		}
		step, _ := operation.Lookup(op)
		late.Outcomes = append(late.Outcomes, structs.Outcome{OperationID: op.ID, Step: op.Step, Attempt: op.Attempt, Undo: op.Status == structs.OpUndoing,
			Generation: op.Generation, Error: "the step took longer than " + op.Deadline.Sub(op.StartedAt).Round(time.Millisecond).String(),
			ErrorKind: structs.KindTimeout, Retryable: true})
		s.logger.Warn("a step passed its deadline", "operation_id", op.ID, "step", step.Name, "host_id", op.HostID)
	}
	if len(late.Outcomes) == 0 {
		return nil
	}
	late.Now = at
	_, err := fsm.OperationReport.Propose(ctx, asLeader{s}, &late)
	return err
}

// reclaim deletes for good the instances whose time to be restored is over.
func (s *Server) reclaim(ctx context.Context) error {
	if s.cfg.ReclaimAfter == 0 {
		return nil
	}
	var errs []error
	old := now().Add(-s.cfg.ReclaimAfter)
	for ins := range s.store.Snapshot().AllInstances() {
		if ins.VM != structs.VMSoftDeleted || ins.DeletedAt > old || ins.OperationID != "" {
			continue
		}
		_, err := fsm.OperationCreate.Propose(ctx, asLeader{s}, &structs.OperationCreateRequest{Admin: true, Now: now(), Operation: structs.Operation{
			ID: structs.OperationID(nomadlike.NewUUID()), InstanceID: ins.ID, ProjectID: ins.ProjectID, UserID: ins.UserID, Kind: structs.OpDelete}})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

func (s *Server) offloadShelved(ctx context.Context) error {
	return s.offloadAfter(ctx, s.cfg.OffloadAfter)
}

// offloadAfter takes instances off their hosts that have been shelved for that long. One whose host is down waits for it.
func (s *Server) offloadAfter(ctx context.Context, after time.Duration) error {
	if after <= 0 {
		return nil
	}
	var errs []error
	r, old := s.store.Snapshot(), now().Add(-after)
	for ins := range r.AllInstances() {
		if ins.VM != structs.VMShelved || ins.ShelvedAt.IsZero() || ins.ShelvedAt > old || ins.OperationID != "" {
			continue
		}
		if h := r.Host(ins.HostID); h == nil || h.Status == structs.HostDown {
			continue
		}
		_, err := fsm.OperationCreate.Propose(ctx, asLeader{s}, &structs.OperationCreateRequest{Admin: true, Now: now(), Operation: structs.Operation{
			ID: structs.OperationID(nomadlike.NewUUID()), InstanceID: ins.ID, ProjectID: ins.ProjectID, UserID: ins.UserID, Kind: structs.OpShelveOffload}})
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// reapBatch bounds one entry of the reaper.
const reapBatch = 2000

// reap removes what finished KeepFinished ago: deleted instances (unless a guest may be left on a host that is down, or KeepDeleted wants them; the oldest beyond keepDeleted go sooner)
// with their operations and evaluations, old operations of living instances beyond the newest keepOperations, evaluations that explained something, and revocations
// of tokens and the tokens of consoles that have expired by now.
func (s *Server) reap(ctx context.Context) error {
	r, at := s.store.Snapshot(), now()
	if err := s.expireConsoleTokens(ctx, r, at); err != nil {
		return err
	}
	old := at.Add(-s.cfg.KeepFinished)
	var req structs.ReapRequest
	full := func() bool {
		return reaped(&req) >= reapBatch
	}
	kept := old
	if s.cfg.KeepDeleted != nil {
		kept = min(old, s.cfg.KeepDeleted(r, at))
	}
	gone := slices.DeleteFunc(slices.Collect(r.AllDeletedInstances()), func(i *structs.Instance) bool { return i.Cleanup })
	slices.SortFunc(gone, func(a, b *structs.Instance) int { return cmp.Compare(a.DeletedAt, b.DeletedAt) })
	for i, ins := range gone {
		if full() || ins.DeletedAt >= kept && len(gone)-i <= keepDeleted {
			break
		}
		req.Instances = append(req.Instances, ins.ID)
		for op := range r.OperationsOfInstance(ins.ID) {
			req.Operations = append(req.Operations, op.ID)
		}
		for e := range r.EvaluationsOfInstance(ins.ID) {
			req.Evaluations = append(req.Evaluations, e.ID)
		}
		for m := range r.MigrationsOfInstance(ins.ID) {
			req.Migrations = append(req.Migrations, m.ID)
		}
	}
	for ins := range r.AllInstances() {
		n := 0
		for op := range r.OperationsOfInstance(ins.ID) {
			if n++; n > keepOperations && op.Status.Final() && op.Kind != structs.OpBuild && !full() {
				req.Operations = append(req.Operations, op.ID)
			}
		}
		n = 0
		for m := range r.MigrationsOfInstance(ins.ID) {
			if n++; n > keepOperations && !m.Open() && !full() {
				req.Migrations = append(req.Migrations, m.ID)
			}
		}
	}
	for e := range r.Evaluations() {
		if e.Status != structs.EvalPending && e.UpdatedAt < old && !full() {
			req.Evaluations = append(req.Evaluations, e.ID)
		}
	}
	for rev := range r.Revocations() {
		if rev.ExpiresAt < at && !full() {
			req.Revocations = append(req.Revocations, rev.AuditID)
		}
	}
	if reaped(&req) == 0 {
		return nil
	}
	if full() {
		s.duties.wake("reaper")
	}
	_, err := fsm.Reap.Propose(ctx, asLeader{s}, &req)
	return err
}

func reaped(r *structs.ReapRequest) int {
	return len(r.Instances) + len(r.Operations) + len(r.Evaluations) + len(r.Revocations) + len(r.Migrations)
}

// keepDeleted is how many deleted instances stay readable at most, however young: a record takes some 10 KiB of each server's memory.
const keepDeleted = 5000

// keepOperations is how many of a living instance's operations stay readable besides its build, and how many of its migrations.
const keepOperations = 100
