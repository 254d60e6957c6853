package native

import (
	"encoding/json"
	"net/http"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

type selfView struct {
	ServerID      string            `json:"server_id"`
	Region        string            `json:"region"`
	Version       string            `json:"version"`
	Leader        bool              `json:"leader"`
	LeaderID      string            `json:"leader_id"`
	LeaderAddr    string            `json:"leader_addr"`
	AppliedIndex  uint64            `json:"applied_index"`
	CommitIndex   uint64            `json:"commit_index"`
	LastContactMS int64             `json:"last_contact_ms"`
	Stats         map[string]string `json:"stats"`
	Duties        []dutyView        `json:"duties"`
}

type dutyView struct {
	Name      string `json:"name"`
	Running   bool   `json:"running"`
	Runs      uint64 `json:"runs"`
	LastError string `json:"last_error"`
}

type memberView struct {
	Name   string            `json:"name"`
	Addr   string            `json:"addr"`
	Role   string            `json:"role"`
	Status string            `json:"status"`
	Tags   map[string]string `json:"tags"`
}

type peerView struct {
	ID     string `json:"id"`
	Addr   string `json:"addr"`
	Voter  bool   `json:"voter"`
	Leader bool   `json:"leader"`
}

func (s *service) self(r *httpapi.Request) (any, error) {
	c := r.Core.Cluster()
	v := selfView{ServerID: string(c.ServerID), Region: c.Region, Version: s.opts.Version, Leader: c.IsLeader, LeaderID: string(c.LeaderID), LeaderAddr: c.LeaderAddr,
		AppliedIndex: c.AppliedIndex, CommitIndex: c.CommitIndex, LastContactMS: c.LastContactMS, Stats: c.Stats, Duties: []dutyView{}}
	for _, d := range c.Duties {
		v.Duties = append(v.Duties, dutyView{d.Name, d.Running, d.Runs, d.LastErr})
	}
	return v, nil
}

func members(r *httpapi.Request) (any, error) {
	out := []memberView{}
	for _, m := range r.Core.Cluster().Members {
		out = append(out, memberView{m.Name, m.Addr, m.Role, m.Status, m.Tags})
	}
	return map[string]any{"members": out}, nil
}

// leaderSilence is how long a follower may not have heard of its leader and still be called healthy.
const leaderSilence = 10_000 // milliseconds

// healthy says whether this server can answer for the cluster, and why not.
func healthy(c *nomadlike.ClusterInfo) (ok bool, why string) {
	switch {
	case c.LeaderID == "" && !c.IsLeader:
		return false, "there is no leader"
	case !c.IsLeader && c.LastContactMS > leaderSilence:
		return false, "the leader has not been heard of for too long"
	}
	return true, "ok"
}

// health is for load balancers: 200 or 503, without a token, and nothing that a stranger should not know.
func health(r *httpapi.Request) (any, error) {
	c := r.Core.Cluster()
	ok, why := healthy(&c)
	status := http.StatusOK
	if !ok {
		status = http.StatusServiceUnavailable
	}
	return httpapi.Reply{Status: status, Body: map[string]any{"healthy": ok, "message": why}}, nil
}

func join(r *httpapi.Request) (any, error) {
	var req struct {
		Addresses []string `json:"addresses"`
	}
	if err := json.Unmarshal(r.Body, &req); err != nil {
		return nil, httpapi.BadRequest("addresses is a list of host:port")
	}
	n, err := r.Core.Join(req.Addresses)
	if err != nil && n == 0 {
		return nil, structs.Errorf(structs.KindUnavailable, "nobody answered: %w", err)
	}
	return map[string]int{"joined": n}, nil
}

func leader(r *httpapi.Request) (any, error) {
	c := r.Core.Cluster()
	if c.LeaderID == "" {
		return nil, structs.Errorf(structs.KindUnavailable, "there is no leader")
	}
	return map[string]string{"id": string(c.LeaderID), "addr": c.LeaderAddr}, nil
}

// statusPeers lists the addresses alone, raftPeers what Raft knows of each.
func statusPeers(r *httpapi.Request) (any, error) {
	out := []string{}
	for _, p := range r.Core.Cluster().Peers {
		out = append(out, p.Addr)
	}
	return map[string]any{"peers": out}, nil
}

func raftPeers(r *httpapi.Request) (any, error) {
	c := r.Core.Cluster()
	out := []peerView{}
	for _, p := range c.Peers {
		out = append(out, peerView{string(p.ID), p.Addr, p.Voter, p.Leader})
	}
	return map[string]any{"peers": out, "applied_index": c.AppliedIndex, "commit_index": c.CommitIndex}, nil
}

func removePeer(r *httpapi.Request) (any, error) {
	return nil, r.Core.RemovePeer(r.Context(), structs.ServerID(r.Vars["id"]), on(r, "force"))
}
