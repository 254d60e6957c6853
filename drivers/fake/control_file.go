package fake

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"time"
)

// controlInterval is how soon a line in the control file is obeyed.
const controlInterval = 50 * time.Millisecond

// controlFile follows a file of Controls.
type controlFile struct {
	path string
	quit chan struct{}
	once sync.Once
	done chan struct{}
}

// watchControlLocked starts, changes or ends the following of a control file. A driver with a journal goes on where its
// predecessor stopped; one without begins with what is appended from now on, as it has no guests from before either.
func (d *Driver) watchControlLocked(path string) {
	if d.control != nil {
		if d.control.path == path {
			return
		}
		d.control.once.Do(func() { close(d.control.quit) }) // not waited for: it takes mu
		d.control, d.host.Control = nil, 0
	}
	if path == "" {
		return
	}
	if d.journal == nil {
		if info, err := os.Stat(path); err == nil {
			d.host.Control = info.Size()
		}
	}
	c := &controlFile{path: path, quit: make(chan struct{}), done: make(chan struct{})}
	d.control = c
	go d.follow(c, d.host.Control)
}

// stop ends the following and waits for it; nil is none.
func (c *controlFile) stop() {
	if c == nil {
		return
	}
	c.once.Do(func() { close(c.quit) })
	<-c.done
}

func (d *Driver) follow(c *controlFile, offset int64) {
	defer close(c.done)
	tick := time.NewTicker(controlInterval)
	defer tick.Stop()
	for {
		select {
		case <-c.quit:
			return
		case <-tick.C:
		}
		lines, err := readFrom(c.path, offset)
		if err != nil {
			d.logger.Warn("cannot read the control file", "path", c.path, "error", err)
			continue
		}
		for _, line := range lines {
			offset += int64(len(line))
			d.obey(c, line, offset)
		}
	}
}

// obey does one line. The offset is written down first, or a line that kills the driver would kill each one after it.
func (d *Driver) obey(c *controlFile, line []byte, offset int64) {
	d.mu.Lock()
	if d.control != c {
		d.mu.Unlock()
		return
	}
	d.host.Control = offset
	err := d.putHostLocked()
	d.mu.Unlock()
	if line = bytes.TrimSpace(line); len(line) == 0 {
		return
	}
	var control Control
	if err == nil {
		err = strict(line, &control)
	}
	if err == nil {
		err = d.Control(control)
	}
	if err != nil {
		d.logger.Error("control refused", "line", string(line), "error", err)
		return
	}
	d.logger.Info("control obeyed", "line", string(line))
}

// readFrom returns the whole lines after offset, each with its newline. A missing file has none.
func readFrom(path string, offset int64) ([][]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || info.Size() <= offset {
		return nil, err
	}
	b, err := io.ReadAll(io.NewSectionReader(f, offset, info.Size()-offset))
	if err != nil {
		return nil, err
	}
	end := bytes.LastIndexByte(b, '\n')
	if end < 0 {
		return nil, nil
	}
	return bytes.SplitAfter(b[:end+1], []byte("\n"))[:bytes.Count(b[:end+1], []byte("\n"))], nil
}
