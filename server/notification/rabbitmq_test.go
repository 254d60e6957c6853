package notification

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/command/ca"
)

// rabbit is a RabbitMQ server of a test's own: its own directory, ports, node name and epmd.
type rabbit struct {
	t          *testing.T
	dir        string
	port, tls  string
	env        []string
	server     *exec.Cmd
	epmd       *exec.Cmd
	serverBin  string
	serverDone chan struct{}
	log        bytes.Buffer
}

const rabbitTest = "KILONOVA_TEST_RABBITMQ"

// newRabbit prepares a server that does not run yet.
func newRabbit(t *testing.T) *rabbit {
	if os.Getenv(rabbitTest) != "1" {
		t.Skip("set " + rabbitTest + "=1 to test with a real RabbitMQ (package rabbitmq-server)")
	}
	b := &rabbit{t: t, serverBin: "/usr/lib/rabbitmq/bin/rabbitmq-server"} // the one in PATH is a wrapper that changes the user
	_, err := os.Stat(b.serverBin)
	require.NoError(t, err, "rabbitmq-server is not installed; scripts/deps/install test installs it")
	// Names of Unix sockets and nodes are short, so the directory's is.
	b.dir, err = os.MkdirTemp("", "knmq")
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(b.dir)) })
	b.port, b.tls = port(t), port(t)
	epmdPort, distPort := port(t), port(t)
	b.certificates()
	conf := fmt.Sprintf("listeners.tcp.1 = 127.0.0.1:%s\nlisteners.ssl.1 = 127.0.0.1:%s\nssl_options.cacertfile = %s/ca.pem\nssl_options.certfile = %s/cert.pem\n"+
		"ssl_options.keyfile = %s/key.pem\nvm_memory_high_watermark.relative = 0.9\ndisk_free_limit.absolute = 1MB\nlog.console = true\nlog.file = false\n", b.port, b.tls, b.dir, b.dir, b.dir)
	b.write("rabbitmq.conf", conf)
	b.write("enabled_plugins", "[].\n")
	b.env = append(os.Environ(), "HOME="+b.dir, "ERL_EPMD_PORT="+epmdPort, "ERL_EPMD_ADDRESS=127.0.0.1", "RABBITMQ_NODENAME=kn"+epmdPort+"@localhost",
		"RABBITMQ_NODE_PORT="+b.port, "RABBITMQ_DIST_PORT="+distPort, "RABBITMQ_MNESIA_BASE="+b.dir+"/mnesia", "RABBITMQ_LOG_BASE="+b.dir+"/log",
		"RABBITMQ_CONFIG_FILE="+b.dir+"/rabbitmq.conf", "RABBITMQ_ENABLED_PLUGINS_FILE="+b.dir+"/enabled_plugins", "RABBITMQ_CONF_ENV_FILE="+b.dir+"/none",
		"RABBITMQ_GENERATED_CONFIG_DIR="+b.dir+"/generated", "RABBITMQ_PID_FILE="+b.dir+"/pid", "RABBITMQ_SCHEMA_DIR="+b.dir+"/schema",
		"RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=-kernel inet_dist_use_interface {127,0,0,1}", "RABBITMQ_IO_THREAD_POOL_SIZE=4")
	b.epmd = exec.Command("epmd", "-port", epmdPort) // so that Erlang does not start one that outlives the test
	b.epmd.Env = b.env
	must(t, b.epmd.Start())
	t.Cleanup(b.clean)
	return b
}

func (b *rabbit) write(name, text string) {
	must(b.t, os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o600))
}

func (b *rabbit) certificates() {
	authority, root, err := ca.New("test", time.Hour)
	must(b.t, err)
	pair, err := authority.Issue(ca.Request{Roles: []ca.Role{ca.Server}, Region: "north", Names: []string{"localhost", "127.0.0.1"}, Lifetime: 30 * time.Minute})
	must(b.t, err)
	b.write("ca.pem", string(root.Certificate))
	b.write("cert.pem", string(pair.Certificate))
	b.write("key.pem", string(pair.Key))
}

// port returns one that was free a moment ago.
func port(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	_, p, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	return p
}

func (b *rabbit) url() string { return "amqp://guest:guest@127.0.0.1:" + b.port + "/" }

// start starts the server and waits until it takes connections.
func (b *rabbit) start() {
	b.server = exec.Command(b.serverBin)
	b.server.Env, b.server.Stdout, b.server.Stderr = b.env, &b.log, &b.log
	b.server.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	must(b.t, b.server.Start())
	b.serverDone = make(chan struct{})
	go func(done chan struct{}, server *exec.Cmd) {
		defer close(done)
		_ = server.Wait()
	}(b.serverDone, b.server)
	up := false
	for deadline := time.Now().Add(90 * time.Second); !up && time.Now().Before(deadline); {
		select {
		case <-b.serverDone:
			b.t.Fatalf("RabbitMQ ended: %s", b.log.String())
		case <-time.After(50 * time.Millisecond):
		}
		if conn, err := amqp.Dial(b.url()); err == nil {
			_ = conn.Close()
			up = true
		}
	}
	require.True(b.t, up, "RabbitMQ does not answer")
}

// kill ends the server as a power cut does.
func (b *rabbit) kill() {
	if b.server != nil {
		_ = syscall.Kill(-b.server.Process.Pid, syscall.SIGKILL)
		<-b.serverDone
		b.server = nil
	}
	require.Eventually(b.t, func() bool { return len(b.processes()) <= 1 }, 20*time.Second, 20*time.Millisecond, "processes of RabbitMQ are left")
}

// clean ends everything and fails the test when a process is left.
func (b *rabbit) clean() {
	b.kill()
	_ = b.epmd.Process.Kill()
	_ = b.epmd.Wait()
	require.Eventually(b.t, func() bool { return len(b.processes()) == 0 }, 20*time.Second, 20*time.Millisecond, "processes of RabbitMQ are left")
}

// processes are those that have the test's directory in their environment.
func (b *rabbit) processes() (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range all {
		if env, err := os.ReadFile(path); err == nil && bytes.Contains(env, []byte("HOME="+b.dir+"\x00")) {
			pids = append(pids, path)
		}
	}
	return pids
}

// listener reads a queue as oslo.messaging does.
type listener struct {
	t       *testing.T
	conn    *amqp.Connection
	channel *amqp.Channel
	in      <-chan amqp.Delivery
}

func (b *rabbit) listen(queue string) *listener {
	l := &listener{t: b.t}
	var err error
	l.conn, err = amqp.Dial(b.url())
	must(b.t, err)
	b.t.Cleanup(func() { _ = l.conn.Close() })
	l.channel, err = l.conn.Channel()
	must(b.t, err)
	l.in, err = l.channel.Consume(queue, "", false, false, false, false, nil)
	must(b.t, err)
	return l
}

// next returns the next message, unpacked and acknowledged.
func (l *listener) next() map[string]any {
	l.t.Helper()
	select {
	case d, ok := <-l.in:
		require.True(l.t, ok, "the connection ended")
		require.Equal(l.t, "application/json", d.ContentType)
		require.Equal(l.t, "utf-8", d.ContentEncoding)
		var outer map[string]string
		must(l.t, json.Unmarshal(d.Body, &outer))
		require.Equal(l.t, "2.0", outer["oslo.version"])
		require.Len(l.t, outer, 2)
		var inner map[string]any
		must(l.t, json.Unmarshal([]byte(outer["oslo.message"]), &inner))
		require.Equal(l.t, d.MessageId, inner["message_id"])
		require.Equal(l.t, strings.ReplaceAll(d.MessageId, "-", ""), inner["_unique_id"])
		must(l.t, d.Ack(false))
		return inner
	case <-time.After(60 * time.Second):
		l.t.Fatal("nothing comes")
		return nil
	}
}

func displayName(n map[string]any) string {
	return text(n["payload"].(map[string]any)[keyData].(map[string]any)["display_name"])
}

func queued(t *testing.T, b *rabbit, queue string) {
	t.Helper()
	require.Eventually(t, func() bool {
		conn, err := amqp.Dial(b.url())
		if err != nil {
			return false
		}
		defer conn.Close()
		ch, err := conn.Channel()
		if err != nil {
			return false
		}
		q, err := ch.QueueDeclarePassive(queue, false, false, false, false, nil)
		return err == nil && q.Messages > 0
	}, 60*time.Second, 50*time.Millisecond, "queue %s stays empty", queue)
}

// A real broker: one that starts late, gets errors and the rest by their topics, is killed in the middle and comes back.
func TestRabbitMQ(t *testing.T) {
	b := newRabbit(t)
	w := newWorld(t)
	w.script("host create")
	sink := NewAMQP(AMQPConfig{Name: "bus", URL: b.url(), Exchange: "nova", Topics: []string{"versioned_notifications"}, Durable: true, Timeout: 10 * time.Second})
	r := NewRunner(Config{Settings: w.settings, Logger: w.runner(nil).cfg.Logger, Routes: []Route{{Sink: sink, Events: []string{"instance.update", "instance.*.error"}}},
		FirstRetry: 20 * time.Millisecond, LastRetry: 200 * time.Millisecond})
	stop := runIn(t, r, w.core)
	w.renames(1, 3)
	eventually(t, func() bool { return r.workers[0].failed.Load() > 2 }, "there is no broker, and nothing fails")
	b.start()
	queued(t, b, "versioned_notifications.info")
	info := b.listen("versioned_notifications.info")
	for _, name := range renamed(1, 3) {
		n := info.next()
		require.Equal(t, "instance.update", n["event_type"])
		require.Equal(t, "INFO", n["priority"])
		require.Equal(t, name, displayName(n))
	}
	w.script("reboot-hard!")
	queued(t, b, "versioned_notifications.error")
	require.Equal(t, "instance.reboot.error", b.listen("versioned_notifications.error").next()["event_type"])
	must(t, info.channel.ExchangeDeclarePassive("nova", "topic", true, false, false, false, nil))

	w.renames(10, 30)
	eventually(t, func() bool { return r.workers[0].delivered.Load() > 10 }, "nothing is delivered")
	b.kill()
	w.renames(31, 40)
	failures := r.workers[0].failed.Load()
	eventually(t, func() bool { return r.workers[0].failed.Load() > failures+2 }, "the broker is gone, and nothing fails")
	b.start()
	again := b.listen("versioned_notifications.info")
	want, seen := renamed(10, 40), map[string]bool{}
	for len(want) > 0 {
		name := displayName(again.next())
		if name == want[0] {
			want = want[1:]
		} else {
			require.True(t, seen[name] || !strings.HasPrefix(name, "name-") || name == "name-3", "%s came before %s", name, want[0])
		}
		seen[name] = true
	}
	stop()
	require.Zero(t, r.workers[0].dropped.Load())
}

// Over TLS, with Nova's defaults, and with wrong passwords that are not told.
func TestRabbitMQOverTLS(t *testing.T) {
	b := newRabbit(t)
	b.start()
	w := newWorld(t)
	w.script("host create")
	n := w.last("instance.update")
	url := "amqps://guest:guest@localhost:" + b.tls + "/?cacertfile=" + b.dir + "/ca.pem"
	sink := NewAMQP(AMQPConfig{Name: "tls", URL: url, Exchange: "nova", Topics: []string{"versioned_notifications", "second"}, Timeout: 10 * time.Second})
	must(t, sink.Deliver(t.Context(), n))
	require.Equal(t, n.MessageID, b.listen("second.info").next()["message_id"])
	require.Equal(t, n.MessageID, b.listen("versioned_notifications.info").next()["message_id"])
	sink.Close()
	must(t, sink.Deliver(t.Context(), n)) // it opens again
	sink.Close()
	for _, bad := range []AMQPConfig{
		{URL: strings.Replace(url, "guest:guest", "guest:hunter2", 1)},
		{URL: "amqps://guest:hunter2@localhost:" + b.tls + "/"}, // an authority that is not trusted
		{URL: "amqp://guest:hunter2@127.0.0.1:1/"},
		{URL: url, Durable: true}, // the exchange is declared otherwise
	} {
		bad.Exchange, bad.Topics, bad.Timeout = "nova", []string{"versioned_notifications"}, 5*time.Second
		sink := NewAMQP(bad)
		err := sink.Deliver(t.Context(), n)
		require.Error(t, err)
		require.NotErrorIs(t, err, ErrRefused)
		require.NotContains(t, err.Error(), "hunter2")
		sink.Close()
	}
}

// A broker that accepts connections and says nothing is given up after the timeout, and at once when leadership ends.
func TestAMQPSilence(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	var open []net.Conn
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			open = append(open, c)
		}
	}()
	defer func() {
		_ = l.Close()
		<-done
		for _, c := range open {
			_ = c.Close()
		}
	}()
	w := newWorld(t)
	w.script("host create")
	sink := NewAMQP(AMQPConfig{Name: "silent", URL: "amqp://guest:hunter2@" + l.Addr().String() + "/", Exchange: "nova", Topics: []string{"x"}, Timeout: 50 * time.Millisecond})
	r := w.runner(nil, sink)
	stop := runIn(t, r, w.core)
	w.renames(1, 1)
	eventually(t, func() bool { return r.workers[0].failed.Load() > 1 }, "it waits for ever")
	stop()
	long := NewAMQP(AMQPConfig{Name: "long", URL: "amqp://guest:hunter2@" + l.Addr().String() + "/", Exchange: "nova", Topics: []string{"x"}, Timeout: time.Hour})
	r = w.runner(nil, long)
	stop = runIn(t, r, w.core)
	w.renames(2, 2)
	eventually(t, func() bool { return r.workers[0].lag() > 0 }, "nothing is to be delivered")
	stop()
	for _, bad := range []string{"", "http://x", "amqp://user:hunter2@ /"} {
		err := CheckAMQPURL(bad)
		require.Error(t, err, bad)
		require.NotContains(t, err.Error(), "hunter2")
	}
}
