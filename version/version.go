// Package version says which Kilonova this is.
package version

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// These are set by the linker: -X github.com/kilonova-cloud/kilonova/version.Commit=...
var (
	// Version is the release, or the one that is being worked towards.
	Version = "0.1.0"
	// Prerelease is "" for a release.
	Prerelease = "dev"
	// Commit is git's; what the Go toolchain noted stands in for it.
	Commit = ""
	// Date is the commit's, RFC 3339.
	Date = ""
)

// Info is what there is to know of this build.
type Info struct {
	Version    string `json:"version"`
	Prerelease string `json:"prerelease"`
	Commit     string `json:"commit"`
	Date       string `json:"date"`
	Go         string `json:"go"`
	Platform   string `json:"platform"`
}

// Get returns this build's.
func Get() Info {
	info := Info{Version: Version, Prerelease: Prerelease, Commit: Commit, Date: Date, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	if build, ok := debug.ReadBuildInfo(); ok && info.Commit == "" {
		for _, s := range build.Settings {
			switch s.Key {
			case "vcs.revision":
				info.Commit = s.Value
			case "vcs.time":
				info.Date = s.Value
			case "vcs.modified":
				if s.Value == "true" {
					info.Commit += "+changes"
				}
			}
		}
	}
	return info
}

// Number returns the version and prerelease as semantic versioning writes them: 0.1.0-dev.
func Number() string {
	if Prerelease == "" {
		return Version
	}
	return Version + "-" + Prerelease
}

// String returns one line for people.
func (i Info) String() string {
	number := i.Version
	if i.Prerelease != "" {
		number += "-" + i.Prerelease
	}
	var more []string
	for _, s := range []string{i.Commit, i.Date, i.Go, i.Platform} {
		if s != "" {
			more = append(more, s)
		}
	}
	return "Kilonova " + number + " (" + strings.Join(more, ", ") + ")"
}
