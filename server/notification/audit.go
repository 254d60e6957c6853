package notification

import (
	"context"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/nomadlike/event"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// AuditConfig is what an Auditor is made of. Every and Now are for tests.
type AuditConfig struct {
	Period structs.UsagePeriod
	Logger hclog.Logger

	Every time.Duration    // how often it is looked whether a period is over; default 10 s
	Now   func() time.Time // default time.Now
}

// Auditor runs Nova's usage audit: when a period is over, each instance that was alive in it is told with instance.exists. What it did is in the replicated
// state, host by host, so that whoever leads next goes on where it stopped and tells of no host twice. As in Nova, of several periods that ended while nobody led,
// the last one is told.
type Auditor struct{ cfg AuditConfig }

// NewAuditor returns an auditor that does nothing before Start.
func NewAuditor(cfg AuditConfig) *Auditor {
	if cfg.Every == 0 {
		cfg.Every = 10 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Auditor{cfg}
}

// AuditCore is what the auditor needs of the server that leads.
type AuditCore interface {
	fsm.Proposer
	Stale() state.Reader
}

// Start begins the audit, when this server begins to lead. It does not block; the function that it returns ends it.
func (a *Auditor) Start(parent context.Context, core AuditCore) (stop func()) {
	ctx, cancel := context.WithCancel(parent)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(a.cfg.Every)
		defer tick.Stop()
		for {
			if err := a.run(ctx, core); err != nil && ctx.Err() == nil {
				a.cfg.Logger.Warn("the usage audit did not come to its end; it goes on", "error", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return func() { cancel(); <-done }
}

// auditBatch is how many hosts one command tells of: it bounds what is made of one change.
const auditBatch = 16

// last is the last period that is over.
func (a *Auditor) last() (begin, end structs.Time) {
	from, to := a.cfg.Period.Last(a.cfg.Now())
	return structs.TimeOf(from), structs.TimeOf(to)
}

// run does what is left to do of the last period.
func (a *Auditor) run(ctx context.Context, core AuditCore) error {
	r := core.Stale()
	req := structs.UsageAuditRequest{}
	req.Begin, req.End = a.last()
	ended := r.UsageAudit(req.Begin, req.End, "") != nil
	propose := func() error {
		req.Now = structs.TimeOf(a.cfg.Now())
		_, err := fsm.UsageAudit.Propose(ctx, core, &req)
		req.Hosts = nil
		return err
	}
	for h := range r.Hosts() {
		if r.UsageAudit(req.Begin, req.End, h.ID) != nil {
			continue
		}
		if req.Hosts = append(req.Hosts, h.ID); len(req.Hosts) == auditBatch {
			if err := propose(); err != nil {
				return err
			}
		}
	}
	if req.Last = !ended; !req.Last && len(req.Hosts) == 0 {
		return nil
	}
	return propose()
}

// Untold is since when deleted instances are still to be told of: their records must stay.
func (a *Auditor) Untold(r state.Reader, _ structs.Time) structs.Time {
	begin, end := a.last()
	if r.UsageAudit(begin, end, "") != nil {
		return end
	}
	return begin
}

// usageAudited tells of the instances of one host that were alive in a period.
func usageAudited(c *translation, e *event.Event) {
	a, ok := e.Entity.(*structs.UsageAudit)
	if !ok || e.Deleted || e.Before != nil {
		return
	}
	for _, id := range a.Instances {
		ins := c.reader.Instance(id)
		if ins == nil {
			continue
		}
		host := a.Host
		if host == "" {
			host = ins.Host
		}
		c.tell(telling{event: "instance.exists", publisher: publisher(binaryCompute, host), payload: c.existsData(ins, nil, auditPeriod(a.Begin, a.End)), when: a.At,
			subject: string(id), project: ins.ProjectID, user: ins.UserID})
	}
}

func (c *translation) existsData(ins *structs.Instance, op *structs.Operation, period map[string]any) map[string]any {
	data := c.instanceData(ins, op)
	data["audit_period"] = period
	return object("InstanceExistsPayload", "2.1", data)
}

// existsPayload is told before an operation that changes what an instance uses: of the period that is not over.
func existsPayload(c *translation, ins *structs.Instance, op *structs.Operation, _ map[string]any) map[string]any {
	return c.existsData(ins, op, c.currentPeriod(op.UpdatedAt))
}

// exists is told where Nova's notify_usage_exists is called.
func exists() told { return told{event: "instance.exists", by: binaryCompute, as: existsPayload} }

// currentPeriod is the period up to now.
func (c *translation) currentPeriod(now structs.Time) map[string]any {
	_, end := c.settings.UsagePeriod.Last(now.Time())
	return auditPeriod(structs.TimeOf(end), now)
}

func auditPeriod(begin, end structs.Time) map[string]any {
	return object("AuditPeriodPayload", "1.0", map[string]any{"audit_period_beginning": instant(begin), "audit_period_ending": instant(end)})
}
