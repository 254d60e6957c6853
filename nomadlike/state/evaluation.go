package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var evaluationTable = newTable("evaluations", func(v *structs.Evaluation) []string { return []string{string(v.ID)} },
	index[structs.Evaluation]{"pending", func(v *structs.Evaluation) []string {
		if v.Status != structs.EvalPending {
			return nil
		}
		return []string{}
	}},
	index[structs.Evaluation]{"instance", func(v *structs.Evaluation) []string { return []string{string(v.InstanceID)} }})

// Evaluation returns an evaluation by id, or nil.
func (r Reader) Evaluation(id structs.EvaluationID) *structs.Evaluation {
	return first(r, evaluationTable, string(id))
}

// Evaluations iterates over all evaluations by id.
func (r Reader) Evaluations() iter.Seq[*structs.Evaluation] { return all(r, evaluationTable) }

// PendingEvaluations iterates over the evaluations that wait for a placement.
func (r Reader) PendingEvaluations() iter.Seq[*structs.Evaluation] {
	return prefix(r, evaluationTable, "pending")
}

// EvaluationsOfInstance iterates over an instance's evaluations.
func (r Reader) EvaluationsOfInstance(id structs.InstanceID) iter.Seq[*structs.Evaluation] {
	return prefix(r, evaluationTable, "instance", string(id))
}

// PutEvaluation writes an evaluation.
func (t *Txn) PutEvaluation(v *structs.Evaluation) { put(t, evaluationTable, v) }

// DeleteEvaluation removes an evaluation's record; an unknown one is no error.
func (t *Txn) DeleteEvaluation(id structs.EvaluationID) { remove(t, evaluationTable, string(id)) }
