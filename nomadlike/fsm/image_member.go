package fsm

import (
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// ImageMemberAdd shares an image with a project.
var ImageMemberAdd = registerOnce(56, "image-member-add", func(tx *state.Txn, r *structs.ImageMemberAddRequest) (*structs.ImageMember, error) {
	i := tx.Image(r.ImageID)
	switch {
	case i == nil:
		return nil, structs.Errorf(structs.KindNotFound, "Image %s not found.", r.ImageID)
	case i.Visibility != "shared":
		return nil, structs.Errorf(structs.KindForbidden, "Not allowed to create members for image %s.", r.ImageID)
	}
	count := 1
	for range tx.ImageMembers(r.ImageID) {
		count++
	}
	switch {
	case r.Max >= 0 && count > r.Max:
		return nil, structs.Errorf(structs.KindTooLarge, "Image member limit exceeded for image %s: The limit has been exceeded on the number of allowed image members for this image. "+
			"Attempted: %d, Maximum: %d:", r.ImageID, count, r.Max)
	case tx.ImageMember(r.ImageID, r.ProjectID) != nil:
		return nil, structs.Errorf(structs.KindConflict, "Member %s is duplicated for image %s", r.ProjectID, r.ImageID)
	}
	m := &structs.ImageMember{ImageID: r.ImageID, ProjectID: r.ProjectID, Status: structs.ImageMemberPending, CreatedAt: r.Now, UpdatedAt: r.Now}
	tx.PutImageMember(m)
	return m, nil
})

// ImageMemberSet writes what a member says to an image.
var ImageMemberSet = registerOnce(57, "image-member-set", func(tx *state.Txn, r *structs.ImageMemberSetRequest) (*structs.ImageMember, error) {
	old := tx.ImageMember(r.ImageID, r.ProjectID)
	if old == nil {
		return nil, noImageMember(r.ImageID, r.ProjectID)
	}
	m := *old
	m.Status, m.UpdatedAt = r.Status, r.Now
	tx.PutImageMember(&m)
	return &m, nil
})

// ImageMemberRemove ends the sharing of an image with a project.
var ImageMemberRemove = registerOnce(58, "image-member-remove", func(tx *state.Txn, r *structs.ImageMemberRemoveRequest) (None, error) {
	if tx.DeleteImageMember(r.ImageID, r.ProjectID) == nil {
		return None{}, noImageMember(r.ImageID, r.ProjectID)
	}
	return None{}, nil
})

func noImageMember(id structs.ImageID, p structs.ProjectID) error {
	return structs.Errorf(structs.KindNotFound, "%s not found in the member list of the image %s.", p, id)
}
