package fsm

import (
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// ImageImportBegin makes the task of an import.
var ImageImportBegin = registerOnce(59, "image-import-begin", func(tx *state.Txn, r *structs.ImageImportBegin) (None, error) {
	if err := imageIsAt(tx, r.Image.ID, r.IfIndex); err != nil {
		return None{}, err
	}
	if tx.ImageTask(r.Task.ID) != nil {
		return None{}, structs.Errorf(structs.KindConflict, "Task %s exists.", r.Task.ID)
	}
	if err := writeImported(tx, &r.Image, r.Limits); err != nil {
		return None{}, err
	}
	tx.PutImageTask(&r.Task)
	return None{}, nil
})

// ImageTaskClaim makes a server the one that does a task.
var ImageTaskClaim = registerOnce(62, "image-task-claim", func(tx *state.Txn, r *structs.ImageTaskClaim) (*structs.ImageTask, error) {
	old, err := openImageTask(tx, r.ID, r.Attempt)
	if err != nil {
		return nil, err
	}
	t := *old
	t.Status, t.ServerID, t.UpdatedAt = structs.ImageTaskProcessing, r.ServerID, r.Now
	t.Attempt++
	tx.PutImageTask(&t)
	return &t, nil
})

// ImageTaskWrite writes how far a task has come, with its image.
var ImageTaskWrite = registerOnce(63, "image-task-write", func(tx *state.Txn, r *structs.ImageTaskWrite) (None, error) {
	old, err := openImageTask(tx, r.ID, r.Attempt)
	if err != nil {
		return None{}, err
	}
	if r.Image != nil {
		if err := imageIsAt(tx, r.Image.ID, r.IfIndex); err != nil {
			return None{}, err
		}
		if err := writeImported(tx, r.Image, r.Limits); err != nil {
			return None{}, err
		}
	}
	t := *old
	t.Status, t.Message, t.UpdatedAt = r.Status, r.Message, r.Now
	if t.Status.Ended() {
		t.ExpiresAt = r.Now.Add(time.Duration(t.ExpireAfter))
	}
	tx.PutImageTask(&t)
	return None{}, nil
})

// ImageTaskReap removes tasks that have ended.
var ImageTaskReap = register(107, "image-task-reap", func(tx *state.Txn, r *structs.ImageTaskReap) (None, error) {
	for _, id := range r.IDs {
		if t := tx.ImageTask(id); t != nil && t.Status.Ended() {
			tx.DeleteImageTask(id)
		}
	}
	return None{}, nil
})

// imageIsAt refuses what was made of another version of an image.
func imageIsAt(tx *state.Txn, id structs.ImageID, index uint64) error {
	old := tx.Image(id)
	switch {
	case old == nil:
		return structs.Errorf(structs.KindNotFound, "No image found with ID %s", id)
	case old.ModifyIndex != index:
		return structs.Errorf(structs.KindConflict, "Image %s was changed by somebody else meanwhile", id)
	}
	return nil
}

func writeImported(tx *state.Txn, i *structs.Image, limits structs.ImageLimits) error {
	if err := withinImageLimits(i.ProjectID, tx.ImageUsage(i.ProjectID), limits, imageDeltas(tx.Image(i.ID), i, 0)); err != nil {
		return err
	}
	tx.PutImage(i)
	return nil
}

// openImageTask returns a task that has not ended and that is still of the attempt. KindForbidden tells who does it that it is no longer its.
func openImageTask(tx *state.Txn, id structs.ImageTaskID, attempt int) (*structs.ImageTask, error) {
	t := tx.ImageTask(id)
	if t == nil || t.Status.Ended() || t.Attempt != attempt {
		return nil, structs.Errorf(structs.KindForbidden, "Task %s is not done by this server any more.", id)
	}
	return t, nil
}

// ImageTaskCreate records a task that has ended already.
var ImageTaskCreate = registerOnce(108, "image-task-create", func(tx *state.Txn, r *structs.ImageTaskCreate) (None, error) {
	if tx.ImageTask(r.Task.ID) != nil {
		return None{}, structs.Errorf(structs.KindConflict, "Task %s exists.", r.Task.ID)
	}
	tx.PutImageTask(&r.Task)
	return None{}, nil
})
