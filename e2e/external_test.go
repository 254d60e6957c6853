//go:build e2e

package e2e

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const keystonePassword = "keystone-s3cret"

// startKeystone starts Debian's Keystone and returns its endpoint and what kills it.
func startKeystone(t *testing.T) (string, func()) {
	t.Helper()
	url, kill := startExternal(t, "keystone", keystonePassword)
	return url + "/v3", kill
}

// startGlance starts Debian's Glance, whose tokens are those of the Identity service at auth, which it asks as the service's user, and returns its endpoint and what kills it.
func startGlance(t *testing.T, auth string) (string, func()) {
	t.Helper()
	return startExternal(t, "glance", auth, "kilonova", servicePassword, "service")
}

// startExternal runs scripts/NAME/start FOLDER PORT ARGS until the test ends.
func startExternal(t *testing.T, name string, args ...string) (url string, kill func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	dir, out := t.TempDir(), &output{}
	cmd := exec.Command("../scripts/"+name+"/start", append([]string{dir, fmt.Sprint(port)}, args...)...)
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }()
	kill = func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); <-done }
	t.Cleanup(kill)
	url = fmt.Sprintf("http://127.0.0.1:%d", port)
	eventually(t, 2*time.Minute, name+" answers", func() error {
		select {
		case <-done:
			t.Fatalf("%s ended: %s\n%s", name, out.String(), logsOf(dir))
		default:
		}
		resp, err := http.Get(url)
		if err == nil {
			resp.Body.Close()
		}
		return err
	})
	return url, kill
}

// logsOf is what the logs in a folder have.
func logsOf(dir string) string {
	var all strings.Builder
	logs, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	for _, path := range logs {
		text, _ := os.ReadFile(path)
		fmt.Fprintf(&all, "%s:\n%s\n", filepath.Base(path), text)
	}
	return all.String()
}

// servicePassword is of the user kilonova, who checks tokens and reads and writes images.
const servicePassword = "service-s3cret"

// operator is the administrator of a Keystone, whom the stock client makes of its auth URL, with the user for this cloud and a file with that one's password.
type operator struct {
	*stock
	secret string
}

func newOperator(t *testing.T, keystone string) *operator {
	t.Helper()
	o := &operator{&stock{t: t, env: append(os.Environ(), "OS_AUTH_URL="+keystone, "OS_IDENTITY_API_VERSION=3", "OS_USERNAME=admin", "OS_PASSWORD="+keystonePassword, "OS_PROJECT_NAME=admin",
		"OS_USER_DOMAIN_ID=default", "OS_PROJECT_DOMAIN_ID=default", "PYTHONWARNINGS=ignore"), quick: true}, filepath.Join(t.TempDir(), "password")}
	require.NoError(t, os.WriteFile(o.secret, []byte(servicePassword+"\n"), 0o600))
	o.run("project", "create", "service")
	o.run("user", "create", "--project", "service", "--password", servicePassword, "kilonova")
	o.run("role", "add", "--user", "kilonova", "--project", "service", "admin")
	return o
}

// serves puts a service into the catalog.
func (o *operator) serves(kind, name, url string) {
	o.t.Helper()
	o.run("service", "create", "--name", name, kind)
	o.run("endpoint", "create", "--region", "RegionOne", kind, "public", url)
}

// anna is a member of the project web.
func (o *operator) anna() *stock {
	o.t.Helper()
	o.run("project", "create", "web")
	o.run("user", "create", "--project", "web", "--password", "anna-s3cret", "anna")
	o.run("role", "add", "--user", "anna", "--project", "web", "member")
	return &stock{t: o.t, env: append(append([]string{}, o.env...), "OS_USERNAME=anna", "OS_PASSWORD=anna-s3cret", "OS_PROJECT_NAME=web"), quick: true}
}
