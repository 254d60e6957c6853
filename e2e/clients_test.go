//go:build e2e

package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// preloaded is testdata/clients.py: Debian's clients, loaded once for the hundreds of commands of the lists. Tests of other things than the commands run
// the clients themselves.
type preloaded struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	dir    string
	socket string
}

var (
	clients        = sync.OnceValues(startClients)
	clientsStarted atomic.Bool
)

func startClients() (*preloaded, error) {
	for _, name := range []string{"openstack", "nova"} {
		if _, err := exec.LookPath(name); err != nil {
			return nil, fmt.Errorf("the %s client is missing: install Debian's python3-openstackclient and python3-novaclient", name)
		}
	}
	dir, err := os.MkdirTemp("", "kn-cl-")
	if err != nil {
		return nil, err
	}
	p := &preloaded{dir: dir, socket: filepath.Join(dir, "s")}
	p.cmd = exec.Command("/usr/bin/python3", "testdata/clients.py", p.socket)
	p.cmd.Stderr = os.Stderr
	if p.stdin, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	clientsStarted.Store(true)
	return p, nil
}

// stop ends it; the process ends by itself when this one does.
func (p *preloaded) stop() {
	_ = p.stdin.Close()
	_ = p.cmd.Wait()
	_ = os.RemoveAll(p.dir)
}

// pollDial connects once the clients are loaded.
func (p *preloaded) pollDial(limit time.Time) (conn net.Conn, err error) {
	for {
		if conn, err = net.Dial("unix", p.socket); err == nil || time.Now().After(limit) {
			return conn, err
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// run runs one command in a fork and returns what it printed.
func (p *preloaded) run(env []string, args ...string) (string, error) {
	limit := time.Now().Add(3 * time.Minute)
	conn, err := p.pollDial(limit)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	_ = conn.SetDeadline(limit)
	request := struct {
		Args []string          `json:"args"`
		Env  map[string]string `json:"env"`
	}{args, map[string]string{}}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		request.Env[name] = value
	}
	var answer struct {
		Code     int
		Out, Err string
	}
	if err := errors.Join(json.NewEncoder(conn).Encode(request), json.NewDecoder(conn).Decode(&answer)); err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	if answer.Code != 0 {
		return answer.Out, fmt.Errorf("%s: exit code %d\n%s%s", strings.Join(args, " "), answer.Code, answer.Out, answer.Err)
	}
	return answer.Out, nil
}

// preloadedClient returns a function that runs commands of a client, by its name, with an environment.
func preloadedClient(t *testing.T, name string, env []string) func(args ...string) (string, error) {
	t.Helper()
	p, err := clients()
	require.NoError(t, err)
	return func(args ...string) (string, error) { return p.run(env, append([]string{name}, args...)...) }
}
