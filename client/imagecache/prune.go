package imagecache

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// cached is a file of the cache.
type cached struct {
	path   string
	sha    string
	bytes  int64 // on the disk
	usedAt time.Time
	part   bool
}

// Prune removes what may go, the longest unused first, until the cache takes no more than maxBytes of the disk (0: all that
// may go). inUse names the images, by SHA-512, that instances of this host stand on: their files stay, as do files that an
// Entry holds, files that were used within minAge, and fetches under way. Parts of fetches that nobody went on with for
// minAge go in any case. It returns the names of the files removed; on an error those removed before it.
//
// What is in use is remembered: until the next Prune the cache goes by it when a fetch or a conversion lacks room.
func (c *Cache) Prune(inUse map[string]bool, maxBytes int64, minAge time.Duration) ([]string, error) {
	c.mu.Lock()
	c.inUse, c.told = maps.Clone(inUse), time.Now()
	if c.inUse == nil {
		c.inUse = map[string]bool{}
	}
	c.mu.Unlock()
	return c.remove(inUse, maxBytes, minAge)
}

func (c *Cache) remove(inUse map[string]bool, maxBytes int64, minAge time.Duration) ([]string, error) {
	all, total, err := c.files()
	if err != nil {
		return nil, err
	}
	cutoff := time.Now().Add(-minAge)
	var removed []string
	for _, f := range all {
		if f.usedAt.After(cutoff) || !f.part && (inUse[f.sha] || total <= maxBytes) {
			continue
		}
		gone, err := c.removeUnheld(f, cutoff)
		if err != nil {
			return removed, err
		}
		if gone {
			total -= f.bytes
			removed = append(removed, filepath.Base(f.path))
			c.log.Info("removed a cached image", "file", f.path, "bytes", f.bytes, "last_used", f.usedAt)
		}
	}
	return removed, nil
}

// files lists the cache, the longest unused first.
func (c *Cache) files() ([]cached, int64, error) {
	var all []cached
	var total int64
	for _, dir := range []string{c.cfg.Dir, filepath.Join(c.cfg.Dir, partialFolder)} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return nil, 0, fmt.Errorf("image cache: %w", err)
		}
		for _, e := range entries {
			sha, suffix, _ := strings.Cut(e.Name(), ".")
			st, err := e.Info()
			if err != nil || !st.Mode().IsRegular() || !validHash(sha) {
				continue // gone meanwhile, or not ours
			}
			part := dir != c.cfg.Dir
			if part && "."+suffix != partSuffix {
				continue // a conversion under way
			}
			f := cached{path: filepath.Join(dir, e.Name()), sha: sha, bytes: onDisk(st), usedAt: st.ModTime(), part: part}
			all, total = append(all, f), total+f.bytes
		}
	}
	slices.SortStableFunc(all, func(a, b cached) int { return cmp.Or(a.usedAt.Compare(b.usedAt), strings.Compare(a.path, b.path)) })
	return all, total, nil
}

// removeUnheld removes a file unless somebody took it up since it was listed.
func (c *Cache) removeUnheld(f cached, cutoff time.Time) (bool, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.part && c.flights.active(c.originPath(f.sha)) {
		return false, nil
	}
	st, err := os.Stat(f.path)
	if errors.Is(err, fs.ErrNotExist) || c.refs[f.path] > 0 || err == nil && st.ModTime().After(cutoff) {
		return false, nil
	}
	if err == nil {
		err = os.Remove(f.path)
	}
	if err != nil {
		return false, fmt.Errorf("image cache: %w", err)
	}
	return true, nil
}
