package agent

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func environment(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func TestWhoCalledSudo(t *testing.T) {
	t.Parallel()
	for _, one := range []struct {
		euid int
		env  map[string]string
		want *invoker
		says string
	}{
		{0, nil, nil, ""},
		{0, map[string]string{"SUDO_UID": "0", "SUDO_GID": "0"}, nil, ""},
		{1000, map[string]string{"SUDO_UID": "1001", "SUDO_GID": "1002"}, nil, ""}, // cannot give files away
		{0, map[string]string{"SUDO_UID": "1001", "SUDO_GID": "1002"}, &invoker{1001, 1002}, ""},
		{0, map[string]string{"SUDO_UID": "alice", "SUDO_GID": "1002"}, nil, "SUDO_UID"},
		{0, map[string]string{"SUDO_UID": "1001"}, nil, "SUDO_GID"},
		{0, map[string]string{"SUDO_UID": "-1", "SUDO_GID": "0"}, nil, "SUDO_UID"},
		{0, map[string]string{"SUDO_UID": "4294967295", "SUDO_GID": "0"}, nil, "SUDO_UID"}, // (uid_t)-1: chown would change nothing
	} {
		got, err := whoCalledSudo(one.euid, environment(one.env))
		if one.says != "" {
			require.ErrorContains(t, err, one.says)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, one.want, got, one.env)
	}
}

// as runs cat as another user, whom no file of root's lets in.
func as(uid, gid uint32, path string) (string, error) {
	cat := exec.Command("cat", path)
	cat.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: gid}}
	out, err := cat.Output()
	return string(out), err
}

func TestCloudsAreReadableByWhoCalledSudo(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	// As -dev makes it; t.TempDir's parent would let nobody in.
	dir, err := os.MkdirTemp("", "kilonova-dev-")
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	tls := filepath.Join(dir, "tls")
	require.NoError(t, os.Mkdir(tls, 0o700))
	ca, key := filepath.Join(tls, "ca.pem"), filepath.Join(tls, "agent-key.pem")
	require.NoError(t, os.WriteFile(ca, []byte("a certificate"), 0o600))
	require.NoError(t, os.WriteFile(key, []byte("a key"), 0o600))

	creds := []credential{{"kilonova-admin", "admin", "s3cret", "admin"}}
	path, err := writeCloudsFor(&invoker{12345, 12346}, dir, "https://127.0.0.1:1/identity/v3", "R", ca, creds)
	require.NoError(t, err)
	readable := map[string]string{path: "cacert: " + filepath.Join(dir, "ca.pem"), filepath.Join(dir, "openrc"): "s3cret", filepath.Join(dir, "ca.pem"): "a certificate"}
	for file, says := range readable {
		text, err := as(12345, 12346, file)
		require.NoError(t, err, file)
		require.Contains(t, text, says)
		_, err = as(12347, 12346, file)
		require.Error(t, err, "%s: another user of the group", file)
		_, err = as(12347, 12347, file)
		require.Error(t, err, "%s: another user", file)
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode(), file)
	}
	_, err = as(12345, 12346, key)
	require.Error(t, err, "the rest stays root's")
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o710), info.Mode().Perm())
	require.Zero(t, info.Sys().(*syscall.Stat_t).Uid)

	_, err = writeCloudsFor(&invoker{12345, 12346}, dir, "https://127.0.0.1:1/identity/v3", "R", ca, creds)
	require.NoError(t, err, "a second run in the same directory")
	left, err := filepath.Glob(filepath.Join(dir, ".*"))
	require.NoError(t, err)
	require.Empty(t, left, "staging files")
}

func TestCloudsOfNobodyElse(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o700))
	path, err := writeCloudsFor(nil, dir, "http://127.0.0.1:1/identity/v3", "R", "", []credential{{"c", "u", "p", "p"}})
	require.NoError(t, err)
	for name, mode := range map[string]os.FileMode{dir: 0o700, path: 0o600, filepath.Join(dir, "openrc"): 0o600} {
		info, err := os.Stat(name)
		require.NoError(t, err)
		require.Equal(t, mode, info.Mode().Perm(), name)
		require.EqualValues(t, os.Geteuid(), info.Sys().(*syscall.Stat_t).Uid)
	}
}
