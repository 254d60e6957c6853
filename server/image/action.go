package image

import (
	"errors"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// deactivate answers POST /v2/images/{image_id}/actions/deactivate: from then on only administrators get the data.
func (s *service) deactivate(r *httpapi.Request) (any, error) {
	return nil, turn(r, "deactivate", structs.ImageActive, structs.ImageDeactivated)
}

// reactivate answers POST /v2/images/{image_id}/actions/reactivate.
func (s *service) reactivate(r *httpapi.Request) (any, error) {
	return nil, turn(r, "reactivate", structs.ImageDeactivated, structs.ImageActive)
}

// turn brings an image from one status to another; one that is there already is success.
func turn(r *httpapi.Request, what string, from, to structs.ImageStatus) error {
	i, err := find(r)
	if err != nil {
		return err
	}
	_, err = change(r.Context(), r.Core, i.ID, func(i *structs.Image) error {
		switch i.Status {
		case from:
			i.Status = to
			return nil
		case to:
			return errStands
		}
		return httpapi.Forbidden("Not allowed to %s image in status '%s'", what, i.Status)
	})
	if errors.Is(err, errStands) {
		return nil
	}
	return err
}
