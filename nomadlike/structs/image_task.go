package structs

import (
	"maps"
	"slices"
)

// ImageTaskID names a task of the Image service.
type ImageTaskID string

// ImageTaskStatus is how far a task has come; the words are Glance's.
type ImageTaskStatus string

// Statuses of tasks.
const (
	ImageTaskPending    ImageTaskStatus = "pending"
	ImageTaskProcessing ImageTaskStatus = "processing"
	ImageTaskSuccess    ImageTaskStatus = "success"
	ImageTaskFailure    ImageTaskStatus = "failure"
)

// Ended reports whether nothing is to be done any more.
func (s ImageTaskStatus) Ended() bool { return s == ImageTaskSuccess || s == ImageTaskFailure }

// The ways that bytes arrive by an import.
const (
	ImportDirect   = "glance-direct" // staged before
	ImportDownload = "web-download"
	ImportCopy     = "copy-image" // from one store to others
)

// ImageTask is an import: what is to be done, who does it, and what came of it. It is the work itself: while it has not ended, some server has to bring it to an
// end.
type ImageTask struct {
	Meta
	ID          ImageTaskID     `codec:"id"`
	ImageID     ImageID         `codec:"img"`
	ProjectID   ProjectID       `codec:"proj"`
	UserID      UserID          `codec:"user"`
	RequestID   string          `codec:"req"`
	Status      ImageTaskStatus `codec:"st"`
	Method      string          `codec:"m"`
	URI         string          `codec:"uri,omitempty"`
	Stores      []string        `codec:"stores,omitempty"` // where the bytes are to go
	AllMust     bool            `codec:"all,omitempty"`    // a store that fails fails the import
	Body        string          `codec:"body,omitempty"`   // the request as it came, JSON
	Message     string          `codec:"msg,omitempty"`
	ServerID    ServerID        `codec:"srv"` // who does it
	Attempt     int             `codec:"try"` // counts who began it: what an earlier one writes is refused
	CreatedAt   Time            `codec:"created"`
	UpdatedAt   Time            `codec:"updated"`
	ExpiresAt   Time            `codec:"expires,omitempty"` // when the record of an ended task goes
	ExpireAfter int64           `codec:"ttl"`               // nanoseconds from its end
}

// StoreServers is the id of the servers' own store.
const StoreServers = "servers"

// Properties of an image that tell of its imports; no client can write them.
const (
	PropertyImporting    = "os_glance_importing_to_stores"
	PropertyFailedImport = "os_glance_failed_import"
)

// StoreIDs are the stores that hold the image's data.
func (i *Image) StoreIDs() []string {
	switch {
	case !i.HasData():
		return nil
	case len(i.Stores) == 0:
		return []string{StoreServers}
	}
	return i.Stores
}

// InStore reports whether a store holds the image's data.
func (i *Image) InStore(id string) bool { return slices.Contains(i.StoreIDs(), id) }

// Staged reports whether the image's data wait in the servers' store for an import.
func (i *Image) Staged() bool {
	return (i.Status == ImageUploading || i.Status == ImageImporting) && i.SHA512 != ""
}

// OnServers reports whether the servers' own store has to have the image's bytes.
func (i *Image) OnServers() bool { return i.InStore(StoreServers) || i.Staged() }

// SetProperty writes a property of an image whose properties nobody else holds; Copy makes one such.
func (i *Image) SetProperty(name, value string) {
	if i.Properties == nil {
		i.Properties = map[string]string{}
	}
	i.Properties[name] = value
}

// Requeue takes what was staged or arrived away from an image, which can then be given data again.
func (i *Image) Requeue() {
	i.Status, i.Servers, i.Stores, i.TaskID = ImageQueued, nil, nil, ""
	i.Size, i.VirtualSize, i.SHA512, i.MD5 = 0, 0, "", ""
	if _, said := i.Properties[PropertyImporting]; said {
		i.Properties = maps.Clone(i.Properties)
		i.Properties[PropertyImporting] = ""
	}
}

// ImageImportBegin makes the task of an import and writes its image, which must still be as the proposer read it. KindNotFound and KindConflict are about the
// image, KindTooLarge about its project's limits.
type ImageImportBegin struct {
	Task    ImageTask   `codec:"t"`
	Image   Image       `codec:"i"`
	IfIndex uint64      `codec:"if"`
	Limits  ImageLimits `codec:"l,omitempty"`
}

// ImageTaskClaim makes a server the one that does a task, which nobody has claimed since Attempt.
type ImageTaskClaim struct {
	ID       ImageTaskID `codec:"id"`
	Attempt  int         `codec:"try"`
	ServerID ServerID    `codec:"srv"`
	Now      Time        `codec:"now"`
}

// ImageTaskWrite writes how far a task has come and, unless Image is nil, its image. Both must be as the proposer read them: the task of that attempt and not
// ended, the image of that index.
type ImageTaskWrite struct {
	ID      ImageTaskID     `codec:"id"`
	Attempt int             `codec:"try"`
	Status  ImageTaskStatus `codec:"st"`
	Message string          `codec:"msg,omitempty"`
	Image   *Image          `codec:"i,omitempty"`
	IfIndex uint64          `codec:"if,omitempty"`
	Limits  ImageLimits     `codec:"l,omitempty"`
	Now     Time            `codec:"now"`
}

// ImageTaskReap removes tasks that have ended.
type ImageTaskReap struct {
	IDs []ImageTaskID `codec:"ids"`
}

// ImageTaskCreate records a task that has ended already. KindConflict when there is one with its id.
type ImageTaskCreate struct {
	Task ImageTask `codec:"t"`
}
