package structs

// The messages between agents.

// ProposeRequest asks the leader to commit a command.
type ProposeRequest struct {
	Type uint16 `codec:"t"`
	Body []byte `codec:"b"`
}

// ProposeResponse answers with the log index and the command's encoded answer.
type ProposeResponse struct {
	Index uint64 `codec:"i"`
	Value []byte `codec:"v"`
}

// ReadIndexRequest asks the leader for the index that a linearizable read begun now must have seen.
type ReadIndexRequest struct{}

// ReadIndexResponse answers a ReadIndexRequest.
type ReadIndexResponse struct {
	Index uint64 `codec:"i"`
}

// RaftRemovePeerRequest takes a server out of Raft's configuration. Refused are an unknown id (KindNotFound); the leader itself, a server that gossip says
// is alive and, without Force, a removal after which fewer servers are alive than a majority takes (KindConflict).
type RaftRemovePeerRequest struct {
	ID    ServerID `codec:"id"`
	Force bool     `codec:"f"`
}

// ServerIdentity is which server listens at an address.
type ServerIdentity struct {
	ID ServerID `codec:"id"`
}

// HostRegisterResponse answers a registration that a client sent through Host.Register.
type HostRegisterResponse struct {
	Host       *Host `codec:"h"`
	LeaseTTLMS int64 `codec:"ttl"`
	BeatMS     int64 `codec:"beat"` // how often to renew the lease
}

// HostHeartbeatRequest renews leases. One agent may speak for many simulated hosts.
type HostHeartbeatRequest struct {
	Beats []HostBeat `codec:"b"`
}

// HostBeat renews one host's lease.
type HostBeat struct {
	HostID HostID `codec:"h"`
	Epoch  uint64 `codec:"e"`
	// Metrics are in few beats: each costs an entry of the log.
	Metrics *HostMetrics `codec:"m,omitempty"`
}

// HostHeartbeatResponse says how long the leases last from now, and which hosts must register again.
type HostHeartbeatResponse struct {
	LeaseTTLMS int64    `codec:"ttl"`
	BeatMS     int64    `codec:"beat"`
	Register   []HostID `codec:"r"`
}

// HostWatchRequest begins a stream of work for a host. The server sends everything open first, then what is new.
type HostWatchRequest struct {
	HostID HostID `codec:"h"`
	Epoch  uint64 `codec:"e"`
}

// WorkBatch is work for a host, as of an index.
type WorkBatch struct {
	Index uint64 `codec:"i"`
	Work  []Work `codec:"w"`
	// Reconcile: something may be left on the host that does not belong there.
	Reconcile bool `codec:"r,omitempty"`
}

// Work is an operation whose present step the host is to do, with what it needs to know.
type Work struct {
	Operation *Operation `codec:"o"`
	Instance  *Instance  `codec:"i"`
	Image     *Image     `codec:"img"` // for a build; nil when the image is gone
	Migration *Migration `codec:"mig,omitempty"`
	Peer      string     `codec:"peer,omitempty"` // RPC address of the operation's other host
}

// Guest is what a host's hypervisor has.
type Guest struct {
	InstanceID InstanceID `codec:"i"`
	Generation uint64     `codec:"g"`
	Power      PowerState `codec:"p"`
}

// HostReconcileRequest asks what should be on a host, given what is.
type HostReconcileRequest struct {
	HostID HostID  `codec:"h"`
	Epoch  uint64  `codec:"e"`
	Guests []Guest `codec:"g"`
}

// HostReconcileResponse says what should be on the host. A guest in none of the lists is being worked on.
type HostReconcileResponse struct {
	Instances []Work  `codec:"i"` // idle instances that belong here (Operation is nil)
	Destroy   []Guest `codec:"d"` // guests that the cluster knows to be deleted or moved: destroy them
	Unknown   []Guest `codec:"u"` // guests that the cluster knows nothing of: leave them and say so
	// Images are the hashes of the images that any instance of this host was made from: their disks may lie on top of the cached files.
	Images []string `codec:"img"`
}

// HostLeaveRequest says that a client goes in good order.
type HostLeaveRequest struct {
	HostID HostID `codec:"h"`
	Epoch  uint64 `codec:"e"`
}

// Ack is an answer that says nothing more.
type Ack struct{}

// ConsoleOutputRequest asks a host's client for a guest's console.
type ConsoleOutputRequest struct {
	HostID     HostID     `codec:"h"`
	InstanceID InstanceID `codec:"i"`
	Lines      int        `codec:"n"`
}

// ConsoleOutputResponse is the end of a serial console.
type ConsoleOutputResponse struct {
	Output []byte `codec:"o"`
}

// BlobRequest asks for a blob's bytes from Offset on.
type BlobRequest struct {
	SHA512 string `codec:"s"`
	Offset int64  `codec:"o"`
	Local  bool   `codec:"l"`            // only from the asked server's own store
	Sure   bool   `codec:"su,omitempty"` // the asked server looks at the bytes before: the asker got some that were damaged
	// Host says that a host asks a server: it may be sent elsewhere (BlobChunk.Busy).
	Host bool `codec:"h,omitempty"`
	// NoHosts says of that host that other hosts are of no use to it: those that it was sent to could not be reached, or gave it wrong bytes.
	NoHosts bool `codec:"nh,omitempty"`
	// Without are RPC addresses of hosts that turned out not to have the bytes, or not whole: the server forgets them.
	Without []string `codec:"w,omitempty"`
}

// BlobChunk is a piece of a blob; the first one of a stream says how large the whole is.
type BlobChunk struct {
	Size int64  `codec:"n"`
	Data []byte `codec:"d"`
	// Busy, alone in its stream, says that who was asked sends these bytes to enough others now: Hosts, if any, are RPC addresses of hosts that have them.
	Busy  bool     `codec:"b,omitempty"`
	Hosts []string `codec:"h,omitempty"`
}

// BlobKeepRequest asks a server whether it has a blob, which it does not drop in the next time if it does.
type BlobKeepRequest struct {
	SHA512 string `codec:"s"`
}

// BlobKeepResponse answers a BlobKeepRequest.
type BlobKeepResponse struct {
	Has bool `codec:"h"`
}

// BlobFetchedRequest says that a host has an image's bytes, whole and checked, and gives them to other hosts that ask.
type BlobFetchedRequest struct {
	HostID HostID `codec:"h"`
	Epoch  uint64 `codec:"e"`
	SHA512 string `codec:"s"`
}

// BlobWriteRequest begins the upload of an image's bytes by the host that made it; Size bytes in BlobChunks follow. The image is active when it is acknowledged.
type BlobWriteRequest struct {
	HostID      HostID  `codec:"h"`
	Epoch       uint64  `codec:"e"`
	ImageID     ImageID `codec:"i"`
	DiskFormat  string  `codec:"f"`
	Size        int64   `codec:"n"`
	VirtualSize int64   `codec:"v"`
}

// BlobPullRequest asks a server to fetch a blob from another one into its own store.
type BlobPullRequest struct {
	SHA512 string `codec:"s"`
	From   string `codec:"f"` // RPC address
}
