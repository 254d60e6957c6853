package compute_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// made posts a server and returns the answer's id and the stored instance.
func (c *cloud) made(token, version string, server map[string]any, more map[string]any) *structs.Instance {
	c.tb.Helper()
	body := map[string]any{"server": server}
	for k, v := range more {
		body[k] = v
	}
	id := c.want(202, token, version, "POST", "/servers", body).json(c.tb)["server"].(map[string]any)["id"].(string)
	return c.core.Stale().Instance(structs.InstanceID(id))
}

func TestCreateStoresWhatWasAsked(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	h := c.core.AddHost("host-1")
	c.small()
	img := c.cirros()
	c.want(201, "alice", "2.2", "POST", "/os-keypairs", map[string]any{"keypair": map[string]any{"name": "k", "public_key": sshKey}})
	ins := c.made("alice", "2.104", map[string]any{"name": "Web Server_1.x", "flavorRef": "http://cloud/v2.1/flavors/1", "imageRef": strings.ToUpper(string(img.ID)),
		"networks": "none",
		"key_name": "k", "config_drive": "true", "user_data": "aGVs\nbG8=", "accessIPv4": "1.2.3.4", "accessIPv6": "fe80::1", "OS-DCF:diskConfig": "AUTO",
		"tags": []string{"b", "a", "b"}, "description": "d", "trusted_image_certificates": []string{"c"}, "availability_zone": "nova",
		"security_groups": []any{map[string]string{"name": "default"}},
		"block_device_mapping_v2": []any{map[string]any{"source_type": "image", "uuid": img.ID, "destination_type": "local", "boot_index": "0",
			"delete_on_termination": true}}},
		map[string]any{"OS-SCH-HNT:scheduler_hints": map[string]any{"same_host": "48e6a9f6-30af-47e0-bc04-acaed113bb4e", "_nova_check_type": "x", "mine": []string{"a", "b"}}})
	if ins.Name != "Web Server_1.x" || ins.Hostname != "web-server-1-x" || ins.Flavor.ID != "1" || ins.ImageID != img.ID || ins.ImageProps["my_own"] != "x" {
		t.Errorf("unexpected %+v", ins)
	}
	if ins.KeyName != "k" || len(ins.PublicKeys) != 1 || ins.PublicKeys[0] != sshKey || !ins.ConfigDrive || string(ins.UserData) != "hello" {
		t.Errorf("unexpected %+v", ins)
	}
	if ins.AccessIPv4 != "1.2.3.4" || ins.AccessIPv6 != "fe80::1" || ins.DiskConfig != "AUTO" || strings.Join(ins.Tags, " ") != "a b" || *ins.Description != "d" {
		t.Errorf("unexpected %+v", ins)
	}
	if ins.PinnedZone != "nova" || ins.ProjectID != aliceProject || ins.UserID != aliceUser || ins.Num == 0 || !strings.HasPrefix(ins.ReservationID, "r-") {
		t.Errorf("unexpected %+v", ins)
	}
	if string(ins.SchedulerHints) != `{"mine":["a","b"],"same_host":"48e6a9f6-30af-47e0-bc04-acaed113bb4e"}` {
		t.Errorf("hints %s", ins.SchedulerHints)
	}
	view := c.want(200, "admin", "2.104", "GET", "/servers/"+string(ins.ID), nil).json(t)["server"].(map[string]any)
	if got := fmt.Sprint(view["scheduler_hints"]); got != "map[mine:[a b] same_host:[48e6a9f6-30af-47e0-bc04-acaed113bb4e]]" {
		t.Errorf("hints %s", got)
	}
	if got := fmt.Sprint(view["image"].(map[string]any)["properties"]); got != "map[architecture:x86_64]" {
		t.Errorf("properties %s", got)
	}
	if got := view["OS-EXT-SRV-ATTR:user_data"]; got != "aGVsbG8=" {
		t.Errorf("user data %v", got)
	}
	byHost := c.made("admin", "2.74", map[string]any{"name": "x", "flavorRef": "1", "imageRef": img.ID, "networks": "none", "hypervisor_hostname": "host-1"}, nil)
	if byHost.RequestedHost != h.Name || byHost.PinnedZone != "" {
		t.Errorf("host %q in %q", byHost.RequestedHost, byHost.PinnedZone)
	}
	for zone, want := range map[string][2]string{"nova:host-1": {"nova", "host-1"}, "nova:host-1:host-1": {"nova", "host-1"}, "nova::host-1": {"nova", "host-1"},
		"mars:host-1": {"", "host-1"}, "nova:lost": {"nova", "lost"}} {
		got := c.made("admin", "", map[string]any{"name": "x", "flavorRef": "1", "imageRef": img.ID, "availability_zone": zone}, nil)
		if got.PinnedZone != want[0] || got.RequestedHost != want[1] {
			t.Errorf("%s: host %q in zone %q", zone, got.RequestedHost, got.PinnedZone)
		}
	}
}

func TestDescriptionBefore219IsTheName(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.small()
	img := c.cirros()
	server := map[string]any{"name": "vm", "flavorRef": 1, "imageRef": img.ID}
	if d := c.made("alice", "2.18", server, nil).Description; d == nil || *d != "vm" {
		t.Errorf("description %v", d)
	}
	if d := c.made("alice", "2.19", server, nil).Description; d != nil {
		t.Errorf("description %q", *d)
	}
}

func TestHostnames(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.small()
	img := c.cirros()
	propose(t, c.core, fsm.QuotaSet, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: aliceProject, Limits: structs.UnlimitedQuota()}})
	for name, want := range map[string]string{"a b": "a-b", "A.B": "a-b", "-x-": "x", "a!b$c": "abc", "żółw": "ów", strings.Repeat("n", 70): strings.Repeat("n", 63)} {
		if got := c.made("alice", "", map[string]any{"name": name, "flavorRef": "1", "imageRef": img.ID}, nil).Hostname; got != want {
			t.Errorf("%q: %q, want %q", name, got, want)
		}
	}
	ins := c.made("alice", "", map[string]any{"name": "日本", "flavorRef": "1", "imageRef": img.ID}, nil)
	if ins.Hostname != "server-"+string(ins.ID) {
		t.Errorf("hostname %q", ins.Hostname)
	}
	asked := c.made("alice", "2.94", map[string]any{"name": "x", "flavorRef": "1", "imageRef": img.ID, "networks": "none", "hostname": "web.example.com"}, nil)
	if asked.Hostname != "web.example.com" {
		t.Errorf("hostname %q", asked.Hostname)
	}
}

func TestCreateMany(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.small()
	img := c.cirros()
	body := func(more string) string {
		return `{"server": {"name": "vm", "flavorRef": "1", "imageRef": "` + string(img.ID) + `", ` + more + `}}`
	}
	reservation := c.want(202, "alice", "", "POST", "/servers", body(`"min_count": "2", "max_count": 3, "return_reservation_id": "True"`)).json(t)["reservation_id"].(string)
	if got := strings.Join(c.names("alice", "", "reservation_id="+reservation+"&sort_key=display_name&sort_dir=asc"), " "); got != "vm-1 vm-2 vm-3" {
		t.Errorf("names %s", got)
	}
	c.want(202, "alice", "", "POST", "/servers", body(`"min_count": 2, "max_count": 50`)) // the quota of ten has room for seven
	if got := c.names("alice", "", ""); len(got) != 10 || got[0] != "vm-7" {
		t.Errorf("names %v", got)
	}
	a := c.want(403, "alice", "", "POST", "/servers", body(`"min_count": 1`))
	if want := "Quota exceeded for instances: Requested 1, but already used 10 of 10 instances"; !strings.Contains(string(a.body), want) {
		t.Errorf("%s", a.body)
	}
	a = c.want(403, "bob", "", "POST", "/servers", body(`"min_count": 11`))
	if want := "Quota exceeded for instances: Requested 11, but already used 0 of 10 instances"; !strings.Contains(string(a.body), want) {
		t.Errorf("%s", a.body)
	}
	if got := c.names("bob", "", ""); len(got) != 0 {
		t.Errorf("bob has %v", got)
	}
}

// TestCreateMoreThanOneCommandHolds asks for so many instances with so much user data that they take several commands.
func TestCreateMoreThanOneCommandHolds(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.small()
	img := c.cirros()
	propose(t, c.core, fsm.QuotaSet, &structs.QuotaSetRequest{Quota: structs.Quota{ProjectID: aliceProject, Limits: structs.UnlimitedQuota()}})
	before := c.core.Stale().Index()
	c.want(202, "alice", "", "POST", "/servers", `{"server": {"name": "vm", "flavorRef": "1", "imageRef": "`+string(img.ID)+`", "min_count": 100, "user_data": "`+
		strings.Repeat("QUFB", 15000)+`"}}`)
	rd := c.core.Stale()
	names := map[string]bool{}
	for i := range rd.Instances(aliceProject) {
		names[i.Name] = true
	}
	if len(names) != 100 || !names["vm-1"] || !names["vm-100"] || rd.Index()-before < 5 {
		t.Errorf("%d names in %d commands", len(names), rd.Index()-before)
	}
}

func TestAdminPass(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.small()
	img := c.cirros()
	a := c.want(202, "alice", "", "POST", "/servers", map[string]any{"server": map[string]any{"name": "x", "flavorRef": "1", "imageRef": img.ID,
		"adminPass": "s3cret-of-mine"}})
	if !strings.Contains(string(a.body), `"adminPass":"s3cret-of-mine"`) {
		t.Errorf("%s", a.body)
	}
	if strings.Contains(string(c.state()), "s3cret-of-mine") {
		t.Error("the state has the password")
	}
}

func TestZeroDiskIsForAdministrators(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.addFlavor(structs.Flavor{ID: "0", Name: "zero", VCPUs: 1, MemoryMiB: 64, Public: true})
	img := c.cirros()
	c.made("admin", "", map[string]any{"name": "x", "flavorRef": "0", "imageRef": img.ID}, nil)
}

func TestImagesOfOthers(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.small()
	for visibility, status := range map[string]int{"public": 202, "community": 202, "private": 400, "shared": 400} {
		img := c.addImage(structs.Image{Name: visibility, Visibility: visibility})
		body := map[string]any{"server": map[string]any{"name": "x", "flavorRef": "1", "imageRef": img.ID}}
		c.want(status, "alice", "", "POST", "/servers", body)
		c.want(202, "admin", "", "POST", "/servers", body)
	}
}

func TestImageSaysDiskConfigAndConfigDrive(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.small()
	auto := c.addImage(structs.Image{Properties: map[string]string{"auto_disk_config": "True", "img_config_drive": "mandatory"}})
	ins := c.made("alice", "", map[string]any{"name": "x", "flavorRef": "1", "imageRef": auto.ID}, nil)
	if ins.DiskConfig != "AUTO" || !ins.ConfigDrive {
		t.Errorf("unexpected %+v", ins)
	}
	never := c.addImage(structs.Image{Properties: map[string]string{"hw_auto_disk_config": "disabled"}})
	c.want(400, "alice", "", "POST", "/servers", map[string]any{"server": map[string]any{"name": "x", "flavorRef": "1", "imageRef": never.ID, "OS-DCF:diskConfig": "AUTO"}})
	odd := c.addImage(structs.Image{Properties: map[string]string{"img_config_drive": "perhaps"}})
	c.want(400, "alice", "", "POST", "/servers", map[string]any{"server": map[string]any{"name": "x", "flavorRef": "1", "imageRef": odd.ID}})
}

func TestPinnedZone(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID, "availability_zone": "nova"})
	pin := func(status int, body string) any {
		t.Helper()
		a := c.want(status, "alice", "2.104", "PUT", "/servers/"+id, body)
		if status != 200 {
			return nil
		}
		return a.json(t)["server"].(map[string]any)["pinned_availability_zone"]
	}
	if got := pin(200, `{"server": {"pinned_availability_zone": "nova"}}`); got != "nova" {
		t.Errorf("pinned to %v", got)
	}
	pin(409, `{"server": {"pinned_availability_zone": "mars"}}`)
	if got := pin(200, `{"server": {"pinned_availability_zone": null, "name": "x"}}`); got != nil {
		t.Errorf("pinned to %v", got)
	}
	pin(409, `{"server": {"pinned_availability_zone": "mars"}}`)
	if got := pin(200, `{"server": {"pinned_availability_zone": "nova"}}`); got != "nova" {
		t.Errorf("pinned to %v", got)
	}
}

func TestUpdate(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.core.AddHost("host-1")
	c.small()
	id := c.boot("alice", map[string]any{"imageRef": c.cirros().ID, "description": "old"})
	put := func(version, body string) map[string]any {
		t.Helper()
		return c.want(200, "alice", version, "PUT", "/servers/"+id, body).json(t)["server"].(map[string]any)
	}
	v := put("2.90", `{"server": {"name": "new", "hostname": "new-host", "accessIPv4": "9.8.7.6", "accessIPv6": "::1", "OS-DCF:diskConfig": "AUTO"}}`)
	if v["name"] != "new" || v["OS-EXT-SRV-ATTR:hostname"] != "new-host" || v["accessIPv4"] != "9.8.7.6" || v["OS-DCF:diskConfig"] != "AUTO" || v["description"] != "old" {
		t.Errorf("unexpected %v", v)
	}
	if v := put("2.19", `{"server": {"description": null}}`); v["description"] != nil {
		t.Errorf("description %v", v["description"])
	}
	if v := put("2.1", `{"server": {}}`); v["name"] != "new" || v["OS-EXT-STS:vm_state"] != nil {
		t.Errorf("unexpected %v", v)
	}
}

func TestEscaping(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	c.small()
	const name, value = `qu"ote \ <b> é 日本 😀`, "tab\t line\n bell\a \u2028"
	ins := c.made("alice", "2.104", map[string]any{"name": name, "flavorRef": "1", "imageRef": c.cirros().ID, "networks": "none",
		"metadata": map[string]string{"k": value}}, nil)
	a := c.want(200, "alice", "2.104", "GET", "/servers/detail", nil)
	var v struct {
		Servers []struct {
			ID, Name string
			Metadata map[string]string
		}
	}
	if err := json.Unmarshal(a.body, &v); err != nil {
		t.Fatal(err)
	}
	if s := v.Servers[0]; s.ID != string(ins.ID) || s.Name != name || s.Metadata["k"] != value {
		t.Errorf("unexpected %+v", s)
	}
}
