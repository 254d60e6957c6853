package agent

import (
	"fmt"
	"path/filepath"
	"strings"

	"gopkg.in/yaml.v3"
)

// credential is one user's way in, for clouds.yaml and openrc.
type credential struct {
	cloud, user, password, project string
}

// writeClouds writes clouds.yaml and openrc into the data directory and returns the path of the former. Both hold passwords and are readable by their owner alone.
func writeClouds(dir, authURL, region, caFile string, creds []credential) (string, error) {
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
	if err := writeDurably(path, b, 0o600); err != nil {
		return "", err
	}
	return path, writeDurably(filepath.Join(dir, "openrc"), []byte(openrc(authURL, region, caFile, creds[0])), 0o600)
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
