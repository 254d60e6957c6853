// Package broker hands evaluations to scheduler workers and their plans to the one applier. All of it lives in the
// leader's memory and decides nothing: the state says which evaluations are pending, and whoever gains leadership enqueues
// those again. What is handed out twice, or planned twice, the state machine calls stale (fsm.PlanApply).
//
//	state ──Enqueue──▶ Broker ──Dequeue──▶ RunWorker (on any server) ──Submit──▶ PlanQueue ──Run──▶ one log entry
//	                     ▲────Ack, Nack───────┘
//
// Delivery is at least once: a lease that is not acknowledged in time is handed out again, up to a limit.
package broker

import "time"

// Clock is the time that brokers and workers live in.
type Clock interface {
	Now() time.Time
	// AfterFunc calls f once in its own goroutine when d has passed, unless the timer is stopped before.
	AfterFunc(d time.Duration, f func()) Timer
}

// Timer is one call that a Clock will make.
type Timer interface {
	// Stop is false when the call has begun or was stopped already.
	Stop() bool
}

// SystemClock is the computer's clock.
type SystemClock struct{}

// Now is time.Now.
func (SystemClock) Now() time.Time { return time.Now() }

// AfterFunc is time.AfterFunc.
func (SystemClock) AfterFunc(d time.Duration, f func()) Timer { return time.AfterFunc(d, f) }
