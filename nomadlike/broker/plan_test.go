package broker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func placements(n int, id string) []structs.Placement {
	out := make([]structs.Placement, n)
	for i := range out {
		out[i].EvaluationID = structs.EvaluationID(fmt.Sprint(id, i))
	}
	return out
}

// echo answers each placement with its id.
func echo(_ context.Context, ps []structs.Placement) (PlanResult, error) {
	r := PlanResult{Index: uint64(len(ps))}
	for _, p := range ps {
		r.Results = append(r.Results, structs.PlacementResult{Reason: string(p.EvaluationID)})
	}
	return r, nil
}

// While one batch is applied the next gathers, up to the bound; each plan gets its own results.
func TestPlansGather(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		q, gate, sizes := &PlanQueue{}, make(chan struct{}), []int{}
		ended := make(chan error)
		go func() {
			ended <- q.Run(ctx, func(ctx context.Context, ps []structs.Placement) (PlanResult, error) {
				sizes = append(sizes, len(ps))
				<-gate
				return echo(ctx, ps)
			})
		}()
		synctest.Wait()
		require.True(t, structs.IsKind(q.Run(ctx, echo), structs.KindConflict))
		answers := make(chan int, 20)
		submit := func(id string, n int) {
			go func() {
				r, err := q.Submit(ctx, placements(n, id))
				if err != nil || len(r.Results) != n {
					panic(fmt.Sprint(err, len(r.Results)))
				}
				for i, x := range r.Results {
					if x.Reason != fmt.Sprint(id, i) {
						panic(x.Reason)
					}
				}
				answers <- n
			}()
			synctest.Wait()
		}
		submit("a", 1)
		submit("b", 100)
		submit("c", 100)
		submit("d", 100)
		submit("e", MaxPlanBatch+1)
		require.Equal(t, 300+MaxPlanBatch+1, q.Waiting())
		for range 5 {
			gate <- struct{}{}
			synctest.Wait()
			if len(answers) == 5 {
				break
			}
		}
		require.Equal(t, []int{1, 200, 100, MaxPlanBatch + 1}, sizes)
		r, err := q.Submit(ctx, nil)
		require.NoError(t, err)
		require.Empty(t, r.Results)
		cancel()
		require.ErrorIs(t, <-ended, context.Canceled)
	})
}

func TestPlanErrors(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := &PlanQueue{}
		_, err := q.Submit(t.Context(), placements(1, "a"))
		require.True(t, structs.IsKind(err, structs.KindNotLeader), "nobody applies")

		ctx, cancel := context.WithCancel(t.Context())
		answers := []func(context.Context, []structs.Placement) (PlanResult, error){
			func(context.Context, []structs.Placement) (PlanResult, error) {
				return PlanResult{}, errors.New("disk full")
			},
			func(context.Context, []structs.Placement) (PlanResult, error) { return PlanResult{}, nil },
			func(ctx context.Context, _ []structs.Placement) (PlanResult, error) {
				<-ctx.Done()
				return PlanResult{}, ctx.Err()
			},
		}
		ended := make(chan error)
		go func() {
			n := -1
			ended <- q.Run(ctx, func(ctx context.Context, ps []structs.Placement) (PlanResult, error) { n++; return answers[n](ctx, ps) })
		}()
		synctest.Wait()
		_, err = q.Submit(ctx, placements(1, "a"))
		require.EqualError(t, err, "disk full")
		_, err = q.Submit(ctx, placements(1, "a"))
		require.EqualError(t, err, "the applier answered 0 of 1 placements")

		errs := make(chan error, 2)
		go func() { _, err := q.Submit(context.WithoutCancel(ctx), placements(1, "in flight")); errs <- err }()
		synctest.Wait()
		gone, leave := context.WithCancel(t.Context())
		go func() { _, err := q.Submit(gone, placements(1, "withdrawn")); errs <- err }()
		synctest.Wait()
		require.Equal(t, 1, q.Waiting())
		leave()
		require.ErrorIs(t, <-errs, context.Canceled)
		require.Zero(t, q.Waiting())
		go func() { _, err := q.Submit(context.WithoutCancel(ctx), placements(1, "too late")); errs <- err }()
		synctest.Wait()
		cancel()
		require.Error(t, <-ended)
		one, two := <-errs, <-errs
		require.ElementsMatch(t, []bool{true, false}, []bool{structs.IsKind(one, structs.KindNotLeader), structs.IsKind(two, structs.KindNotLeader)})
		_, err = q.Submit(t.Context(), placements(1, "a"))
		require.True(t, structs.IsKind(err, structs.KindNotLeader))
	})
}
