package drivermanager

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// handle is a pidfd: it stays with its process, whatever becomes of the pid, and can be polled.
type handle struct {
	file *os.File
	raw  syscall.RawConn
	once sync.Once
}

func openHandle(pid int) (*handle, error) {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EINVAL) {
		return nil, errGone
	}
	if err != nil {
		return nil, fmt.Errorf("pidfd_open (Linux 5.10 or newer is required): %w", err)
	}
	f := os.NewFile(uintptr(fd), "pidfd")
	raw, err := f.SyscallConn()
	if err != nil {
		_ = f.Close()
		return nil, err
	}
	return &handle{file: f, raw: raw}, nil
}

// wait returns true when the process has ended and false when the handle was closed before.
func (h *handle) wait() bool {
	ended := false
	_ = h.raw.Read(func(fd uintptr) bool {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		n, err := unix.Poll(fds, 0)
		ended = err == nil && n == 1
		return ended
	})
	return ended
}

func (h *handle) kill() error {
	var serr error
	err := h.raw.Control(func(fd uintptr) { serr = unix.PidfdSendSignal(int(fd), unix.SIGKILL, nil, 0) })
	if err != nil || errors.Is(serr, unix.ESRCH) {
		return errGone
	}
	return serr
}

func (h *handle) close() { h.once.Do(func() { _ = h.file.Close() }) }

// startTime is the process's start in clock ticks since the boot. A zombie has none: it has ended.
func startTime(pid int) (string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The command's name, in parentheses, may hold anything; what follows the last one is plain.
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	if len(fields) < 20 || fields[0] == "Z" || fields[0] == "X" {
		return "", errGone
	}
	return fields[19], nil
}

func bootID() string {
	raw, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(raw))
}

// reap takes the exit status of a process that may be our child after all: one that this same program re-attached to.
func reap(pid int) {
	var status syscall.WaitStatus
	_, _ = syscall.Wait4(pid, &status, syscall.WNOHANG, nil)
}

// detached makes the plugin the leader of its own session, so that what ends the agent's process group, terminal or shell
// does not end it.
func detached(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
}
