package proxy

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

func (s *service) imageMetadataRoutes() []httpapi.Route {
	anyone := httpapi.Authenticated("os_compute_api:image-metadata") // Nova asks nothing but a token
	const all, one = "/images/{image_id}/metadata", "/images/{image_id}/metadata/{id}"
	return until(lastImageMetadata, []httpapi.Route{
		{Method: http.MethodGet, Path: all, Rule: anyone, Query: base.NoQuery, Handler: s.listImageMetadata},
		{Method: http.MethodPost, Path: all, Rule: anyone, Body: metadataSchema, Handler: s.createImageMetadata},
		{Method: http.MethodPut, Path: all, Rule: anyone, Body: metadataSchema, Handler: s.replaceImageMetadata},
		{Method: http.MethodGet, Path: one, Rule: anyone, Query: base.NoQuery, Handler: s.showImageMetadata},
		{Method: http.MethodPut, Path: one, Rule: anyone, Body: metaSchema, Handler: s.updateImageMetadata},
		{Method: http.MethodDelete, Path: one, Rule: anyone, Status: http.StatusNoContent, Handler: s.deleteImageMetadata},
	})
}

func (s *service) listImageMetadata(r *httpapi.Request) (any, error) {
	i, err := s.Images.Show(r, r.Vars["image_id"])
	if err != nil {
		return nil, err
	}
	return map[string]any{"metadata": imageMetadata(i)}, nil
}

func (s *service) showImageMetadata(r *httpapi.Request) (any, error) {
	i, err := s.Images.Show(r, r.Vars["image_id"])
	if err != nil {
		return nil, err
	}
	key := r.Vars["id"]
	v, ok := i.Properties[key]
	if !ok {
		return nil, httpapi.NotFound("The resource could not be found.")
	}
	return map[string]any{"meta": map[string]string{key: v}}, nil
}

// imageAttributes are names that an image's own attributes and the image service's bookkeeping have: a property cannot have them.
var imageAttributes = []string{"checksum", "container_format", "created_at", "deleted", "deleted_at", "direct_url", "disk_format", "file", "id", "location",
	"locations", "min_disk", "min_ram", "name", "os_hash_algo", "os_hash_value", "os_hidden", "owner", "protected", "schema", "self", "size", "status", "stores",
	"tags", "updated_at", "virtual_size", "visibility"}

// reserved reports whether a property is not for users to write.
func reserved(name string) bool {
	_, own := slices.BinarySearch(imageAttributes, name)
	return own || strings.HasPrefix(name, "os_glance")
}

// maxPropertyBytes bounds an image's properties in all as the image service does.
const maxPropertyBytes = 128 << 10

// checkProperties judges a change of an image's properties by who may change the image.
func checkProperties(r *httpapi.Request, i *structs.Image, now map[string]string, limit int64) error {
	if limit >= 0 && int64(len(now)) > limit {
		return httpapi.Forbidden("Image metadata limit exceeded")
	}
	size, allowed := 0, r.Sees(i.ProjectID)
	for k, v := range now {
		size += len(k) + len(v)
		old, had := i.Properties[k]
		allowed = allowed && (had && old == v || !reserved(k))
	}
	for k := range i.Properties {
		_, has := now[k]
		allowed = allowed && (has || !reserved(k))
	}
	if !allowed {
		return httpapi.Forbidden("Not authorized for image %s.", i.ID)
	}
	if size > maxPropertyBytes {
		return httpapi.Forbidden("Image metadata limit exceeded")
	}
	return nil
}

// changeProperties edits the properties of the image that the path names and returns them. Who may see the image but not change it gets 403.
func (s *service) changeProperties(r *httpapi.Request, edit func(map[string]string) error) (map[string]string, error) {
	i, err := s.Images.Show(r, r.Vars["image_id"])
	if err != nil {
		return nil, err
	}
	rd, err := r.Core.Read(r.Context())
	if err != nil {
		return nil, err
	}
	limit := rd.QuotaLimits(r.Token.ProjectID).MetadataItems
	var now map[string]string
	err = s.Images.Change(r, i.ID, func(i *structs.Image) error {
		if now = maps.Clone(i.Properties); now == nil {
			now = map[string]string{}
		}
		if err := edit(now); err != nil {
			return err
		}
		if err := checkProperties(r, i, now, limit); err != nil {
			return err
		}
		i.Properties = now
		return nil
	})
	return now, err
}

type metadataBody struct {
	Metadata map[string]string `json:"metadata"`
}

func (s *service) createImageMetadata(r *httpapi.Request) (any, error) {
	body, err := base.Decode[metadataBody](r)
	if err != nil {
		return nil, err
	}
	now, err := s.changeProperties(r, func(m map[string]string) error {
		maps.Copy(m, body.Metadata)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"metadata": now}, nil
}

func (s *service) replaceImageMetadata(r *httpapi.Request) (any, error) {
	body, err := base.Decode[metadataBody](r)
	if err != nil {
		return nil, err
	}
	now, err := s.changeProperties(r, func(m map[string]string) error {
		clear(m)
		maps.Copy(m, body.Metadata)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return map[string]any{"metadata": now}, nil
}

func (s *service) updateImageMetadata(r *httpapi.Request) (any, error) {
	body, err := base.Decode[struct {
		Meta map[string]string `json:"meta"`
	}](r)
	if err != nil {
		return nil, err
	}
	key := r.Vars["id"]
	value, ok := body.Meta[key]
	if !ok {
		return nil, httpapi.BadRequest("Request body and URI mismatch")
	}
	if _, err := s.changeProperties(r, func(m map[string]string) error {
		m[key] = value
		return nil
	}); err != nil {
		return nil, err
	}
	return map[string]any{"meta": body.Meta}, nil
}

func (s *service) deleteImageMetadata(r *httpapi.Request) (any, error) {
	key := r.Vars["id"]
	_, err := s.changeProperties(r, func(m map[string]string) error {
		if _, ok := m[key]; !ok {
			return httpapi.NotFound("Invalid metadata key")
		}
		delete(m, key)
		return nil
	})
	return nil, err
}
