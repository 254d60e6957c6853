package driver

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

const (
	defaultOrphanTimeout = 15 * time.Minute
	// unclaimedTimeout is for a plugin that no agent has connected to yet: the one that started it died before it wrote
	// down how to re-attach, so that nobody will come.
	unclaimedTimeout = time.Minute
)

// ServeConfig says what a plugin program serves.
type ServeConfig struct {
	// Name is the driver's name as in the agent's configuration: libvirt, fake, ...
	Name string
	// New makes the Driver of one host. It is called once for each host name that the agent's calls carry, most often
	// once in all, and must not block: what can fail belongs in Configure. A Driver that is also an io.Closer is closed
	// before the program ends.
	New func(hclog.Logger) Driver
	// Logger is nil for JSON lines on stderr, which the agent sends to a file, at the level in EnvLogLevel.
	Logger hclog.Logger
	// OrphanTimeout is how long the plugin goes on without any agent connected; 0 is 15 minutes. Guests are not touched
	// when it ends.
	OrphanTimeout time.Duration
}

// Serve runs a plugin program until the agent shuts it down, it gets SIGTERM, or it has been an orphan for too long. It
// outlives the agent: a later agent re-attaches to it.
//
// There is no AutoMTLS, on purpose: go-plugin keeps both ends' keys in the memory of the two processes, and an agent that
// died has taken its own along, so that the next one could never re-attach. What stands in for it is a socket in a
// directory of the agent's user and a token that the agent keeps beside the re-attach information.
func Serve(config ServeConfig) error {
	if config.Name == "" || config.New == nil {
		return errors.New("driver.Serve: Name and New are required")
	}
	if os.Getenv(Handshake.MagicCookieKey) != Handshake.MagicCookieValue {
		return fmt.Errorf("this is the %s driver plugin of Kilonova: the agent starts it, it is of no use by hand", config.Name)
	}
	if os.Getenv("PLUGIN_CLIENT_CERT") != "" {
		return errors.New("this plugin cannot be started with AutoMTLS: it could never be re-attached")
	}
	orphanTimeout, err := orphanTimeout(config.OrphanTimeout)
	if err != nil {
		return err
	}
	// A write to a pipe whose reader died with the agent must be an error, not the end of the plugin.
	signal.Ignore(syscall.SIGPIPE, syscall.SIGHUP)

	logger := config.Logger
	if logger == nil {
		logger = defaultLogger(config.Name)
	}
	service := NewService(config.Name, config.New, logger)
	stderr := os.Stderr
	connections := newConnections(orphanTimeout, func() {
		// go-plugin points os.Stdout and os.Stderr at pipes of its own, which fill up and then block the writer while no
		// agent is connected. A connection comes after it did that and before the first Driver exists.
		os.Stdout, os.Stderr = stderr, stderr
	})
	defer connections.close()

	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  Handshake,
		VersionedPlugins: map[int]plugin.PluginSet{ProtocolVersion: {pluginName: &goPlugin{service: service}}},
		Logger:           logger.Named("plugin"),
		GRPCServer: func(options []grpc.ServerOption) *grpc.Server {
			options = append(options, serverOptions(os.Getenv(EnvToken))...)
			server := grpc.NewServer(append(options, grpc.Creds(connections))...)
			stopOnTerm(server, logger)
			connections.onOrphan(func(idle time.Duration) {
				logger.Warn("no agent is connected: ending; guests go on", "after", idle)
				server.Stop()
			})
			return server
		},
	})
	return service.Close()
}

func orphanTimeout(configured time.Duration) (time.Duration, error) {
	if v := os.Getenv(EnvOrphanTimeout); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d <= 0 {
			return 0, fmt.Errorf("%s=%q: a positive duration such as 15m is right", EnvOrphanTimeout, v)
		}
		return d, nil
	}
	if configured > 0 {
		return configured, nil
	}
	return defaultOrphanTimeout, nil
}

func defaultLogger(name string) hclog.Logger {
	level := hclog.LevelFromString(os.Getenv(EnvLogLevel))
	if level == hclog.NoLevel {
		level = hclog.Info
	}
	return hclog.New(&hclog.LoggerOptions{Name: name, Level: level, Output: os.Stderr, JSONFormat: true})
}

var termOnce sync.Once

// stopOnTerm makes SIGTERM end the plugin in order. The goroutine lives as long as the process.
func stopOnTerm(server *grpc.Server, logger hclog.Logger) {
	termOnce.Do(func() {
		ch := make(chan os.Signal, 1)
		signal.Notify(ch, syscall.SIGTERM)
		go func() {
			<-ch
			logger.Info("terminated: ending; guests go on")
			server.Stop()
		}()
	})
}
