package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var imageCachingTable = newTable("image_cachings", func(v *structs.ImageCaching) []string { return []string{v.ID} })

// ImageCaching returns one that is being done, or nil.
func (r Reader) ImageCaching(id string) *structs.ImageCaching { return first(r, imageCachingTable, id) }

// ImageCachings iterates over all that are being done, by id.
func (r Reader) ImageCachings() iter.Seq[*structs.ImageCaching] { return all(r, imageCachingTable) }

// PutImageCaching writes one.
func (t *Txn) PutImageCaching(v *structs.ImageCaching) { put(t, imageCachingTable, v) }

// DeleteImageCaching removes one; an unknown one is no error.
func (t *Txn) DeleteImageCaching(id string) { remove(t, imageCachingTable, id) }
