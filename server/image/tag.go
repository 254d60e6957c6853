package image

import (
	"slices"
	"unicode/utf8"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// addTag answers PUT /v2/images/{image_id}/tags/{tag}; a tag that is there is success.
func (s *service) addTag(r *httpapi.Request) (any, error) {
	tag := r.Vars["tag"]
	switch {
	case !utf8.ValidString(tag):
		return nil, httpapi.BadRequest("Provided object does not match schema 'image': %q is no text in UTF-8", tag)
	case utf8.RuneCountInString(tag) > 255:
		return nil, httpapi.BadRequest("Provided object does not match schema 'image': '%s' is too long", tag)
	}
	return nil, changeTags(r, func(i *structs.Image) error {
		if !slices.Contains(i.Tags, tag) {
			i.Tags = append(i.Tags, tag)
			slices.Sort(i.Tags)
		}
		if n := len(i.Tags); s.opts.MaxTags >= 0 && n > s.opts.MaxTags {
			return structs.Errorf(structs.KindTooLarge, "Image tag limit exceeded for image %s: The limit has been exceeded on the number of allowed image tags. Attempted: %d, Maximum: %d:",
				i.ID, n, s.opts.MaxTags)
		}
		return nil
	})
}

// removeTag answers DELETE /v2/images/{image_id}/tags/{tag}; a tag that is not there is 404.
func (s *service) removeTag(r *httpapi.Request) (any, error) {
	return nil, changeTags(r, func(i *structs.Image) error {
		at := slices.Index(i.Tags, r.Vars["tag"])
		if at < 0 {
			return httpapi.NotFound("Image %s has no tag %s", i.ID, r.Vars["tag"])
		}
		i.Tags = slices.Delete(i.Tags, at, at+1)
		return nil
	})
}

func changeTags(r *httpapi.Request, edit func(*structs.Image) error) error {
	i, err := findOr(r, httpapi.NotFound("Image %s not found.", imageID(r)))
	if err == nil {
		_, err = change(r.Context(), r.Core, i.ID, edit)
	}
	return err
}
