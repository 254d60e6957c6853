package drivermanager

import (
	"errors"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/windows"
)

// handle is a process handle, which stays with its process whatever becomes of the pid. stop is an event that ends wait.
type handle struct {
	process, stop windows.Handle
	once          sync.Once
}

func openHandle(pid int) (*handle, error) {
	p, err := windows.OpenProcess(windows.SYNCHRONIZE|windows.PROCESS_TERMINATE|windows.PROCESS_QUERY_LIMITED_INFORMATION,
		false, uint32(pid))
	if err != nil {
		return nil, errGone
	}
	stop, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		_ = windows.CloseHandle(p)
		return nil, err
	}
	return &handle{process: p, stop: stop}, nil
}

// wait returns true when the process has ended and false when close came before. The two handles stay open: a plugin that
// is let go of is a rare thing, and the agent most often ends next.
func (h *handle) wait() bool {
	n, err := windows.WaitForMultipleObjects([]windows.Handle{h.process, h.stop}, false, windows.INFINITE)
	return err == nil && n == windows.WAIT_OBJECT_0
}

func (h *handle) kill() error {
	err := windows.TerminateProcess(h.process, 1)
	if errors.Is(err, os.ErrPermission) { // it is ending
		return errGone
	}
	return err
}

func (h *handle) close() { h.once.Do(func() { _ = windows.SetEvent(h.stop) }) }

// startTime is the process's creation time.
func startTime(pid int) (string, error) {
	p, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return "", errGone
	}
	defer func() { _ = windows.CloseHandle(p) }()
	var created, exited, kernel, user windows.Filetime
	if err := windows.GetProcessTimes(p, &created, &exited, &kernel, &user); err != nil {
		return "", err
	}
	if exited != (windows.Filetime{}) {
		return "", errGone
	}
	return strconv.FormatInt(created.Nanoseconds(), 10), nil
}

func bootID() string { return "" }

func reap(int) {}

func detached(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP | windows.DETACHED_PROCESS}
}
