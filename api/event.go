package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
)

// Commit is what one commit changed, as far as the caller may see it.
type Commit struct {
	Index  uint64  `json:"index"`
	Events []Event `json:"events"`
}

// Event is one change.
type Event struct {
	Table   string          `json:"table"` // instances, operations, hosts, claims, evaluations
	Deleted bool            `json:"deleted"`
	Entity  json.RawMessage `json:"entity"` // an Instance, Operation, Host, ...
}

// EventFilter chooses changes; the zero value takes all of the token's project from now on.
type EventFilter struct {
	Index       uint64   // begin after this log index; 0 is now
	Tables      []string // nil: all
	AllProjects bool     // for administrators
}

// Events is the change stream. Not safe for concurrent use.
type Events struct {
	body    io.Closer
	decoder *json.Decoder
}

// Events opens the change stream. When it returns, no later change is missed. It ends with ctx; the caller closes it.
func (c *Client) Events(ctx context.Context, f EventFilter) (*Events, error) {
	query := url.Values{"table": f.Tables}
	if f.Index > 0 {
		query.Set("index", strconv.FormatUint(f.Index, 10))
	}
	if f.AllProjects {
		query.Set("all_projects", "true")
	}
	response, err := c.do(ctx, http.MethodGet, "/v1/event/stream", query, nil)
	if err != nil {
		return nil, err
	}
	return &Events{body: response.Body, decoder: json.NewDecoder(response.Body)}, nil
}

// Next waits for the next commit that the filter takes. io.EOF is the end of the stream, which the server may choose at any time;
// an *Error of kind conflict means that changes were missed, so that whoever follows has to list anew.
func (e *Events) Next() (Commit, error) {
	for {
		var line struct {
			Commit
			Error *Error `json:"error"`
		}
		err := e.decoder.Decode(&line)
		switch {
		case errors.Is(err, io.ErrUnexpectedEOF):
			return Commit{}, io.EOF
		case err != nil:
			return Commit{}, err
		case line.Error != nil:
			return Commit{}, line.Error
		case len(line.Events) > 0: // without: a sign of life
			return line.Commit, nil
		}
	}
}

// Close ends the stream.
func (e *Events) Close() error {
	if err := e.body.Close(); err != nil {
		return fmt.Errorf("close the event stream: %w", err)
	}
	return nil
}
