package glance

import (
	"context"
	"io"
	"net/http"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/image/store"
)

var _ store.Store = (*Client)(nil)

// Info implements store.Store.
func (c *Client) Info() store.Info {
	return store.Info{ID: structs.StoreGlance, Description: "The Image service at " + c.cfg.Endpoint, Type: "glance", Properties: map[string]any{}}
}

// Put implements store.Store: nothing is put there but by Receive.
func (c *Client) Put(context.Context, nomadlike.Core, nomadlike.BlobSums) ([]structs.ServerID, error) {
	return nil, structs.Errorf(structs.KindNotSupported, "images are copied to the Image service at %s by its own imports", c.cfg.Endpoint)
}

// Open implements store.Store.
func (c *Client) Open(ctx context.Context, _ nomadlike.Core, i *structs.Image) (io.ReadCloser, int64, error) {
	g, err := c.self(ctx)
	if err != nil {
		return nil, 0, err
	}
	resp, err := g.Request(ctx, http.MethodGet, g.ResourceBase+path(i.ID)+"/file", &gophercloud.RequestOpts{KeepResponseBody: true, OkCodes: []int{http.StatusOK},
		MoreHeaders: map[string]string{"Accept": "application/octet-stream"}})
	if err != nil {
		return nil, 0, c.failure(err)
	}
	return store.Verified(resp.Body, i.Size, i.SHA512), i.Size, nil
}

// Receive brings the bytes of an image that a host made, which are in r, to Glance. When they are there already, of an earlier try whose answer was lost, nothing is
// done. KindNotFound: the image was deleted meanwhile.
func (c *Client) Receive(ctx context.Context, i *structs.Image, format string, sums nomadlike.BlobSums, r io.ReadSeeker) error {
	g, err := c.self(ctx)
	if err != nil {
		return err
	}
	now, err := c.get(ctx, g, i.ID)
	if err != nil {
		return err
	}
	if now.Status != structs.ImageActive {
		if err := c.fill(ctx, g, now, format, r); err != nil {
			return err
		}
		if now, err = c.get(ctx, g, i.ID); err != nil {
			return err
		}
	}
	if now.Status != structs.ImageActive || now.Size != sums.Size || now.SHA512 != "" && now.SHA512 != sums.SHA512 {
		return structs.Errorf(structs.KindConflict, "Image %s is %s with %d bytes in the Image service, and should be active with the %d that were sent", i.ID, now.Status, now.Size, sums.Size)
	}
	return nil
}

// fill uploads. The format is what the host's driver made, which was not known when the image was announced.
func (c *Client) fill(ctx context.Context, g *gophercloud.ServiceClient, now *structs.Image, format string, r io.ReadSeeker) error {
	if format != now.DiskFormat {
		if err := c.call(ctx, g, http.MethodPatch, path(now.ID), patchType, []operation{{"replace", "/disk_format", format}}, nil); err != nil {
			return err
		}
	}
	resp, err := g.Request(ctx, http.MethodPut, g.ResourceBase+path(now.ID)+"/file", &gophercloud.RequestOpts{RawBody: struct{ io.ReadSeeker }{r}, // not closed, and read again after a new login
		KeepResponseBody: true,
		OkCodes:          []int{http.StatusNoContent}, MoreHeaders: map[string]string{"Content-Type": "application/octet-stream"}})
	if resp != nil {
		_ = resp.Body.Close()
	}
	if gophercloud.ResponseCodeIs(err, http.StatusConflict) { // an earlier upload is not yet known to have broken off
		return structs.Errorf(structs.KindUnavailable, "Image %s is %s in the Image service; it is tried again", now.ID, now.Status)
	}
	return c.failure(err)
}
