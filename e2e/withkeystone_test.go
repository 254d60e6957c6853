//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An operator's own Keystone: Debian's, with the users, roles and catalog that it has. The stock client knows its auth URL and nothing else.
func TestWithKeystone(t *testing.T) {
	t.Parallel()
	keystone, kill := startKeystone(t)
	s := newOperator(t, keystone)
	f := &fleet{t: t, net: nextNet()}
	a := f.config("one", f.net+".1", fmt.Sprintf(`
server {
  enabled = true
  bootstrap_expect = 1
  identity {
    mode          = "keystone"
    auth_url      = %q
    username      = "kilonova"
    password_file = %q
    project       = "service"
    cache_time    = "2s"
  }
}
client {
  enabled = true
  drivers = ["fake"]
}
`, keystone, s.secret))
	for _, service := range [][3]string{{"compute", "nova", "/compute/v2.1"}, {"image", "glance", "/image"}, {"placement", "placement", "/placement"}} {
		s.serves(service[0], service[1], a.url()+service[2])
	}
	a.start()
	a.healthy()

	disk := filepath.Join(t.TempDir(), "disk")
	require.NoError(t, os.WriteFile(disk, make([]byte, 1<<20), 0o600))
	s.run("flavor", "create", "--ram", "64", "--disk", "1", "--vcpus", "1", "small")
	s.run("image", "create", "--disk-format", "raw", "--container-format", "bare", "--public", "--file", disk, "empty")
	s.run("server", "create", "--flavor", "small", "--image", "empty", "--wait", "by-admin")

	anna := s.anna()
	require.NotContains(t, anna.run("server", "list"), "by-admin")
	anna.run("server", "create", "--flavor", "small", "--image", "empty", "--wait", "by-anna")
	require.Contains(t, s.run("server", "list", "--all-projects"), "by-anna")
	_, err := anna.try("flavor", "create", "--ram", "64", "--disk", "1", "--vcpus", "1", "mine")
	require.ErrorContains(t, err, "403")

	t.Run("what Keystone revokes ends with the cache's time", func(t *testing.T) {
		token := strings.TrimSpace(anna.run("token", "issue", "-f", "value", "-c", "id"))
		require.Equal(t, 200, status(t, a, token))
		s.run("token", "revoke", token)
		eventually(t, 20*time.Second, "the token is refused", func() error {
			if got := status(t, a, token); got != 401 {
				return fmt.Errorf("it is %d", got)
			}
			return nil
		})
	})
	t.Run("without Keystone nobody is thrown out", func(t *testing.T) {
		fresh := strings.TrimSpace(anna.run("token", "issue", "-f", "value", "-c", "id"))
		kill()
		eventually(t, 20*time.Second, "a token that was not seen yet waits", func() error {
			if got := status(t, a, fresh); got != 503 {
				return fmt.Errorf("it is %d", got)
			}
			return nil
		})
	})
	resp, err := http.Get(a.url() + "/identity/v3")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 404, resp.StatusCode, "the Identity API is Keystone's alone")
}

// status is what listing servers answers to a token.
func status(t *testing.T, a *agent, token string) int {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, a.url()+"/compute/v2.1/servers", nil)
	require.NoError(t, err)
	req.Header.Set("X-Auth-Token", token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized {
		require.Contains(t, resp.Header.Get("WWW-Authenticate"), "Keystone uri=")
	}
	var body any
	_ = json.NewDecoder(resp.Body).Decode(&body)
	return resp.StatusCode
}

// healthy waits until the agent says that it is.
func (a *agent) healthy() {
	a.t.Helper()
	eventually(a.t, 30*time.Second, "the agent is healthy", func() error {
		resp, err := http.Get(a.url() + "/v1/agent/health")
		if err != nil {
			return err
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("it is %d: %s", resp.StatusCode, tail(a.out.String(), 5))
		}
		return nil
	})
}
