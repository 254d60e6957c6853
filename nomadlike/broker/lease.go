package broker

import (
	"fmt"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// Lease is an evaluation in a worker's hands. It is sent over RPC.
type Lease struct {
	EvaluationID structs.EvaluationID `codec:"e"`
	InstanceID   structs.InstanceID   `codec:"i"`
	OperationID  structs.OperationID  `codec:"o"`
	Index        uint64               `codec:"x"` // the state must be at least this new to know the evaluation
	Delivery     int                  `codec:"d"` // how many times it was handed out, this one included
	Token        string               `codec:"t"` // for Ack and Nack, good for this delivery only
}

// Failure is an evaluation that was handed out as often as is allowed and never acknowledged.
type Failure struct {
	EvaluationID structs.EvaluationID
	InstanceID   structs.InstanceID
	OperationID  structs.OperationID
	Deliveries   int
	Reason       string // of the last nack
}

// Placement returns the placement that ends the evaluation as one that found no host, which fails its operation with the
// reason. Hosts is how many there are.
func (f Failure) Placement(hosts int) structs.Placement {
	hosts = max(hosts, 1)
	why := fmt.Sprintf("gave up after %d attempts: %s", f.Deliveries, f.Reason)
	return structs.Placement{EvaluationID: f.EvaluationID, InstanceID: f.InstanceID, OperationID: f.OperationID,
		Explanation: &structs.Explanation{Hosts: hosts, Refused: []structs.FilterCount{{Filter: "the scheduler", Count: hosts, Example: why}}}}
}

// Stats is what a Broker holds now.
type Stats struct {
	Ready   int // to be handed out
	Unacked int // in workers' hands
	Delayed int // nacked, to be ready again in a while
	Waiting int // behind another evaluation of their instance
	// OldestMS is for how many milliseconds the evaluation has been here that came first.
	OldestMS int64
}
