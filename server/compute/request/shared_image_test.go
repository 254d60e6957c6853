package request_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// A project boots what is shared with it, and finds it in its list of images once it has accepted it.
func TestSharedImage(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	const shared = "70a599e0-31e7-49b7-b260-868f441e8700"
	c.core.Write(func(tx *state.Txn) {
		tx.PutImage(&structs.Image{ID: shared, Name: "shared", Size: 1, ProjectID: "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", Status: structs.ImageActive, Visibility: "shared", CreatedAt: 1})
	})
	create := `{"server": {"name": "x", "flavorRef": "1", "networks": "none", "imageRef": "` + shared + `"}}`
	c.want(400, "alice", "2.37", "POST", "/servers", create)
	c.want(404, "alice", "2.1", "GET", "/images/"+shared, "")
	member := structs.ImageMember{ImageID: shared, ProjectID: aliceProject, Status: structs.ImageMemberPending}
	c.core.Write(func(tx *state.Txn) { tx.PutImageMember(&member) })
	c.want(202, "alice", "2.37", "POST", "/servers", create)
	c.want(200, "alice", "2.1", "GET", "/images/"+shared, "")
	require.NotContains(t, c.want(200, "alice", "2.1", "GET", "/images", ""), shared)
	accepted := member
	accepted.Status = structs.ImageMemberAccepted
	c.core.Write(func(tx *state.Txn) { tx.PutImageMember(&accepted) })
	require.Contains(t, c.want(200, "alice", "2.1", "GET", "/images", ""), shared)
}
