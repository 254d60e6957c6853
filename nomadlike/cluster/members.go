package cluster

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/consensus"
	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/gossip"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// bootstrapLoop makes the new cluster once as many servers as expected gossip with each other. Every one of them comes to
// the same list, sorted by id. It ends when this server has, or is part of, a cluster.
func (s *Server) bootstrapLoop(ctx context.Context) {
	if s.node.HasState() {
		return
	}
	t := time.NewTicker(100 * time.Millisecond)
	defer t.Stop()
	for {
		if peers, err := s.node.Peers(); err == nil && len(peers) > 0 {
			s.announceState()
			return
		}
		if peers, ok := s.foundingPeers(); ok {
			if err := s.node.Bootstrap(peers); err != nil {
				s.logger.Error("cannot bootstrap the cluster", "error", err)
			} else {
				s.logger.Info("new cluster bootstrapped", "servers", len(peers))
			}
		}
		select {
		case <-t.C:
		case <-ctx.Done():
			return
		}
	}
}

// announceState tells the others that this server belongs to a cluster now. Without it, servers that lost their disks would found another one with it: a majority
// of empty servers would take the place of what this one still knows.
func (s *Server) announceState() {
	t := s.gossip.Tags()
	t.Bootstrap = true
	if err := s.gossip.SetTags(t); err != nil {
		s.logger.Warn("cannot tell the other agents that this server belongs to a cluster", "error", err)
	}
}

// foundingPeers returns the servers to found a cluster with. Where one of them belongs to a cluster already, none is founded: its leader will add this server.
func (s *Server) foundingPeers() ([]consensus.Peer, bool) {
	switch s.cfg.BootstrapExpect {
	case 0:
		return nil, false
	case 1:
		return []consensus.Peer{{ID: s.cfg.ID, Addr: s.cfg.Advertise, Voter: true}}, true
	}
	var peers []consensus.Peer
	for _, m := range s.gossip.Servers() {
		if m.Tags.Region != s.cfg.Region {
			continue
		}
		if m.Tags.Bootstrap || m.Tags.Expect != s.cfg.BootstrapExpect {
			return nil, false
		}
		peers = append(peers, consensus.Peer{ID: structs.ServerID(m.Tags.ID), Addr: m.Tags.RPCAddr, Voter: true})
	}
	slices.SortFunc(peers, func(a, b consensus.Peer) int { return strings.Compare(string(a.ID), string(b.ID)) })
	return peers, len(peers) == s.cfg.BootstrapExpect
}

// membersChanged hears of gossip's changes on every server; the leader acts on them.
func (s *Server) membersChanged(changed []gossip.Member) {
	if !s.isEstablished() {
		return
	}
	s.duties.wake("raft-members")
	var failed []string
	for _, m := range changed {
		if m.Status == "failed" && m.Tags.Role != "server" {
			failed = append(failed, m.Tags.RPCAddr)
		}
	}
	if len(failed) > 0 {
		s.goRun(func(ctx context.Context) { s.suspectHosts(ctx, failed) })
	}
}

// suspectHosts takes hosts out of scheduling at once when gossip lost their client. Only the end of a lease makes them down.
func (s *Server) suspectHosts(ctx context.Context, addrs []string) {
	var changes []structs.HostStatusChange
	for h := range s.store.Snapshot().Hosts() {
		if h.Status == structs.HostUp && slices.Contains(addrs, h.RPCAddr) {
			changes = append(changes, structs.HostStatusChange{HostID: h.ID, Epoch: h.Epoch, Status: structs.HostSuspect, Reason: "gossip cannot reach its client"})
		}
	}
	if len(changes) == 0 {
		return
	}
	if _, err := fsm.HostStatus.Propose(ctx, asLeader{s}, &structs.HostStatusRequest{Changes: changes, Now: now()}); err != nil {
		s.logger.Warn("cannot mark hosts suspect", "error", err)
	}
}

// reconcileMembers makes Raft's configuration follow gossip: new servers are added and addresses brought up to date. A server that failed, or was
// stopped in good order, stays a peer: most come back (an upgrade, a reboot), and taking them out one by one would leave the last of them as the
// only holder of the state. But one whose address another one has now is gone for good, with its disk: Raft takes no two servers at one address.
func (s *Server) reconcileMembers(ctx context.Context) error {
	s.peersMu.Lock()
	defer s.peersMu.Unlock()
	peers, err := s.node.Peers()
	if err != nil {
		return err
	}
	for _, m := range soleAtAddress(s.gossip.Servers(), func(addr string) (string, error) { return s.whoListens(ctx, addr) }) {
		if m.Tags.Region != s.cfg.Region || m.Tags.ID == string(s.cfg.ID) {
			continue
		}
		if err := s.removePredecessor(peers, m); err != nil {
			return err
		}
		id := structs.ServerID(m.Tags.ID)
		i := slices.IndexFunc(peers, func(p consensus.Peer) bool { return p.ID == id })
		if i < 0 || peers[i].Addr != m.Tags.RPCAddr {
			s.logger.Info("adding a server to Raft", "server_id", id, "addr", m.Tags.RPCAddr)
			if err := s.node.AddVoter(consensus.Peer{ID: id, Addr: m.Tags.RPCAddr, Voter: true}); err != nil {
				return err
			}
		}
	}
	return nil
}

// soleAtAddress leaves out servers that seem alive at an address where another one listens. Gossip needs seconds, on a busy machine many, to see that a server failed;
// if a new one has its address by then, both seem alive, and who listens is asked. Who cannot be asked is not known: then none of them is returned.
func soleAtAddress(servers []gossip.Member, ask func(addr string) (id string, err error)) []gossip.Member {
	claims := map[string]int{}
	for _, m := range servers {
		claims[m.Tags.RPCAddr]++
	}
	answers := map[string]string{}
	for addr, n := range claims {
		if n > 1 {
			answers[addr], _ = ask(addr)
		}
	}
	return slices.DeleteFunc(servers, func(m gossip.Member) bool {
		id, asked := answers[m.Tags.RPCAddr]
		return asked && id != m.Tags.ID
	})
}

// whoListens asks the server at addr who it is.
func (s *Server) whoListens(ctx context.Context, addr string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := rpc.Call[structs.ServerIdentity](ctx, s.pool, addr, "Server.Identify", &structs.Ack{})
	if err != nil {
		s.logger.Warn("several servers claim one address, and who listens there does not say who it is", "addr", addr, "error", err)
		return "", err
	}
	return string(r.ID), nil
}

func (s *Server) rpcIdentify(context.Context, *structs.Ack) (*structs.ServerIdentity, error) {
	return &structs.ServerIdentity{ID: s.cfg.ID}, nil
}

// removePredecessor takes out the server that had the address of m before, unless it is alive elsewhere (its own address is brought up to date then).
func (s *Server) removePredecessor(peers []consensus.Peer, m gossip.Member) error {
	i := slices.IndexFunc(peers, func(p consensus.Peer) bool { return p.Addr == m.Tags.RPCAddr && string(p.ID) != m.Tags.ID })
	if i < 0 || slices.ContainsFunc(s.gossip.Servers(), func(x gossip.Member) bool {
		return x.Tags.ID == string(peers[i].ID) && x.Tags.RPCAddr != m.Tags.RPCAddr
	}) {
		return nil
	}
	s.logger.Warn("removing a server from Raft: another one has its address", "server_id", peers[i].ID, "addr", peers[i].Addr, "successor", m.Tags.ID)
	return s.node.RemoveServer(peers[i].ID)
}

// RemovePeer takes a server that is gone for good out of Raft, through the leader. While there is no leader it waits. When the leader is lost on the way, nobody
// knows whether the server was removed; asking again is harmless.
func (s *Server) RemovePeer(ctx context.Context, id structs.ServerID, force bool) error {
	ctx, cancel := context.WithTimeout(ctx, proposeTimeout)
	defer cancel()
	req := &structs.RaftRemovePeerRequest{ID: id, Force: force}
	for attempt := 0; ; attempt++ {
		err := s.removePeerOnce(ctx, req)
		if !structs.IsKind(err, structs.KindNotLeader) || s.ctx.Err() != nil || !pause(ctx, attempt) {
			return s.noLeader(err)
		}
	}
}

func (s *Server) removePeerOnce(ctx context.Context, req *structs.RaftRemovePeerRequest) error {
	if s.node.IsLeader() {
		return s.removePeer(req)
	}
	addr, ok := s.otherLeader()
	if !ok {
		return structs.Errorf(structs.KindNotLeader, "there is no leader now")
	}
	_, err := rpc.Call[structs.Ack](ctx, s.pool, addr, "Raft.RemovePeer", req)
	return err
}

// removePeer is the leader's side. Raft itself makes a change only once the one before is committed, by a majority of what is left; the lock keeps the
// checks and their change together.
func (s *Server) removePeer(req *structs.RaftRemovePeerRequest) error {
	s.peersMu.Lock()
	defer s.peersMu.Unlock()
	if !s.isEstablished() {
		return structs.Errorf(structs.KindNotLeader, "this server does not lead, or not yet")
	}
	peers, err := s.node.Peers()
	if err != nil {
		return err
	}
	alive := map[structs.ServerID]bool{s.cfg.ID: true}
	for _, m := range s.gossip.Members() {
		if m.Tags.IsServer() && m.Tags.Region == s.cfg.Region && m.Status == "alive" {
			alive[structs.ServerID(m.Tags.ID)] = true
		}
	}
	if err := removable(peers, alive, s.cfg.ID, req); err != nil {
		return err
	}
	s.logger.Warn("removing a server from Raft: an operator asked for it", "server_id", req.ID, "force", req.Force)
	return s.node.RemoveServer(req.ID)
}

// removable says why the leader may not remove a peer.
func removable(peers []consensus.Peer, alive map[structs.ServerID]bool, leader structs.ServerID, req *structs.RaftRemovePeerRequest) error {
	i := slices.IndexFunc(peers, func(p consensus.Peer) bool { return p.ID == req.ID })
	switch {
	case i < 0:
		return structs.Errorf(structs.KindNotFound, "No Raft peer has the id %q; `kilonova operator raft list-peers` lists them.", req.ID)
	case req.ID == leader:
		return structs.Errorf(structs.KindConflict, "Server %s leads the cluster and does not remove itself: stop it first, another server leads then.", req.ID)
	case alive[req.ID]: // reconcileMembers would add it again
		return structs.Errorf(structs.KindConflict, "Server %s (%s) is alive and would be added again within seconds: stop its agent first.", req.ID, peers[i].Addr)
	}
	left, living := 0, 0
	for _, p := range peers {
		if p.Voter && p.ID != req.ID {
			left++
			if alive[p.ID] {
				living++
			}
		}
	}
	if need := left/2 + 1; living < need && !req.Force {
		return structs.Errorf(structs.KindConflict, "Of the %d servers that would be left %d are known to be alive, and %d are needed to write anything: "+
			"bring another server back first, or force the removal.", left, living, need)
	}
	return nil
}
