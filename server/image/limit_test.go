package image

import (
	"bytes"
	"context"
	"io"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

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
