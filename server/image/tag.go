package image

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// addTag answers PUT /v2/images/{image_id}/tags/{tag}; a tag that is there is success.
func (s *service) addTag(r *httpapi.Request) (any, error) {
	tag := r.Vars["tag"]
	if len(tag) > 255 {
		return nil, httpapi.BadRequest("Tag '%s' is longer than 255 characters.", tag)
	}
	i, err := findOwned(r)
	if err != nil {
		return nil, err
	}
	_, err = change(r.Context(), r.Core, i.ID, func(i *structs.Image) error {
		if !slices.Contains(i.Tags, tag) {
			i.Tags = append(i.Tags, tag)
			slices.Sort(i.Tags)
		}
		return editor{service: s, token: r.Token}.check(i)
	})
	return nil, err
}

// removeTag answers DELETE /v2/images/{image_id}/tags/{tag}; a tag that is not there is 404.
func (s *service) removeTag(r *httpapi.Request) (any, error) {
	i, err := findOwned(r)
	if err != nil {
		return nil, err
	}
	_, err = change(r.Context(), r.Core, i.ID, func(i *structs.Image) error {
		at := slices.Index(i.Tags, r.Vars["tag"])
		if at < 0 {
			return httpapi.NotFound("Image %s has no tag %s", i.ID, r.Vars["tag"])
		}
		i.Tags = slices.Delete(i.Tags, at, at+1)
		return nil
	})
	return nil, err
}
