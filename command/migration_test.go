package command

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// newMovers is a cloud of two hosts with an instance on the first, and its id. hold says which operations stay where they are; nil is none.
func newMovers(t *testing.T, hold func(*structs.Operation) bool) (*cloud, string) {
	t.Helper()
	c := newCloud(t)
	c.core.Hold = hold
	c.login()
	c.core.AddHost("h1")
	propose(t, fsm.FlavorCreate, c.core, &structs.FlavorCreateRequest{Flavor: structs.Flavor{ID: "2", Name: "m1.small", VCPUs: 2, MemoryMiB: 256, RootGiB: 1, Public: true}})
	c.work()
	c.upload("disk")
	r := run(t, "instance", "run", "-flavor", "m1.tiny", "-image", "disk", "one", "-t", "{{.id}}")
	require.Equal(t, 0, r.code, r.err)
	c.core.AddHost("h2")
	return c, strings.TrimSpace(r.out)
}

func ok(t *testing.T, want string, args ...string) result {
	t.Helper()
	r := run(t, args...)
	require.Equal(t, 0, r.code, r.err)
	require.Equal(t, want, strings.TrimSpace(r.out), "kilonova %s", strings.Join(args, " "))
	return r
}

func TestResize(t *testing.T) {
	_, id := newMovers(t, nil)
	const as = "{{.status}} {{.flavor}} {{.host}}"
	r := ok(t, "VERIFY_RESIZE m1.small h2", "instance", "resize", "-flavor", "m1.small", "one", "-t", as)
	require.Contains(t, r.err, "resize: accepted")
	require.Contains(t, r.err, "resize: done")
	require.Contains(t, r.err, "`kilonova instance resize -confirm "+id+"` keeps it so")
	ok(t, "ACTIVE m1.tiny h1", "instance", "resize", "-revert", "one", "-t", as)
	ok(t, "ACTIVE m1.small h2", "instance", "resize", "-flavor", "m1.small", "-confirm", "one", "-t", as)
	r = run(t, "instance", "resize", "-confirm", "one")
	require.Equal(t, ExitFailed, r.code)
	require.Contains(t, r.err, "(HTTP 409)")
	require.Contains(t, run(t, "instance", "resize", "-flavor", "none", "one").err, `no flavor has the id or name "none"`)
	require.Equal(t, "resize confirmed\nresize reverted\n\n", run(t, "migration", "list", "-t", "{{range .}}{{.type}} {{.status}}\n{{end}}").out)
	require.Equal(t, "resize confirmed\n\n", run(t, "migration", "list", "-instance", id, "-status", "confirmed", "-type", "resize", "-host", "h2", "-t", "{{range .}}{{.type}} {{.status}}\n{{end}}").out)
	require.Contains(t, run(t, "migration", "list").out, id+"  resize  confirmed  h1    h2")
}

// A move that failed leaves the instance as it was, and the command says that it failed.
func TestMoveThatFails(t *testing.T) {
	c, id := newMovers(t, nil)
	c.failWith(func(o *structs.Operation) string {
		if o.Status != structs.OpUndoing && (o.Kind == structs.OpResize || o.Kind == structs.OpLiveMigrate) {
			return "the disk is full"
		}
		return ""
	})
	for _, args := range [][]string{{"resize", "-flavor", "m1.small"}, {"migrate", "-live"}} {
		r := run(t, append(append([]string{"instance"}, args...), "one")...)
		require.Equal(t, ExitFailed, r.code, r.err)
		require.Contains(t, r.err, "of instance "+id+": it failed: ")
		require.Contains(t, r.err, "the disk is full. `kilonova operation status ")
		require.Empty(t, r.out)
		require.Equal(t, "ACTIVE h1\n", run(t, "instance", "status", "one", "-t", "{{.status}} {{.host}}").out)
	}
}

func TestMigrate(t *testing.T) {
	c, id := newMovers(t, nil)
	const as = "{{.status}} {{.host}}"
	ok(t, "ACTIVE h2", "instance", "migrate", "-live", "-host", "h2", "one", "-t", as)
	r := ok(t, "VERIFY_RESIZE h1", "instance", "migrate", "one", "-t", as)
	require.Contains(t, r.err, "keeps it so")
	ok(t, "ACTIVE h1", "instance", "resize", "-confirm", id, "-t", as)
	require.Contains(t, run(t, "instance", "migrate", "-host", "none", "one").err, "Compute host none could not be found. (HTTP 400)")
	require.Contains(t, run(t, "instance", "evacuate", "one").err, "is still in use")

	h1 := c.core.Stale().HostByName("h1")
	propose(t, fsm.HostStatus, c.core, &structs.HostStatusRequest{Changes: []structs.HostStatusChange{{HostID: h1.ID, Epoch: h1.Epoch, Status: structs.HostDown}}})
	r = ok(t, "ACTIVE h2", "instance", "evacuate", "-host", "h2", "one", "-t", as)
	require.Contains(t, r.err, "evacuation: done")
	require.Equal(t, "evacuation migration live-migration \n", run(t, "migration", "list", "-t", "{{range .}}{{.type}} {{end}}").out)
}

func TestAbort(t *testing.T) {
	c, id := newMovers(t, func(o *structs.Operation) bool { return o.Step == structs.StepMigrate && o.Signal == "" })
	r := run(t, "instance", "migrate", "-live", "-detach", "one", "-t", "{{.id}}")
	require.Equal(t, 0, r.code, r.err)
	number := strings.TrimSpace(run(t, "migration", "list", "-t", "{{range .}}{{.id}}{{end}}").out)
	shown := run(t, "migration", "status", number)
	require.Contains(t, shown.out, "Type     = live-migration\n")
	require.Contains(t, shown.out, id)
	c.failWith(func(o *structs.Operation) string {
		if o.Step == structs.StepMigrate && o.Status != structs.OpUndoing {
			return "aborted"
		}
		return ""
	})
	r = ok(t, number+"  "+id+"  cancelled", "migration", "abort", number)
	require.Contains(t, r.err, "abortion: done")
	require.Equal(t, "ACTIVE h1\n", run(t, "instance", "status", "one", "-t", "{{.status}} {{.host}}").out)
	r = run(t, "migration", "abort", number)
	require.Equal(t, ExitFailed, r.code)
	require.Contains(t, r.err, "is a live-migration that is cancelled; only a live migration that is under way can be aborted")
	uuid := strings.TrimSpace(run(t, "migration", "status", number, "-t", "{{.uuid}}").out)
	ok(t, number, "migration", "status", uuid[:13], "-t", "{{.id}}")
	require.Contains(t, run(t, "migration", "status", "zz").err, `no migration has the id "zz"`)
}
