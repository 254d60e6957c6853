package fake

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// entry is one line of the journal; exactly one field is set.
type entry struct {
	Guest *guest     `json:"g,omitempty"`
	Gone  *grave     `json:"d,omitempty"`
	Host  *hostState `json:"h,omitempty"`
}

type grave struct {
	ID         string `json:"id"`
	Generation uint64 `json:"gen"`
}

// journal is an append-only file of entries, the last of each guest counting. One write for each change and no fsync: it
// is there for the death of the process, which takes nothing that write has taken, not for that of the machine.
type journal struct {
	path string
	file *os.File
	lock *os.File // held for the life of the journal: two drivers on one file would undo each other
	size int64    // bytes in file
	base int64    // bytes right after the last compaction
}

// compactAfter is how much a journal may grow past four times its compacted size.
const compactAfter = 16 << 20

func journalPath(dir, host string) string {
	name := "guests"
	if host != "" {
		name += "-" + url.PathEscape(host)
	}
	return filepath.Join(dir, name+".journal")
}

// openLocked makes the config's state_dir the driver's and loads what an earlier process left there.
func (d *Driver) openLocked(c *Config) error {
	if c.StateDir == "" {
		return nil
	}
	if err := os.MkdirAll(c.StateDir, 0o700); err != nil {
		return invalid("fake driver: state_dir: %v", err)
	}
	j := &journal{path: journalPath(c.StateDir, c.Host)}
	lock, err := lockFile(j.path + ".lock")
	if err != nil {
		return driver.Errorf(driver.KindUnavailable, "fake driver: another driver process has %s: %v", j.path, err)
	}
	j.lock = lock
	if err := j.load(d.replayLocked); err != nil {
		_ = unlockFile(lock)
		return driver.Errorf(driver.KindInternal, "fake driver: %v", err)
	}
	d.journal = j
	if err := d.compactLocked(); err != nil {
		d.journal = nil
		_ = unlockFile(lock)
		return driver.Errorf(driver.KindInternal, "fake driver: %v", err)
	}
	return nil
}

// load reads every whole line. A torn last line is that of a process that died in its write, whose call was not answered.
func (j *journal) load(replay func(*entry)) error {
	f, err := os.Open(j.path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	r := bufio.NewReaderSize(f, 1<<16)
	for n := 1; ; n++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		e := &entry{}
		if err := json.Unmarshal(line, e); err != nil {
			return fmt.Errorf("%s, line %d is damaged: %w; remove the file to start without guests", j.path, n, err)
		}
		replay(e)
	}
}

func (d *Driver) replayLocked(e *entry) {
	switch {
	case e.Guest != nil:
		d.guests[e.Guest.ID] = e.Guest
	case e.Gone != nil:
		delete(d.guests, e.Gone.ID)
		d.graves.put(e.Gone.ID, e.Gone.Generation)
	case e.Host != nil:
		d.host = *e.Host
	}
}

// putLocked writes a guest down. The caller has changed it already: when the write fails the call fails, and the agent's
// repetition writes again.
func (d *Driver) putLocked(g *guest) error { return d.appendLocked(&entry{Guest: g}) }

func (d *Driver) putHostLocked() error { return d.appendLocked(&entry{Host: &d.host}) }

// buryLocked forgets a guest but for its generation.
func (d *Driver) buryLocked(id string, generation uint64) error {
	if g := d.guests[id]; g != nil && g.State == stateIncoming && d.journal != nil {
		_ = os.Remove(wire{Arrivals: d.arrivals()}.awaited(id)) // the source learns that nobody waits for it here
	}
	delete(d.guests, id)
	d.graves.put(id, generation)
	return d.appendLocked(&entry{Gone: &grave{ID: id, Generation: generation}})
}

func (d *Driver) appendLocked(e *entry) error {
	j := d.journal
	if j == nil {
		return nil
	}
	line, err := json.Marshal(e)
	if err != nil {
		return driver.Errorf(driver.KindInternal, "fake driver: %v", err)
	}
	n, err := j.file.Write(append(line, '\n'))
	j.size += int64(n)
	if err != nil {
		if n > 0 { // never leave half a line before the next one
			_ = j.file.Truncate(j.size - int64(n))
			j.size -= int64(n)
		}
		return driver.Errorf(driver.KindExhausted, "fake driver: %v", err)
	}
	if j.size > 4*j.base+compactAfter {
		return d.compactLocked()
	}
	return nil
}

// compactLocked rewrites the journal as the current state and nothing else. The old file stays until the new one is whole.
func (d *Driver) compactLocked() (err error) {
	j := d.journal
	f, err := os.OpenFile(j.path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	enc := json.NewEncoder(w)
	if err := enc.Encode(&entry{Host: &d.host}); err != nil {
		return err
	}
	for _, id := range d.graves.order {
		if err := enc.Encode(&entry{Gone: &grave{ID: id, Generation: d.graves.gens[id]}}); err != nil {
			return err
		}
	}
	for _, g := range d.guests {
		if err := enc.Encode(&entry{Guest: g}); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := os.Rename(j.path+".new", j.path); err != nil {
		return err
	}
	if j.file != nil {
		_ = j.file.Close()
	}
	j.file, j.size, j.base = f, info.Size(), info.Size()
	return nil
}

func (j *journal) close() error {
	return errors.Join(j.file.Close(), unlockFile(j.lock))
}
