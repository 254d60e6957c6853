package structs

// ImageReplaceRequest writes an image that must still be as the proposer read it: IfIndex is the ModifyIndex that it had
// (KindConflict otherwise, KindNotFound when it is gone). Two changes of one image can so never undo each other.
type ImageReplaceRequest struct {
	Image   Image  `codec:"i"`
	IfIndex uint64 `codec:"if"`
}
