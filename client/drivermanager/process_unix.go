//go:build unix && !linux

package drivermanager

import (
	"errors"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// handle is a pid, asked about five times a second: there is nothing better that all of these systems have.
type handle struct {
	pid    int
	closed chan struct{}
	once   sync.Once
}

func openHandle(pid int) (*handle, error) {
	if syscall.Kill(pid, 0) != nil {
		return nil, errGone
	}
	return &handle{pid: pid, closed: make(chan struct{})}, nil
}

func (h *handle) wait() bool {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-h.closed:
			return false
		case <-tick.C:
			reap(h.pid)
			if errors.Is(syscall.Kill(h.pid, 0), syscall.ESRCH) {
				return true
			}
		}
	}
}

func (h *handle) kill() error {
	err := syscall.Kill(h.pid, syscall.SIGKILL)
	if errors.Is(err, syscall.ESRCH) {
		return errGone
	}
	return err
}

func (h *handle) close() { h.once.Do(func() { close(h.closed) }) }

// startTime is not known here: the plugin's token has to tell it from a stranger with its pid.
func startTime(int) (string, error) { return "", nil }

func bootID() string { return "" }

func reap(pid int) {
	var status syscall.WaitStatus
	_, _ = syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
}

func detached(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}
