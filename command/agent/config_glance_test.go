package agent

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestGlanceProblems(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"nothing said": {`mode = "glance"`, []string{`server.image.endpoint: "" is no URL`, `server.image.auth_url: "" is no URL`, "server.image.username: is needed", "server.image.project: is needed",
			"server.image.password_file: is needed"}},
		"no mode":    {`endpoint = "https://glance.example.org:9292"`, []string{"server.image.endpoint: has no effect without a Glance"}},
		"wrong mode": {`mode = "s3"`, []string{`server.image.mode: "s3" is not known`}},
		"wrong values": {"mode = \"glance\"\nendpoint = \"glance\"\nauth_url = \"keystone\"\nusername = \"u\"\nproject = \"p\"\npassword_file = \"DIR/none\"\nca_file = \"ca.pem\"",
			[]string{`"glance" is no URL`, `"keystone" is no URL`, "DIR/none: no such file", `"ca.pem" is relative`}},
	} {
		path := writeFile(t, dir, name+"/agent.hcl", "data_dir = \"DIR/data\"\nserver {\n  enabled = true\n  bootstrap_expect = 1\n  image {\n"+c.text+"\n  }\n}")
		_, problems := load(t, "-config", path)
		text := strings.ReplaceAll(problems.Error(), dir, "DIR")
		for _, want := range c.want {
			require.Contains(t, text, want, name)
		}
	}
}

// Where tokens are a Keystone's, the user who checks them reads and writes images, too, unless another is named.
func TestGlanceBesideKeystone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	writeFile(t, dir, "secret", "s3cret\n")
	writeFile(t, dir, "other", "0ther\n")
	const text = `data_dir = "DIR/data"
server {
  enabled = true
  bootstrap_expect = 1
  identity {
    mode          = "keystone"
    auth_url      = "https://keystone.example.org/v3"
    username      = "kilonova"
    password_file = "DIR/secret"
    project       = "service"
    user_domain   = "Services"
  }
  image {
    mode     = "glance"
    endpoint = "https://glance.example.org:9292"
    OTHER
  }
}`
	rt, problems := load(t, "-config", writeFile(t, dir, "same.hcl", strings.Replace(text, "OTHER", "", 1)))
	require.Empty(t, problems)
	require.Equal(t, GlanceRuntime{Endpoint: "https://glance.example.org:9292", AuthURL: "https://keystone.example.org/v3", Username: "kilonova", Password: "s3cret", UserDomain: "Services",
		Project: "service", ProjectDomain: "Default"}, rt.Server.Image.Glance)
	rt, problems = load(t, "-config", writeFile(t, dir, "other.hcl", strings.Replace(text, "OTHER", `username = "images"
    password_file = "DIR/other"`, 1)))
	require.Empty(t, problems)
	require.Equal(t, [2]string{"images", "0ther"}, [2]string{rt.Server.Image.Glance.Username, rt.Server.Image.Glance.Password})
	_, problems = load(t, "-config", writeFile(t, dir, "half.hcl", strings.Replace(text, "OTHER", `username = "images"`, 1)))
	require.ErrorContains(t, problems, "server.image.password_file: is needed", "not another user's password")
}
