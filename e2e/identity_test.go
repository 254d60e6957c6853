//go:build e2e

package e2e

import "testing"

// Debian's openstack client does all that testdata/identity-commands.txt says.
func TestIdentityCommands(t *testing.T) {
	t.Parallel()
	runCommands(t, "testdata/identity-commands.txt", 130, func(t *testing.T, a *agent) func(args ...string) (string, error) {
		return preloadedClient(t, "openstack", newStock(t, a, "kilonova-admin").env)
	})
}
