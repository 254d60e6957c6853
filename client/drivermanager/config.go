// Package drivermanager starts, supervises and re-attaches driver plugins, and gives the agent a driver.Driver for each
// host that stays the same while the process behind it comes and goes.
package drivermanager

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Config says how one plugin process is run.
type Config struct {
	// Name is the driver's name: libvirt, fake, ... It names files in StateDir, so no separators.
	Name string
	// Command is the plugin's argv. nil is this program with the arguments "driver" and Name.
	Command []string
	// Env is added to the plugin's environment, which else is the agent's.
	Env []string
	// StateDir keeps what a later agent needs to re-attach, the plugin's socket, and its handshake. It is made, for the
	// agent's user only. One agent at a time may use a StateDir.
	StateDir string
	// LogFile gets the plugin's stderr, appended. Rotate it by copying and truncating: the plugin keeps it open.
	// "" is StateDir/NAME.log.
	LogFile string
	// Logger is the agent's; nil is silence.
	Logger hclog.Logger

	// StartTimeout is how long a plugin may take to start. 0 is 30 s.
	StartTimeout time.Duration
	// OrphanTimeout is how long the plugin lives without an agent. 0 leaves it to the plugin (15 min).
	OrphanTimeout time.Duration
	// MinBackoff and MaxBackoff bound the wait before a plugin that crashed is started again; it doubles with each crash
	// and begins anew after a minute without. 0 are 100 ms and 30 s.
	MinBackoff, MaxBackoff time.Duration
	// PingInterval is how often a plugin has to answer; it counts as unhealthy after one miss, and is killed and started
	// again after maxMissed in a row. 0 is 15 s.
	PingInterval time.Duration
}

const (
	// maxMissed is how many pings in a row a plugin may miss before it is taken for hung.
	maxMissed = 4
	// settled is how long a plugin has to run until an earlier crash no longer counts.
	settled = time.Minute
)

func (c *Config) setDefaults() error {
	if c.Name == "" || strings.ContainsAny(c.Name, `/\`) || strings.HasPrefix(c.Name, ".") {
		return fmt.Errorf("driver plugin name %q: a plain name such as libvirt is right", c.Name)
	}
	if c.StateDir == "" {
		return fmt.Errorf("driver plugin %s: StateDir is required", c.Name)
	}
	dir, err := filepath.Abs(c.StateDir)
	if err != nil {
		return fmt.Errorf("driver plugin %s: %w", c.Name, err)
	}
	c.StateDir = dir
	if err := os.MkdirAll(c.StateDir, 0o700); err != nil {
		return fmt.Errorf("driver plugin %s: %w", c.Name, err)
	}
	if c.Command, err = commandOf(c.Name, c.Command); err != nil {
		return err
	}
	if c.LogFile == "" {
		c.LogFile = filepath.Join(c.StateDir, c.Name+".log")
	}
	if c.Logger == nil {
		c.Logger = hclog.NewNullLogger()
	}
	c.Logger = c.Logger.With("driver", c.Name)
	for d, v := range map[*time.Duration]time.Duration{
		&c.StartTimeout: 30 * time.Second, &c.MinBackoff: 100 * time.Millisecond, &c.MaxBackoff: 30 * time.Second,
		&c.PingInterval: 15 * time.Second,
	} {
		if *d <= 0 {
			*d = v
		}
	}
	c.MaxBackoff = max(c.MaxBackoff, c.MinBackoff)
	return nil
}

// commandOf puts this program's own driver in the place of a command that was not said.
func commandOf(name string, command []string) ([]string, error) {
	if len(command) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("driver plugin %s: %w", name, err)
		}
		return []string{self, "driver", name}, nil
	}
	if command[0] == "" {
		return nil, errors.New("driver plugin " + name + ": the command is empty")
	}
	return slices.Clone(command), nil
}

// newToken makes the secret that only this plugin's agents know.
func newToken() string {
	var b [24]byte
	_, _ = rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
