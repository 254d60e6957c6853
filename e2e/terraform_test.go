//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Terraform with the OpenStack provider: people, roles, an image and an instance of a member's are applied, the second plan has no difference, and all of it is
// destroyed. It is run where terraform is; KILONOVA_TEST_TERRAFORM=1 demands it.
func TestTerraform(t *testing.T) {
	t.Parallel()
	terraform, err := exec.LookPath("terraform")
	if err != nil {
		if os.Getenv("KILONOVA_TEST_TERRAFORM") != "" {
			t.Fatal("terraform is missing: https://developer.hashicorp.com/terraform/install")
		}
		t.Skip("terraform is missing: https://developer.hashicorp.com/terraform/install")
	}
	provider, err := filepath.Abs("../build/terraform")
	require.NoError(t, err)
	out, err := exec.Command("../scripts/terraform/provider", provider).CombinedOutput()
	require.NoError(t, err, "%s", out)

	a := newDev(t, "-driver", "fake", "-hosts", "2")
	dir := t.TempDir()
	plan, err := os.ReadFile("testdata/terraform/main.tf")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.tf"), plan, 0o600))
	disk := filepath.Join(dir, "disk")
	require.NoError(t, os.WriteFile(disk, make([]byte, 1<<20), 0o600))
	run := func(args ...string) string {
		t.Helper()
		cmd := exec.Command(terraform, args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TF_CLI_CONFIG_FILE="+filepath.Join(provider, "terraform.rc"), "CHECKPOINT_DISABLE=1", "TF_IN_AUTOMATION=1", "TF_INPUT=0",
			"TF_VAR_auth_url="+a.url()+"/identity/v3", "TF_VAR_password=kilonova", "TF_VAR_disk="+disk)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "terraform %s\n%s", strings.Join(args, " "), out)
		return string(out)
	}
	run("validate", "-no-color")
	require.Contains(t, run("apply", "-auto-approve", "-no-color"), "Apply complete!")
	s := newStock(t, a, "kilonova-admin")
	require.Contains(t, s.run("server", "list", "--all-projects", "--project", "web"), "ACTIVE")
	// -detailed-exitcode fails with 2 when there is a difference.
	require.Contains(t, run("plan", "-detailed-exitcode", "-no-color"), "No changes")
	require.Contains(t, run("destroy", "-auto-approve", "-no-color"), "Destroy complete!")
	require.NotContains(t, s.run("project", "list"), "web")
	require.NotContains(t, s.run("server", "list", "--all-projects"), "guest")
}
