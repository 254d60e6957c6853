package image

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/gophercloud/gophercloud/v2"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imagedata"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/imageimport"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/images"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/members"
	"github.com/gophercloud/gophercloud/v2/openstack/image/v2/tasks"
	"github.com/gophercloud/gophercloud/v2/pagination"
	"github.com/stretchr/testify/require"
)

// client is gophercloud as NewImageV2 makes it from the catalog's endpoint /image.
func (c *cloud) client(token string) *gophercloud.ServiceClient {
	p := &gophercloud.ProviderClient{TokenID: token, HTTPClient: http.Client{Transport: &http.Transport{DisableKeepAlives: true}}}
	return &gophercloud.ServiceClient{ProviderClient: p, Type: "image", Endpoint: c.url + "/image/", ResourceBase: c.url + "/image/v2/"}
}

func TestGophercloud(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *Options) { o.DefaultLimit = 2 })
	ctx, client := t.Context(), c.client(member)
	private, hidden := images.ImageVisibilityPrivate, false
	i, err := images.Create(ctx, client, images.CreateOpts{Name: "cirros", ID: "0ac3fd4c-62c6-4c9b-b8f6-0a4e8f2c1d11", Visibility: &private, Hidden: &hidden,
		Tags: []string{"test"}, DiskFormat: "raw", ContainerFormat: "bare", MinDisk: 1, MinRAM: 64, Properties: map[string]string{"hw_disk_bus": "virtio"}}).Extract()
	require.NoError(t, err)
	require.Equal(t, images.ImageStatusQueued, i.Status)
	require.Equal(t, "virtio", i.Properties["hw_disk_bus"])
	require.WithinDuration(t, time.Now(), i.CreatedAt, time.Minute)

	data := bytes.Repeat([]byte("disk"), 1000)
	require.NoError(t, imagedata.Upload(ctx, client, i.ID, bytes.NewReader(data)).ExtractErr())
	i, err = images.Get(ctx, client, i.ID).Extract()
	require.NoError(t, err)
	require.Equal(t, images.ImageStatusActive, i.Status)
	require.EqualValues(t, 4000, i.SizeBytes)
	require.Equal(t, "p1", i.Owner)
	body, err := imagedata.Download(ctx, client, i.ID).Extract()
	require.NoError(t, err)
	got, err := io.ReadAll(body)
	require.NoError(t, err)
	require.NoError(t, body.Close())
	require.Equal(t, data, got)
	err = imagedata.Upload(ctx, client, i.ID, bytes.NewReader(data)).ExtractErr()
	require.True(t, gophercloud.ResponseCodeIs(err, http.StatusConflict), "%v", err)

	i, err = images.Update(ctx, client, i.ID, images.UpdateOpts{images.ReplaceImageName{NewName: "renamed"}, images.ReplaceImageTags{NewTags: []string{"a", "b"}},
		images.ReplaceImageMinDisk{NewMinDisk: 2}, images.ReplaceImageHidden{NewHidden: false}, images.ReplaceImageProtected{NewProtected: true},
		images.UpdateImageProperty{Op: images.AddOp, Name: "os_distro", Value: "cirros"}, images.UpdateImageProperty{Op: images.RemoveOp, Name: "hw_disk_bus"}}).Extract()
	require.NoError(t, err)
	require.Equal(t, "renamed", i.Name)
	require.Equal(t, []string{"a", "b"}, i.Tags)
	require.Equal(t, "cirros", i.Properties["os_distro"])
	require.NotContains(t, i.Properties, "hw_disk_bus")
	err = images.Delete(ctx, client, i.ID).ExtractErr()
	require.True(t, gophercloud.ResponseCodeIs(err, http.StatusForbidden), "%v", err)

	for _, name := range []string{"two", "three", "four", "five"} {
		_, err := images.Create(ctx, client, images.CreateOpts{Name: name}).Extract()
		require.NoError(t, err)
	}
	var names []string
	err = images.List(client, images.ListOpts{Sort: "created_at:asc"}).EachPage(ctx, func(_ context.Context, p pagination.Page) (bool, error) {
		list, err := images.ExtractImages(p)
		for _, i := range list {
			names = append(names, i.Name)
		}
		return true, err
	})
	require.NoError(t, err)
	require.Equal(t, []string{"renamed", "two", "three", "four", "five"}, names, "over several pages")
	page, err := images.List(client, images.ListOpts{Tags: []string{"a", "b"}, CreatedAtQuery: &images.ImageDateQuery{Date: time.Now().Add(-time.Hour), Filter: images.FilterGT}}).AllPages(ctx)
	require.NoError(t, err)
	list, err := images.ExtractImages(page)
	require.NoError(t, err)
	require.Len(t, list, 1)

	_, err = images.Update(ctx, client, i.ID, images.UpdateOpts{images.ReplaceImageProtected{NewProtected: false}}).Extract()
	require.NoError(t, err)
	require.NoError(t, images.Delete(ctx, client, i.ID).ExtractErr())
	_, err = images.Get(ctx, client, i.ID).Extract()
	require.True(t, gophercloud.ResponseCodeIs(err, http.StatusNotFound), "%v", err)
	info, err := imageimport.Get(ctx, client).Extract()
	require.NoError(t, err)
	require.Equal(t, []string{"glance-direct", "web-download", "copy-image"}, info.ImportMethods.Value)
}

func TestGophercloudImport(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	ctx, client := t.Context(), c.client(member)
	i, err := images.Create(ctx, client, images.CreateOpts{Name: "imported", DiskFormat: "raw", ContainerFormat: "bare"}).Extract()
	require.NoError(t, err)
	require.Equal(t, []string{"glance-direct", "web-download", "copy-image"}, i.OpenStackImageImportMethods)
	require.Equal(t, []string{"servers"}, i.OpenStackImageStoreIDs)
	require.NoError(t, imagedata.Stage(ctx, client, i.ID, bytes.NewReader([]byte("staged"))).ExtractErr())
	require.NoError(t, imageimport.Create(ctx, client, i.ID, imageimport.CreateOpts{Name: imageimport.GlanceDirectMethod}).ExtractErr())
	c.waitFor(i.ID, "active")
	err = imageimport.Create(ctx, client, i.ID, imageimport.CreateOpts{Name: imageimport.WebDownloadMethod, URI: "http://example.org/"}).ExtractErr()
	require.True(t, gophercloud.ResponseCodeIs(err, http.StatusConflict), "%v", err)

	boss := c.client(admin)
	pages, err := tasks.List(boss, tasks.ListOpts{Status: tasks.TaskStatusSuccess, SortKey: "created_at", SortDir: "asc"}).AllPages(ctx)
	require.NoError(t, err)
	all, err := tasks.ExtractTasks(pages)
	require.NoError(t, err)
	require.Len(t, all, 1)
	one, err := tasks.Get(ctx, boss, all[0].ID).Extract()
	require.NoError(t, err)
	require.Equal(t, "api_image_import", one.Type)
	require.Equal(t, map[string]any{"image_id": i.ID}, one.Result)
	require.WithinDuration(t, time.Now().Add(48*time.Hour), one.ExpiresAt, time.Minute)
	_, err = tasks.Get(ctx, client, one.ID).Extract()
	require.True(t, gophercloud.ResponseCodeIs(err, http.StatusForbidden), "%v", err)
	made, err := tasks.Create(ctx, boss, tasks.CreateOpts{Type: "import", Input: map[string]any{"import_from": "https://example.org/x", "import_from_format": "raw", "image_properties": map[string]any{}}}).Extract()
	require.NoError(t, err)
	require.Equal(t, "failure", made.Status)
	require.Contains(t, made.Message, "/import")
}

func TestGophercloudSharing(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	ctx, owner, sharer := t.Context(), c.client(member), c.client(other)
	shared := images.ImageVisibilityShared
	i, err := images.Create(ctx, owner, images.CreateOpts{Name: "shared", Visibility: &shared, DiskFormat: "raw", ContainerFormat: "bare"}).Extract()
	require.NoError(t, err)
	m, err := members.Create(ctx, owner, i.ID, "p2").Extract()
	require.NoError(t, err)
	require.Equal(t, []string{"p2", i.ID, "pending", "/v2/schemas/member"}, []string{m.MemberID, m.ImageID, m.Status, m.Schema})
	require.WithinDuration(t, time.Now(), m.CreatedAt, time.Minute)
	_, err = members.Create(ctx, owner, i.ID, "p2").Extract()
	require.True(t, gophercloud.ResponseCodeIs(err, http.StatusConflict), "%v", err)

	listed := func(status images.ImageMemberStatus) int {
		page, err := images.List(sharer, images.ListOpts{MemberStatus: status, Visibility: shared}).AllPages(ctx)
		require.NoError(t, err)
		list, err := images.ExtractImages(page)
		require.NoError(t, err)
		return len(list)
	}
	require.Equal(t, 0, listed(""))
	require.Equal(t, 1, listed(images.ImageMemberStatusPending))
	m, err = members.Update(ctx, sharer, i.ID, "p2", members.UpdateOpts{Status: "accepted"}).Extract()
	require.NoError(t, err)
	require.Equal(t, "accepted", m.Status)
	require.Equal(t, 1, listed(""))
	require.Equal(t, 1, listed(images.ImageMemberStatusAll))
	m, err = members.Get(ctx, sharer, i.ID, "p2").Extract()
	require.NoError(t, err)
	require.Equal(t, "accepted", m.Status)
	page, err := members.List(owner, i.ID).AllPages(ctx)
	require.NoError(t, err)
	list, err := members.ExtractMembers(page)
	require.NoError(t, err)
	require.Len(t, list, 1)

	got, err := images.Get(ctx, sharer, i.ID).Extract()
	require.NoError(t, err)
	require.Equal(t, "p1", got.Owner)
	err = images.Delete(ctx, sharer, i.ID).ExtractErr()
	require.True(t, gophercloud.ResponseCodeIs(err, http.StatusForbidden), "%v", err)
	_, err = images.Update(ctx, owner, i.ID, images.UpdateOpts{images.UpdateVisibility{Visibility: images.ImageVisibilityPrivate}, images.ReplaceImageMinRam{NewMinRam: 64}}).Extract()
	require.NoError(t, err)
	_, err = images.Get(ctx, sharer, i.ID).Extract()
	require.True(t, gophercloud.ResponseCodeIs(err, http.StatusNotFound), "%v", err)
	_, err = images.Update(ctx, owner, i.ID, images.UpdateOpts{images.ReplaceImageChecksum{Checksum: "x"}}).Extract()
	require.True(t, gophercloud.ResponseCodeIs(err, http.StatusForbidden), "%v", err)
	_, err = images.Update(ctx, owner, i.ID, images.UpdateOpts{images.UpdateVisibility{Visibility: shared}}).Extract()
	require.NoError(t, err)
	require.NoError(t, members.Delete(ctx, owner, i.ID, "p2").ExtractErr())
	_, err = members.Get(ctx, owner, i.ID, "p2").Extract()
	require.True(t, gophercloud.ResponseCodeIs(err, http.StatusNotFound), "%v", err)
}
