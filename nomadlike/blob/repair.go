package blob

import (
	"errors"
	"io/fs"
	"os"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Missing returns the images whose bytes the servers have to have and the store lacks, each hash once: what a server has to copy from others.
func Missing(r state.Reader, s *Store) []*structs.Image {
	var out []*structs.Image
	seen := map[string]bool{}
	for i := range r.Images() {
		if i.OnServers() && !seen[i.SHA512] && !s.Has(i.SHA512) {
			out = append(out, i)
		}
		seen[i.SHA512] = true
	}
	return out
}

// UnneededSince returns the time before which a blob must have been put for GarbageCollect to judge it by the images alone:
// minAge ago, and, while an upload or an import is under way anywhere, minAge before its image was made. An upload of any length is so
// safe between its Commit and the moment that its image names it; minAge has to cover the clocks' differences.
func UnneededSince(r state.Reader, now time.Time, minAge time.Duration) time.Time {
	for i := range r.Images() {
		arriving := i.Status == structs.ImageSaving || i.Status == structs.ImageUploading && !i.Staged() || i.TaskID != ""
		if arriving && i.CreatedAt.Time().Before(now) {
			now = i.CreatedAt.Time()
		}
	}
	return now.Add(-minAge)
}

// Unneeded returns the blobs that no image names and no upload can be about to name (UnneededSince).
func Unneeded(r state.Reader, s *Store, minAge time.Duration) ([]Info, error) {
	all, err := s.List()
	if err != nil {
		return nil, err
	}
	since := UnneededSince(r, time.Now(), minAge)
	var out []Info
	for _, b := range all {
		if b.UsedAt.Before(since) && r.ImageWithBytes(b.SHA512) == nil {
			out = append(out, b)
		}
	}
	return out, nil
}

// CollectUnneeded removes the Unneeded, and those others that spare says are kept elsewhere (nil: none), and returns their names. r must be a linearizable moment.
func CollectUnneeded(r state.Reader, s *Store, minAge time.Duration, spare func(sha string) bool) ([]string, error) {
	now := time.Now()
	age := now.Sub(UnneededSince(r, now, minAge))
	return s.GarbageCollect(func(sha string) bool { return r.ImageWithBytes(sha) != nil && (spare == nil || !spare(sha)) }, age)
}

// Keep is Has that also makes the blob young for GarbageCollect: for who is about to count on it.
func (s *Store) Keep(sha string) bool {
	if !valid(sha) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	err := os.Chtimes(s.path(sha), now, now)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("cannot note the use of image data", "sha512", sha, "error", err)
		return s.Has(sha)
	}
	return err == nil
}
