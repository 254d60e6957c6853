package libvirt

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// reportHost publishes a fingerprint at once, and then whenever one differs from the last.
func (h *host) reportHost() {
	var last *driver.Fingerprint
	for {
		now := h.fingerprint(h.ctx)
		if h.ctx.Err() != nil {
			return
		}
		if !reflect.DeepEqual(now, last) {
			if last == nil || now.Healthy != last.Healthy {
				h.log.Info("host health", "healthy", now.Healthy, "description", now.HealthDescription)
			}
			h.fingerprints.publish(now)
			last = now
		}
		timer := time.NewTimer(refreshEvery)
		select {
		case <-h.kick:
		case <-timer.C:
		case <-h.ctx.Done():
		}
		timer.Stop()
	}
}

// fingerprint describes the host now. What libvirtd said last is kept while it cannot be reached, so that a host does
// not lose its traits by a restart of libvirtd.
func (h *host) fingerprint(ctx context.Context) *driver.Fingerprint {
	_, err := call(ctx, h.link, "ask libvirtd for a sign of life", func(s *session) (uint64, error) {
		return s.ConnectGetLibVersion()
	})
	if err == nil {
		_, err = h.hypervisor(ctx)
	}
	f := &driver.Fingerprint{
		Healthy:            err == nil,
		HealthDescription:  h.virtNote,
		HypervisorType:     strings.ToUpper(string(h.virtType)),
		HypervisorHostname: hostname(),
		Architectures:      []string{guestArch},
		Attributes: map[string]string{
			"driver.libvirt.uri":           h.cfg.URI,
			"driver.libvirt.socket":        h.cfg.Socket,
			"driver.libvirt.virt_type":     string(h.virtType),
			"driver.libvirt.instances_dir": h.cfg.InstancesDir,
			"driver.libvirt.disk_cache":    h.cache,
		},
	}
	if err != nil {
		f.HealthDescription = err.Error()
	}
	inventory, err := takeInventory(h.cfg.InstancesDir)
	if err != nil && f.Healthy {
		f.Healthy, f.HealthDescription = false, err.Error()
	}
	f.Inventory = inventory
	if known := h.lastFacts(); known != nil {
		f.HypervisorVersion = int64(known.qemuVersion)
		f.CPU = known.cpu
		f.Traits = hostTraits(known)
		f.Attributes["driver.libvirt.version"] = versionText(known.libvirtVersion)
		f.Attributes["driver.libvirt.qemu_version"] = versionText(known.qemuVersion)
		f.Attributes["driver.libvirt.emulator"] = known.emulator
	}
	return f
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}

// takeInventory counts what the machine has, from the kernel: libvirt would say the same, and only while it answers.
func takeInventory(instancesDir string) (driver.Inventory, error) {
	var inventory driver.Inventory
	online, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return inventory, fmt.Errorf("the processors cannot be counted: %w", err)
	}
	if inventory.VCPUs, err = countCPUs(strings.TrimSpace(string(online))); err != nil {
		return inventory, err
	}
	memory, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return inventory, fmt.Errorf("the memory cannot be measured: %w", err)
	}
	if inventory.MemoryMiB, err = totalMemory(string(memory)); err != nil {
		return inventory, err
	}
	bytes, err := fileSystemBytes(instancesDir)
	if err != nil {
		return inventory, fmt.Errorf("the file system of instances_dir %s cannot be measured: %w", instancesDir, err)
	}
	inventory.DiskGiB = bytes / gib
	return inventory, nil
}

// countCPUs counts a list such as "0-3,8,10-11".
func countCPUs(list string) (int, error) {
	count := 0
	for part := range strings.SplitSeq(list, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err1 := strconv.Atoi(first)
		to, err2 := strconv.Atoi(last)
		if err1 != nil || err2 != nil || to < from {
			return 0, fmt.Errorf("the kernel's list of processors %q is not understood", list)
		}
		count += to - from + 1
	}
	return count, nil
}

// totalMemory reads MemTotal, in MiB.
func totalMemory(meminfo string) (int64, error) {
	for line := range strings.Lines(meminfo) {
		fields := strings.Fields(line)
		if len(fields) == 3 && fields[0] == "MemTotal:" && fields[2] == "kB" {
			kib, err := strconv.ParseInt(fields[1], 10, 64)
			return kib / 1024, err
		}
	}
	return 0, fmt.Errorf("/proc/meminfo has no MemTotal")
}
