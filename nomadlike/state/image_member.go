package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var imageMemberTable = newTable("image_members", func(v *structs.ImageMember) []string { return []string{string(v.ImageID), string(v.ProjectID)} })

// ImageMember returns a project's membership of an image, or nil.
func (r Reader) ImageMember(id structs.ImageID, p structs.ProjectID) *structs.ImageMember {
	return first(r, imageMemberTable, string(id), string(p))
}

// ImageMembers iterates over the members of an image by project.
func (r Reader) ImageMembers(id structs.ImageID) iter.Seq[*structs.ImageMember] {
	return prefix(r, imageMemberTable, "id", string(id))
}

// ImageShared reports whether an image is shared with a project, whatever that says to it.
func (r Reader) ImageShared(i *structs.Image, p structs.ProjectID) bool {
	return i.Visibility == "shared" && p != "" && r.ImageMember(i.ID, p) != nil
}

// PutImageMember writes a member.
func (t *Txn) PutImageMember(v *structs.ImageMember) { put(t, imageMemberTable, v) }

// DeleteImageMember removes a member and returns it, or nil.
func (t *Txn) DeleteImageMember(id structs.ImageID, p structs.ProjectID) *structs.ImageMember {
	return remove(t, imageMemberTable, string(id), string(p))
}
