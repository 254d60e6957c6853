package structs

// StoreGlance is where the bytes of an external image lie: in the Image service that has it.
const StoreGlance = "glance"

// ImageMirrorRequest writes what is known of an external image, whatever was known before. An image of this cluster's own with that id is KindConflict, one that
// is being deleted KindNotFound.
type ImageMirrorRequest struct {
	Image Image `codec:"i"`
}

// ImageForgetRequest removes what is known of external images: of those alone that are still as the proposer read them. Nothing else is removed.
type ImageForgetRequest struct {
	Images []ImageVersion `codec:"i"`
}

// ImageVersion is an image as it was at an index.
type ImageVersion struct {
	ID      ImageID `codec:"id"`
	IfIndex uint64  `codec:"if"` // its ModifyIndex
}
