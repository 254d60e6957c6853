package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var imageTable = newTable("images", func(v *structs.Image) []string { return []string{string(v.ID)} },
	index[structs.Image]{"created", func(v *structs.Image) []string { return []string{newestFirst(v.CreatedAt)} }},
	index[structs.Image]{"sha512", func(v *structs.Image) []string {
		if v.SHA512 == "" {
			return nil
		}
		return []string{v.SHA512}
	}},
	index[structs.Image]{"project", func(v *structs.Image) []string { return []string{string(v.ProjectID)} }})

// Image returns an image by id, or nil.
func (r Reader) Image(id structs.ImageID) *structs.Image { return first(r, imageTable, string(id)) }

// Images iterates over all images, newest first.
func (r Reader) Images() iter.Seq[*structs.Image] { return prefix(r, imageTable, "created") }

// ImageWithBytes returns an image whose bytes of that hash the servers have to have, or nil: these are not needed any more.
func (r Reader) ImageWithBytes(sha512 string) *structs.Image {
	for i := range r.ImagesByBytes(sha512) {
		if i.OnServers() {
			return i
		}
	}
	return nil
}

// ImagesByBytes iterates over the images whose bytes have that hash, wherever they lie.
func (r Reader) ImagesByBytes(sha512 string) iter.Seq[*structs.Image] {
	return prefix(r, imageTable, "sha512", sha512)
}

// ImagesOfProject iterates over the images that a project owns, by id.
func (r Reader) ImagesOfProject(p structs.ProjectID) iter.Seq[*structs.Image] {
	return prefix(r, imageTable, "project", string(p))
}

// ImageUsage returns what a project's images come to, sizes in whole MiB.
func (r Reader) ImageUsage(p structs.ProjectID) structs.ImageUsage {
	var size, staged, count, uploading int64
	for i := range r.ImagesOfProject(p) {
		if i.External {
			continue
		}
		switch i.Status {
		case structs.ImageActive, structs.ImageDeactivated:
			size += i.Size
		case structs.ImageUploading, structs.ImageImporting: // what is staged has its size
			staged += i.Size
			uploading++
		case structs.ImageSaving:
			uploading++
		case structs.ImageDeleted:
			continue
		}
		count++
	}
	return structs.ImageUsage{structs.ImageSizeTotal: size >> 20, structs.ImageStageTotal: staged >> 20, structs.ImageCountTotal: count, structs.ImageCountUploading: uploading}
}

// PutImage writes an image.
func (t *Txn) PutImage(v *structs.Image) { put(t, imageTable, v) }

// DeleteImage removes an image and returns it, or nil.
func (t *Txn) DeleteImage(id structs.ImageID) *structs.Image {
	return remove(t, imageTable, string(id))
}
