package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var imageTaskTable = newTable("image_tasks", func(v *structs.ImageTask) []string { return []string{string(v.ID)} },
	index[structs.ImageTask]{"image", func(v *structs.ImageTask) []string { return []string{string(v.ImageID), newestFirst(v.CreatedAt)} }},
	index[structs.ImageTask]{"open", func(v *structs.ImageTask) []string {
		if v.Status.Ended() {
			return nil
		}
		return []string{"1"}
	}})

// ImageTask returns a task by id, or nil.
func (r Reader) ImageTask(id structs.ImageTaskID) *structs.ImageTask {
	return first(r, imageTaskTable, string(id))
}

// ImageTasks iterates over all tasks by id.
func (r Reader) ImageTasks() iter.Seq[*structs.ImageTask] { return all(r, imageTaskTable) }

// ImageTasksOf iterates over an image's tasks, newest first.
func (r Reader) ImageTasksOf(id structs.ImageID) iter.Seq[*structs.ImageTask] {
	return prefix(r, imageTaskTable, "image", string(id))
}

// OpenImageTasks iterates over the tasks that have not ended.
func (r Reader) OpenImageTasks() iter.Seq[*structs.ImageTask] {
	return prefix(r, imageTaskTable, "open", "1")
}

// PutImageTask writes a task.
func (t *Txn) PutImageTask(v *structs.ImageTask) { put(t, imageTaskTable, v) }

// DeleteImageTask removes a task and returns it, or nil.
func (t *Txn) DeleteImageTask(id structs.ImageTaskID) *structs.ImageTask {
	return remove(t, imageTaskTable, string(id))
}
