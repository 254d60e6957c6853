package command

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/kilonova-cloud/kilonova/command/agent"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { os.Exit(code) }))
}

func TestEveryCommand(t *testing.T) {
	for name, make := range registry {
		t.Run(name, func(t *testing.T) {
			d := make()
			a := &adapter{definition: d, ctx: t.Context()}
			help := a.Help()
			require.True(t, strings.HasPrefix(help, "Usage: kilonova "+name), help)
			require.NotContains(t, help, "\t")
			for line := range strings.SplitSeq(help, "\n") {
				require.LessOrEqual(t, len(line), 80, "too wide: %q", line)
				require.Equal(t, strings.TrimRight(line, " "), line, "space at the end")
			}
			require.NotEmpty(t, d.synopsis)
			require.NotContains(t, d.synopsis, "\n")
			require.False(t, strings.HasSuffix(d.synopsis, "."), "a synopsis has no full stop")
			if d.agent {
				require.Contains(t, help, "General Options:")
			}
			if d.output {
				require.Contains(t, help, "-json")
			}
			if words := strings.Fields(name); len(words) > 1 {
				require.Contains(t, parents, strings.Join(words[:len(words)-1], " "), "its parent has no help of its own")
			}
		})
	}
}

func TestBadArguments(t *testing.T) {
	clearEnvironment(t)
	for _, c := range []struct{ line, want string }{
		{"nonsense", `There is no command "nonsense"`},
		{"instance nonsense", `There is no command "instance nonsense"`},
		{"version -nonsense", "flag provided but not defined: -nonsense"},
		{"version one", "at most 0 arguments, not 1"},
		{"version -json -t x", "choose one"},
		{"version -t {{", "unclosed action"},
		{"instance run", "takes one argument, not 0"},
		{"instance run a", "-flavor and -image are needed"},
		{"instance run -meta x a", "KEY=VALUE is right"},
		{"instance console -n -1 a", "-n -1 is negative"},
		{"instance resize a", "-flavor, -confirm or -revert is needed"},
		{"instance resize -revert -confirm a", "-revert stands alone"},
		{"instance resize -flavor x -confirm -detach a", "-detach cannot be had"},
		{"instance migrate", "takes one argument"},
		{"instance evacuate", "takes one argument"},
		{"migration status", "takes one argument"},
		{"migration abort", "takes one argument"},
		{"instance stop", "takes one argument"},
		{"image create a", "takes 2 arguments, not 1"},
		{"server join", "at least one argument"},
		{"host status a b", "at most one argument, not 2"},
		{"host delete", "takes one argument, not 0"},
		{"operator raft remove-peer", "takes one argument, not 0"},
		{"monitor -log-level loud", `-log-level "loud" is not known`},
		{"tls ca create -days 0", "1 or more is right"},
		{"tls cert create", "whom is it for?"},
		{"tls cert create -server -days 0", "1 or more is right"},
		{"identity bootstrap -openrc -json", "choose one"},
		{"identity bootstrap -password-stdin", "no password on stdin"},
		{"identity bootstrap -address nowhere", "is no agent's address"},
		{"driver", "takes one argument"},
		{"agent one", "at most 0 arguments"},
		{"agent -http-addr 80", "HOST:PORT such as"},
	} {
		r := run(t, strings.Fields(c.line)...)
		require.Equal(t, ExitUsage, r.code, "%s\n%s", c.line, r.err)
		require.Contains(t, r.err, c.want, c.line)
		require.Empty(t, r.out, c.line)
	}
}

func TestRefusalsBeforeAnyRequest(t *testing.T) {
	clearEnvironment(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0") // a port that nobody listens on, once it is closed
	require.NoError(t, err)
	nobody := "http://" + listener.Addr().String()
	require.NoError(t, listener.Close())
	require.NoError(t, os.WriteFile("clouds.yaml", []byte("clouds:\n  half: {}\n  away:\n    auth: {auth_url: '"+nobody+"/identity/v3', username: u, password: p, project_name: p, user_domain_name: D, project_domain_name: D}\n"), 0o600))
	for _, c := range []struct{ line, want string }{
		{"server members", "there are no credentials: name a cloud"},
		{"server members -cloud none", `cloud "none" not found`},
		{"server members -cloud half", `cloud "half" has no auth section`},
		{"server members -cloud away", "no agent can be reached at " + nobody},
		{"server members -cloud away -ca-cert none.pem", "none.pem: no such file"},
		{"identity bootstrap -address " + nobody, "no agent can be reached at " + nobody},
		{"image create a none.img", "none.img: no such file"},
		{"image create a .", "is a directory"},
		{"driver none", `no driver "none" is built in`},
		{"driver fake", "of no use by hand"},
		{"tls cert create -server", "`kilonova tls ca create` makes a CA"},
	} {
		r := run(t, strings.Fields(c.line)...)
		require.Equal(t, ExitFailed, r.code, "%s\n%s", c.line, r.err)
		require.Contains(t, r.err, c.want, c.line)
		require.Empty(t, r.out, c.line)
	}
}

func TestHelpAndVersion(t *testing.T) {
	r := run(t)
	require.Equal(t, 0, r.code)
	require.Contains(t, r.out, "Use the cloud:")
	require.NotContains(t, r.out, "driver")
	require.NotContains(t, r.out, "More:", "a command is in no group of help.go")
	require.Empty(t, r.err)
	require.Contains(t, run(t, "instance").out, "Create and start an instance")
	require.Equal(t, 0, run(t, "instance").code)
	require.Equal(t, 0, run(t, "operator", "raft").code)
	require.Contains(t, run(t, "instance", "run", "-help").out, "Usage: kilonova instance run")
	for _, args := range [][]string{{"version"}, {"-v"}, {"-version"}} {
		require.Contains(t, run(t, args...).out, "Kilonova 0.")
	}
	require.Regexp(t, `^go1\.`, run(t, "version", "-t", "{{.go}}").out)
	var info map[string]string
	require.NoError(t, json.Unmarshal([]byte(run(t, "version", "-json").out), &info))
	require.Contains(t, info, "commit")
}

func TestKeygen(t *testing.T) {
	r := run(t, "operator", "gossip", "keygen")
	key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(r.out))
	require.NoError(t, err)
	require.Len(t, key, 32)
	require.NotEqual(t, r.out, run(t, "operator", "gossip", "keygen").out)
}

func TestCertificates(t *testing.T) {
	clearEnvironment(t)
	r := run(t, "tls", "ca", "create")
	require.Equal(t, 0, r.code, r.err)
	require.Equal(t, "kilonova-ca.pem\nkilonova-ca-key.pem\n", r.out)
	info, err := os.Stat("kilonova-ca-key.pem")
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	require.Contains(t, run(t, "tls", "ca", "create").err, "kilonova-ca.pem exists")
	require.Equal(t, "server-0.pem\nserver-0-key.pem\n", run(t, "tls", "cert", "create", "-server", "-client", "-san", "10.0.0.1").out)
	require.Equal(t, "server-1.pem\nserver-1-key.pem\n", run(t, "tls", "cert", "create", "-server").out)
	require.Equal(t, "me.pem\nme-key.pem\n", run(t, "tls", "cert", "create", "-cli", "-name", "me").out)
	require.Contains(t, run(t, "tls", "cert", "create", "-client", "-days", "9999").err, "fewer days")

	dir, err := os.Getwd()
	require.NoError(t, err)
	set, flags := agent.NewFlagSet()
	conf := `data_dir = "` + dir + `/data"` + "\nbind_addr = \"127.0.0.1\"\nserver {\n enabled = true\n bootstrap_expect = 1\n}\ntls {\n http = true\n rpc = true\n ca_file = \"" +
		dir + "/kilonova-ca.pem\"\n cert_file = \"" + dir + "/server-0.pem\"\n key_file = \"" + dir + "/server-0-key.pem\"\n}\n"
	require.NoError(t, os.WriteFile("a.hcl", []byte(conf), 0o600))
	require.NoError(t, set.Parse([]string{"-config", "a.hcl"}))
	_, err = agent.LoadRuntime(*flags)
	require.NoError(t, err, "an agent must take what the commands make")
}

func TestAgentRefusesItsConfiguration(t *testing.T) {
	clearEnvironment(t)
	require.NoError(t, os.WriteFile("a.hcl", []byte("server {\n  enabled = true\n  bootstrap_expect = 2\n}"), 0o600))
	r := run(t, "agent", "-config", "a.hcl", "-data-dir", t.TempDir())
	require.Equal(t, ExitUsage, r.code)
	require.Contains(t, r.err, "  a.hcl:3,3: server.bootstrap_expect: 2 is even")
	require.Contains(t, run(t, "agent", "-help").out, "KILONOVA_ENCRYPT")
}

func TestBootstrapOnce(t *testing.T) {
	newCloud(t)
	r := runWith(t, t.Context(), "correct horse\n", "identity", "bootstrap", "-user", "root", "-password-stdin", "-json")
	require.Equal(t, 0, r.code, r.err)
	var admin map[string]string
	require.NoError(t, json.Unmarshal([]byte(r.out), &admin))
	require.Equal(t, "correct horse", admin["password"])
	require.Equal(t, "root", admin["user_name"])
	r = run(t, "identity", "bootstrap", "-openrc")
	require.Equal(t, ExitFailed, r.code)
	require.Empty(t, r.out)
	require.Contains(t, r.err, "administrator already")
}

func TestOpenrcRoundTrip(t *testing.T) {
	c := newCloud(t)
	c.login()
	t.Setenv("OS_PASSWORD", "it's secret")
	r := run(t, "openrc")
	require.Equal(t, 0, r.code, r.err)
	require.Contains(t, r.out, "export OS_AUTH_URL='"+c.url+"/identity/v3'\n")
	require.Contains(t, r.out, `export OS_PASSWORD='it'\''s secret'`)
	require.Contains(t, r.out, "export OS_USER_DOMAIN_NAME='Default'\n")
	require.NotContains(t, r.out, "OS_CACERT")
	t.Setenv("OS_CACERT", "")
	require.NoError(t, os.WriteFile("clouds.yaml", []byte("clouds:\n  c:\n    cacert: "+caFixture(t)+"\n    auth: {auth_url: '"+c.url+"/identity/v3', username: u}\n"), 0o600))
	require.Contains(t, run(t, "openrc", "-cloud", "c").out, "export OS_CACERT=")
}

func caFixture(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	require.Equal(t, 0, run(t, "tls", "ca", "create", "-dir", dir).code)
	return filepath.Join(dir, caFile)
}

func TestCluster(t *testing.T) {
	c := newCloud(t)
	c.login()
	require.Equal(t, "Name  Address         Role    Status  Leader  Version  Region  Zone\n"+
		"one   127.0.0.1:4748  server  alive   yes     9.9      -       -\n"+
		"two   127.0.0.2:4748  client  failed  -       -        -       z\n", run(t, "server", "members").out)
	require.Equal(t, "ID  Address         State     Voter\ns1  127.0.0.1:4747  leader    yes\ns2  127.0.0.2:4747  follower  no\n",
		run(t, "operator", "raft", "list-peers").out)
	require.Equal(t, "Joined: 0 of 1 answered.\n", run(t, "server", "join", "10.0.0.1").out)

	c.core.Info.LeaderID, c.core.Info.LeaderAddr = "", ""
	require.NotContains(t, run(t, "server", "members").out, "yes", "members can be listed without a leader")

	host := c.core.AddHost("h1")
	c.core.AddHost("h2")
	require.Contains(t, run(t, "host", "status").out, "h2    nova  up      fake    0          0/4000")
	require.Contains(t, run(t, "host", "status", string(host.ID[:8])).out, "Name            = h1\n")
	require.Equal(t, "h2\n", run(t, "host", "status", "h2", "-t", "{{.name}}").out)
	require.Contains(t, run(t, "host", "status", "h3").err, `no host has the id or name "h3"`)
	require.Contains(t, run(t, "host", "status", "").err, "2 hosts have ids that begin")
	require.Contains(t, run(t, "flavor", "list").out, "1   m1.tiny  1      128         1         yes")
}

func TestWhatIsGoneIsRemoved(t *testing.T) {
	c := newCloud(t)
	c.login()
	c.core.Removable = func(id structs.ServerID, force bool) error {
		if id == "s1" || !force {
			return structs.Errorf(structs.KindConflict, "not without force")
		}
		return nil
	}
	r := run(t, "operator", "raft", "remove-peer", "s2")
	require.Equal(t, ExitFailed, r.code)
	require.Contains(t, r.err, "Error: not without force")
	require.Contains(t, run(t, "operator", "raft", "remove-peer", "s3").err, `No Raft peer has the id "s3"`)
	require.Equal(t, ExitUsage, run(t, "operator", "raft", "remove-peer", "").code)
	r = run(t, "operator", "raft", "remove-peer", "-force", "s2")
	require.Equal(t, 0, r.code, r.err)
	require.Empty(t, r.out)
	require.Equal(t, "Removed: s2 is no longer a Raft peer.\n", r.err)
	require.NotContains(t, run(t, "operator", "raft", "list-peers").out, "s2")

	host := c.core.AddHost("h1")
	r = run(t, "host", "delete", "h1")
	require.Equal(t, ExitFailed, r.code)
	require.Contains(t, r.err, "Host h1 is up: stop its client first")
	propose(t, fsm.HostStatus, c.core, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: host.ID, Epoch: host.Epoch, Status: structs.HostDown}}})
	require.Contains(t, run(t, "host", "delete", "h2").err, `no host has the id or name "h2"`)
	require.Equal(t, ExitUsage, run(t, "host", "delete", "").code, "every id begins with nothing")
	r = run(t, "host", "delete", string(host.ID[:8]))
	require.Equal(t, 0, r.code, r.err)
	require.Empty(t, r.out)
	require.Equal(t, "Deleted: host h1 ("+string(host.ID)+").\n", r.err)
	require.Equal(t, "[]\n", run(t, "host", "status", "-json").out)
}

func TestUsersMayNotOperate(t *testing.T) {
	c := newCloud(t)
	c.login()
	t.Setenv("OS_PROJECT_NAME", "elsewhere")
	r := run(t, "server", "members")
	require.Equal(t, ExitFailed, r.code)
	require.Contains(t, r.err, "log in at "+c.url)
}

func TestLifeOfAnInstance(t *testing.T) {
	c := newCloud(t)
	c.login()
	c.core.AddHost("h1")
	c.work()
	image := c.upload("disk")
	require.Contains(t, run(t, "image", "list").out, image+"  disk  active  public      raw     1.0 MiB")

	r := run(t, "instance", "run", "-flavor", "m1.tiny", "-image", "disk", "-meta", "a=b", "one", "-t", "{{.id}} {{.status}} {{.flavor}} {{.metadata.a}}")
	require.Equal(t, 0, r.code, r.err)
	id, rest, _ := strings.Cut(r.out, " ")
	require.Equal(t, "ACTIVE m1.tiny b\n", rest)
	require.Contains(t, r.err, "build: accepted")
	require.Contains(t, r.err, "build: done, ACTIVE")
	require.NotContains(t, r.err, "\x1b", "no terminal, no escapes")

	for _, step := range [][2]string{{"stop", "SHUTOFF"}, {"start", "ACTIVE"}, {"reboot", "ACTIVE"}} {
		r := run(t, "instance", step[0], "one")
		require.Equal(t, 0, r.code, r.err)
		require.Equal(t, id+"  one  "+step[1]+"\n", r.out)
	}
	require.Contains(t, run(t, "instance", "start", "one").err, "(HTTP 409)")
	require.Contains(t, run(t, "instance", "list").out, id+"  one   ACTIVE  RUNNING  m1.tiny  h1")
	require.Contains(t, run(t, "instance", "list", "-status", "SHUTOFF", "-json").out, "[]")
	require.Contains(t, run(t, "instance", "status", id).out, "Name      = one\n")
	require.Contains(t, run(t, "instance", "status", "two").err, `no instance has the id or name "two"; `+"`kilonova instance list` lists them")
	require.Contains(t, run(t, "instance", "console", "one").out, "line 2\n")

	operations := run(t, "operation", "list", "-instance", id, "-t", "{{range .}}{{.kind}} {{.id}}\n{{end}}").out
	require.Contains(t, operations, "reboot-soft")
	var build string
	for line := range strings.SplitSeq(operations, "\n") {
		if kind, one, _ := strings.Cut(line, " "); kind == "create" {
			build = one
		}
	}
	require.Contains(t, run(t, "operation", "status", build[:13]).out, "Status          = succeeded\n")
	require.Contains(t, run(t, "operation", "status", build).out, "spawn")
	require.Contains(t, run(t, "operation", "status", "zz").err, "no operation has an id that begins")

	r = run(t, "instance", "delete", "one")
	require.Equal(t, 0, r.code, r.err)
	require.Empty(t, r.out)
	require.Contains(t, r.err, "delete: done, gone")
}

func TestInstanceThatCannotBeMade(t *testing.T) {
	c := newCloud(t)
	c.login()
	c.core.AddHost("h1")
	c.failWith(func(o *structs.Operation) string {
		if o.Status == structs.OpUndoing {
			return ""
		}
		return "the disk is full"
	})
	c.work()
	c.upload("disk")
	r := run(t, "instance", "run", "-flavor", "m1.tiny", "-image", "disk", "one")
	require.Equal(t, ExitFailed, r.code, r.err)
	require.Contains(t, r.err, "build: failed")
	require.Contains(t, r.err, "Error: build of instance ")
	require.Contains(t, r.err, "kilonova operation list -instance=")
	require.Empty(t, r.out)
	require.Contains(t, run(t, "instance", "run", "-flavor", "none", "-image", "disk", "x").err, `no flavor has the id or name "none"`)
	require.Contains(t, run(t, "instance", "run", "-flavor", "1", "-image", "none", "x").err, `no image has the id or name "none"`)
}

func TestInterruptedWaiting(t *testing.T) {
	c := newCloud(t)
	c.login() // no host works here: the build never ends
	c.upload("disk")
	require.Equal(t, 0, run(t, "instance", "run", "-flavor", "1", "-image", "disk", "-detach", "first").code)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs safeBuffer
	ended := make(chan int)
	go func() {
		ended <- Main(ctx, Env{Out: &out, Err: &errs}, []string{"instance", "run", "-flavor", "1", "-image", "disk", "second"})
	}()
	require.Eventually(t, func() bool { return strings.Contains(errs.String(), "build: accepted") }, 10*time.Second, 10*time.Millisecond)
	cancel()
	require.Equal(t, ExitInterrupted, <-ended)
	require.Contains(t, errs.String(), "what was asked for goes on")
	require.Empty(t, out.String())
	require.Contains(t, run(t, "instance", "list").out, "second  BUILD")
}

func TestWaitingWithoutTheStream(t *testing.T) {
	c := newCloud(t)
	c.login()
	c.core.AddHost("h1")
	c.work()
	c.upload("disk")
	r := run(t, "instance", "run", "-flavor", "1", "-image", "disk", "one")
	require.Equal(t, 0, r.code, r.err)
	// A stream that ends at once leaves the clock.
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	connection, err := (&session{Env: Env{Err: &safeBuffer{}}}).connect(ctx)
	require.NoError(t, err)
	connection.native = deafClient(t)
	compute, err := connection.compute()
	require.NoError(t, err)
	server, err := findInstance(ctx, compute, "one")
	require.NoError(t, err)
	changes := connection.follow(ctx, server.ID, nil)
	select {
	case <-changes:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody looked again")
	}
}

func TestUploadThatFails(t *testing.T) {
	c := newCloud(t)
	c.login()
	r := runWith(t, t.Context(), "QFI\xfb this is no qcow2", "image", "create", "bad", "-")
	require.Equal(t, ExitFailed, r.code)
	require.Contains(t, r.err, "Error: upload: ")
	require.Equal(t, "[]\n", run(t, "image", "list", "-json").out, "what could not be uploaded must be removed")
}

func TestMonitor(t *testing.T) {
	c := newCloud(t)
	c.login()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs safeBuffer
	ended := make(chan int)
	go func() { ended <- Main(ctx, Env{Out: &out, Err: &errs}, []string{"monitor", "-log-level", "warn"}) }()
	require.Eventually(t, func() bool {
		c.logger.Info("too quiet")
		c.logger.Warn("loud enough")
		return strings.Contains(out.String(), "loud enough")
	}, 10*time.Second, 20*time.Millisecond)
	cancel()
	require.Equal(t, 0, <-ended, errs.String())
	require.NotContains(t, out.String(), "too quiet")
}

func TestFollowConsole(t *testing.T) {
	c := newCloud(t)
	c.login()
	c.core.AddHost("h1")
	c.work()
	c.upload("disk")
	require.Equal(t, 0, run(t, "instance", "run", "-flavor", "1", "-image", "disk", "one").code)
	text := newText("first\n")
	c.core.Console = func(*structs.Instance, int) ([]byte, error) { return []byte(text.get()), nil }
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var out, errs safeBuffer
	ended := make(chan int)
	go func() { ended <- Main(ctx, Env{Out: &out, Err: &errs}, []string{"instance", "console", "-f", "one"}) }()
	for _, more := range []string{"first\n", "second\n", "third\n"} {
		require.Eventually(t, func() bool { return strings.HasSuffix(out.String(), more) }, 10*time.Second, 10*time.Millisecond)
		text.add(map[string]string{"first\n": "second\n", "second\n": "third\n"}[more])
	}
	cancel()
	require.Equal(t, 0, <-ended, errs.String())
	require.Equal(t, "first\nsecond\nthird\n", out.String())
}

func TestAfter(t *testing.T) {
	for _, c := range []struct {
		seen, output, fresh string
		whole               bool
	}{
		{"", "a", "a", true}, {"a", "ab", "b", true}, {"ab", "ab", "", true}, {"xab", "abc", "abc", false},
		{strings.Repeat("x", 5000) + "end", strings.Repeat("x", 4500) + "endmore", "more", true}, {"abc", "new", "new", false},
	} {
		fresh, whole := after(c.seen, c.output)
		require.Equal(t, c.fresh, fresh)
		require.Equal(t, c.whole, whole)
	}
}

func TestGuessFormat(t *testing.T) {
	iso := make([]byte, formatHead)
	copy(iso[32769:], "CD001")
	for text, want := range map[string]string{"QFI\xfb": "qcow2", "KDMV": "vmdk", "conectix": "vhd", "vhdxfile": "vhdx", "": "raw", "x": "raw", string(iso): "iso"} {
		require.Equal(t, want, guessFormat([]byte(text), "x.img"))
	}
	require.Equal(t, "vhd", guessFormat(nil, "x.VHD"))
}

func TestMessagesOfEveryService(t *testing.T) {
	for body, want := range map[string]string{
		`{"badRequest": {"code": 400, "message": "m"}}`:                     "m",
		`{"error": {"code": 400, "title": "t", "message": "m"}}`:            "m",
		`{"code": 400, "title": "t", "message": "m"}`:                       "m",
		`{"code": "400 t", "title": "t", "message": "m<br /><br />\n\n\n"}`: "m",
		`<html>`: "", `{}`: "", `[]`: "",
	} {
		require.Equal(t, want, messageIn([]byte(body)))
	}
}
