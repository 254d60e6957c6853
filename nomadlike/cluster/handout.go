package cluster

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const (
	// handoutFew is how many hosts at once get an image from this server while other hosts have it, handoutMany while none has. Hosts that have it double in
	// number while this server sends it to a few more.
	handoutFew, handoutMany = 2, 4
	// handoutNames is how many hosts a host is sent to.
	handoutNames = 3
	// handoutHosts bounds what is remembered of an image, handoutAge for how long.
	handoutHosts, handoutAge = 64, 10 * time.Minute
	// handoutStuck is how long after its last piece a stream takes no other host's place any more.
	handoutStuck = 10 * time.Second
)

// handout gives images to hosts: to few at a time, and sends the others to hosts that have got them. What it remembers of those is a hint, in no other server's
// memory and in no log: a host believes nobody's bytes before it has hashed them, and comes back when it was sent in vain.
type handout struct {
	bytes atomic.Int64 // sent to hosts

	mu    sync.Mutex
	sends map[string][]*send                      // by SHA-512
	hosts map[string]map[structs.HostID]time.Time // by SHA-512: since when a host has it
	swept time.Time                               // when hosts was last cleared of what is too old
	late  time.Duration                           // tests only: how much later it is than the clock says
}

// send is one stream to a host.
type send struct {
	h   *handout
	sha string
	at  atomic.Int64 // of the last piece: nanoseconds by the clock
}

func (h *handout) now() time.Time { return time.Now().Add(h.late) }

func (s *send) sent(n int) {
	s.h.bytes.Add(int64(n))
	s.at.Store(time.Now().UnixNano())
}

// admit lets a host have an image from here, until end; or says nil, and which hosts may have it. addr returns the address of a host that is up, "" for another.
func (h *handout) admit(req *structs.BlobRequest, addr func(structs.HostID) string) (*send, []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	active, now := 0, h.now()
	for _, s := range h.sends[req.SHA512] {
		if now.Sub(time.Unix(0, s.at.Load())) < handoutStuck {
			active++
		}
	}
	hosts := h.some(req, addr)
	if active >= handoutMany || active >= handoutFew && len(hosts) > 0 {
		return nil, hosts
	}
	s := &send{h: h, sha: req.SHA512}
	s.at.Store(time.Now().UnixNano())
	if h.sends == nil {
		h.sends = map[string][]*send{}
	}
	h.sends[s.sha] = append(h.sends[s.sha], s)
	return s, nil
}

func (h *handout) end(s *send) {
	h.mu.Lock()
	defer h.mu.Unlock()
	left := slices.DeleteFunc(h.sends[s.sha], func(o *send) bool { return o == s })
	if h.sends[s.sha] = left; len(left) == 0 {
		delete(h.sends, s.sha)
	}
}

// some picks hosts at random among those that have the image, and forgets those that have it no longer.
func (h *handout) some(req *structs.BlobRequest, addr func(structs.HostID) string) []string {
	var out []string
	for id, since := range h.hosts[req.SHA512] {
		a := addr(id)
		if a == "" || slices.Contains(req.Without, a) || h.now().Sub(since) > handoutAge {
			delete(h.hosts[req.SHA512], id)
		} else if !slices.Contains(out, a) { // one client may have many hosts
			out = append(out, a)
		}
	}
	if req.NoHosts {
		return nil
	}
	rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out[:min(len(out), handoutNames)]
}

// has remembers that a host has an image.
func (h *handout) has(sha string, id structs.HostID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if now.Sub(h.swept) > handoutAge {
		h.sweep(now)
	}
	of := h.hosts[sha]
	if of == nil {
		if h.hosts == nil {
			h.hosts = map[string]map[structs.HostID]time.Time{}
		}
		of = map[structs.HostID]time.Time{}
		h.hosts[sha] = of
	}
	of[id] = now
	for len(of) > handoutHosts {
		oldest := id
		for other, since := range of {
			if since.Before(of[oldest]) {
				oldest = other
			}
		}
		delete(of, oldest)
	}
}

// sweep forgets what is too old, so that images that nobody asks for any more take no memory.
func (h *handout) sweep(now time.Time) {
	h.swept = now
	for sha, of := range h.hosts {
		for id, since := range of {
			if now.Sub(since) > handoutAge {
				delete(of, id)
			}
		}
		if len(of) == 0 {
			delete(h.hosts, sha)
		}
	}
}

// hostAddr is where a host's client is asked; "" when the host is not up. It is what the host registered: nobody makes a host ask anybody else.
func (b *blobs) hostAddr(id structs.HostID) string {
	if h := b.s.store.Snapshot().Host(id); h != nil && h.Status == structs.HostUp {
		return h.RPCAddr
	}
	return ""
}

// rpcFetched is Blob.Fetched. This server may be behind and refuse what another takes: it is a hint.
func (b *blobs) rpcFetched(_ context.Context, req *structs.BlobFetchedRequest) (*structs.Ack, error) {
	r := b.s.store.Snapshot()
	if h := r.Host(req.HostID); h == nil || h.Epoch != req.Epoch {
		return nil, structs.Errorf(structs.KindConflict, "host %s has a newer session", req.HostID)
	}
	for i := range r.ImagesByBytes(req.SHA512) {
		if i.SHA512 == req.SHA512 { // what no image has takes no memory
			b.handout.has(req.SHA512, req.HostID)
			return &structs.Ack{}, nil
		}
	}
	return nil, structs.Errorf(structs.KindNotFound, "no image has the SHA-512 %q", req.SHA512)
}
