package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// agent is the agent under load.
type agent struct {
	url string
	dir string
	cmd *exec.Cmd
}

func startAgent(ctx context.Context, bin string, hosts int) (*agent, error) {
	dir, err := os.MkdirTemp("", "kilonova-bench-")
	if err != nil {
		return nil, err
	}
	a := &agent{dir: dir}
	a.cmd = exec.Command(bin, "agent", "-dev", "-driver", "fake", "-hosts", strconv.Itoa(hosts), "-data-dir", dir, "-log-level", "warn",
		"-http-addr", "127.0.0.1:0", "-rpc-addr", "127.0.0.1:0", "-serf-addr", "127.0.0.1:0")
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a.cmd.Stderr = os.Stderr
	start := time.Now()
	if err := a.cmd.Start(); err != nil {
		return nil, err
	}
	ready := make(chan string, 1)
	go func() {
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			if _, rest, ok := strings.Cut(sc.Text(), "Kilonova is ready: "); ok {
				url, _, _ := strings.Cut(rest, ",")
				ready <- url
			}
		}
	}()
	select {
	case a.url = <-ready:
		fmt.Printf("agent ready after %v\n", time.Since(start).Round(time.Millisecond))
		return a, nil
	case <-time.After(30 * time.Second):
		a.stop()
		return nil, fmt.Errorf("the agent was not ready within 30 s")
	case <-ctx.Done():
		a.stop()
		return nil, ctx.Err()
	}
}

func (a *agent) stop() {
	_ = a.cmd.Process.Signal(syscall.SIGTERM)
	_ = a.cmd.Wait()
	_ = os.RemoveAll(a.dir)
}

// rss is the agent's resident memory in MiB, driverRSS that of its driver's process.
func (a *agent) rss() int { return residentMiB(a.cmd.Process.Pid) }

func (a *agent) driverRSS() int {
	stats, _ := filepath.Glob("/proc/[0-9]*/status")
	for _, s := range stats {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(s)))
		if err == nil && field(s, "PPid:") == a.cmd.Process.Pid {
			return residentMiB(pid)
		}
	}
	return 0
}

func residentMiB(pid int) int { return field(fmt.Sprintf("/proc/%d/status", pid), "VmRSS:") / 1024 }

func field(path, name string) int {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			n, _ := strconv.Atoi(strings.Fields(rest)[0])
			return n
		}
	}
	return 0
}

func describeMachine(w io.Writer) {
	model := "unknown processor"
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(b)) {
			if rest, ok := strings.CutPrefix(line, "model name\t: "); ok {
				model = strings.TrimSpace(rest)
				break
			}
		}
	}
	mem := field("/proc/meminfo", "MemTotal:") / 1024 / 1024
	_, _ = fmt.Fprintf(w, "machine: %d cores, %s, %d GiB, %s\n", runtime.NumCPU(), model, mem, runtime.Version())
}
