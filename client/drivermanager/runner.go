package drivermanager

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// attached is go-plugin's view of a process that runs already.
type attached struct {
	proc *process
}

var _ runner.AttachedRunner = (*attached)(nil)

// Wait returns when the process has ended, or when it was let go of: then go-plugin has to end its goroutines too.
func (a *attached) Wait(ctx context.Context) error {
	select {
	case <-a.proc.exited:
		return a.proc.exit
	case <-a.proc.released:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (a *attached) Kill(context.Context) error { return a.proc.kill() }

func (a *attached) ID() string { return strconv.Itoa(a.proc.pid) }

func (a *attached) PluginToHost(network, address string) (string, string, error) {
	return network, address, nil
}

func (a *attached) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}

// started is go-plugin's view of a process that is to be started.
//
// The plugin's stdout and stderr are files. Pipes, as go-plugin makes by default, have this agent as their only reader: a
// plugin that outlives the agent would be killed by SIGPIPE at its next line of log.
type started struct {
	attached
	config *Config
	cmd    *exec.Cmd
	record *record
	stdout *handshake

	ctx     context.Context // its end kills a plugin that is still starting
	abandon func() bool     // takes that back; false when it is too late
}

var _ runner.Runner = (*started)(nil)

func (s *started) Start(context.Context) error {
	out, err := os.OpenFile(filepath.Join(s.config.StateDir, s.config.Name+".handshake"),
		os.O_CREATE|os.O_TRUNC|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer out.Close() // the child has its own
	log, err := os.OpenFile(s.config.LogFile, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = nil, out, log
	detached(s.cmd)
	if err := s.cmd.Start(); err != nil {
		return err
	}
	if err := s.remember(); err != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		return err
	}
	proc := s.proc
	s.abandon = context.AfterFunc(s.ctx, func() { _ = proc.kill() })
	s.stdout = &handshake{path: out.Name(), proc: proc}
	return nil
}

// remember writes the process down before it has said a word, so that an agent that dies now leaves no unknown process.
func (s *started) remember() (err error) {
	s.record.PID = s.cmd.Process.Pid
	if s.record.StartTime, err = startTime(s.record.PID); err != nil {
		return fmt.Errorf("it ended at once: %w", err)
	}
	if s.proc, err = watch(s.record.PID, s.cmd); err != nil {
		return err
	}
	if err = s.record.save(s.config); err != nil {
		s.proc.release()
	}
	return err
}

func (s *started) Stdout() io.ReadCloser { return s.stdout }

// Stderr is at its end: the log file has it.
func (s *started) Stderr() io.ReadCloser { return io.NopCloser(eof{}) }

type eof struct{}

func (eof) Read([]byte) (int, error) { return 0, io.EOF }

func (s *started) Name() string { return s.cmd.Path }

func (s *started) Diagnose(context.Context) string {
	return fmt.Sprintf("%v did not speak the driver plugin protocol; see %s", s.cmd.Args, s.config.LogFile)
}

// handshake reads the first line that the plugin writes to its stdout file, and ends after it.
type handshake struct {
	path string
	proc *process
	rest []byte
	done bool
}

const handshakePoll = 2 * time.Millisecond

func (h *handshake) Read(b []byte) (int, error) {
	if !h.done {
		h.done = true
		if err := h.fetch(); err != nil {
			return 0, err
		}
	}
	if len(h.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(b, h.rest)
	h.rest = h.rest[n:]
	return n, nil
}

// fetch waits for the line, or for the end of the process. go-plugin's start timeout kills the process, and so ends this.
func (h *handshake) fetch() error {
	tick := time.NewTicker(handshakePoll)
	defer tick.Stop()
	for last := false; ; {
		raw, err := os.ReadFile(h.path)
		if err != nil {
			return err
		}
		for i, c := range raw {
			if c == '\n' {
				h.rest = raw[:i+1]
				return nil
			}
		}
		if last {
			h.rest = raw
			return nil
		}
		select {
		case <-tick.C:
		case <-h.proc.exited:
			last = true // read once more: it may have been written just before
		case <-h.proc.released:
			last = true
		}
	}
}

func (h *handshake) Close() error { return nil }
