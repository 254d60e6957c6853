package fake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// Config is the driver's block of the agent's configuration. Every key may be left out.
type Config struct {
	// VCPUs, MemoryMiB and DiskGiB are the inventory; the defaults are those of Nova's fake driver.
	VCPUs     int   `json:"vcpus"`
	MemoryMiB int64 `json:"memory_mib"`
	DiskGiB   int64 `json:"disk_gib"`

	// StateDir is where the guests are kept, so that they outlive the driver's process; "" keeps them in memory.
	StateDir string `json:"state_dir"`
	// Host names this host among several simulated ones that share a StateDir.
	Host string `json:"host"`
	// ControlFile is read for lines of JSON, each a Control, as they are appended; "" for none.
	ControlFile string `json:"control_file"`

	HypervisorType     string            `json:"hypervisor_type"`
	HypervisorVersion  int64             `json:"hypervisor_version"`
	HypervisorHostname string            `json:"hypervisor_hostname"` // default: Host, else "fake"
	Architectures      []string          `json:"architectures"`
	Traits             []string          `json:"traits"`
	CPUFeatures        []string          `json:"cpu_features"`
	Attributes         map[string]string `json:"attributes"`
	// ImageFormats are those that it claims to need. The default begins with "none": it reads no image, so the agent need not fetch any.
	ImageFormats []string `json:"image_formats"`

	Script
}

// Script says how the driver misbehaves. It stands in the configuration, and a Control can replace it.
type Script struct {
	// Latency is how long each call of a method takes, by method ("create", "live_migrate", ...), as Go durations.
	Latency map[string]string `json:"latency"`
	// Failures are tried in order; the first that matches answers the call.
	Failures []Failure `json:"failures"`
	// Crashes end the driver's process.
	Crashes []Crash `json:"crashes"`
}

// When says on which calls a rule fires. Its count starts at 1 when the rule is set.
type When struct {
	Method   string `json:"method"`   // "create", ...; "*" is any
	Instance string `json:"instance"` // only calls about this instance; "" is any
	Nth      int    `json:"nth"`      // only on the nth matching call
	Every    int    `json:"every"`    // on each every-th matching call; with Nth and Every 0: on all
	// Point is "before" (the default) or "after" the call has had its effect: an answer that got lost.
	Point string `json:"point"`
}

// Failure makes a call answer an error.
type Failure struct {
	When
	Kind      driver.Kind `json:"kind"` // default internal
	Message   string      `json:"message"`
	Retryable *bool       `json:"retryable"` // default as the kind has it
}

// Crash kills the process, as kill -9 does. A rule with Nth fires once in the life of a state_dir: the driver that comes
// after it, with the same configuration, goes on.
type Crash struct {
	When
}

func defaults() *Config {
	return &Config{
		VCPUs: 1000, MemoryMiB: 800_000, DiskGiB: 600_000,
		HypervisorType: "fake", HypervisorVersion: 1_000_000,
		Architectures: []string{"x86_64"},
		ImageFormats:  []string{"none", "raw", "qcow2", "vmdk", "vhd", "vhdx", "vdi", "iso", "ami", "aki", "ari", "ploop"},
	}
}

func invalid(format string, args ...any) error {
	return driver.Errorf(driver.KindInvalid, format, args...)
}

func parseConfig(raw []byte) (*Config, error) {
	c := defaults()
	if len(bytes.TrimSpace(raw)) > 0 {
		if err := strict(raw, c); err != nil {
			return nil, invalid("fake driver: configuration: %v", err)
		}
	}
	if c.HypervisorHostname == "" {
		c.HypervisorHostname = c.Host
	}
	if c.HypervisorHostname == "" {
		c.HypervisorHostname = "fake"
	}
	slices.Sort(c.Traits)
	switch {
	case c.VCPUs < 1:
		return nil, invalid("fake driver: vcpus is %d: 1 or more is right", c.VCPUs)
	case c.MemoryMiB < 1:
		return nil, invalid("fake driver: memory_mib is %d: 1 or more is right", c.MemoryMiB)
	case c.DiskGiB < 0:
		return nil, invalid("fake driver: disk_gib is %d: 0 or more is right", c.DiskGiB)
	case c.HypervisorVersion < 0:
		return nil, invalid("fake driver: hypervisor_version is %d: 0 or more is right", c.HypervisorVersion)
	case len(c.ImageFormats) == 0:
		return nil, invalid("fake driver: image_formats is empty: at least one, such as none, is right")
	case len(c.Architectures) == 0:
		return nil, invalid("fake driver: architectures is empty: at least one, such as x86_64, is right")
	}
	return c, nil
}

// strict decodes one JSON value and refuses unknown keys and what follows.
func strict(raw []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		if key, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
			return fmt.Errorf("unknown key %s; the keys are %s", key, strings.Join(keys(into), ", "))
		}
		var wrong *json.UnmarshalTypeError
		if errors.As(err, &wrong) {
			return fmt.Errorf("%s is a %s: a %s is right", wrong.Field, wrong.Value, wrong.Type)
		}
		return err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("more than one JSON value")
	}
	return nil
}

// keys lists the top-level keys of a configuration struct, for error messages.
func keys(of any) []string {
	raw, err := json.Marshal(of)
	if err != nil {
		return nil
	}
	m := map[string]json.RawMessage{}
	if json.Unmarshal(raw, &m) != nil {
		return nil
	}
	names := make([]string, 0, len(m))
	for k := range m {
		names = append(names, k)
	}
	slices.Sort(names)
	return names
}
