package host

import (
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/compute/base"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type aggregateImagesBody struct {
	Cache []struct {
		ID string `json:"id"`
	} `json:"cache"`
}

// cacheImages has the aggregate's hosts fetch images before anybody builds from them. The leader sees to it; the answer does not wait for that.
func (s *service) cacheImages(r *httpapi.Request) (any, error) {
	body, err := base.Decode[aggregateImagesBody](r)
	if err != nil {
		return nil, err
	}
	if _, err := aggregateID(r); err != nil {
		return nil, err
	}
	var images []structs.ImageID
	for _, i := range body.Cache {
		if slices.Contains(images, structs.ImageID(i.ID)) {
			return nil, httpapi.BadRequest("Duplicate images in request")
		}
		images = append(images, structs.ImageID(i.ID))
	}
	_, a, err := aggregateOf(r)
	if err != nil {
		return nil, err
	}
	for _, id := range images {
		_, err := s.Images.Use(r, string(id))
		if structs.IsKind(err, structs.KindNotFound) {
			err = httpapi.BadRequest("Image %s could not be found.", id)
		}
		if err != nil {
			return nil, err
		}
	}
	_, err = fsm.ImageCachingBegin.Propose(r.Context(), r.Core, &structs.ImageCachingBeginRequest{ID: nomadlike.NewUUID(), AggregateID: a.ID, Images: images, Now: s.Time()})
	return nil, err
}
