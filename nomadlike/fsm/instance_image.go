package fsm

import (
	"cmp"
	"slices"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// dropUnfinished removes the image that an operation was to make and did not.
func dropUnfinished(tx *state.Txn, op *structs.Operation) {
	if op.Args.NewImageID == "" {
		return
	}
	if img := tx.Image(op.Args.NewImageID); img != nil && (img.Status != structs.ImageActive || op.Kind == structs.OpShelve) {
		dropImage(tx, img.ID)
	}
}

// rotate removes an instance's oldest backups of the operation's type beyond those that stay, except protected ones. With none to stay the new one goes, too.
func rotate(tx *state.Txn, op *structs.Operation) {
	if op.Kind != structs.OpBackup {
		return
	}
	var backups []*structs.Image
	for img := range tx.Images() {
		p := img.Properties
		if img.Status == structs.ImageActive && p["image_type"] == "backup" && p["backup_type"] == op.Args.BackupType && p["instance_uuid"] == string(op.InstanceID) {
			backups = append(backups, img)
		}
	}
	slices.SortFunc(backups, func(a, b *structs.Image) int {
		return cmp.Or(cmp.Compare(b.CreatedAt, a.CreatedAt), cmp.Compare(b.CreateIndex, a.CreateIndex), cmp.Compare(a.ID, b.ID))
	})
	for n, img := range backups {
		if int64(n) >= op.Args.Rotation && !img.Protected {
			dropImage(tx, img.ID)
		}
	}
}
