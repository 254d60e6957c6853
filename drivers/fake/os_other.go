//go:build !unix

package fake

import "os"

// lockFile opens the file; there is no lock to take here, and the agent starts one driver for a state_dir.
func lockFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
}

func killSelf() { os.Exit(137) }

func unlockFile(f *os.File) error { return f.Close() }
