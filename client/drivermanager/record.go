package drivermanager

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// record is what a later agent needs to re-attach to a plugin. It is written when the process has been forked, without
// Address, and again when the plugin has said where it listens; it is removed when the process is known to be gone.
type record struct {
	Name            string    `json:"name"`
	PID             int       `json:"pid"`
	StartTime       string    `json:"start_time"` // of the process, as its kernel counts; with PID and BootID it is unique
	BootID          string    `json:"boot_id"`
	Network         string    `json:"network,omitempty"`
	Address         string    `json:"address,omitempty"` // "": it died, or the agent did, before the handshake
	ProtocolVersion int       `json:"protocol_version,omitempty"`
	Token           string    `json:"token"`
	SocketDir       string    `json:"socket_dir"`
	Command         []string  `json:"command"`
	Program         string    `json:"program"` // see programStamp
	LaunchedAt      time.Time `json:"launched_at"`
}

func recordPath(c *Config) string { return filepath.Join(c.StateDir, c.Name+".plugin.json") }

// loadRecord returns nil when there is none. A damaged one is an error, and as good as none: the plugin that it was about
// ends by itself when its orphan timeout is over.
func loadRecord(c *Config) (*record, error) {
	raw, err := os.ReadFile(recordPath(c))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("%s: %w", recordPath(c), err)
	}
	if r.PID <= 1 || r.Name != c.Name {
		return nil, fmt.Errorf("%s is not about a plugin %s", recordPath(c), c.Name)
	}
	return r, nil
}

// save replaces the record on disk; a crash leaves the old or the new one. It holds the token: only the agent's user reads.
func (r *record) save(c *Config) error {
	raw, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	tmp := recordPath(c) + ".new"
	if err := os.WriteFile(tmp, raw, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, recordPath(c))
}

// forget removes all that a dead plugin left in StateDir, but for its log.
func (r *record) forget(c *Config) {
	if r.SocketDir != "" {
		if err := os.RemoveAll(r.SocketDir); err != nil {
			c.Logger.Warn("cannot remove the socket directory of a dead plugin", "error", err)
		}
	}
	if err := os.Remove(recordPath(c)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		c.Logger.Warn("cannot remove the re-attach information of a dead plugin", "error", err)
	}
}

// outdated says why a live plugin must be replaced rather than re-attached, or "".
func (r *record) outdated(c *Config, supported map[int]bool) string {
	switch {
	case r.Address == "":
		return "it never finished starting"
	case !slices.Equal(r.Command, c.Command):
		return "its command has changed"
	case r.Program != programStamp(c.Command[0]):
		return "its program has changed"
	case !supported[r.ProtocolVersion]:
		return fmt.Sprintf("it speaks version %d of the protocol", r.ProtocolVersion)
	}
	return ""
}

func (r *record) addr() (net.Addr, error) {
	switch r.Network {
	case "unix":
		return net.ResolveUnixAddr("unix", r.Address)
	case "tcp":
		return net.ResolveTCPAddr("tcp", r.Address)
	}
	return nil, fmt.Errorf("unknown network %q", r.Network)
}

// programStamp tells one build of a program from the next, so that an upgraded agent does not go on with an old plugin.
func programStamp(path string) string {
	info, err := os.Stat(path)
	if err != nil {
		return ""
	}
	return fmt.Sprintf("%d@%d", info.Size(), info.ModTime().UnixNano())
}
