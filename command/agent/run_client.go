package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/kilonova-cloud/kilonova/client"
	"github.com/kilonova-cloud/kilonova/client/drivermanager"
	"github.com/kilonova-cloud/kilonova/client/imagecache"
	"github.com/kilonova-cloud/kilonova/client/runner"
	"github.com/kilonova-cloud/kilonova/nomadlike/cluster"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
	"github.com/kilonova-cloud/kilonova/version"
)

// newClient makes the hosts of this agent: this machine, or as many simulated ones as the configuration says.
func (a *agent) newClient() error {
	c := a.rt.Client
	if len(c.Drivers) == 0 {
		return fmt.Errorf("the client has no driver: name one in client { drivers = [...] }")
	}
	images, err := a.newImages(filepath.Join(c.StateDir, "images"))
	if err != nil {
		return err
	}
	scratch := filepath.Join(c.StateDir, "scratch")
	if err := runner.SweepScratch(scratch, time.Now()); err != nil {
		a.logger.Warn("cannot remove what earlier snapshots left", "dir", scratch, "error", err)
	}
	cfg := client.Config{RPC: a.rpc, Pool: a.pool, Servers: a.servers, Advertise: a.rpcAddr, Version: version.Get().Version,
		Images: images, OpenImage: images.cache.OpenOrigin, Prune: images.prune, Upload: images.upload, Scratch: scratch, Logger: a.logger}
	if c.CPUMetrics {
		cfg.Metrics = client.NewCPUMonitor("/proc", "/sys").Measure
	}
	a.client = client.New(cfg, uuid.NewString())
	name := c.Drivers[0]
	if a.drivers, err = newDriverSet(a, name); err != nil {
		return err
	}
	if c.SimulatedHosts == 0 {
		return a.addHost(name, a.rt.Name, "", filepath.Join(c.StateDir, "host-id"))
	}
	for i := 1; i <= c.SimulatedHosts; i++ {
		host := fmt.Sprintf("%s-%d", a.rt.Name, i)
		if err := a.addHost(name, host, host, filepath.Join(c.StateDir, "hosts", host)); err != nil {
			return err
		}
	}
	return nil
}

func (a *agent) addHost(driverName, name, simulated, idFile string) error {
	id, err := persistentID(idFile)
	if err != nil {
		return err
	}
	a.client.AddHost(client.HostConfig{ID: structs.HostID(id), IDFile: idFile, Name: name, Zone: a.rt.Zone, DriverName: driverName,
		Reserved: a.rt.Client.Reserved.resources()},
		func(h *client.Host) driver.Driver { return a.drivers.open(simulated, h) })
	return nil
}

// driverSet is the plugin process of this agent and its hosts' handles on it.
type driverSet struct {
	a       *agent
	name    string
	plugin  *drivermanager.Plugin
	drivers map[string]*drivermanager.Driver // by simulated host
}

func newDriverSet(a *agent, name string) (*driverSet, error) {
	p := a.rt.Plugin(name)
	cfg := drivermanager.Config{Name: name, StateDir: filepath.Join(a.rt.Client.StateDir, "plugins"), Logger: a.logger.Named("plugin")}
	cfg.Command = p.command()
	plugin, err := drivermanager.New(cfg)
	if err != nil {
		return nil, err
	}
	return &driverSet{a: a, name: name, plugin: plugin, drivers: map[string]*drivermanager.Driver{}}, nil
}

func (s *driverSet) open(host string, h *client.Host) driver.Driver {
	d := s.plugin.Driver(drivermanager.DriverConfig{Host: host, DriverConfig: s.config(s.a.rt.Plugin(s.name), host), OnFingerprint: h.Fingerprint, OnEvent: h.Event, OnRestart: h.Restarted})
	s.drivers[host] = d
	return d
}

// config is the driver's block, with what the fake driver must be told of the host that it plays.
func (s *driverSet) config(p PluginRuntime, host string) json.RawMessage {
	values := map[string]any{}
	_ = json.Unmarshal(p.Config, &values) // checked when the configuration was read
	preset := func(key string, v any) {
		if _, said := values[key]; !said {
			values[key] = v
		}
	}
	if s.name == "fake" {
		preset("state_dir", filepath.Join(s.a.rt.Client.StateDir, "fake"))
		if host != "" {
			preset("host", host)
		} else {
			preset("hypervisor_hostname", s.a.rt.Name)
		}
	}
	out, err := json.Marshal(values)
	if err != nil {
		return p.Config
	}
	return out
}

// configureTimeout bounds how long a reload waits for a driver that is away or slow.
const configureTimeout = 10 * time.Second

// configure gives the settings to every host's driver. Also settings that are the same: a driver that refused them may find the machine changed.
func (s *driverSet) configure(ctx context.Context, p PluginRuntime) error {
	ctx, cancel := context.WithTimeout(ctx, configureTimeout)
	defer cancel()
	var mu sync.Mutex
	var errs []error
	var wg sync.WaitGroup
	for host, d := range s.drivers {
		wg.Go(func() {
			if err := d.Configure(ctx, s.config(p, host)); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(errs) > 1 { // simulated hosts: all say the same
		return fmt.Errorf("%d hosts: %w", len(errs), errs[0])
	}
	return errors.Join(errs...)
}

// close ends the plugin's process: guests need none, and the next agent starts another. A killed agent leaves it to be re-attached.
func (s *driverSet) close() {
	if err := s.plugin.Shutdown(true); err != nil {
		s.a.logger.Warn("the driver's process did not end in good order", "error", err)
	}
}

// images is the host's image cache, filled from the servers and from other hosts.
type images struct {
	a     *agent
	cache *imagecache.Cache
}

func (a *agent) newImages(dir string) (*images, error) {
	i := &images{a: a}
	from := &client.ImageFetcher{Pool: a.pool, Servers: a.servers, Self: a.rpcAddr}
	var err error
	i.cache, err = imagecache.New(imagecache.Config{Dir: dir, Fetch: from.Fetch, Fetched: i.fetched, Logger: a.logger.Named("images")})
	return i, err
}

// fetched is called when instances are built, long after the client was made.
func (i *images) fetched(sha512 string) { i.a.client.ImageFetched(sha512) }

// upload stores a file on the servers, through the first that takes it.
func (i *images) upload(ctx context.Context, req structs.BlobWriteRequest, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	req.Size = info.Size()
	err = structs.Errorf(structs.KindUnavailable, "no server is known to upload an image to")
	for _, addr := range i.a.servers() {
		if _, serr := f.Seek(0, io.SeekStart); serr != nil {
			return serr
		}
		if err = cluster.WriteBlob(ctx, i.a.pool, addr, req, f); err == nil || !structs.IsKind(err, structs.KindUnavailable) {
			return err
		}
	}
	return err
}

// keepUnused is how long an image that no instance of the host was made from stays in the cache: Nova's remove_unused_original_minimum_age_seconds.
const keepUnused = 24 * time.Hour

func (i *images) prune(inUse map[string]bool) error {
	_, err := i.cache.Prune(inUse, 0, keepUnused)
	return err
}

// Get returns an image for a driver.
func (i *images) Get(ctx context.Context, img *structs.Image, formats []string) (*driver.Image, func(), error) {
	e, err := i.cache.Get(ctx, imagecache.ImageOf(img), formats)
	if err != nil {
		return nil, nil, err
	}
	if e.Format == imagecache.FormatNone {
		return nil, e.Release, nil
	}
	return &driver.Image{ID: string(img.ID), Path: e.Path, Format: e.Format, SHA512: e.SHA512, VirtualSize: e.VirtualSize, Properties: img.Properties}, e.Release, nil
}
