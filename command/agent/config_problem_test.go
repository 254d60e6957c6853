package agent

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	serverBase = "data_dir = \"DIR/data\"\nserver {\n  enabled = true\n  bootstrap_expect = 1\n}\n"
	clientBase = "data_dir = \"DIR/data\"\nclient {\n  enabled = true\n  drivers = [\"fake\"]\n  retry_join = [\"a\"]\n}\n"
)

// notifying is a server with a block of notifications, which begins at line 6.
func notifying(text string) string {
	return "data_dir = \"DIR/data\"\nserver {\n  enabled = true\n  bootstrap_expect = 1\n  notifications {\n" + text + "\n}\n}"
}

// Each text has problems that must all be told, where they stand and what would be right. LINE:COLUMN and words.
var refusals = []struct {
	name, text string
	want       []string
}{
	{"unknown key with a near miss", serverBase + `zoen = "x"`, []string{`6,1: An argument named "zoen" is not expected here. Did you mean "zone"? Known here: bind_addr, data_dir`}},
	{"unknown key in a block", serverBase + "client {\n  enable = true\n}", []string{`7,3: client: An argument named "enable" is not expected here. Did you mean "enabled"? Known here: cpu_metrics, drivers, enabled`}},
	{"unknown block", serverBase + "clinet { }", []string{`6,1: Blocks of type "clinet" are not expected here. Did you mean "client"?`}},
	{"block as attribute", serverBase + "client = { enabled = true }", []string{`6,1: An argument named "client" is not expected here. Did you mean to define a block of type "client"?`}},
	{"wrong types", serverBase + "log_json = \"maybe\"\nports {\n  http = \"x\"\n  rpc = 1.5\n}", []string{"6,13: log_json: a bool is required", "8,11: ports.http: a number is required", "9,9: ports.rpc: value must be a whole number"}},
	{"list where text is right", serverBase + `zone = ["a"]`, []string{"6,8: zone: string required"}},
	{"variables and functions", serverBase + "zone = env.ZONE\nname = upper(\"a\")", []string{"6,8: zone: ", "7,8: name: "}},
	{"two blocks of one kind", serverBase + "server { }", []string{"6,1: server: a second block; the first is at "}},
	{"two plugins of one name", serverBase + "plugin \"a\" { path = \"/x\" }\nplugin \"a\" { }", []string{"7,1: plugin \"a\": a second block", "6,14: plugin \"a\".path: /x: no such file"}},
	{"plugin without a label", serverBase + "plugin { }", []string{"6,8: All plugin blocks must have 1 labels (name)."}},
	{"syntax", "server {", []string{"1,8: There is no closing brace"}},
	{"nothing enabled", `data_dir = "DIR/data"`, []string{"neither server nor client"}},
	{"no data_dir", "server {\n enabled = true\n bootstrap_expect = 1\n}", []string{"data_dir: is needed"}},
	{"relative data_dir", `data_dir = "data"` + "\n" + strings.SplitN(serverBase, "\n", 2)[1], []string{`1,1: data_dir: "data" is relative`}},
	{"data_dir is a file", `data_dir = "DIR/a.hcl"` + "\n" + strings.SplitN(serverBase, "\n", 2)[1], []string{"1,1: data_dir: DIR/a.hcl cannot be written: not a directory"}},
	{"even bootstrap_expect", "data_dir = \"DIR/data\"\nserver {\n  enabled = true\n  bootstrap_expect = 2\n  retry_join = [\"a\"]\n}", []string{"4,3: server.bootstrap_expect: 2 is even", "1 or 3 is right"}},
	{"negative bootstrap_expect", "data_dir = \"DIR/data\"\nserver {\n  enabled = true\n  bootstrap_expect = -1\n}", []string{"4,3: server.bootstrap_expect: -1 is negative"}},
	{"three servers without addresses", "data_dir = \"DIR/data\"\nserver {\n  enabled = true\n  bootstrap_expect = 3\n}", []string{"2,1: server.retry_join: 3 servers are to start a cluster"}},
	{"server that cannot be part of a cluster", "data_dir = \"DIR/data\"\nserver { enabled = true }", []string{"2,1: server.bootstrap_expect: without it"}},
	{"client without a server", "data_dir = \"DIR/data\"\nclient {\n  enabled = true\n  drivers = [\"fake\"]\n}", []string{"2,1: client.retry_join: a client that is no server as well"}},
	{"negative shelved_offload_after", "data_dir = \"DIR/data\"\nserver {\n  enabled = true\n  bootstrap_expect = 1\n  shelved_offload_after = \"-1h\"\n}",
		[]string{`5,3: server.shelved_offload_after: -1h is negative; "0s", a duration such as "1h", or "never" is right`}},
	{"console URLs", serverConsoles("vnc_url = \"consoles:6080\"\n    serial_url = \"http://c/\"\n    mks_url = \"https:///x\"\n    spice_url = \"http://c/#a\"\n    token_ttl = \"0s\""), []string{
		`6,5: server.consoles.vnc_url: "consoles:6080" is no URL of a page`, `7,5: server.consoles.serial_url: "http://c/" is no URL of a web socket`,
		`8,5: server.consoles.mks_url: "https:///x" is no URL of a page`, `9,5: server.consoles.spice_url: "http://c/#a" has a fragment`,
		"10,5: server.consoles.token_ttl: 0s is too short"}},
	{"image limits", "data_dir = \"DIR/data\"\nserver {\n  enabled = true\n  bootstrap_expect = 1\n  image {\n    image_size_total = -2\n    image_count_total = 0\n    image_count_uploading = -1\n  }\n}",
		[]string{"6,5: server.image.image_size_total: -2 is too small; -1 or more is right"}},
	{"imports and stores", "data_dir = \"DIR/data\"\nserver {\n  enabled = true\n  bootstrap_expect = 1\n  image {\n    enabled_import_methods = [\"glance-download\"]\n    task_time_to_live = \"1s\"\n    default_store = \"none\"\n" +
		"    web_download {\n      allowed_schemes = [\"ftp\"]\n      allowed_hosts = [\"0x7f.1\"]\n      disallowed_ports = [0]\n      allowed_networks = [\"10.1.2.3/8\"]\n    }\n" +
		"    s3 \"servers\" {\n      endpoint = \"s3.example.org\"\n      secret_key = \"hunter2\"\n    }\n  }\n}",
		[]string{`6,5: server.image.enabled_import_methods: "glance-download" is not known`, "7,5: server.image.task_time_to_live: 1s is too short", `8,5: server.image.default_store: there is no store "none"`,
			`10,7: server.image.web_download.allowed_schemes: "ftp" cannot be fetched`, `11,7: server.image.web_download.allowed_hosts: "0x7f.1" is no name`, "12,7: server.image.web_download.disallowed_ports: 0 is no port",
			`13,7: server.image.web_download.allowed_networks: "10.1.2.3/8" is no network`, `15,5: server.image.s3 "servers": is what the servers' own store is called`,
			`16,7: server.image.s3 "servers".endpoint: is no URL of an S3 server`, `server.image.s3 "servers".bucket: is missing`, `server.image.s3 "servers": has no keys`}},
	{"identity", "data_dir = \"DIR/data\"\nserver {\n  enabled = true\n  bootstrap_expect = 1\n  identity {\n    lockout_failure_attempts = -1\n    lockout_duration = \"x\"\n    password_regex = \"(?=a\"\n    password_hash_rounds = 31\n    max_project_tree_depth = 0\n    password_expires_days = 7\n    minimum_password_age = 7\n    disable_user_account_days_inactive = 40000\n  }\n}",
		[]string{"6,5: server.identity.lockout_failure_attempts: -1 is too small", `7,5: server.identity.lockout_duration: "x" is no duration`, "8,5: server.identity.password_regex: ",
			"9,5: server.identity.password_hash_rounds: 31 is too large", "10,5: server.identity.max_project_tree_depth: 0 is too small",
			"12,5: server.identity.minimum_password_age: 7 days", "13,5: server.identity.disable_user_account_days_inactive: 40000 is too large"}},
	{"encrypt no base64", serverBase + "client {\n encrypt = \"***\"\n enabled = true\n}", []string{"7,2: client.encrypt: is not base64", "keygen"}},
	{"encrypt too short", serverBase + "client {\n encrypt = \"YWJj\"\n enabled = true\n}", []string{"7,2: client.encrypt: holds 3 bytes; 32 bytes"}},
	{"two gossip keys", "data_dir = \"DIR/data\"\nserver {\n enabled = true\n bootstrap_expect = 1\n encrypt = \"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n}\n" +
		"client {\n enabled = true\n encrypt = \"BAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\"\n}", []string{"9,2: client.encrypt: differs from server.encrypt"}},
	{"retry_join", "data_dir = \"DIR/data\"\nclient {\n enabled = true\n retry_join = [\"a:99999\", \"http://x\", \"\", \"a b\"]\n}",
		[]string{`"a:99999" has no number from 1 to 65535`, `"http://x"`, `"" is no address`, `"a b" is no address`}},
	{"tls without files", serverBase + "tls {\n rpc = true\n}", []string{"6,1: tls.ca_file: is needed", "tls.cert_file: is needed", "tls.key_file: is needed", "tls ca create"}},
	{"tls files missing", serverBase + "tls {\n http = true\n cert_file = \"DIR/no.pem\"\n key_file = \"no.pem\"\n}",
		[]string{"8,2: tls.cert_file: DIR/no.pem: no such file or directory", `9,2: tls.key_file: "no.pem" is relative`}},
	{"tls files that do not fit", serverBase + "tls {\n rpc = true\n ca_file = \"DIR/acme\"\n cert_file = \"DIR/ca.pem\"\n key_file = \"DIR/agent-key.pem\"\n}",
		[]string{"8,2: tls.ca_file: DIR/acme has no certificate in it", "9,2: tls.cert_file: DIR/ca.pem and DIR/agent-key.pem: "}},
	{"verification without tls", serverBase + "tls {\n verify_https_client = true\n verify_server_hostname = true\n}",
		[]string{"7,2: tls.verify_https_client: there is no TLS", "8,2: tls.verify_server_hostname"}},
	{"notifications of a server", notifying("notify_on_state_change = \"all\"\nwebhook \"a.b\" {\nurl = \"ftp://user:hunter2@x\"\nevents = [\"[\"]\ntimeout = \"1ms\"\n}\n" +
		"webhook \"b\" {\nsecret_file = \"DIR/none\"\n}\namqp \"c\" {\nurl = \"http://user:hunter2@x\"\nurl_file = \"x\"\n}\namqp \"d e\" {\nurl_file = \"x\"\n}"),
		[]string{`6,1: server.notifications.notify_on_state_change: "all" is not known`, `8,1: server.notifications.webhook "a_b".url: is no URL of a web server`,
			`9,1: server.notifications.webhook "a_b".events: "[" is no pattern`, `10,1: server.notifications.webhook "a_b".timeout: 1ms is too short`,
			`12,1: server.notifications.webhook "b": has no URL`, `13,1: server.notifications.webhook "b".secret_file: DIR/none: no such file`,
			`17,1: server.notifications.amqp "c".url_file: stands beside url`, `16,1: server.notifications.amqp "c".url: is no URL of a message broker`,
			`19,1: server.notifications.amqp "d e": cannot be a name`, `20,1: server.notifications.amqp "d e".url_file: "x" is relative`}},
	{"usage audit", notifying(`usage_audit_period = "month@31"`), []string{`6,1: server.notifications.usage_audit_period: the offset of "month@31" is wrong; a number from 1 to 28`}},
	{"two webhooks of one name", notifying("webhook \"a\" { url = \"http://x\" }\nwebhook \"a\" { url = \"http://x\" }"), []string{`7,1: server.notifications.webhook "a": a second block`}},
	{"equal ports", serverBase + "ports {\n http = 4747\n}", []string{"ports.rpc: 4747 is also ports.http; three different ports"}},
	{"ports out of range", serverBase + "ports {\n http = 0\n rpc = 65536\n serf = -1\n}", []string{"7,2: ports.http: 0 cannot be a port", "8,2: ports.rpc", "9,2: ports.serf"}},
	{"addresses", serverBase + "bind_addr = \"localhost\"\naddresses {\n http = \"[::1]\"\n}\nadvertise {\n rpc = \"0.0.0.0\"\n serf = \"x:y\"\n}",
		[]string{`6,1: bind_addr: "localhost" is no IP address`, `8,2: addresses.http`, `11,2: advertise.rpc: "0.0.0.0" is every address`, `12,2: advertise.serf: "x:y"`}},
	{"durations", "data_dir = \"DIR/data\"\nserver {\n enabled = true\n bootstrap_expect = 1\n token_ttl = \"10\"\n}", []string{`5,2: server.token_ttl: "10" is no duration; a number with a unit such as "90s"`}},
	{"relative policy file", "data_dir = \"DIR/data\"\nserver {\n enabled = true\n bootstrap_expect = 1\n policy_file = \"policy.yaml\"\n}", []string{`5,2: server.policy_file: "policy.yaml" is relative; an absolute path is right`}},
	{"no policy file", "data_dir = \"DIR/data\"\nserver {\n enabled = true\n bootstrap_expect = 1\n policy_file = \"/no/policy.yaml\"\n}", []string{"5,2: server.policy_file: policy file: open /no/policy.yaml: no such file"}},
	{"short durations", "data_dir = \"DIR/data\"\nserver {\n enabled = true\n bootstrap_expect = 1\n token_ttl = \"1s\"\n lease_ttl = \"4s\"\n heartbeat_interval = \"3s\"\n}",
		[]string{"5,2: server.token_ttl: 1s is too short; 1m0s or more", "7,2: server.heartbeat_interval: 3s: one lost heartbeat"}},
	{"numbers", "data_dir = \"DIR/data\"\nserver {\n enabled = true\n bootstrap_expect = 1\n raft_multiplier = 11\n raft_trailing_logs = 0\n scheduler {\n  workers = 0\n  cpu_ratio = 0\n  filters = [\"A\", \"A\"]\n }\n}",
		[]string{"5,2: server.raft_multiplier: 11 is too large", "6,2: server.raft_trailing_logs: 0 is too small", "8,3: server.scheduler.workers", "9,3: server.scheduler.cpu_ratio", `10,3: server.scheduler.filters: "A" stands twice`}},
	{"client numbers", clientBase + "log_level = \"loud\"\n" + `name = "a/b"`, []string{`8,1: name: "a/b" cannot be a name`, `7,1: log_level: "loud" is not known; trace, debug`}},
	{"reserved", "data_dir = \"DIR/data\"\nclient {\n enabled = true\n retry_join = [\"a\"]\n state_dir = \"x\"\n reserved {\n  vcpus = -1\n }\n}", []string{"7,3: client.reserved.vcpus: -1 is too small; 0 or more", "5,2: client.state_dir"}},
	{"simulated hosts of libvirt", "data_dir = \"DIR/data\"\nclient {\n enabled = true\n retry_join = [\"a\"]\n simulated_hosts = 2\n}", []string{"5,2: client.simulated_hosts: only the fake driver"}},
	{"unknown driver", "data_dir = \"DIR/data\"\nclient {\n enabled = true\n retry_join = [\"a\"]\n drivers = [\"xen\", \"fake\", \"fake\"]\n}",
		[]string{`5,2: client.drivers: "xen" is not built in (fake, libvirt are)`, `5,2: client.drivers: names 3 (xen, fake, fake), but a host has one driver`}},
	{"no driver", "data_dir = \"DIR/data\"\nclient {\n enabled = true\n retry_join = [\"a\"]\n drivers = []\n}", []string{"5,2: client.drivers: is empty"}},
	{"two drivers", "data_dir = \"DIR/data\"\nclient {\n enabled = true\n retry_join = [\"a\"]\n drivers = [\"libvirt\", \"fake\"]\n}",
		[]string{`5,2: client.drivers: names 2 (libvirt, fake), but a host has one driver`, `drivers = ["libvirt"] is right`}},
	{"plugins", serverBase + "plugin \"xen\" { }\nplugin \"acme\" { path = \"DIR\" }\nplugin \"fake\" { args = [\"x\"] }\nplugin \"b\" { path = \"b\" }",
		[]string{`6,1: plugin "xen": is not built in`, `7,17: plugin "acme".path: DIR is no file`, `8,17: plugin "fake".args: a built-in driver takes no arguments`, `9,14: plugin "b".path: "b" is relative`}},
	{"blocks in a plugin's config", serverBase + "plugin \"fake\" {\n config {\n  a { }\n  b = nope\n }\n}", []string{`8,3: plugin "fake".config: `, "only attributes can stand here", `9,7: plugin "fake".config.b: `}},
}

func TestRefusalsNameThePlaceAndWhatIsRight(t *testing.T) {
	t.Parallel()
	for _, c := range refusals {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := fixtureDir(t)
			rt, problems := load(t, "-config", writeFile(t, dir, "a.hcl", c.text))
			require.Nil(t, rt)
			got := strings.ReplaceAll(problems.Error(), dir, "DIR")
			for _, want := range c.want {
				if placed.MatchString(want) {
					want = "DIR/a.hcl:" + want
				}
				require.Contains(t, got, want)
			}
			require.NotContains(t, got, "hunter2")
			require.Len(t, problems, len(wantedLines(got, c.want)), "unexpected problems in:\n%s", got)
		})
	}
}

var placed = regexp.MustCompile(`^[0-9]+,[0-9]+: `)

// wantedLines returns the lines that some expectation is in.
func wantedLines(text string, want []string) (lines []string) {
	for line := range strings.SplitSeq(text, "\n") {
		for _, w := range want {
			if strings.Contains(line, w) {
				lines = append(lines, line)
				break
			}
		}
	}
	return lines
}

func TestRefusalsInJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, problems := load(t, "-config", writeFile(t, dir, "a.json", "{\"server\": {\n\"enabld\": true},\n\"ports\": {\"http\": \"x\"}}"))
	require.Contains(t, problems.Error(), `a.json:2,1: server: No argument or block type is named "enabld"`)
	require.Contains(t, problems.Error(), "a.json:3,19: ports.http: a number is required")
}

func TestFlagsAreRefusedWithTheirNames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-hosts", "2"}, "-hosts: only holds together with -dev"},
		{[]string{"-dev", "-hosts", "-2"}, "-hosts: -2 is negative"},
		{[]string{"-dev", "-hosts", "2", "-driver", "libvirt"}, "-hosts: only the fake driver"},
		{[]string{"-dev", "-driver", "hyperv"}, "-driver: \"hyperv\" is not for trying out"},
		{[]string{"-dev", "-data-dir", "x"}, "-data-dir: data_dir: \"x\" is relative"},
		{[]string{"-dev", "-driver", "fake", "-rpc-addr", "127.0.0.1:4746"}, "-rpc-addr: ports.rpc: 4746 is also ports.http"},
		{[]string{"-dev", "-driver", "fake", "-rpc-addr", "localhost:1"}, "-rpc-addr: addresses.rpc: \"localhost\" is no IP address"},
		{[]string{"-config", "nowhere"}, "nowhere: no such file or directory"},
	} {
		rt, problems := load(t, c.args...)
		require.Nil(t, rt)
		require.Contains(t, problems.Error(), c.want)
	}
	for _, args := range [][]string{{"-http-addr", "4746"}, {"-http-addr", ":80"}, {"-bootstrap-expect", "x"}, {"-server=x"}, {"-hosts", "x"}} {
		set, _ := NewFlagSet()
		set.SetOutput(nowhere{})
		require.Error(t, set.Parse(args), fmt.Sprint(args))
	}
}

type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

func TestEmptyDirectory(t *testing.T) {
	t.Parallel()
	_, problems := load(t, "-config", t.TempDir())
	require.Contains(t, problems.Error(), "without any *.hcl or *.json")
}

func TestNoWayToChooseAnAddress(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	set, flags := NewFlagSet()
	require.NoError(t, set.Parse([]string{"-config", writeFile(t, dir, "a.hcl", serverBase)}))
	flags.machine, flags.Getenv = machine(), nil
	own := flags.machine.interfaces
	flags.machine.interfaces = func() ([]net.Addr, error) {
		one, err := own()
		return append(one, one...), err
	}
	_, err := LoadRuntime(*flags)
	require.ErrorContains(t, err, "2 addresses (192.168.7.8, 192.168.7.8); advertise.rpc with the one")
	flags.machine.interfaces = func() ([]net.Addr, error) { return nil, os.ErrPermission }
	_, err = LoadRuntime(*flags)
	require.ErrorContains(t, err, "permission denied")
	require.ErrorContains(t, err, `bind_addr = "127.0.0.1"`)
}

// FuzzConfig: no text makes the loader fail otherwise than by telling where the text is wrong.
func FuzzConfig(f *testing.F) {
	text, err := os.ReadFile(filepath.Join("testdata", "full.hcl"))
	require.NoError(f, err)
	f.Add(text, false)
	f.Add([]byte(`{"server": {"enabled": true}, "plugin": {"a": {"config": {"b": [1, null]}}}}`), true)
	for _, c := range refusals {
		f.Add([]byte(c.text), false)
	}
	f.Fuzz(func(t *testing.T, text []byte, asJSON bool) {
		name := "a.hcl"
		if asJSON {
			name = "a.json"
		}
		config, from, problems := parse(name, text)
		for _, p := range problems {
			require.True(t, strings.HasPrefix(p.Where, name+":"), "no place: %s", p)
			require.NotEmpty(t, p.What)
		}
		if config == nil {
			require.NotEmpty(t, problems)
			return
		}
		config.DataDir = nil // no directory of the fuzzer's choice
		config.Client = nil
		if config.Server != nil {
			config.Server.PolicyFile, config.Server.Notifications = nil, nil // no file of the fuzzer's choice
		}
		for _, plugin := range config.Plugins {
			plugin.Path = nil
		}
		l := &loaded{config: &Config{}, sources: sources{}}
		l.overlay(config, from)
		l.overlay(config, from)
		_, more := resolve(l, false, *machine())
		require.NotEmpty(t, more, "without data_dir it must be refused")
	})
}

func serverConsoles(settings string) string {
	return "data_dir = \"DIR/data\"\nserver {\n  enabled = true\n  bootstrap_expect = 1\n  consoles {\n    " + settings + "\n  }\n}"
}
