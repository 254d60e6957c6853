package agent

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"gopkg.in/yaml.v3"
)

// credential is one user's way in, for clouds.yaml and openrc.
type credential struct {
	cloud, user, password, project string
}

// invoker is who called sudo: root writes for it, and it has to read that.
type invoker struct{ uid, gid int }

// whoCalledSudo returns nil where nobody did, or where files cannot be given away.
func whoCalledSudo(euid int, getenv func(string) string) (*invoker, error) {
	if text := getenv("SUDO_UID"); euid != 0 || text == "" || text == "0" {
		return nil, nil
	}
	var ids [2]int
	for i, name := range []string{"SUDO_UID", "SUDO_GID"} {
		n, err := strconv.ParseUint(getenv(name), 10, 32)
		if err != nil || n == math.MaxUint32 { // which is -1 to chown: no change
			return nil, fmt.Errorf("%s is %q; sudo sets a number there: unset SUDO_UID where there is no sudo", name, getenv(name))
		}
		ids[i] = int(n)
	}
	return &invoker{ids[0], ids[1]}, nil
}

// admit lets the invoker pass through a directory that is root's alone; its files it still cannot read. The directory stays root's: in one
// of its own the invoker could put links where root is about to write.
func (v *invoker) admit(dir string) error {
	if v == nil {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	info, err := d.Stat()
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t).Uid
	if owner != 0 || info.Mode().Perm()&0o077 != 0 { // whoever opened it has decided whom it admits
		return nil
	}
	return errors.Join(d.Chown(-1, v.gid), d.Chmod(0o710))
}

// write replaces a file whole with one that the invoker alone can read; without one, root or whoever runs the agent. The file changes hands before
// it has a name that is known, so that it can be no other.
func (v *invoker) write(path string, data []byte) error {
	if v == nil {
		return writeDurably(path, data, 0o600)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err = errors.Join(err, tmp.Chown(v.uid, v.gid), tmp.Chmod(0o600), tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

// writeClouds writes clouds.yaml and openrc of a development agent into the data directory and returns the path of the former. Both hold passwords and
// are readable by their owner alone: by who called sudo, else by who runs the agent.
func writeClouds(dir, authURL, region, caFile string, creds []credential) (string, error) {
	v, err := whoCalledSudo(os.Geteuid(), os.Getenv)
	if err != nil {
		return "", err
	}
	return writeCloudsFor(v, dir, authURL, region, caFile, creds)
}

func writeCloudsFor(v *invoker, dir, authURL, region, caFile string, creds []credential) (string, error) {
	if err := v.admit(dir); err != nil {
		return "", err
	}
	if v != nil && strings.HasPrefix(caFile, dir+"/") { // made by -tls, beside keys that the invoker has no business with
		b, err := os.ReadFile(caFile)
		if err != nil {
			return "", err
		}
		caFile = filepath.Join(dir, "ca.pem")
		if err := v.write(caFile, b); err != nil {
			return "", err
		}
	}
	clouds := map[string]any{}
	for _, c := range creds {
		cloud := map[string]any{
			"auth": map[string]any{"auth_url": authURL, "username": c.user, "password": c.password, "project_name": c.project,
				"user_domain_name": "Default", "project_domain_name": "Default"},
			"region_name": region, "identity_api_version": 3, "interface": "public",
		}
		if caFile != "" {
			cloud["cacert"] = caFile
		}
		clouds[c.cloud] = cloud
	}
	b, err := yaml.Marshal(map[string]any{"clouds": clouds})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "clouds.yaml")
	if err := v.write(path, b); err != nil {
		return "", err
	}
	return path, v.write(filepath.Join(dir, "openrc"), []byte(openrc(authURL, region, caFile, creds[0])))
}

func openrc(authURL, region, caFile string, c credential) string {
	var b strings.Builder
	set := func(k, v string) { fmt.Fprintf(&b, "export %s='%s'\n", k, strings.ReplaceAll(v, "'", `'\''`)) }
	b.WriteString("unset OS_CLOUD\n")
	set("OS_AUTH_URL", authURL)
	set("OS_USERNAME", c.user)
	set("OS_PASSWORD", c.password)
	set("OS_PROJECT_NAME", c.project)
	set("OS_USER_DOMAIN_NAME", "Default")
	set("OS_PROJECT_DOMAIN_NAME", "Default")
	set("OS_REGION_NAME", region)
	set("OS_IDENTITY_API_VERSION", "3")
	if caFile != "" {
		set("OS_CACERT", caFile)
	}
	return b.String()
}
