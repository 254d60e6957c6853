package client

import (
	"context"
	"sync"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// maxReport bounds one message to the cluster.
const maxReport = 256

// outbox is what a host has to tell, in the order in which it was seen: an observation from before an operation that arrived after the operation's end would
// undo what it did. It takes everything at once, however long the servers cannot be reached: there is at most one operation per instance to tell of.
type outbox struct {
	wake chan struct{}

	mu    sync.Mutex
	items []any // structs.Outcome or structs.InstanceSync
}

func (b *outbox) put(item any) {
	b.mu.Lock()
	b.items = append(b.items, item)
	b.mu.Unlock()
	select {
	case b.wake <- struct{}{}:
	default:
	}
}

func (b *outbox) pending() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.items)
}

// sent removes the n oldest.
func (b *outbox) sent(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.items = b.items[n:]
	if len(b.items) == 0 {
		b.items = nil
	}
}

// oldest returns the longest run of one sort that may go in one message.
func (b *outbox) oldest() (outcomes []structs.Outcome, syncs []structs.InstanceSync) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, item := range b.items {
		switch v := item.(type) {
		case structs.Outcome:
			if len(syncs) > 0 || len(outcomes) == maxReport {
				return
			}
			outcomes = append(outcomes, v)
		case structs.InstanceSync:
			if len(outcomes) > 0 || len(syncs) == maxReport {
				return
			}
			syncs = append(syncs, v)
		}
	}
	return
}

func (h *Host) report(o structs.Outcome) { h.out.put(o) }

func (h *Host) observe(s structs.InstanceSync) { h.out.put(s) }

// reportLoop sends outcomes and observations, one message at a time: while one is on its way the next gathers. What cannot be delivered is kept
// and sent again; what the cluster refuses (a newer session of this host) is dropped, for that session does the work again.
func (h *Host) reportLoop(ctx context.Context) {
	for {
		select {
		case <-h.out.wake:
		case <-ctx.Done():
			return
		}
		for ctx.Err() == nil && h.out.pending() > 0 {
			outcomes, syncs := h.out.oldest()
			epoch := h.currentEpoch()
			halve(outcomes, func(part []structs.Outcome) error {
				return deliver(ctx, h, "Host.Report", &structs.OperationReportRequest{HostID: h.cfg.ID, Epoch: epoch, Outcomes: part})
			})
			halve(syncs, func(part []structs.InstanceSync) error {
				return deliver(ctx, h, "Host.Sync", &structs.InstanceSyncRequest{HostID: h.cfg.ID, Epoch: epoch, Syncs: part})
			})
			h.out.sent(len(outcomes) + len(syncs))
		}
	}
}

// halve sends what is too large for one entry of the log in parts. One element that is too large alone is dropped: its operation's deadline ends it.
func halve[T any](all []T, send func([]T) error) {
	if len(all) == 0 {
		return
	}
	if err := send(all); structs.IsKind(err, structs.KindTooLarge) && len(all) > 1 {
		halve(all[:len(all)/2], send)
		halve(all[len(all)/2:], send)
	}
}

// deliver sends a message until the cluster took it or refused it for good, which is its error.
func deliver(ctx context.Context, h *Host, method string, req any) error {
	for wait := 50 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		_, err := call[structs.Ack](ctx, h.c, method, req)
		switch structs.KindOf(err) {
		case structs.KindTooLarge:
			h.c.logger.Warn("a report of this host is too large for one message; sending it in parts", "host", h.cfg.Name, "method", method, "error", err)
			return err
		case structs.KindConflict, structs.KindNotFound:
			h.c.logger.Warn("the cluster does not take this host's report; registering again", "host", h.cfg.Name, "error", err)
			h.reregister()
			return err
		}
		if err == nil {
			return nil
		}
		h.c.logger.Debug("cannot report; trying again", "host", h.cfg.Name, "method", method, "error", err)
		if !sleep(ctx, wait) {
			return ctx.Err()
		}
	}
}
