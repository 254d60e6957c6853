package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var imageTable = newTable("images", func(v *structs.Image) []string { return []string{string(v.ID)} },
	index[structs.Image]{"created", func(v *structs.Image) []string { return []string{newestFirst(v.CreatedAt)} }},
	index[structs.Image]{"sha256", func(v *structs.Image) []string {
		if v.SHA256 == "" {
			return nil
		}
		return []string{v.SHA256}
	}})

// Image returns an image by id, or nil.
func (r Reader) Image(id structs.ImageID) *structs.Image { return first(r, imageTable, string(id)) }

// Images iterates over all images, newest first.
func (r Reader) Images() iter.Seq[*structs.Image] { return prefix(r, imageTable, "created") }

// ImageWithBytes returns an image whose file has that hash, or nil: the bytes are still needed.
func (r Reader) ImageWithBytes(sha256 string) *structs.Image {
	return one(prefix(r, imageTable, "sha256", sha256))
}

// PutImage writes an image.
func (t *Txn) PutImage(v *structs.Image) { put(t, imageTable, v) }

// DeleteImage removes an image and returns it, or nil.
func (t *Txn) DeleteImage(id structs.ImageID) *structs.Image {
	return remove(t, imageTable, string(id))
}
