package drivers

import (
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

func TestCatalog(t *testing.T) {
	t.Parallel()
	require.Contains(t, Names(), "fake")
	for _, name := range Names() {
		d, err := New(name, hclog.NewNullLogger())
		require.NoError(t, err)
		caps, err := d.Capabilities(t.Context())
		require.NoError(t, err)
		require.Equal(t, name, caps.Name)
	}
	_, err := New("nosuch", hclog.NewNullLogger())
	require.ErrorIs(t, err, driver.ErrNotFound)
	require.ErrorContains(t, err, "fake")
	require.ErrorIs(t, Main("nosuch"), driver.ErrNotFound)
	require.ErrorContains(t, Main("fake"), "the agent starts it")
}
