package structs

// EvaluationStatus is where a request to place is.
type EvaluationStatus string

// Evaluation statuses.
const (
	EvalPending  EvaluationStatus = "pending"
	EvalComplete EvaluationStatus = "complete"
	EvalFailed   EvaluationStatus = "failed"
)

// Evaluation is a request to place one instance. It is made with the operation that needs it.
type Evaluation struct {
	Meta
	ID          EvaluationID     `codec:"id"`
	InstanceID  InstanceID       `codec:"i"`
	OperationID OperationID      `codec:"o"`
	Status      EvaluationStatus `codec:"s"`
	Attempt     int              `codec:"a"`
	CreatedAt   Time             `codec:"created"`
	UpdatedAt   Time             `codec:"updated"`
	Result      *Explanation     `codec:"x"` // why hosts were refused, when some were
}

// Explanation says how a placement came out: how many hosts were looked at and how many each filter refused, in filter order.
type Explanation struct {
	Hosts   int           `codec:"n"`
	Refused []FilterCount `codec:"r"`
}

// FilterCount counts the hosts that one filter refused, with one host's reason as an example.
type FilterCount struct {
	Filter  string `codec:"f"`
	Count   int    `codec:"n"`
	Example string `codec:"x"`
}

// Placement is one evaluation's plan: put the instance on the host. HostID "" says that no host was found.
type Placement struct {
	EvaluationID EvaluationID `codec:"e"`
	InstanceID   InstanceID   `codec:"i"`
	OperationID  OperationID  `codec:"o"`
	HostID       HostID       `codec:"h"`
	Explanation  *Explanation `codec:"x"`
}

// PlanApplyRequest commits placements. Each is checked against the newest state: the host must be schedulable and have
// room under the ratios, and the operation must still want a place. The answer is []PlacementResult in the same order.
type PlanApplyRequest struct {
	Placements []Placement `codec:"p"`
	Now        Time        `codec:"now"`
}

// PlacementResult says what became of a placement.
type PlacementResult struct {
	Applied bool   `codec:"a"`
	Stale   bool   `codec:"s"` // the operation no longer wants a place: forget the evaluation
	Reason  string `codec:"r"` // why not applied: schedule again on a newer state
}
