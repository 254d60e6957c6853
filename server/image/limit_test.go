package image

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// whole hides how many bytes come.
type whole struct{ io.Reader }

func TestLimits(t *testing.T) {
	t.Parallel()
	c := newCloud(t, func(o *Options) {
		o.Limits = structs.ImageLimits{structs.ImageSizeTotal: 3, structs.ImageCountTotal: 3, structs.ImageStageTotal: -1, structs.ImageCountUploading: 1}
	})
	usage := func(token, name string) []float64 {
		v := c.get(token, "/v2/info/usage").want(t, 200).json(t)["usage"].(map[string]any)
		require.Len(t, v, 4)
		one := v[name].(map[string]any)
		return []float64{one["usage"].(float64), one["limit"].(float64)}
	}
	const mib = 1 << 20
	const over = "Project p1 is over a limit for [Resource "
	one, two, three := c.image(member, rawImage), c.image(member, rawImage), c.image(member, rawImage)
	require.Equal(t, []float64{3, 3}, usage(member, structs.ImageCountTotal))
	require.Equal(t, []float64{0, -1}, usage(reader, structs.ImageStageTotal))
	c.post(member, rawImage).want(t, 413, "The request returned a 413 Request Entity Too Large", over+"image_count_total is over limit of 3 due to current usage 3 and delta 1]")
	c.post(other, rawImage).want(t, 201)
	c.post(admin, `{"owner": "p1"}`).want(t, 413, over+"image_count_total")

	c.put(member, one, make([]byte, 2*mib)).want(t, 204)
	require.Equal(t, []float64{2, 3}, usage(member, structs.ImageSizeTotal))
	c.put(member, two, make([]byte, 2*mib)).want(t, 413, over+"image_size_total is over limit of 3 due to current usage 2 and delta 2]")
	require.Equal(t, structs.ImageQueued, c.stored(two).Status)
	a := c.do(member, "PUT", "/v2/images/"+two+"/file", whole{bytes.NewReader(make([]byte, 2*mib))}, "Content-Type: application/octet-stream")
	a.want(t, 413, "image_size_total is over limit of 3 due to current usage 2 and delta 2]") // what was not announced is judged at the end
	require.Equal(t, structs.ImageQueued, c.stored(two).Status)
	c.do(member, "POST", "/v2/images/"+one+"/actions/deactivate", nil).want(t, 204)
	require.Equal(t, []float64{2, 3}, usage(member, structs.ImageSizeTotal), "deactivated data count")

	spreading, goOn, done := make(chan struct{}), make(chan struct{}), make(chan int)
	var begun atomic.Bool
	c.blobs.spread = func(context.Context) error {
		if begun.CompareAndSwap(false, true) {
			close(spreading)
			<-goOn
		}
		return nil
	}
	go func() {
		done <- c.do(member, "PUT", "/v2/images/"+two+"/file", bytes.NewReader([]byte("data")), "Content-Type: application/octet-stream").StatusCode
	}()
	<-spreading
	require.Equal(t, []float64{1, 1}, usage(member, structs.ImageCountUploading))
	c.put(member, three, []byte("data")).want(t, 413, over+"image_count_uploading is over limit of 1 due to current usage 1 and delta 1]")
	require.Equal(t, structs.ImageQueued, c.stored(three).Status)
	close(goOn)
	require.Equal(t, 204, <-done)
	c.blobs.spread = nil
	c.put(member, three, []byte("data")).want(t, 204)
	c.do(member, "DELETE", "/v2/images/"+three, nil).want(t, 204)
	c.post(member, rawImage).want(t, 201)
}

func TestUsageWithoutLimits(t *testing.T) {
	t.Parallel()
	c := newCloud(t, nil)
	c.image(member, `{}`)
	none := map[string]any{"usage": 0.0, "limit": -1.0}
	require.Equal(t, map[string]any{"usage": map[string]any{"image_size_total": none, "image_stage_total": none, "image_count_total": map[string]any{"usage": 1.0, "limit": -1.0},
		"image_count_uploading": none}}, c.get(member, "/v2/info/usage").want(t, 200).json(t))
	c.get("member@", "/v2/info/usage").want(t, 200, `"image_count_total":{"limit":-1,"usage":0}`)
}

// register makes a registered limit and returns its id.
func (c *cloud) register(service, region, resource string, n int64) string {
	c.t.Helper()
	l := structs.RegisteredLimit{ID: nomadlike.NewHexID(), ServiceID: service, RegionID: region, Resource: resource, Default: n}
	_, err := fsm.RegisteredLimitsWrite.Propose(c.t.Context(), c.core, &structs.RegisteredLimitsWriteRequest{Limits: []structs.RegisteredLimit{l}})
	require.NoError(c.t, err)
	return l.ID
}

func (c *cloud) limit(l structs.Limit) {
	c.t.Helper()
	_, err := fsm.LimitsWrite.Propose(c.t.Context(), c.core, &structs.LimitsWriteRequest{Limits: []structs.Limit{l}})
	require.NoError(c.t, err)
}

// limitOf is a limit as a token's project is shown it.
func (c *cloud) limitOf(token, name string) float64 {
	c.t.Helper()
	v := c.get(token, "/v2/info/usage").want(c.t, 200).json(c.t)["usage"].(map[string]any)
	return v[name].(map[string]any)["limit"].(float64)
}

// newLimitedCloud is a cloud with the domain d and the projects of the tests' tokens in it, in the region here.
func newLimitedCloud(t *testing.T, l structs.ImageLimits) *cloud {
	t.Helper()
	c := newCloud(t, func(o *Options) { o.Limits = l })
	_, err := fsm.ClusterSettingsSet.Propose(t.Context(), c.core, &structs.ClusterSettingsRequest{Settings: structs.ClusterSettings{Region: "here"}})
	require.NoError(t, err)
	_, err = fsm.IdentityUpsert.Propose(t.Context(), c.core, &structs.IdentityUpsertRequest{Domains: []structs.Domain{{ID: "d", Name: "d", Enabled: true}},
		Projects: []structs.Project{{ID: "p1", Name: "p1", DomainID: "d", Enabled: true}, {ID: "p2", Name: "p2", DomainID: "d", Enabled: true}}})
	require.NoError(t, err)
	_, err = fsm.RegionWrite.Propose(t.Context(), c.core, &structs.RegionWriteRequest{Region: structs.Region{ID: "there"}})
	require.NoError(t, err)
	return c
}

// Keystone's limits of the Image service go before the settings, and a project's before the registered ones.
func TestUnifiedLimits(t *testing.T) {
	t.Parallel()
	const name, over = structs.ImageCountTotal, "image_count_total is over limit of "
	c := newLimitedCloud(t, structs.ImageLimits{name: 1})
	holds := func(token string, n float64, over string) {
		t.Helper()
		require.InDelta(t, n, c.limitOf(token, name), 0)
		c.post(token, rawImage).want(t, 413, over)
	}
	c.register(structs.ComputeServiceID, "", name, 7)
	c.register(structs.ImageServiceID, "there", name, 7)
	c.register(structs.ImageServiceID, "", "images", 7)
	c.image(member, rawImage)
	holds(member, 1, over+"1 due to current usage 1 and delta 1")

	c.register(structs.ImageServiceID, "", name, 2)
	c.image(member, rawImage)
	holds(member, 2, over+"2 ")
	here := c.register(structs.ImageServiceID, "here", name, 3)
	c.image(member, rawImage)
	holds(member, 3, over+"3 ")

	own := structs.Limit{ID: "own", RegisteredID: here, ProjectID: "p1", Value: 4}
	c.limit(own)
	c.limit(structs.Limit{ID: "domains", RegisteredID: here, DomainID: "d", Value: 0})
	c.image(member, rawImage)
	holds(member, 4, over+"4 ")
	require.InDelta(t, 3, c.limitOf(other, name), 0, "another project's")
	require.InDelta(t, 3, c.limitOf("member@", name), 0, "on no project")
	for range 3 {
		c.image(other, rawImage)
	}
	holds(other, 3, over+"3 ")
	_, err := fsm.LimitDelete.Propose(t.Context(), c.core, &structs.LimitDeleteRequest{ID: own.ID})
	require.NoError(t, err)
	holds(member, 3, over+"3 due to current usage 4")
	own.Value = -1
	c.limit(own)
	require.InDelta(t, -1, c.limitOf(member, name), 0)
	c.image(member, rawImage)
}

// Uploads, staging and imports are judged by the same limits, also those that change while the service runs.
func TestUnifiedLimitsOfData(t *testing.T) {
	t.Parallel()
	c := newLimitedCloud(t, structs.ImageLimits{structs.ImageSizeTotal: 0, structs.ImageStageTotal: 0})
	const mib = 1 << 20
	up, in := c.image(member, rawImage), c.image(member, rawImage)
	c.put(member, up, make([]byte, mib)).want(t, 413, "image_size_total is over limit of 0")
	c.stage(member, in, make([]byte, mib)).want(t, 413, "image_stage_total is over limit of 0")
	size, staged := c.register(structs.ImageServiceID, "", structs.ImageSizeTotal, 1), c.register(structs.ImageServiceID, "", structs.ImageStageTotal, 1)
	c.put(member, up, make([]byte, mib)).want(t, 204)
	c.stage(member, in, make([]byte, 2*mib)).want(t, 413, "image_stage_total is over limit of 1")
	c.limit(structs.Limit{ID: "staged", RegisteredID: staged, ProjectID: "p1", Value: 2})
	c.stage(member, in, make([]byte, 2*mib)).want(t, 204)
	c.doImport(member, in, direct).want(t, 202)
	c.waitFor(in, "queued")
	require.Contains(t, c.lastTask(in)["message"], "image_size_total is over limit of 1")
	c.limit(structs.Limit{ID: "size", RegisteredID: size, ProjectID: "p1", Value: 3})
	c.stage(member, in, make([]byte, 2*mib)).want(t, 204)
	c.doImport(member, in, direct).want(t, 202)
	c.waitFor(in, "active")
	require.InDelta(t, 3, c.limitOf(member, structs.ImageSizeTotal), 0)
}
