//go:build e2e

package e2e

import "testing"

// Debian's openstack client does all that testdata/stock-commands.txt says, at its own default microversion and at those that are named.
func TestStockCommands(t *testing.T) {
	t.Parallel()
	runCommands(t, "testdata/stock-commands.txt", 250, func(t *testing.T, a *agent) func(args ...string) (string, error) {
		return preloadedClient(t, "openstack", newStock(t, a, "kilonova-admin").env)
	})
}
