package agent

import (
	"context"
	"time"

	"github.com/kilonova-cloud/kilonova/server/image"
)

// recoverPeriod is how often uploads are looked for whose server died in the middle.
const recoverPeriod = time.Minute

// recoverUploads puts images back to queued whose upload ended without a word: this server's own from an earlier life, and on the leader those of servers
// that are no longer peers. A client can then upload again.
func (a *agent) recoverUploads(ctx context.Context) {
	t := time.NewTimer(0)
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		t.Reset(recoverPeriod)
		ids, err := image.Recover(ctx, a.server)
		if err == nil && a.server.Cluster().IsLeader {
			lost, lerr := image.RecoverLost(ctx, a.server)
			ids, err = append(ids, lost...), lerr
		}
		if err != nil && ctx.Err() == nil {
			a.logger.Debug("cannot look for broken uploads; it is tried again", "error", err)
		}
		for _, id := range ids {
			a.logger.Info("an upload ended without a word; its image waits for another", "image", id)
		}
	}
}
