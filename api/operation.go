package api

import (
	"context"
	"net/url"
)

// Operation is one requested change to an instance.
type Operation struct {
	ID         string       `json:"id"`
	InstanceID string       `json:"instance_id"`
	ProjectID  string       `json:"project_id"`
	UserID     string       `json:"user_id"`
	RequestID  string       `json:"request_id"`
	Kind       string       `json:"kind"`
	Status     string       `json:"status"` // running, undoing, succeeded, failed, cancelled
	Step       string       `json:"step"`
	Attempt    int          `json:"attempt"`
	StartedAt  Time         `json:"started_at"`
	Deadline   Time         `json:"deadline"`
	HostID     string       `json:"host_id"`
	History    []StepRecord `json:"history"`
	Error      string       `json:"error"`
	ErrorKind  string       `json:"error_kind"`
	CreatedAt  Time         `json:"created_at"`
	UpdatedAt  Time         `json:"updated_at"`
	FinishedAt Time         `json:"finished_at"`

	CreateIndex uint64 `json:"create_index"`
	ModifyIndex uint64 `json:"modify_index"`
}

// Final reports whether nothing more happens.
func (o *Operation) Final() bool {
	return o.Status == "succeeded" || o.Status == "failed" || o.Status == "cancelled"
}

// StepRecord is one finished attempt at a step.
type StepRecord struct {
	Step       string `json:"step"`
	Attempt    int    `json:"attempt"`
	Undo       bool   `json:"undo"`
	HostID     string `json:"host_id"`
	StartedAt  Time   `json:"started_at"`
	FinishedAt Time   `json:"finished_at"`
	Error      string `json:"error"`
}

// OperationFilter chooses operations; the zero value takes all of the token's project.
type OperationFilter struct {
	InstanceID  string // only of this instance
	Active      bool   // only those that have not ended
	AllProjects bool   // for administrators
}

// Operations are the operations that the cluster keeps.
func (c *Client) Operations(ctx context.Context, f OperationFilter) ([]Operation, error) {
	query := url.Values{}
	if f.InstanceID != "" {
		query.Set("instance", f.InstanceID)
	}
	if f.Active {
		query.Set("active", "true")
	}
	if f.AllProjects {
		query.Set("all_projects", "true")
	}
	return list[Operation](ctx, c, "/v1/operations", query, "operations")
}

// Operation is one operation by its id.
func (c *Client) Operation(ctx context.Context, id string) (operation Operation, err error) {
	return operation, c.get(ctx, "/v1/operations/"+url.PathEscape(id), nil, &operation)
}
