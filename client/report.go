package client

import (
	"context"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// maxReport bounds one message to the cluster.
const maxReport = 256

// reportLoop sends outcomes and observations, one message at a time: while one is on its way the next gathers. What cannot be delivered is kept
// and sent again; what the cluster refuses (a newer session of this host) is dropped, for that session does the work again.
func (h *Host) reportLoop(ctx context.Context) {
	for {
		var out structs.OperationReportRequest
		var syn structs.InstanceSyncRequest
		select {
		case o := <-h.outcomes:
			out.Outcomes = append(out.Outcomes, o)
		case s := <-h.syncs:
			syn.Syncs = append(syn.Syncs, s)
		case <-ctx.Done():
			return
		}
		out.Outcomes = drain(h.outcomes, out.Outcomes)
		syn.Syncs = drain(h.syncs, syn.Syncs)
		if len(out.Outcomes) > 0 {
			out.HostID, out.Epoch = h.cfg.ID, h.currentEpoch()
			deliver(ctx, h, "Host.Report", &out)
		}
		if len(syn.Syncs) > 0 {
			syn.HostID, syn.Epoch = h.cfg.ID, h.currentEpoch()
			deliver(ctx, h, "Host.Sync", &syn)
		}
	}
}

func drain[T any](ch chan T, to []T) []T {
	for len(to) < maxReport {
		select {
		case v := <-ch:
			to = append(to, v)
		default:
			return to
		}
	}
	return to
}

func deliver(ctx context.Context, h *Host, method string, req any) {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		_, err := call[structs.Ack](ctx, h.c, method, req)
		if err == nil {
			return
		}
		if structs.IsKind(err, structs.KindConflict) || structs.IsKind(err, structs.KindNotFound) {
			h.c.logger.Warn("the cluster does not take this host's report; registering again", "host", h.cfg.Name, "error", err)
			h.reregister()
			return
		}
		if !sleep(ctx, wait) {
			return
		}
	}
}
