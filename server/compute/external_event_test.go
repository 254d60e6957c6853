package compute_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const externalEvents = "/os-server-external-events"

// eventBody is a request about one event.
func eventBody(id, name, more string) string {
	return fmt.Sprintf(`{"events": [{"server_uuid": "%s", "name": "%s"%s}]}`, id, name, more)
}

// Each event is judged alone: for an instance that is not there, without the tag that it needs, without a host.
func TestExternalEvents(t *testing.T) {
	t.Parallel()
	c, p, id := newConnected(t)
	a := loadAnswers(t)
	homeless := c.want(202, "alice", "2.104", "POST", "/servers", map[string]any{"server": map[string]any{"name": "vm", "flavorRef": "1", "imageRef": c.cirros().ID,
		"networks": "none"}}).json(t)["server"].(map[string]any)["id"].(string)
	for _, token := range []string{"service", "admin"} {
		got := c.checked(a, "POST "+externalEvents, token, "2.1", externalEvents, eventBody(id, "network-changed", `, "tag": "foo", "status": "failed"`))
		if want := `{"events":[{"name":"network-changed","server_uuid":"` + id + `","status":"completed","tag":"foo","code":200}]}`; string(got.body) != want {
			t.Errorf("%s", got.body)
		}
	}
	for body, code := range map[string]int{eventBody(thing, "network-vif-plugged", ""): 404, eventBody(id, "volume-extended", ""): 400, eventBody(id, "power-update", ""): 400,
		eventBody(id, "accelerator-request-bound", ""): 400, eventBody(homeless, "network-changed", ""): 422} {
		got := c.want(207, "service", "2.93", "POST", externalEvents, body)
		if err := a.check("POST "+externalEvents, 93, got.body); err != nil || !strings.Contains(string(got.body), fmt.Sprintf(`"status":"failed","code":%d`, code)) {
			t.Errorf("%s: %s, %v", body, got.body, err)
		}
	}
	both := `{"events": [{"server_uuid": "` + id + `", "name": "network-changed"}, {"server_uuid": "` + thing + `", "name": "network-changed"}]}`
	if got := c.want(207, "service", "2.1", "POST", externalEvents, both); !strings.Contains(string(got.body), `"code":200}`) || !strings.Contains(string(got.body), `"code":404}`) {
		t.Errorf("%s", got.body)
	}
	for _, token := range []string{"alice", "boss", "reader"} {
		c.says(403, "Policy doesn't allow os_compute_api:os-server-external-events:create to be performed.", token, "2.1", "POST", externalEvents, both)
	}
	p.wasAsked(t)
}

func TestExternalEventNames(t *testing.T) {
	t.Parallel()
	c, _, id := newConnected(t)
	for name, first := range map[string]int{"network-changed": 1, "network-vif-deleted": 1, "network-vif-plugged": 1, "network-vif-unplugged": 1, "volume-extended": 51,
		"power-update": 76, "accelerator-request-bound": 82, "volume-reimaged": 93, "made-up": 1000} {
		for _, v := range []int{1, 50, 51, 75, 76, 81, 82, 92, 93, 104} {
			want := 400
			if v >= first {
				want = 200
			}
			c.want(want, "service", fmt.Sprint("2.", v), "POST", externalEvents, eventBody(id, name, `, "tag": "x"`))
		}
	}
	for _, body := range []string{`{}`, `{"events": []}`, `{"events": [{"name": "network-changed"}]}`, eventBody("x", "network-changed", ""), eventBody(id, "network-changed", `, "code": 200`),
		eventBody(id, "network-changed", `, "status": "done"`), eventBody(id, "network-changed", `, "tag": "`+strings.Repeat("x", 256)+`"`)} {
		c.want(400, "service", "2.104", "POST", externalEvents, body)
	}
}

// power-update records what was done to the power of an instance, unless it is so already or something goes on.
func TestPowerUpdate(t *testing.T) {
	t.Parallel()
	c, _, id := newConnected(t)
	update := func(tag, want string) {
		t.Helper()
		c.want(200, "service", "2.76", "POST", externalEvents, eventBody(id, "power-update", `, "tag": "`+tag+`"`))
		if got := c.states(id); got != want {
			t.Errorf("after %s: %s, want %s", tag, got, want)
		}
	}
	on, off := "ACTIVE active <nil> 1", "SHUTOFF stopped <nil> 4"
	update("POWER_ON", on)
	update("POWER_SIDEWAYS", on)
	update("POWER_OFF", off)
	update("POWER_OFF", off)
	update("POWER_ON", on)
	if got := c.events("alice", "2.51", id); len(got) != 3 || !strings.HasPrefix(got[0], "start") || !strings.HasPrefix(got[1], "stop") {
		t.Errorf("the actions are %q", got)
	}
	c.act(202, "alice", "2.1", id, `{"pause": null}`)
	update("POWER_OFF", "ACTIVE active pausing 1")
	c.core.Drive(nil)
	update("POWER_OFF", "PAUSED paused <nil> 3")
	c.alter(id, func(i *structs.Instance) { i.VM, i.Power = structs.VMStopped, structs.PowerNoState })
	update("POWER_ON", "SHUTOFF stopped <nil> 0")
}
