package request_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Images that are made of instances count among those that a project may have: one too many is refused, and nothing is begun.
func TestImageLimits(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	id := c.boot("/servers", "2.1", "")
	limit := func(name string, n int64) {
		c.core.Write(func(tx *state.Txn) {
			tx.PutRegisteredLimit(&structs.RegisteredLimit{ID: name, ServiceID: structs.ImageServiceID, Resource: name, Default: n})
		})
	}
	path := "/servers/" + id + "/action"
	bodies := map[string]string{"createImage": `{"createImage": {"name": "snap"}}`, "createBackup": `{"createBackup": {"name": "b", "backup_type": "daily", "rotation": 1}}`, "shelve": `{"shelve": null}`}
	refused := func() {
		t.Helper()
		for action, body := range bodies {
			before := c.core.Stale().Index()
			text := c.want(403, "alice", "2.45", "POST", path, body)
			if !strings.Contains(text, "Quota exceeded or out of space for image ") {
				t.Errorf("%s: %s", action, text)
			}
			n := 0
			for i := range c.core.Stale().ImagesOfProject(aliceProject) {
				t.Logf("%+v", i)
				n++
			}
			if ins := c.core.Stale().Instance(structs.InstanceID(id)); n != 0 || ins.Task != structs.TaskNone {
				t.Errorf("%s: %d images, %+v, from %d to %d", action, n, ins, before, c.core.Stale().Index())
			}
		}
	}
	limit(structs.ImageCountTotal, 0)
	refused()
	limit(structs.ImageCountTotal, 1)
	var made struct {
		ID structs.ImageID `json:"image_id"`
	}
	c.must(json.Unmarshal([]byte(c.want(202, "alice", "2.45", "POST", path, bodies["createImage"])), &made))
	c.core.Drive(func(*structs.Operation) string { return "the disk is broken" })
	if c.core.Stale().Image(made.ID) != nil {
		t.Error("the image of a snapshot that failed is left")
	}
	limit(structs.ImageCountTotal, -1)
	c.core.Write(func(tx *state.Txn) {
		tx.PutImage(&structs.Image{ID: "full", ProjectID: aliceProject, Status: structs.ImageActive, Size: 2 << 20})
	})
	limit(structs.ImageSizeTotal, 1)
	c.want(403, "alice", "2.45", "POST", path, bodies["createImage"])
	limit(structs.ImageSizeTotal, 2)
	c.want(202, "alice", "2.45", "POST", path, bodies["createImage"])
}
