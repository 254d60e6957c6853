// Package gossip is Serf membership: who is there, with which role, and who seems gone. It is a hint; ownership rides on leases.
package gossip

import (
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/memberlist"
	"github.com/hashicorp/serf/serf"
)

// Config is what an agent's gossip needs.
type Config struct {
	NodeName      string
	BindAddr      string // host:port, TCP and UDP
	AdvertiseAddr string // host:port; "" is BindAddr
	Key           []byte // 16, 24 or 32 bytes; nil is plain text
	Tags          Tags
	Snapshot      string // file that remembers the members, so that a restarted agent finds them again; "" for none
	Local         bool   // all agents are on one machine: faster timings
	Logger        hclog.Logger
}

// Tags are what an agent says of itself.
type Tags struct {
	Role      string // server, client, or server+client
	ID        string // of the server or client
	Region    string
	Zone      string
	RPCAddr   string
	HTTPAddr  string
	Expect    int // bootstrap_expect of a server; 0 for none
	Version   string
	Bootstrap bool // the server has Raft state already
}

func (t Tags) encode() map[string]string {
	return map[string]string{"role": t.Role, "id": t.ID, "region": t.Region, "zone": t.Zone, "rpc": t.RPCAddr, "http": t.HTTPAddr,
		"expect": strconv.Itoa(t.Expect), "version": t.Version, "raft": strconv.FormatBool(t.Bootstrap)}
}

func decodeTags(m map[string]string) Tags {
	expect, _ := strconv.Atoi(m["expect"])
	return Tags{Role: m["role"], ID: m["id"], Region: m["region"], Zone: m["zone"], RPCAddr: m["rpc"], HTTPAddr: m["http"], Expect: expect,
		Version: m["version"], Bootstrap: m["raft"] == "true"}
}

// IsServer reports whether the agent runs a server.
func (t Tags) IsServer() bool { return t.Role == "server" || t.Role == "server+client" }

// Member is an agent as gossip knows it.
type Member struct {
	Name   string
	Addr   string
	Status string // alive, leaving, left, failed
	Tags   Tags
}

// Pool is this agent's membership.
type Pool struct {
	serf   *serf.Serf
	events chan serf.Event
	done   chan struct{}
	wg     sync.WaitGroup
	once   sync.Once // Close

	mu    sync.Mutex
	hooks []func([]Member)
}

// New joins nobody yet.
func New(cfg Config) (*Pool, error) {
	host, port, err := splitAddr(cfg.BindAddr)
	if err != nil {
		return nil, fmt.Errorf("gossip: bind address: %w", err)
	}
	sc := serf.DefaultConfig()
	sc.Init()
	sc.NodeName = cfg.NodeName
	sc.Tags = cfg.Tags.encode()
	sc.EnableNameConflictResolution = false
	sc.LeavePropagateDelay = 500 * time.Millisecond
	sc.SnapshotPath, sc.RejoinAfterLeave = cfg.Snapshot, true
	sc.MemberlistConfig = memberlist.DefaultLANConfig()
	if cfg.Local {
		sc.MemberlistConfig = memberlist.DefaultLocalConfig()
		sc.LeavePropagateDelay = 100 * time.Millisecond
	}
	sc.MemberlistConfig.BindAddr, sc.MemberlistConfig.BindPort = host, port
	sc.MemberlistConfig.AdvertisePort = port
	if cfg.AdvertiseAddr != "" {
		if sc.MemberlistConfig.AdvertiseAddr, sc.MemberlistConfig.AdvertisePort, err = splitAddr(cfg.AdvertiseAddr); err != nil {
			return nil, fmt.Errorf("gossip: advertise address: %w", err)
		}
	}
	if cfg.Key != nil {
		if sc.MemberlistConfig.Keyring, err = memberlist.NewKeyring(nil, cfg.Key); err != nil {
			return nil, fmt.Errorf("gossip: the encryption key must be 16, 24 or 32 bytes, not %d", len(cfg.Key))
		}
	}
	logger := cfg.Logger.Named("gossip").StandardLogger(&hclog.StandardLoggerOptions{InferLevels: true})
	sc.Logger, sc.MemberlistConfig.Logger = logger, logger
	p := &Pool{events: make(chan serf.Event, 256), done: make(chan struct{})}
	sc.EventCh = p.events
	if p.serf, err = serf.Create(sc); err != nil {
		return nil, fmt.Errorf("gossip: cannot start on %s: %w", cfg.BindAddr, err)
	}
	p.wg.Add(1)
	go p.run()
	return p, nil
}

func splitAddr(addr string) (string, int, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", 0, err
	}
	n, err := strconv.Atoi(port)
	return host, n, err
}

// OnChange adds a hook that is called, one call at a time, with the members that changed. It must not block for long.
func (p *Pool) OnChange(f func([]Member)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hooks = append(p.hooks, f)
}

func (p *Pool) run() {
	defer p.wg.Done()
	for {
		select {
		case e := <-p.events:
			me, ok := e.(serf.MemberEvent)
			if !ok {
				continue
			}
			changed := make([]Member, len(me.Members))
			for i, m := range me.Members {
				changed[i] = convert(m)
			}
			p.mu.Lock()
			hooks := p.hooks
			p.mu.Unlock()
			for _, f := range hooks {
				f(changed)
			}
		case <-p.done:
			return
		}
	}
}

func convert(m serf.Member) Member {
	return Member{Name: m.Name, Addr: net.JoinHostPort(m.Addr.String(), strconv.Itoa(int(m.Port))), Status: m.Status.String(), Tags: decodeTags(m.Tags)}
}

// Join gossips with the agents at addrs and returns how many answered.
func (p *Pool) Join(addrs []string) (int, error) {
	n, err := p.serf.Join(addrs, true)
	if err != nil && n == 0 {
		return 0, fmt.Errorf("gossip: cannot join any of %v: %w", addrs, err)
	}
	return n, nil
}

// Tags returns what this agent says of itself now.
func (p *Pool) Tags() Tags { return decodeTags(p.serf.LocalMember().Tags) }

// SetTags says something new of this agent.
func (p *Pool) SetTags(t Tags) error { return p.serf.SetTags(t.encode()) }

// Members returns everybody known, this agent too.
func (p *Pool) Members() []Member {
	var out []Member
	for _, m := range p.serf.Members() {
		out = append(out, convert(m))
	}
	return out
}

// Servers returns the servers that are alive.
func (p *Pool) Servers() []Member {
	var out []Member
	for _, m := range p.Members() {
		if m.Tags.IsServer() && m.Status == serf.StatusAlive.String() {
			out = append(out, m)
		}
	}
	return out
}

// Leave tells the others that this agent goes on purpose.
func (p *Pool) Leave() error { return p.serf.Leave() }

// Close stops gossiping. Without a Leave before it the others see a failure. Closing again does nothing.
func (p *Pool) Close() error {
	err := p.serf.Shutdown()
	p.once.Do(func() { close(p.done) })
	p.wg.Wait()
	return err
}
