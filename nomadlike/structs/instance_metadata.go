package structs

// InstanceMetadataRequest changes an instance's metadata. What is left when it is applied is judged against the quota of that moment.
type InstanceMetadataRequest struct {
	ID      InstanceID        `codec:"id"`
	Set     map[string]string `codec:"s,omitempty"`
	Replace bool              `codec:"r,omitempty"` // what Set does not name goes
	Remove  string            `codec:"d,omitempty"` // a key that has to be there, and goes
	Admin   bool              `codec:"a,omitempty"` // passes a lock
	Now     Time              `codec:"now"`
}

// InstanceMetadata is the metadata that an instance has after a change.
type InstanceMetadata struct {
	Items map[string]string `codec:"i,omitempty"`
}

// TagChange is what is done to an instance's tags.
type TagChange uint8

// The changes.
const (
	TagsReplace TagChange = iota // by the request's
	TagAdd                       // the request's one
	TagRemove                    // the request's one, which has to be there
)

// MaxInstanceTags is how many tags an instance may have, as in Nova.
const MaxInstanceTags = 50

// InstanceTagsRequest changes an instance's tags. Locks do not matter for it, as in Nova.
type InstanceTagsRequest struct {
	ID     InstanceID `codec:"id"`
	Change TagChange  `codec:"c,omitempty"`
	Tags   []string   `codec:"t,omitempty"`
	Action string     `codec:"a"` // Nova's word for it in a refusal
}

// InstanceTags are the tags that an instance has after a change, sorted.
type InstanceTags struct {
	Tags    []string `codec:"t,omitempty"`
	Changed bool     `codec:"c,omitempty"`
}
