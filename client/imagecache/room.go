package imagecache

import (
	"fmt"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// promise is room on the disk that one piece of work may still fill; others do not count on it.
type promise struct {
	cache *Cache
	left  int64
}

// promise sets n bytes aside for what. KindNoCapacity, with the figures, when the disk has not so many.
func (c *Cache) promise(n int64, what string) (*promise, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	free, err := c.room(c.cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("image cache: %w", err)
	}
	if n > free-c.pending-c.cfg.ReserveBytes {
		return nil, structs.Errorf(structs.KindNoCapacity, "not enough room to %s: it needs %s; the image cache %s has %s free, of which %s are promised to others and %s are kept in reserve",
			what, mib(n), c.cfg.Dir, mib(free), mib(c.pending), mib(c.cfg.ReserveBytes))
	}
	c.pending += n
	return &promise{c, n}, nil
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
