// Package api is a small client of the agent's own HTTP API, the one below /v1. What OpenStack's APIs offer (instances as
// their users see them, images, flavors) is best asked with an OpenStack SDK of the same agent.
package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// TokenFunc returns an identity token. fresh asks for a new one, because the last was refused.
type TokenFunc func(ctx context.Context, fresh bool) (string, error)

// Config says which agent to talk to and how.
type Config struct {
	Address string       // scheme://host:port of any agent
	Token   TokenFunc    // nil: without a token, which only health and bootstrap accept
	HTTP    *http.Client // nil: http.DefaultClient
}

// Client talks to one agent. It is safe for concurrent use.
type Client struct {
	base  *url.URL
	token TokenFunc
	http  *http.Client
}

// New returns a client; it asks nothing yet.
func New(c Config) (*Client, error) {
	base, err := url.Parse(c.Address)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("%q is no address of an agent; one such as http://127.0.0.1:4746 is right", c.Address)
	}
	client := &Client{base: &url.URL{Scheme: base.Scheme, Host: base.Host}, token: c.Token, http: c.HTTP}
	if client.http == nil {
		client.http = http.DefaultClient
	}
	return client, nil
}

// Address returns scheme://host:port of the agent.
func (c *Client) Address() string { return c.base.String() }

// Error is a refusal by the agent.
type Error struct {
	Status    int    `json:"-"`    // of HTTP
	Kind      string `json:"kind"` // not found, conflict, invalid, forbidden, unavailable, ...
	Message   string `json:"message"`
	RequestID string `json:"request_id"`
}

func (e *Error) Error() string {
	if e.RequestID == "" {
		return e.Message
	}
	return e.Message + " (" + e.RequestID + ")"
}

// IsStatus reports whether err is a refusal with one of these HTTP statuses.
func IsStatus(err error, statuses ...int) bool {
	var e *Error
	if !errors.As(err, &e) {
		return false
	}
	for _, s := range statuses {
		if e.Status == s {
			return true
		}
	}
	return false
}

// get reads a JSON answer into out.
func (c *Client) get(ctx context.Context, path string, query url.Values, out any) error {
	response, err := c.do(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return err
	}
	return decode(response, out)
}

// list reads a list, all pages of it. key is its name in the answer.
func list[T any](ctx context.Context, c *Client, path string, query url.Values, key string) ([]T, error) {
	all := []T{}
	for {
		var page map[string]json.RawMessage
		if err := c.get(ctx, path, query, &page); err != nil {
			return nil, err
		}
		var items []T
		if err := json.Unmarshal(page[key], &items); err != nil {
			return nil, fmt.Errorf("the answer to %s cannot be read: %w", path, err)
		}
		all = append(all, items...)
		var next string
		if page["next"] == nil || len(items) == 0 {
			return all, nil
		}
		if err := json.Unmarshal(page["next"], &next); err != nil {
			return nil, fmt.Errorf("the answer to %s cannot be read: %w", path, err)
		}
		// Of the next page's URL only the query is taken: host and path are where this list is.
		to, err := url.Parse(next)
		if err != nil {
			return nil, fmt.Errorf("the answer to %s cannot be read: %w", path, err)
		}
		query = to.Query()
	}
}

// put sends in as JSON and reads the JSON answer into out.
func (c *Client) put(ctx context.Context, path string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	response, err := c.do(ctx, http.MethodPut, path, nil, body)
	if err != nil {
		return err
	}
	return decode(response, out)
}

// remove deletes a thing; with force also against what would forbid it.
func (c *Client) remove(ctx context.Context, path string, force bool) error {
	query := url.Values{}
	if force {
		query.Set("force", "true")
	}
	response, err := c.do(ctx, http.MethodDelete, path, query, nil)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func decode(response *http.Response, out any) error {
	defer func() { _ = response.Body.Close() }()
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		return fmt.Errorf("the answer to %s cannot be read: %w", response.Request.URL.Path, err)
	}
	return nil
}

// do asks once, and once more with a fresh token when the first was refused. The caller closes the answer's body.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, body []byte) (*http.Response, error) {
	response, err := c.send(ctx, method, path, query, body, false)
	if c.token != nil && IsStatus(err, http.StatusUnauthorized) {
		return c.send(ctx, method, path, query, body, true)
	}
	return response, err
}

func (c *Client) send(ctx context.Context, method, path string, query url.Values, body []byte, fresh bool) (*http.Response, error) {
	to, err := c.base.Parse(path)
	if err != nil {
		return nil, err
	}
	to.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, method, to.String(), bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != nil {
		token, err := c.token(ctx, fresh)
		if err != nil {
			return nil, err
		}
		request.Header.Set("X-Auth-Token", token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, explain(c.base, err)
	}
	if response.StatusCode >= 300 {
		defer func() { _ = response.Body.Close() }()
		return nil, refusal(response)
	}
	return response, nil
}

// explain says what a person can do about an agent that cannot be reached.
func explain(base *url.URL, err error) error {
	var wrapped *url.Error
	if errors.As(err, &wrapped) && !errors.Is(err, context.Canceled) {
		return fmt.Errorf("no agent can be reached at %s: %w", base, wrapped.Err)
	}
	return err
}

// maxRefusal bounds how much of a refusal is read.
const maxRefusal = 64 << 10

func refusal(response *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(response.Body, maxRefusal))
	var body struct {
		Error *Error `json:"error"`
	}
	if json.Unmarshal(text, &body) == nil && body.Error != nil && body.Error.Message != "" {
		body.Error.Status = response.StatusCode
		return body.Error
	}
	message := strings.TrimSpace(string(text))
	if message == "" || len(message) > 200 {
		message = http.StatusText(response.StatusCode)
	}
	return &Error{Status: response.StatusCode, Message: fmt.Sprintf("%s answered %d: %s", response.Request.URL.Path, response.StatusCode, message)}
}

// Time is a moment as the API writes it: RFC 3339, or "" for one that has not come.
type Time struct{ time.Time }

// UnmarshalJSON reads it.
func (t *Time) UnmarshalJSON(raw []byte) error {
	if string(raw) == `null` || string(raw) == `""` {
		t.Time = time.Time{}
		return nil
	}
	return t.Time.UnmarshalJSON(raw)
}

// MarshalJSON writes it.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte(`""`), nil
	}
	return t.Time.MarshalJSON()
}
