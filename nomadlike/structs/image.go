package structs

import "maps"

// ImageStatus is where an image is in its life; the words are Glance's.
type ImageStatus string

// Image statuses.
const (
	ImageQueued      ImageStatus = "queued"
	ImageSaving      ImageStatus = "saving"
	ImageUploading   ImageStatus = "uploading"
	ImageImporting   ImageStatus = "importing"
	ImageActive      ImageStatus = "active"
	ImageDeactivated ImageStatus = "deactivated" // has its data, which only administrators get
	ImageDeleted     ImageStatus = "deleted"
)

// Image is an image's metadata. Its bytes lie in stores, of which the servers' own has them under SHA512, never in Raft.
type Image struct {
	Meta
	ID              ImageID           `codec:"id"`
	Name            string            `codec:"name"`
	ProjectID       ProjectID         `codec:"proj"` // owner
	Visibility      string            `codec:"vis"`  // public, private, shared, community
	Status          ImageStatus       `codec:"status"`
	DiskFormat      string            `codec:"df"`
	ContainerFormat string            `codec:"cf"`
	MinDiskGiB      int64             `codec:"mind"`
	MinMemoryMiB    int64             `codec:"minm"`
	Protected       bool              `codec:"prot"`
	Hidden          bool              `codec:"hid"`
	Tags            []string          `codec:"tags"`
	Properties      map[string]string `codec:"props"`
	Size            int64             `codec:"size"`             // bytes of the file
	VirtualSize     int64             `codec:"vsize"`            // bytes of the disk inside, 0 when not known
	MD5             string            `codec:"md5"`              // hex, what Glance calls checksum
	SHA512          string            `codec:"sha512"`           // hex, what Glance calls os_hash_value; "" until the bytes are stored or staged
	Servers         []ServerID        `codec:"servers"`          // which servers had the bytes when the upload was acknowledged
	Stores          []string          `codec:"stores,omitempty"` // ids of the stores that hold the bytes; none is the servers' own alone
	TaskID          ImageTaskID       `codec:"task,omitempty"`   // the import that is under way
	External        bool              `codec:"ext,omitempty"`    // an Image service elsewhere has it: this is what hosts and instances need to know of it
	CreatedAt       Time              `codec:"created"`
	UpdatedAt       Time              `codec:"updated"`
}

// HasData reports whether the image's bytes are stored.
func (i *Image) HasData() bool { return i.Status == ImageActive || i.Status == ImageDeactivated }

// Copy returns a deep copy.
func (i *Image) Copy() *Image {
	c := *i
	c.Tags = append([]string(nil), i.Tags...)
	c.Servers = append([]ServerID(nil), i.Servers...)
	c.Stores = append([]string(nil), i.Stores...)
	c.Properties = maps.Clone(i.Properties)
	return &c
}

// ImageUpsertRequest writes an image. IfStatus, when not empty, is the status that the stored image must have (KindConflict otherwise);
// Create demands that there is none.
type ImageUpsertRequest struct {
	Image    Image       `codec:"i"`
	Create   bool        `codec:"c"`
	IfStatus ImageStatus `codec:"if"`
}

// ImageFinishRequest makes an image active whose bytes are stored now. It is so already when that was done before with the same bytes; a deleted image is
// KindNotFound.
type ImageFinishRequest struct {
	ID          ImageID    `codec:"id"`
	DiskFormat  string     `codec:"df"`
	Size        int64      `codec:"n"`
	VirtualSize int64      `codec:"v"`
	SHA512      string     `codec:"l"`
	MD5         string     `codec:"m"`
	Servers     []ServerID `codec:"srv"`
	Now         Time       `codec:"now"`
}

// ImageCreateRequest makes an image: KindConflict when there is one with its id, KindTooLarge when its project may not have another.
type ImageCreateRequest struct {
	Image  Image       `codec:"i"`
	Limits ImageLimits `codec:"l,omitempty"` // of the image's project
}

// ImageStoreRequest writes an image whose data begin to arrive (saving) or are there (active). It must still be as the proposer read it: IfIndex is the
// ModifyIndex that it had. KindTooLarge: its project's limits do not allow it.
type ImageStoreRequest struct {
	Image     Image       `codec:"i"`
	IfIndex   uint64      `codec:"if"`
	Announced int64       `codec:"n,omitempty"` // bytes that are said to come; 0 when nothing is said
	Limits    ImageLimits `codec:"l,omitempty"` // of the image's project
}

// ImageDeleteRequest removes an image with its members: KindNotFound when unknown, KindForbidden when protected.
type ImageDeleteRequest struct {
	ID ImageID `codec:"id"`
}
