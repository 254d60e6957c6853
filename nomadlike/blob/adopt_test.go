package blob

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A store of a program before, which a start of this one may have begun to take over.
func TestAdopt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := Open(dir, nil)
	require.NoError(t, err)
	here := put(t, s, []byte("here already"))
	old := map[string]string{"aa" + strings.Repeat("1", 62): "one", "ab" + strings.Repeat("2", 62): "two", "ff" + strings.Repeat("3", 62): "here already"}
	for name, data := range old {
		folder := filepath.Join(dir, oldBlobFolder, name[:2])
		require.NoError(t, os.MkdirAll(folder, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(folder, name[2:]), []byte(data), 0o600))
	}
	for range 2 {
		s, err = Open(dir, nil)
		require.NoError(t, err)
		all, err := s.List()
		require.NoError(t, err)
		require.Len(t, all, 3)
		for _, data := range old {
			require.NoError(t, s.Verify(t.Context(), sha([]byte(data)), 0))
		}
		require.True(t, s.Has(here))
		require.NoDirExists(t, filepath.Join(dir, oldBlobFolder))
	}
}
