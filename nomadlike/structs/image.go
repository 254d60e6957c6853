package structs

import "maps"

// ImageStatus is where an image is in its life; the words are Glance's.
type ImageStatus string

// Image statuses.
const (
	ImageQueued  ImageStatus = "queued"
	ImageSaving  ImageStatus = "saving"
	ImageActive  ImageStatus = "active"
	ImageDeleted ImageStatus = "deleted"
)

// Image is an image's metadata. Its bytes lie in the servers' content-addressed stores under SHA256, never in Raft.
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
	Size            int64             `codec:"size"`    // bytes of the file
	VirtualSize     int64             `codec:"vsize"`   // bytes of the disk inside, 0 when not known
	SHA256          string            `codec:"sha256"`  // hex; "" until active
	MD5             string            `codec:"md5"`     // hex, what Glance calls checksum
	SHA512          string            `codec:"sha512"`  // hex, what Glance calls os_hash_value
	Servers         []ServerID        `codec:"servers"` // which servers had the bytes when the upload was acknowledged
	CreatedAt       Time              `codec:"created"`
	UpdatedAt       Time              `codec:"updated"`
}

// Copy returns a deep copy.
func (i *Image) Copy() *Image {
	c := *i
	c.Tags = append([]string(nil), i.Tags...)
	c.Servers = append([]ServerID(nil), i.Servers...)
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
	SHA256      string     `codec:"s"`
	SHA512      string     `codec:"l"`
	MD5         string     `codec:"m"`
	Servers     []ServerID `codec:"srv"`
	Now         Time       `codec:"now"`
}

// ImageDeleteRequest removes an image: KindNotFound when unknown, KindForbidden when protected.
type ImageDeleteRequest struct {
	ID ImageID `codec:"id"`
}
