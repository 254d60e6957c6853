package version

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestString(t *testing.T) {
	i := Info{Version: "1.2.3", Prerelease: "beta1", Commit: "abc", Date: "2026-01-02T03:04:05Z", Go: "go1.26", Platform: "linux/amd64"}
	require.Equal(t, "Kilonova 1.2.3-beta1 (abc, 2026-01-02T03:04:05Z, go1.26, linux/amd64)", i.String())
	i.Prerelease, i.Commit, i.Date = "", "", ""
	require.Equal(t, "Kilonova 1.2.3 (go1.26, linux/amd64)", i.String())
}

func TestGetSaysWhatItRunsOn(t *testing.T) {
	require.Contains(t, Get().Go, "go1")
	require.Contains(t, Get().Platform, "/")
	require.Equal(t, Version+"-"+Prerelease, Number())
}
