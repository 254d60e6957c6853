package fsm_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func TestImageTasks(t *testing.T) {
	t.Parallel()
	w, ctx := newWorld(t, 0), context.Background()
	_, err := fsm.ImageCreate.Propose(ctx, w, &structs.ImageCreateRequest{Image: structs.Image{ID: "i", ProjectID: "p", Status: structs.ImageQueued}})
	require.NoError(t, err)
	image := func() *structs.Image { return w.store.Snapshot().Image("i") }
	task := func() *structs.ImageTask { return w.store.Snapshot().ImageTask("t") }
	begin := func(index uint64, limits structs.ImageLimits) error {
		i := image().Copy()
		i.Status, i.TaskID = structs.ImageImporting, "t"
		_, err := fsm.ImageImportBegin.Propose(ctx, w, &structs.ImageImportBegin{Image: *i, IfIndex: index, Limits: limits,
			Task: structs.ImageTask{ID: "t", ImageID: "i", Status: structs.ImageTaskPending, ServerID: "s1", CreatedAt: 5, ExpireAfter: int64(time.Hour)}})
		return err
	}
	require.True(t, structs.IsKind(begin(99, nil), structs.KindConflict))
	require.True(t, structs.IsKind(begin(image().ModifyIndex, structs.ImageLimits{structs.ImageCountUploading: 0}), structs.KindTooLarge))
	require.Nil(t, task())
	require.NoError(t, begin(image().ModifyIndex, structs.ImageLimits{structs.ImageCountUploading: 1, structs.ImageSizeTotal: 0}))
	require.True(t, structs.IsKind(begin(image().ModifyIndex, nil), structs.KindConflict), "there is such a task")

	claim := func(attempt int, s structs.ServerID) error {
		_, err := fsm.ImageTaskClaim.Propose(ctx, w, &structs.ImageTaskClaim{ID: "t", Attempt: attempt, ServerID: s, Now: 6})
		return err
	}
	require.NoError(t, claim(0, "s1"))
	require.True(t, structs.IsKind(claim(0, "s2"), structs.KindForbidden), "somebody was first")
	require.NoError(t, claim(1, "s2"))
	require.Equal(t, []any{structs.ImageTaskProcessing, structs.ServerID("s2"), 2, structs.Time(6)}, []any{task().Status, task().ServerID, task().Attempt, task().UpdatedAt})
	write := func(attempt int, status structs.ImageTaskStatus, edit func(*structs.Image), limits structs.ImageLimits) error {
		r := &structs.ImageTaskWrite{ID: "t", Attempt: attempt, Status: status, Message: "m", Limits: limits, Now: 7}
		if edit != nil {
			i := image().Copy()
			edit(i)
			r.Image, r.IfIndex = i, image().ModifyIndex
		}
		_, err := fsm.ImageTaskWrite.Propose(ctx, w, r)
		return err
	}
	stage := func(i *structs.Image) { i.Size, i.SHA512 = 3<<20, "sum" }
	require.True(t, structs.IsKind(write(1, structs.ImageTaskProcessing, stage, nil), structs.KindForbidden), "the claim was taken over")
	require.True(t, structs.IsKind(write(2, structs.ImageTaskProcessing, stage, structs.ImageLimits{structs.ImageStageTotal: 2}), structs.KindTooLarge))
	require.Empty(t, image().SHA512)
	require.NoError(t, write(2, structs.ImageTaskProcessing, stage, structs.ImageLimits{structs.ImageStageTotal: 3}))
	rd := w.store.Snapshot()
	require.NotNil(t, rd.ImageWithBytes("sum"), "staged bytes are needed")
	require.EqualValues(t, 3, rd.ImageUsage("p")[structs.ImageStageTotal])
	require.Equal(t, []structs.ImageTaskID{"t"}, ids(rd.OpenImageTasks()))
	arrive := func(i *structs.Image) { i.Status, i.Stores, i.TaskID = structs.ImageActive, []string{"far"}, "" }
	require.True(t, structs.IsKind(write(2, structs.ImageTaskSuccess, arrive, structs.ImageLimits{structs.ImageSizeTotal: 2}), structs.KindTooLarge))
	require.NoError(t, write(2, structs.ImageTaskSuccess, arrive, structs.ImageLimits{structs.ImageSizeTotal: 3}))
	rd = w.store.Snapshot()
	require.Nil(t, rd.ImageWithBytes("sum"), "they lie elsewhere")
	require.Equal(t, structs.Time(7).Add(time.Hour), task().ExpiresAt)
	require.Empty(t, ids(rd.OpenImageTasks()))
	require.Equal(t, []structs.ImageTaskID{"t"}, ids(rd.ImageTasksOf("i")))
	require.True(t, structs.IsKind(claim(2, "s1"), structs.KindForbidden), "it has ended")
	require.True(t, structs.IsKind(write(2, structs.ImageTaskFailure, nil, nil), structs.KindForbidden))

	_, err = fsm.ImageTaskCreate.Propose(ctx, w, &structs.ImageTaskCreate{Task: structs.ImageTask{ID: "open", Status: structs.ImageTaskPending}})
	require.NoError(t, err)
	_, err = fsm.ImageTaskCreate.Propose(ctx, w, &structs.ImageTaskCreate{Task: structs.ImageTask{ID: "open"}})
	require.True(t, structs.IsKind(err, structs.KindConflict))
	_, err = fsm.ImageTaskReap.Propose(ctx, w, &structs.ImageTaskReap{IDs: []structs.ImageTaskID{"t", "open", "none"}})
	require.NoError(t, err)
	require.Equal(t, []structs.ImageTaskID{"open"}, ids(w.store.Snapshot().ImageTasks()), "what is to be done stays")
}

func ids(tasks func(func(*structs.ImageTask) bool)) []structs.ImageTaskID {
	var out []structs.ImageTaskID
	for t := range tasks {
		out = append(out, t.ID)
	}
	slices.Sort(out)
	return out
}
