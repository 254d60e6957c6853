package imagecache

import (
	"fmt"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// promise is room on the disk that one piece of work may still fill; others do not count on it.
type promise struct {
	cache *Cache
	left  int64
}

// promise sets n bytes aside for what, for which cached images go that nobody uses. KindNoCapacity, with the figures, when the disk has not so many all the same.
func (c *Cache) promise(n int64, what string) (*promise, error) {
	p, short, err := c.tryPromise(n, what)
	if short > 0 && c.makeRoom(short) {
		p, _, err = c.tryPromise(n, what)
	}
	return p, err
}

// settled is how long after its last use a file counts as used by an instance that Prune was not yet told of.
const settled = 10 * time.Minute

// makeRoom removes cached images, the longest unused first, until bytes more are free or none is left that may go, and reports whether any went. What is in use is
// known from the last Prune: a file that was used since, or shortly before, stays.
func (c *Cache) makeRoom(bytes int64) bool {
	c.mu.Lock()
	inUse, told := c.inUse, c.told
	c.mu.Unlock()
	if inUse == nil {
		return false
	}
	_, total, err := c.files()
	var removed []string
	if err == nil {
		removed, err = c.remove(inUse, max(total-bytes, 0), time.Since(told)+settled)
	}
	if err != nil {
		c.log.Warn("cannot make room in the image cache", "bytes", bytes, "error", err)
	}
	return len(removed) > 0
}

// tryPromise is promise with what there is; short is how many bytes are missing.
func (c *Cache) tryPromise(n int64, what string) (p *promise, short int64, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	free, err := c.room(c.cfg.Dir)
	if err != nil {
		return nil, 0, fmt.Errorf("image cache: %w", err)
	}
	if short := n - (free - c.pending - c.cfg.ReserveBytes); short > 0 {
		return nil, short, structs.Errorf(structs.KindNoCapacity, "not enough room to %s: it needs %s; the image cache %s has %s free, of which %s are promised to others and %s are kept in reserve",
			what, mib(n), c.cfg.Dir, mib(free), mib(c.pending), mib(c.cfg.ReserveBytes))
	}
	c.pending += n
	return &promise{c, n}, 0, nil
}

// used says that n bytes of the promise are on the disk now.
func (p *promise) used(n int64) {
	p.cache.mu.Lock()
	defer p.cache.mu.Unlock()
	n = min(n, p.left)
	p.left -= n
	p.cache.pending -= n
}

// end gives back what was not used.
func (p *promise) end() { p.used(p.left) }

// mib words a number of bytes, rounded up.
func mib(n int64) string { return fmt.Sprintf("%d MiB", (n+(1<<20)-1)>>20) }
