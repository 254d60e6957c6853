package cluster

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/blob"
	"github.com/kilonova-cloud/kilonova/nomadlike/consensus"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const (
	// unneededAge is how long a blob that no image names stays: an upload commits its blob before its image is active.
	unneededAge = time.Hour
	// verifyRate bounds, in bytes in a second, what looking through the store takes of the disk.
	verifyRate = 64 << 20
	// verifyDelay is how soon after its start a server looks through its store for the first time.
	verifyDelay = 10 * time.Minute
	// sureAge is for how long a blob that was looked at is sure to be whole.
	sureAge = 10 * time.Minute
)

// repairLoop runs on every server: it pulls the blobs that this server has to have and lacks, and drops those that it need not have.
func (b *blobs) repairLoop(ctx context.Context) {
	defer b.close()
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	for {
		if err := b.repair(ctx, unneededAge); err != nil && ctx.Err() == nil {
			b.s.logger.Warn("cannot repair the image store; it is tried again", "error", err)
		}
		select {
		case <-t.C:
		case <-b.lost:
		case <-ctx.Done():
			return
		}
	}
}

func (b *blobs) repair(ctx context.Context, age time.Duration) error {
	r, err := b.s.Read(ctx)
	if err != nil {
		return nil // no cluster yet; there is a next time
	}
	peers, err := b.s.node.Peers()
	if err != nil {
		return err
	}
	var errs []error
	for _, img := range blob.Missing(r, b.store) {
		if !slices.Contains(b.keepers(img.SHA512, peers), b.s.cfg.ID) {
			continue
		}
		var err error
		for _, from := range b.others() {
			if err = b.pull(ctx, img.SHA512, from); err == nil {
				break
			}
		}
		errs = append(errs, err)
	}
	_, err = blob.CollectUnneeded(r, b.store, age, func(sha string) bool { return b.keptElsewhere(ctx, sha, peers) })
	return errors.Join(append(errs, err)...)
}

// keptElsewhere reports whether this server need not have a blob, since every one of its keepers has it. Each of them makes it young as it says so: it cannot find a
// moment later that it is another's to keep, and drop it, too.
func (b *blobs) keptElsewhere(ctx context.Context, sha string, peers []consensus.Peer) bool {
	keepers := b.keepers(sha, peers)
	if slices.Contains(keepers, b.s.cfg.ID) {
		return false
	}
	for _, p := range peers {
		if !slices.Contains(keepers, p.ID) {
			continue
		}
		kept, err := rpc.Call[structs.BlobKeepResponse](ctx, b.s.pool, p.Addr, "Blob.Keep", &structs.BlobKeepRequest{SHA512: sha})
		if err != nil || !kept.Has {
			return false
		}
	}
	return true
}

func (b *blobs) rpcKeep(_ context.Context, req *structs.BlobKeepRequest) (*structs.BlobKeepResponse, error) {
	return &structs.BlobKeepResponse{Has: b.store.Keep(req.SHA512)}, nil
}

// verifyLoop looks through this server's blobs from time to time. What the disk has damaged is removed, and comes again from another server.
func (b *blobs) verifyLoop(ctx context.Context) {
	every := b.s.cfg.ImageVerify
	if every <= 0 {
		return
	}
	t := time.NewTimer(min(every, verifyDelay))
	defer t.Stop()
	for {
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
		t.Reset(every)
		b.verifyAll(ctx)
	}
}

// verifyAll goes in an order of chance, so that a server which is started again and again comes to all of them.
func (b *blobs) verifyAll(ctx context.Context) {
	all, err := b.store.List()
	if err != nil {
		b.s.logger.Warn("cannot look through the image store; it is tried again", "error", err)
		return
	}
	rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	for _, x := range all {
		if err := b.store.Verify(ctx, x.SHA512, verifyRate); structs.IsKind(err, structs.KindUnavailable) && ctx.Err() == nil {
			b.repairSoon()
		}
		if ctx.Err() != nil {
			return
		}
	}
}

// repairSoon has repairLoop begin.
func (b *blobs) repairSoon() {
	select {
	case b.lost <- struct{}{}:
	default: // it will
	}
}

// makeSure looks at a blob of this server for somebody who got it damaged, from wherever. One look does for all who ask, and goes on when they have no patience.
// KindNotFound: it is not here, or not any more.
func (b *blobs) makeSure(ctx context.Context, sha string) error {
	if at, ok := b.checked.Load(sha); ok && time.Since(at.(time.Time)) < sureAge {
		return nil
	}
	looked := b.sure.DoChan(sha, func() (any, error) {
		err := b.store.Verify(b.s.ctx, sha, 0)
		if err == nil {
			b.checked.Store(sha, time.Now())
		}
		if structs.IsKind(err, structs.KindUnavailable) {
			b.repairSoon()
			err = structs.Errorf(structs.KindNotFound, "%w", err)
		}
		return nil, err
	})
	select {
	case x := <-looked:
		return x.Err
	case <-ctx.Done():
		return ctx.Err()
	}
}
