package compute_test

import (
	"fmt"
	"strings"
	"testing"
)

// The tests of this file are of what the fuzz targets have found.

// A volume that is not replaced keeps its attachment as it was: what the request would have changed beside stays.
func TestRefusedSwapChangesNothing(t *testing.T) {
	t.Parallel()
	c, p, id := newConnected(t)
	path := "/servers/" + id + "/os-volume_attachments/" + thing
	body := `{"volumeAttachment": {"volumeId": "` + other + `", "delete_on_termination": true}}`
	c.says(409, "volume "+thing+" is not migrating; this API should only be called by Cinder", "service", "2.85", "PUT", path, body)
	p.wasAsked(t)
	p.migrating = true
	c.want(202, "service", "2.85", "PUT", path, body)
	p.wasAsked(t, "delete "+thing+" true", "swap "+thing+" for "+other)
}

// A number is a number however large it is: what takes anything takes it, and what is shown again is what was sent.
func TestNumbersOfManyDigits(t *testing.T) {
	t.Parallel()
	c, img := bootable(t)
	id := c.boot("alice", img)
	long := strings.Repeat("9", 400)
	c.want(202, "alice", "2.72", "POST", "/servers/"+id+"/action", `{"lock": `+long+`}`)
	c.want(202, "alice", "2.73", "POST", "/servers/"+id+"/action", `{"lock": {"locked_reason": "why"}}`)
	for _, n := range []string{"12345678901234567890", long, "1.50"} {
		made := c.want(202, "alice", "2.100", "POST", "/servers", fmt.Sprintf(`{"server": {"name": "n", "flavorRef": "1", "imageRef": %q, "networks": "none"}, "os:scheduler_hints": {"own": [%s, {"a": %s}]}}`,
			img["imageRef"], n, n)).json(t)["server"].(map[string]any)["id"].(string)
		got := c.want(200, "alice", "2.100", "GET", "/servers/"+made, nil)
		if want := fmt.Sprintf(`"scheduler_hints":{"own":["%s","{\"a\":%s}"]}`, n, n); !strings.Contains(string(got.body), want) {
			t.Errorf("%s is shown as %s", n, got.body)
		}
	}
}
