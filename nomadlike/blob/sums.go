package blob

import (
	"crypto/md5"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"sync"
	"sync/atomic"
)

// sums computes SHA-512 and MD5 each on a processor of its own, behind whoever brings the bytes: either is slower than a disk or a network is. It holds no more than
// inFlight pieces. Somebody has to call finish.
type sums struct {
	sha512 hash.Hash
	md5    hash.Hash // #nosec: not for security, Glance's checksum
	free   chan *piece
	queues []chan *piece
	wg     sync.WaitGroup
	made   int // pieces that there are
}

const (
	pieceSize = 256 << 10
	inFlight  = 8
)

// piece is bytes that every hash has to see before their memory is used again.
type piece struct {
	b    []byte
	left atomic.Int32
}

func newSums() *sums { return &sums{sha512: sha512.New(), md5: md5.New()} }

// write takes p, which is the caller's again at once.
func (s *sums) write(p []byte) {
	if s.queues == nil {
		s.free = make(chan *piece, inFlight)
		for _, h := range []hash.Hash{s.sha512, s.md5} {
			q := make(chan *piece, inFlight)
			s.queues = append(s.queues, q)
			s.wg.Go(func() { s.hash(h, q) })
		}
	}
	for len(p) > 0 {
		x := s.next()
		n := min(len(p), pieceSize)
		x.b = append(x.b[:0], p[:n]...)
		p = p[n:]
		x.left.Store(int32(len(s.queues)))
		for _, q := range s.queues {
			q <- x
		}
	}
}

// next waits for a piece that all hashes are done with.
func (s *sums) next() *piece {
	if s.made < inFlight && len(s.free) == 0 {
		s.made++
		return &piece{}
	}
	return <-s.free
}

func (s *sums) hash(h hash.Hash, q <-chan *piece) {
	for x := range q {
		_, _ = h.Write(x.b) // hashes never fail
		if x.left.Add(-1) == 0 {
			s.free <- x
		}
	}
}

// finish waits until all is hashed. Nothing more is written then; to finish again does nothing.
func (s *sums) finish() {
	for _, q := range s.queues {
		close(q)
	}
	s.queues = nil
	s.wg.Wait()
}

func hexSum(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }
