package drivermanager

import (
	"errors"
	"fmt"
	"os/exec"
	"sync"
)

var errGone = errors.New("the process is gone")

// process is a plugin's process, whether this agent started it or an earlier one did. It keeps a hold on the process that
// another process with the same pid later cannot be mistaken for, where the system has such a thing.
type process struct {
	pid    int
	handle *handle   // how the system lets us wait and signal
	cmd    *exec.Cmd // when it is our child, to be reaped

	exited   chan struct{} // closed when it has ended
	released chan struct{} // closed by release
	once     sync.Once
	exit     error // why, set before exited is closed; nil is exit code 0 or not known
}

// watch starts waiting for a process. cmd is nil when the process is not our child.
func watch(pid int, cmd *exec.Cmd) (*process, error) {
	h, err := openHandle(pid)
	if err != nil {
		return nil, err
	}
	p := &process{pid: pid, handle: h, cmd: cmd, exited: make(chan struct{}), released: make(chan struct{})}
	go p.wait()
	return p, nil
}

// adopt watches the process of a record, after it has made sure that it is that process. errGone: it is not there.
func adopt(r *record) (*process, error) {
	if r.BootID != bootID() {
		return nil, errGone
	}
	p, err := watch(r.PID, nil)
	if err != nil {
		return nil, err
	}
	// In this order: the handle is held, so what the start time is asked about cannot change any more.
	start, err := startTime(r.PID)
	if err != nil || start != r.StartTime {
		p.release()
		return nil, errGone
	}
	return p, nil
}

func (p *process) wait() {
	if !p.handle.wait() {
		return // released
	}
	if p.cmd != nil {
		p.exit = p.cmd.Wait()
	} else {
		reap(p.pid)
	}
	close(p.exited)
	p.release()
}

// release lets go of the process without ending it. Whoever waits in ended is told.
func (p *process) release() {
	p.once.Do(func() {
		close(p.released)
		p.handle.close()
	})
}

// kill ends the process at once. It does not wait; a process that has ended is success.
func (p *process) kill() error {
	select {
	case <-p.exited:
		return nil
	default:
	}
	if err := p.handle.kill(); err != nil && !errors.Is(err, errGone) {
		return fmt.Errorf("kill driver plugin, pid %d: %w", p.pid, err)
	}
	return nil
}
