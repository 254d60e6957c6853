package glance

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/gophercloud/gophercloud/v2"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

var _ base.Images = (*Client)(nil)

// caller asks as who made the request.
func (c *Client) caller(r *httpapi.Request) *gophercloud.ServiceClient {
	return c.as(r.Header.Get("X-Auth-Token"))
}

var errNoImage = httpapi.NotFound("Image not found.")

func path(id structs.ImageID) string { return "images/" + url.PathEscape(string(id)) }

func (c *Client) get(ctx context.Context, g *gophercloud.ServiceClient, id structs.ImageID) (*structs.Image, error) {
	var v record
	if err := c.call(ctx, g, http.MethodGet, path(id), nil, nil, &v); err != nil {
		return nil, err
	}
	return v.image(), nil
}

// Show implements base.Images.
func (c *Client) Show(r *httpapi.Request, id string) (*structs.Image, error) {
	i, err := c.get(r.Context(), c.caller(r), structs.ImageID(strings.ToLower(id)))
	if structs.IsKind(err, structs.KindNotFound) {
		return nil, errNoImage
	}
	return i, err
}

// Use implements base.Images: what hosts need to know of the image is written into the state, unless it is there.
func (c *Client) Use(r *httpapi.Request, id string) (*structs.Image, error) {
	i, err := c.Show(r, id)
	if err != nil || i.Status != structs.ImageActive {
		return i, err
	}
	if i.SHA512 == "" {
		return nil, httpapi.BadRequest("Image %s has no SHA-512 by which its data could be checked; upload it again to an Image service with hashing_algorithm = sha512.", i.ID)
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	if known := rd.Image(i.ID); known != nil && same(known, i) {
		return i, nil
	}
	if _, err := fsm.ImageMirror.Propose(r.Context(), r.Core, &structs.ImageMirrorRequest{Image: *i.Copy()}); err != nil {
		return nil, err
	}
	return i, nil
}

func same(known, i *structs.Image) bool {
	k := *known
	k.Meta = i.Meta
	return reflect.DeepEqual(&k, i)
}

// List implements base.Images. It is Glance's own list, whole: who asks for it by the Compute API, which has it until 2.35, expects all.
func (c *Client) List(r *httpapi.Request, also string) (iter.Seq[*structs.Image], error) {
	g := c.caller(r)
	var found []*structs.Image
	for marker := ""; ; {
		q := url.Values{"limit": {strconv.Itoa(c.cfg.PageSize)}, "sort": {"created_at:desc,id:desc"}}
		if marker != "" {
			q.Set("marker", marker)
		}
		var page struct {
			Images []*record `json:"images"`
			Next   string    `json:"next"`
		}
		if err := c.call(r.Context(), g, http.MethodGet, "images?"+q.Encode(), nil, nil, &page); err != nil {
			return nil, err
		}
		for _, v := range page.Images {
			found = append(found, v.image())
		}
		if page.Next == "" || len(page.Images) == 0 {
			break
		}
		marker = page.Images[len(page.Images)-1].ID
	}
	if also != "" && !slices.ContainsFunc(found, func(i *structs.Image) bool { return string(i.ID) == also }) {
		i, err := c.Show(r, also)
		if err != nil && !structs.IsKind(err, structs.KindNotFound) {
			return nil, err
		}
		if err == nil {
			at, _ := slices.BinarySearchFunc(found, i, func(a, b *structs.Image) int { return int(b.CreatedAt - a.CreatedAt) })
			found = slices.Insert(found, at, i)
		}
	}
	return slices.Values(found), nil
}

// patchType is the media type of changes.
var patchType = map[string]string{"Content-Type": "application/openstack-images-v2.1-json-patch"}

// Change implements base.Images. Only the properties that the edit changed are sent: changes of others, by whom ever, stay.
func (c *Client) Change(r *httpapi.Request, id structs.ImageID, edit func(*structs.Image) error) error {
	old, err := c.Show(r, string(id))
	if err != nil {
		return err
	}
	i := old.Copy()
	if err := edit(i); err != nil {
		return err
	}
	ops := difference(old.Properties, i.Properties)
	if len(ops) == 0 {
		return nil
	}
	return c.call(r.Context(), c.caller(r), http.MethodPatch, path(id), patchType, ops, nil)
}

// Delete implements base.Images.
func (c *Client) Delete(r *httpapi.Request, id string) error {
	err := c.call(r.Context(), c.caller(r), http.MethodDelete, path(structs.ImageID(strings.ToLower(id))), nil, nil, nil)
	if structs.IsKind(err, structs.KindNotFound) {
		return errNoImage
	}
	return err
}

// Create implements base.Images: the image is Glance's and the caller's from here on, queued until a host has made its bytes.
func (c *Client) Create(r *httpapi.Request, i *structs.Image) (func(), error) {
	if err := c.forgetDeletedBackups(r, i); err != nil {
		return nil, err
	}
	g := c.caller(r)
	var v record
	if err := c.call(r.Context(), g, http.MethodPost, "images", nil, creation(i), &v); err != nil {
		if structs.IsKind(err, structs.KindTooLarge) { // a quota: Nova's answer to it
			err = httpapi.Forbidden("Quota exceeded for images.")
		}
		return nil, err
	}
	i.External, i.Stores, i.ProjectID, i.Properties = true, []string{structs.StoreGlance}, structs.ProjectID(value(v.Owner)), maps.Clone(v.properties)
	return func() {
		if err := c.call(context.WithoutCancel(r.Context()), g, http.MethodDelete, path(i.ID), nil, nil, nil); err != nil {
			c.log.Warn("an image that is not going to be made stays queued in the Image service", "image", i.ID, "error", err)
		}
	}, nil
}

// forgetDeletedBackups makes the state know of those earlier backups of an instance alone that are there yet: rotation counts them.
func (c *Client) forgetDeletedBackups(r *httpapi.Request, i *structs.Image) error {
	if i.Properties["image_type"] != "backup" {
		return nil
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return err
	}
	var req structs.ImageForgetRequest
	for b := range rd.Images() {
		if !b.External || b.Status != structs.ImageActive || b.Properties["image_type"] != "backup" || b.Properties["instance_uuid"] != i.Properties["instance_uuid"] {
			continue
		}
		_, err := c.Show(r, string(b.ID))
		if structs.IsKind(err, structs.KindNotFound) {
			req.Images = append(req.Images, structs.ImageVersion{ID: b.ID, IfIndex: b.ModifyIndex})
		} else if err != nil {
			return err
		}
	}
	if len(req.Images) == 0 {
		return nil
	}
	_, err = fsm.ImageForget.Propose(r.Context(), r.Core, &req)
	return err
}

// Endpoint implements base.Images.
func (c *Client) Endpoint(*httpapi.Request) string { return c.cfg.Endpoint }
