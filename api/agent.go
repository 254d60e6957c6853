package api

import (
	"context"
	"io"
	"net/http"
	"net/url"
)

// Member is an agent as gossip knows it.
type Member struct {
	Name   string            `json:"name"`
	Addr   string            `json:"addr"`
	Role   string            `json:"role"`
	Status string            `json:"status"`
	Tags   map[string]string `json:"tags"`
}

// Peer is a Raft peer.
type Peer struct {
	ID     string `json:"id"`
	Addr   string `json:"addr"`
	Voter  bool   `json:"voter"`
	Leader bool   `json:"leader"`
}

// Leader is who leads the servers.
type Leader struct {
	ID   string `json:"id"`
	Addr string `json:"addr"` // of RPC
}

// Self is what a server says of itself.
type Self struct {
	ServerID      string            `json:"server_id"`
	Region        string            `json:"region"`
	Version       string            `json:"version"`
	Leader        bool              `json:"leader"`
	LeaderID      string            `json:"leader_id"`
	LeaderAddr    string            `json:"leader_addr"`
	AppliedIndex  uint64            `json:"applied_index"`
	CommitIndex   uint64            `json:"commit_index"`
	LastContactMS int64             `json:"last_contact_ms"`
	Stats         map[string]string `json:"stats"` // of Raft
	Duties        []Duty            `json:"duties"`
}

// Duty is how one of the leader's duties fares.
type Duty struct {
	Name      string `json:"name"`
	Running   bool   `json:"running"`
	Runs      uint64 `json:"runs"`
	LastError string `json:"last_error"`
}

// Self asks the server about itself.
func (c *Client) Self(ctx context.Context) (self Self, err error) {
	return self, c.get(ctx, "/v1/agent/self", nil, &self)
}

// Health is nil when the server can answer for the cluster: it has a leader and has heard of it lately. It needs no token.
func (c *Client) Health(ctx context.Context) error {
	var health map[string]any
	return c.get(ctx, "/v1/agent/health", nil, &health)
}

// Members are the agents that gossip knows.
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	return list[Member](ctx, c, "/v1/agent/members", nil, "members")
}

// Join makes the agent gossip with others, "host:port" of their Serf; it returns how many answered.
func (c *Client) Join(ctx context.Context, addrs []string) (joined int, err error) {
	var answer struct {
		Joined int `json:"joined"`
	}
	err = c.put(ctx, "/v1/agent/join", map[string][]string{"addresses": addrs}, &answer)
	return answer.Joined, err
}

// Leader asks who leads; a refusal with 503 says that nobody does.
func (c *Client) Leader(ctx context.Context) (leader Leader, err error) {
	return leader, c.get(ctx, "/v1/status/leader", nil, &leader)
}

// Peers are the Raft peers.
func (c *Client) Peers(ctx context.Context) ([]Peer, error) {
	return list[Peer](ctx, c, "/v1/operator/raft/peers", nil, "peers")
}

// RemovePeer takes a server that is gone for good out of Raft. It is refused with 409 for the leader, for a server that is alive and, without force, when fewer
// servers than a majority of those left are alive. For administrators.
func (c *Client) RemovePeer(ctx context.Context, id string, force bool) error {
	return c.remove(ctx, "/v1/operator/raft/peers/"+url.PathEscape(id), force)
}

// Monitor streams the agent's log lines from level on until ctx ends. The caller closes it.
func (c *Client) Monitor(ctx context.Context, level string) (io.ReadCloser, error) {
	response, err := c.do(ctx, http.MethodGet, "/v1/agent/monitor", url.Values{"log_level": {level}}, nil)
	if err != nil {
		return nil, err
	}
	return response.Body, nil
}
