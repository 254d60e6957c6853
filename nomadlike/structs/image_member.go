package structs

// ImageMemberStatus is what a project says to an image that is shared with it; the words are Glance's.
type ImageMemberStatus string

// Statuses of members.
const (
	ImageMemberPending  ImageMemberStatus = "pending"
	ImageMemberAccepted ImageMemberStatus = "accepted" // the image is in the project's lists
	ImageMemberRejected ImageMemberStatus = "rejected"
)

// ImageMember is a project that an image is shared with. It counts while the image's visibility is shared.
type ImageMember struct {
	Meta
	ImageID   ImageID           `codec:"i"`
	ProjectID ProjectID         `codec:"p"`
	Status    ImageMemberStatus `codec:"s"`
	CreatedAt Time              `codec:"created"`
	UpdatedAt Time              `codec:"updated"`
}

// ImageMemberAddRequest shares an image with a project, which is asked first: the member is pending. KindNotFound: there is no such image; KindForbidden: its
// visibility is not shared; KindTooLarge: it has as many members as it may have; KindConflict: the project is a member.
type ImageMemberAddRequest struct {
	ImageID   ImageID   `codec:"i"`
	ProjectID ProjectID `codec:"p"`
	Max       int       `codec:"max"` // members that the image may have; below 0 there is no bound
	Now       Time      `codec:"now"`
}

// ImageMemberSetRequest writes what a member says: KindNotFound when it is none.
type ImageMemberSetRequest struct {
	ImageID   ImageID           `codec:"i"`
	ProjectID ProjectID         `codec:"p"`
	Status    ImageMemberStatus `codec:"s"`
	Now       Time              `codec:"now"`
}

// ImageMemberRemoveRequest ends the sharing of an image with a project: KindNotFound when it is no member.
type ImageMemberRemoveRequest struct {
	ImageID   ImageID   `codec:"i"`
	ProjectID ProjectID `codec:"p"`
}
