package agent

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/cli"
	"github.com/hashicorp/go-hclog"

	"github.com/kilonova-cloud/kilonova/client"
	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/cluster"
	"github.com/kilonova-cloud/kilonova/nomadlike/consensus"
	"github.com/kilonova-cloud/kilonova/nomadlike/gossip"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/image"
	"github.com/kilonova-cloud/kilonova/server/image/glance"
	"github.com/kilonova-cloud/kilonova/server/notification"
	"github.com/kilonova-cloud/kilonova/version"
)

func init() { Runner = Run }

// agent is a running agent: what its two roles share, and the roles that it has.
type agent struct {
	rt     *Runtime // that it was started with
	now    *Runtime // rt with what reloads took over; only Run's goroutine uses it
	ui     cli.Ui
	logger hclog.InterceptLogger
	lock   *os.File

	tls     *rpc.TLS // nil without TLS on RPC
	rpc     *rpc.Server
	pool    *rpc.Pool
	gossip  *gossip.Pool
	rpcAddr string // that others reach RPC at

	server  *cluster.Server // nil on a pure client
	client  *client.Client  // nil on a pure server
	drivers *driverSet
	http    *httpServer
	policy  *policyKeeper  // nil on a pure client
	images  image.Options  // of the Image service; nothing on a pure client
	glance  *glance.Client // the Image service elsewhere that has the images; nil: this cluster has them

	notifications *notification.Runner // nil without sinks

	wg sync.WaitGroup
}

// Run runs an agent until ctx ends, and returns the program's exit code.
func Run(ctx context.Context, rt *Runtime, reload <-chan *Runtime, ui cli.Ui) int {
	a := newAgent(rt, ui, os.Stderr)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := a.start(ctx); err != nil {
		a.ui.Error("The agent cannot start: " + err.Error())
		cancel()
		a.stop()
		return 1
	}
	for {
		select {
		case next := <-reload:
			a.reload(ctx, next)
		case err := <-a.http.failed():
			a.ui.Error("HTTP stopped: " + err.Error())
			cancel()
			a.stop()
			return 1
		case <-ctx.Done():
			a.logger.Info("leaving")
			cancel()
			a.stop()
			return 0
		}
	}
}

// goRun runs f beside the agent's main goroutine; stop waits for it.
func (a *agent) goRun(f func()) {
	a.wg.Add(1)
	go func() {
		defer a.wg.Done()
		f()
	}()
}

func newAgent(rt *Runtime, ui cli.Ui, log io.Writer) *agent {
	return &agent{rt: rt, now: rt, ui: ui, logger: hclog.NewInterceptLogger(
		&hclog.LoggerOptions{Name: "kilonova", Level: hclog.LevelFromString(rt.LogLevel), JSONFormat: rt.LogJSON, Output: log})}
}

func (a *agent) start(ctx context.Context) error {
	for _, n := range a.rt.Notes {
		a.logger.Info("note", "text", n)
	}
	if err := a.lockDataDir(); err != nil {
		return err
	}
	if err := a.listenRPC(); err != nil {
		return err
	}
	if a.rt.Server.Enabled {
		if err := a.newServer(); err != nil {
			return err
		}
	}
	if a.rt.Client.Enabled {
		if err := a.newClient(); err != nil {
			return err
		}
	}
	go a.rpc.Serve()
	if err := a.listenHTTP(); err != nil {
		return err
	}
	if err := a.startGossip(ctx); err != nil {
		return err
	}
	if a.server != nil {
		a.server.Start(a.gossip)
	}
	if err := a.serveHTTP(); err != nil {
		return err
	}
	if a.server != nil {
		a.goRun(func() { a.recoverUploads(ctx) })
		a.goRun(func() { a.images.Imports.Run(ctx, a.server) })
		a.goRun(func() { a.policy.run(ctx, policyPeriod) })
		a.goRun(func() { a.applyScheduler(ctx, a.rt.Server.Scheduler) })
	}
	if a.client != nil {
		a.client.Start()
	}
	if a.rt.Dev {
		return a.startDev(ctx)
	}
	http := ""
	if a.http != nil {
		http = "\n  HTTP  " + a.httpURL()
	}
	a.ui.Output(fmt.Sprintf("Kilonova agent %s is running.%s\n  RPC   %s\n  Serf  %s", a.rt.Name, http, a.rpcAddr, a.rt.Serf.Advertise))
	return nil
}

// lockDataDir makes sure that one agent at a time uses the directory. The lock ends with the process, however that ends.
func (a *agent) lockDataDir() error {
	path := filepath.Join(a.rt.DataDir, "agent.lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = f.Close()
		return fmt.Errorf("another agent uses the data directory %s: stop it, or give this one another", a.rt.DataDir)
	}
	a.lock = f
	return nil
}

func (a *agent) tlsFiles(t TLSRuntime) rpc.TLSFiles {
	f := rpc.TLSFiles{CA: t.CAFile, Cert: t.CertFile, Key: t.KeyFile}
	if t.VerifyServerHostname {
		f.ServerName = a.rt.ServerName()
	}
	return f
}

func (a *agent) listenRPC() error {
	var err error
	if a.rt.TLS.RPC {
		if a.tls, err = rpc.NewTLS(a.tlsFiles(a.rt.TLS)); err != nil {
			return err
		}
	}
	if a.rpc, err = rpc.NewServer(a.rt.RPC.Bind, a.tls, a.logger); err != nil {
		return err
	}
	a.rpcAddr = chosen(a.rt.RPC.Advertise, a.rpc.Addr())
	a.pool = rpc.NewPool(a.tls)
	a.pool.SetLocal(a.rpcAddr, a.rpc)
	return nil
}

// chosen fills in the port that the kernel chose where the configuration left it to it.
func chosen(advertise string, listening net.Addr) string {
	host, port, err := net.SplitHostPort(advertise)
	if err != nil || port != "0" {
		return advertise
	}
	_, port, _ = net.SplitHostPort(listening.String())
	return net.JoinHostPort(host, port)
}

// keepFinished is how long deleted instances and finished operations stay readable.
const keepFinished = 24 * time.Hour

func (a *agent) newServer() error {
	id, err := persistentID(filepath.Join(a.rt.DataDir, "server-id"))
	if err != nil {
		return err
	}
	s := a.rt.Server
	cfg := cluster.Config{ID: structs.ServerID(id), Name: a.rt.Name, Region: a.rt.Region, DataDir: filepath.Join(a.rt.DataDir, "server"),
		BootstrapExpect: s.BootstrapExpect, Advertise: a.rpcAddr, LeaseTTL: s.LeaseTTL, TokenTTL: s.TokenTTL, ReclaimAfter: s.ReclaimInterval, OffloadAfter: s.ShelvedOffloadAfter, Workers: s.Scheduler.Workers,
		KeepFinished: keepFinished, HeartbeatInterval: s.HeartbeatInterval, Raft: consensus.Tuning{SnapshotThreshold: s.RaftSnapshotThreshold,
			SnapshotInterval: s.RaftSnapshotInterval, TrailingLogs: s.RaftTrailingLogs, Multiplier: s.RaftMultiplier}, Logger: a.logger}
	cfg.ImageCopies, cfg.ImageVerify = s.Image.Copies, s.Image.VerifyInterval
	a.addDuties(&cfg)
	if err := a.useGlance(&cfg); err != nil {
		return err
	}
	if a.images, err = imageOptions(&s.Image, a.glance, a.logger.Named("image")); err != nil {
		return err
	}
	cfg.ImageSource = a.images.Stores.OpenElsewhere
	a.server, err = cluster.NewServer(cfg, a.rpc, a.pool)
	return err
}

func (a *agent) startGossip(ctx context.Context) error {
	role, id, expect, hasState := "client", "", 0, false
	if a.server != nil {
		role, id, expect, hasState = "server", string(a.server.ID()), a.rt.Server.BootstrapExpect, a.server.HasState()
		if a.client != nil {
			role = "server+client"
		}
	}
	var err error
	a.gossip, err = gossip.New(gossip.Config{NodeName: a.rt.Name, BindAddr: a.rt.Serf.Bind, AdvertiseAddr: serfAdvertise(a.rt.Serf), Key: a.rt.Gossip.Encrypt,
		Snapshot: filepath.Join(a.rt.DataDir, "serf.snapshot"),
		Logger:   a.logger, Tags: gossip.Tags{Role: role, ID: id, Region: a.rt.Region, Zone: a.rt.Zone, RPCAddr: a.rpcAddr, HTTPAddr: a.httpURL(),
			Expect: expect, Version: version.Get().Version, Bootstrap: hasState}})
	if err != nil {
		return err
	}
	if len(a.rt.Gossip.RetryJoin) > 0 {
		j := joiner{GossipRuntime: a.rt.Gossip, join: a.gossip.Join, lonely: a.lonely, logger: a.logger}
		a.goRun(func() { j.run(ctx) })
	}
	return nil
}

// serfAdvertise leaves the address to Serf where the kernel is to choose the port.
func serfAdvertise(e Endpoint) string {
	if _, port, err := net.SplitHostPort(e.Advertise); err == nil && port != "0" {
		return e.Advertise
	}
	return ""
}

// lonely reports whether this agent knows no living server but itself.
func (a *agent) lonely() bool {
	for _, m := range a.gossip.Servers() {
		if m.Tags.RPCAddr != a.rpcAddr {
			return false
		}
	}
	return true
}

// servers returns the RPC addresses of living servers, this agent's own first.
func (a *agent) servers() []string {
	var out []string
	if a.server != nil {
		out = append(out, a.rpcAddr)
	}
	if a.gossip == nil {
		return out
	}
	for _, m := range a.gossip.Servers() {
		if m.Tags.RPCAddr != a.rpcAddr && m.Tags.Region == a.rt.Region {
			out = append(out, m.Tags.RPCAddr)
		}
	}
	return out
}

// stop ends everything in the reverse order of its start; guests go on. What was never started is left out.
func (a *agent) stop() {
	if a.http != nil {
		if err := a.http.close(); err != nil {
			a.logger.Warn("HTTP requests were cut off", "error", err)
		}
	}
	if a.client != nil {
		a.client.Close(true)
	}
	if a.drivers != nil {
		a.drivers.close()
	}
	if a.gossip != nil {
		if err := a.gossip.Leave(); err != nil {
			a.logger.Debug("cannot leave gossip in good order", "error", err)
		}
		_ = a.gossip.Close()
	}
	a.wg.Wait()
	if a.rpc != nil {
		defer a.rpc.Close()
	}
	if a.server != nil {
		if err := a.server.Close(true); err != nil {
			a.logger.Error("cannot stop the server in good order", "error", err)
		}
	}
	if a.pool != nil {
		a.pool.Close()
	}
	if a.lock != nil {
		_ = a.lock.Close()
	}
}

var _ nomadlike.Core = (*cluster.Server)(nil)
