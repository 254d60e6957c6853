package cluster

import (
	"context"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/rpc"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// registerRPC names every method that a server answers, and who may call it.
func (s *Server) registerRPC() {
	rpc.Handle(s.rpc, "Server.Identify", rpc.ServerOnly, s.rpcIdentify)
	rpc.Handle(s.rpc, "Raft.Propose", rpc.ServerOnly, s.rpcPropose)
	rpc.Handle(s.rpc, "Raft.ReadIndex", rpc.ServerOnly, s.rpcReadIndex)
	rpc.Handle(s.rpc, "Raft.RemovePeer", rpc.ServerOnly, s.rpcRemovePeer)
	rpc.Handle(s.rpc, "Evaluation.Dequeue", rpc.ServerOnly, s.rpcDequeue)
	rpc.Handle(s.rpc, "Evaluation.Settle", rpc.ServerOnly, s.rpcSettle)
	rpc.Handle(s.rpc, "Plan.Submit", rpc.ServerOnly, s.rpcPlanSubmit)
	rpc.Handle(s.rpc, "Blob.Pull", rpc.ServerOnly, s.blobs.rpcPull)
	rpc.Handle(s.rpc, "Blob.Keep", rpc.ServerOnly, s.blobs.rpcKeep)
	rpc.Handle(s.rpc, "Blob.Fetched", rpc.AnyAgent, s.blobs.rpcFetched)
	rpc.HandleStream(s.rpc, "Blob.Read", rpc.AnyAgent, s.blobs.rpcRead)
	rpc.HandleStream(s.rpc, "Blob.Write", rpc.AnyAgent, s.blobs.rpcWrite)
	rpc.Handle(s.rpc, "Host.Register", rpc.AnyAgent, s.hostRegister)
	rpc.Handle(s.rpc, "Host.Heartbeat", rpc.AnyAgent, s.hostHeartbeat)
	rpc.Handle(s.rpc, "Host.Leave", rpc.AnyAgent, s.hostLeave)
	rpc.Handle(s.rpc, "Host.Report", rpc.AnyAgent, s.hostReport)
	rpc.Handle(s.rpc, "Host.Sync", rpc.AnyAgent, s.hostSync)
	rpc.Handle(s.rpc, "Host.Reconcile", rpc.AnyAgent, s.hostReconcile)
	rpc.HandleStream(s.rpc, "Host.Watch", rpc.AnyAgent, s.hostWatch)
}

// rpcPropose commits here or says that this server does not lead: it does not forward further, so that a proposal never goes in circles.
func (s *Server) rpcPropose(ctx context.Context, req *structs.ProposeRequest) (*structs.ProposeResponse, error) {
	index, v, err := s.node.Propose(ctx, fsm.Type(req.Type), req.Body)
	if err != nil {
		return nil, err
	}
	body, err := structs.Encode(v)
	if err != nil {
		return nil, structs.Errorf(structs.KindInternal, "encode the answer of %s: %w", fsm.CommandName(fsm.Type(req.Type)), err)
	}
	return &structs.ProposeResponse{Index: index, Value: body}, nil
}

func (s *Server) rpcReadIndex(ctx context.Context, _ *structs.ReadIndexRequest) (*structs.ReadIndexResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if !s.node.IsLeader() {
		return nil, structs.Errorf(structs.KindNotLeader, "this server does not lead")
	}
	index, err := s.readIndex(ctx)
	return &structs.ReadIndexResponse{Index: index}, err
}

// rpcRemovePeer removes here or says that this server does not lead: as rpcPropose it does not forward further.
func (s *Server) rpcRemovePeer(_ context.Context, req *structs.RaftRemovePeerRequest) (*structs.Ack, error) {
	return &structs.Ack{}, s.removePeer(req)
}
