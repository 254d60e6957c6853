package runner

import (
	"context"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/plugins/driver"
)

// specs keeps what the driver was told of guests.
type specs struct {
	*scripted
	seen chan *driver.InstanceSpec
}

func (d *specs) Create(ctx context.Context, s *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	d.seen <- s
	return d.scripted.Create(ctx, s)
}

func (d *specs) Rebuild(_ context.Context, s *driver.InstanceSpec) (*driver.InstanceStatus, error) {
	d.seen <- s
	return d.status(s.InstanceID), nil
}

func (d *specs) Rescue(_ context.Context, s *driver.InstanceSpec) error {
	d.seen <- s
	return nil
}

// Files are injected into the disk that a build or a rebuild makes of an image. A disk that is another's copy has them already, and an evacuated
// instance gets none, as in Nova.
func TestFilesGoIntoNewDisks(t *testing.T) {
	t.Parallel()
	for kind, one := range map[structs.OperationKind]struct {
		step  structs.StepName
		files bool
	}{
		structs.OpBuild: {structs.StepSpawn, true}, structs.OpRebuild: {structs.StepRebuild, true}, structs.OpUnshelve: {structs.StepSpawn, false},
		structs.OpEvacuate: {structs.StepSpawn, false}, structs.OpRescue: {structs.StepRescue, false},
	} {
		d := &specs{newScripted(), make(chan *driver.InstanceSpec, 10)}
		r := New(Config{Driver: d, Images: noImages{}, Logger: hclog.NewNullLogger(), Report: func(structs.Outcome) {}, Sync: func(structs.InstanceSync) {}, Missing: func() {}})
		t.Cleanup(r.Close)
		w := work("a", kind, one.step)
		w.Instance.Files = []structs.InjectedFile{{Path: "/a", Contents: []byte("b")}, {Path: "/c"}}
		r.Do(w)
		var want []driver.File
		if one.files {
			want = []driver.File{{Path: "/a", Contents: []byte("b")}, {Path: "/c"}}
		}
		require.Equal(t, want, next(t, d.seen).Files, kind)
	}
}
