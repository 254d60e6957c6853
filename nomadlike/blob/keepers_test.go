package blob

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Every server comes to the same keepers, whatever order it knows the others in; a server that goes or comes changes only what is its; none gets much more than its share.
func TestKeepers(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 200 {
		servers := make([]structs.ServerID, 1+rnd.IntN(9))
		for i := range servers {
			servers[i] = structs.ServerID(fmt.Sprintf("server-%d-%d", i, rnd.Int64()))
		}
		copies, sha := rnd.IntN(len(servers)+2), fmt.Sprintf("%0128x", rnd.Uint64())
		keepers := Keepers(sha, servers, copies)
		want := copies
		if copies == 0 || copies > len(servers) {
			want = len(servers)
		}
		require.Len(t, keepers, want)
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(keepers))), want, "no server twice")
		other := slices.Clone(servers)
		rnd.Shuffle(len(other), func(i, j int) { other[i], other[j] = other[j], other[i] })
		require.ElementsMatch(t, keepers, Keepers(sha, other, copies))
		if copies == 0 || copies >= len(servers) {
			continue
		}
		gone := servers[rnd.IntN(len(servers))]
		after := Keepers(sha, slices.DeleteFunc(slices.Clone(servers), func(id structs.ServerID) bool { return id == gone }), copies)
		for _, id := range keepers {
			require.True(t, id == gone || slices.Contains(after, id), "it moved although it need not")
		}
	}
	count := map[structs.ServerID]int{}
	for i := range 3000 {
		for _, id := range Keepers(fmt.Sprintf("%0128x", i), []structs.ServerID{"a", "b", "c"}, 1) {
			count[id]++
		}
	}
	for id, n := range count {
		require.InDelta(t, 1000, n, 150, "%s", id)
	}
}
