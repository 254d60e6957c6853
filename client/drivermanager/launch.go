package drivermanager

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"

	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// live is a plugin process and this agent's connection to it.
type live struct {
	proc       *process
	client     *plugin.Client
	conn       *driver.Connection
	record     *record
	reattached bool
	since      time.Time
}

func (l *live) ended() bool {
	select {
	case <-l.proc.exited:
		return true
	default:
		return false
	}
}

// describeTimeout is for the first answer of a plugin that has just been connected to.
const describeTimeout = 10 * time.Second

// bring returns a live plugin: the one that the record is about when it is there and fit, else a new one.
func bring(ctx context.Context, c *Config) (*live, error) {
	r, err := loadRecord(c)
	if err != nil {
		c.Logger.Warn("cannot re-attach: the re-attach information cannot be read", "error", err)
	}
	if r != nil {
		l, err := attach(ctx, c, r)
		if err == nil {
			return l, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if !errors.Is(err, errGone) {
			c.Logger.Warn("a driver plugin of an earlier agent is replaced", "pid", r.PID, "reason", err)
		}
		r.forget(c)
	}
	return launch(ctx, c)
}

// attach connects to the plugin of an earlier agent. When it answers an error the plugin is gone, or has been killed as it
// is of no more use. Killing is safe: adopt has made sure of the process.
func attach(ctx context.Context, c *Config, r *record) (*live, error) {
	proc, err := adopt(r)
	if err != nil {
		return nil, err
	}
	l, err := connectTo(ctx, c, r, proc)
	if err != nil && ctx.Err() == nil {
		err = errors.Join(err, end(proc))
	}
	if err != nil {
		proc.release()
		return nil, err
	}
	c.Logger.Info("re-attached to the driver plugin", "pid", r.PID, "launched", r.LaunchedAt)
	return l, nil
}

func connectTo(ctx context.Context, c *Config, r *record, proc *process) (*live, error) {
	sets := driver.PluginSets()
	versions := make(map[int]bool, len(sets))
	for v := range sets {
		versions[v] = true
	}
	if why := r.outdated(c, versions); why != "" {
		return nil, errors.New(why)
	}
	addr, err := r.addr()
	if err != nil {
		return nil, err
	}
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  driver.Handshake,
		Plugins:          sets[r.ProtocolVersion],
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		GRPCDialOptions:  driver.DialOptions(r.Token),
		Logger:           pluginLogger(c),
		Reattach: &plugin.ReattachConfig{
			Protocol: plugin.ProtocolGRPC, ProtocolVersion: r.ProtocolVersion, Addr: addr, Pid: r.PID,
			ReattachFunc: func() (runner.AttachedRunner, error) { return &attached{proc: proc}, nil },
		},
	})
	return connect(ctx, c, &live{client: client, proc: proc, record: r, reattached: true, since: r.LaunchedAt})
}

// connect dials and makes sure that it is our plugin that answers.
func connect(ctx context.Context, c *Config, l *live) (*live, error) {
	conn, err := driver.Connect(l.client)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, describeTimeout)
	defer cancel()
	who, err := conn.Client("").Describe(ctx)
	if err == nil && (who.Name != c.Name || who.PID != l.proc.pid) {
		err = fmt.Errorf("at its address answers %s, pid %d", who.Name, who.PID)
	}
	if err != nil {
		conn.Detach()
		return nil, err
	}
	l.conn = conn
	return l, nil
}

// launch starts a new plugin.
func launch(ctx context.Context, c *Config) (*live, error) {
	r := &record{
		Name: c.Name, BootID: bootID(), Token: newToken(), Command: c.Command, Program: programStamp(c.Command[0]),
		LaunchedAt: time.Now().UTC(),
	}
	var s *started
	client := plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  driver.Handshake,
		VersionedPlugins: driver.PluginSets(),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		GRPCDialOptions:  driver.DialOptions(r.Token),
		Logger:           pluginLogger(c),
		StartTimeout:     c.StartTimeout,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: socketParent(c)},
		RunnerFunc: func(_ hclog.Logger, template *exec.Cmd, dir string) (runner.Runner, error) {
			r.SocketDir = dir
			cmd := exec.Command(c.Command[0], c.Command[1:]...)
			cmd.Env = append(append(template.Env, c.Env...), driver.EnvToken+"="+r.Token)
			if c.OrphanTimeout > 0 {
				cmd.Env = append(cmd.Env, driver.EnvOrphanTimeout+"="+c.OrphanTimeout.String())
			}
			s = &started{config: c, cmd: cmd, record: r, ctx: ctx}
			return s, nil
		},
	})
	l, err := dial(ctx, c, client, &s)
	if err != nil {
		if s != nil && s.proc != nil {
			err = errors.Join(err, end(s.proc))
		}
		r.forget(c)
		return nil, fmt.Errorf("start driver plugin %s: %w", c.Name, err)
	}
	c.Logger.Info("started the driver plugin", "pid", r.PID, "command", c.Command)
	return l, nil
}

// dial starts the process through go-plugin, connects, and writes down how to re-attach.
func dial(ctx context.Context, c *Config, client *plugin.Client, s **started) (*live, error) {
	addr, err := client.Start()
	if err != nil {
		return nil, err
	}
	if !(*s).abandon() {
		return nil, ctx.Err()
	}
	r := (*s).record
	r.Network, r.Address, r.ProtocolVersion = addr.Network(), addr.String(), client.NegotiatedVersion()
	if err := r.save(c); err != nil {
		return nil, err
	}
	return connect(ctx, c, &live{client: client, proc: (*s).proc, record: r, since: r.LaunchedAt})
}

// maxSocketDir leaves room for go-plugin's own names under the 104 to 108 bytes that a socket's path may have.
const maxSocketDir = 60

// socketParent is where go-plugin makes the directory of the plugin's socket, for our user only. StateDir is better: a
// temporary directory may be private to this run of the agent's service.
func socketParent(c *Config) string {
	if len(c.StateDir) <= maxSocketDir {
		return c.StateDir
	}
	return os.TempDir()
}

// end kills a process and waits until it is gone.
func end(proc *process) error {
	if err := proc.kill(); err != nil {
		return err
	}
	timer := time.NewTimer(describeTimeout)
	defer timer.Stop()
	select {
	case <-proc.exited:
		return nil
	case <-timer.C:
		return fmt.Errorf("driver plugin, pid %d, does not end though it was killed", proc.pid)
	}
}

// detach leaves the plugin to a later agent.
func (l *live) detach() {
	l.conn.Detach()
	l.proc.release()
}

// killGrace is how long a plugin may take to end by itself. go-plugin asks it without a limit, which a plugin that hangs
// would use up.
const killGrace = 4 * time.Second

// kill ends the plugin, gracefully first, and removes what it leaves.
func (l *live) kill(c *Config) error {
	timer := time.AfterFunc(killGrace, func() { _ = l.proc.kill() })
	defer timer.Stop()
	l.client.Kill() // asks, waits for two seconds, then kills
	l.conn.Detach()
	if err := end(l.proc); err != nil {
		return err
	}
	l.record.forget(c)
	return nil
}

// pluginLogger is for go-plugin's own remarks, most of which are of no use to an operator.
func pluginLogger(c *Config) hclog.Logger {
	return filtered{c.Logger.Named("go-plugin")}
}

// filtered turns what go-plugin thinks worth a warning, such as that a plugin has ended, into debug: the supervisor says
// it in its own words.
type filtered struct{ hclog.Logger }

func (f filtered) Info(msg string, args ...any)  { f.Debug(msg, args...) }
func (f filtered) Warn(msg string, args ...any)  { f.Debug(msg, args...) }
func (f filtered) Error(msg string, args ...any) { f.Debug(msg, args...) }

// Named keeps the filter.
func (f filtered) Named(name string) hclog.Logger { return filtered{f.Logger.Named(name)} }
