package compute_test

import (
	"testing"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/computetest"
)

// newWorld makes what the table of bad requests needs.
func newWorld(c *cloud) computetest.World {
	h := c.core.AddHost("host-1")
	c.small()
	c.addFlavor(structs.Flavor{ID: "private", Name: "private", VCPUs: 1, MemoryMiB: 512, RootGiB: 1})
	c.addFlavor(structs.Flavor{ID: "zero", Name: "zero", VCPUs: 1, MemoryMiB: 512, Public: true})
	image := string(c.cirros().ID)
	queued := c.addImage(structs.Image{Name: "queued", Status: structs.ImageQueued})
	big := c.addImage(structs.Image{Name: "big", Size: 1 << 20, VirtualSize: 2 << 30})
	memory := c.addImage(structs.Image{Name: "memory", MinMemoryMiB: 1024})
	disk := c.addImage(structs.Image{Name: "disk", MinDiskGiB: 2})
	c.want(201, "alice", "2.2", "POST", "/os-keypairs", map[string]any{"keypair": map[string]any{"name": "key", "public_key": sshKey}})
	return computetest.World{Member: "alice", Other: "bob", Reader: "reader", Admin: "admin", Unscoped: "unscoped", MemberProject: aliceProject, OtherProject: bobProject,
		OtherUser: bobUser, Active: c.boot("alice", map[string]any{"imageRef": image}), Others: c.boot("bob", map[string]any{"imageRef": image}),
		Image: image, Queued: string(queued.ID), TooBig: string(big.ID), MinMemory: string(memory.ID), MinDisk: string(disk.ID),
		Flavor: "1", Private: "private", ZeroDisk: "zero", Keypair: "key", Host: string(h.ID), Name: h.Name}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	w := newWorld(c)
	if n := len(computetest.BadRequests(w)); n < 60 {
		t.Errorf("only %d bad requests", n)
	}
	computetest.Run(t, c.srv.Client(), c.base, w, c.state)
}
