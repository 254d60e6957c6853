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
	require.Empty(t, info.ImportMethods.Value)
}
