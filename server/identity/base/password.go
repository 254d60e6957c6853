package base

import (
	"cmp"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"

	"golang.org/x/crypto/bcrypt"
	"golang.org/x/sync/semaphore"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const (
	// MaxPassword bounds a password in bytes, as Keystone's max_password_length.
	MaxPassword = 4096
	// bcryptBytes are what bcrypt looks at: a longer password is hashed by another function first, that no part of it is ignored.
	bcryptBytes = 72
)

// Passwords hashes and compares passwords, so many at once as processors can be spared for it: a storm of logins must not starve the scheduler. Safe for
// concurrent use.
type Passwords struct {
	// Observe, when set before the first use, is told the cost of every comparison.
	Observe func(cost int)

	turns   *semaphore.Weighted
	waiting atomic.Int64
	queue   int64
	cost    int
	dummies sync.Map // cost to func() []byte
}

// NewPasswords returns one that hashes at a cost (0: bcrypt.DefaultCost), atOnce at a time (0: half the processors, at least one), with at most queue others
// waiting (0: 64 for each).
func NewPasswords(cost, atOnce, queue int) *Passwords {
	atOnce = cmp.Or(atOnce, max(1, runtime.GOMAXPROCS(0)/2))
	return &Passwords{turns: semaphore.NewWeighted(int64(atOnce)), queue: int64(cmp.Or(queue, 64*atOnce)), cost: cmp.Or(cost, bcrypt.DefaultCost)}
}

// ErrBusy is the answer beyond the queue.
var ErrBusy = &httpapi.StatusError{Status: http.StatusTooManyRequests, Message: "Too many passwords are being checked at once; try again in a second.", Header: http.Header{"Retry-After": {"1"}}}

// turn waits for one; the function that it returns ends it.
func (p *Passwords) turn(ctx context.Context) (func(), error) {
	if p.waiting.Add(1) > p.queue {
		p.waiting.Add(-1)
		return nil, ErrBusy
	}
	err := p.turns.Acquire(ctx, 1)
	p.waiting.Add(-1)
	if err != nil {
		return nil, ErrBusy
	}
	return func() { p.turns.Release(1) }, nil
}

// Hash hashes a password for the state. The error never has the password.
func (p *Passwords) Hash(ctx context.Context, password string) ([]byte, error) {
	done, err := p.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	return HashPassword(password, p.cost)
}

// HashPassword hashes a password at a cost; 0 is bcrypt.DefaultCost. The error never has the password.
func HashPassword(password string, cost int) ([]byte, error) {
	if len(password) > MaxPassword {
		return nil, structs.Errorf(structs.KindInvalid, "The password length must be less than or equal to %d. The server could not comply with the request because the password is invalid.", MaxPassword)
	}
	h, err := bcrypt.GenerateFromPassword(digest(password), cmp.Or(cost, bcrypt.DefaultCost))
	if err != nil {
		return nil, structs.Errorf(structs.KindInvalid, "the password cannot be hashed: %w", err)
	}
	return h, nil
}

// digest is what bcrypt hashes: the password itself as long as bcrypt looks at all of it.
func digest(password string) []byte {
	if len(password) <= bcryptBytes {
		return []byte(password)
	}
	sum := sha512.Sum384([]byte(password)) // 64 characters of base64
	return []byte(base64.RawStdEncoding.EncodeToString(sum[:]))
}

// Matches compares a password with a hash. Without a hash it does the same work for nothing: usual is what it is to cost (0: what hashes cost here).
func (p *Passwords) Matches(ctx context.Context, hash []byte, password string, usual int) (bool, error) {
	done, err := p.turn(ctx)
	if err != nil {
		return false, err
	}
	defer done()
	known := len(hash) > 0
	if !known {
		hash = p.dummy(cmp.Or(usual, p.cost))
	}
	if p.Observe != nil {
		p.Observe(UsualCost(hash))
	}
	err = bcrypt.CompareHashAndPassword(hash, digest(password))
	if err != nil && !errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) && known {
		return false, structs.Errorf(structs.KindInternal, "a password's hash is damaged")
	}
	return err == nil && known && len(password) <= MaxPassword, nil
}

// dummy returns a hash that no password has, made once for each cost.
func (p *Passwords) dummy(cost int) []byte {
	f, _ := p.dummies.LoadOrStore(cost, sync.OnceValue(func() []byte {
		h, err := HashPassword("no password is checked against this", cost)
		if err != nil {
			panic("identity: " + err.Error()) // bcrypt refuses the cost: a programmer's mistake
		}
		return h
	}))
	return f.(func() []byte)()
}

// UsualCost is the cost of the hashes that there are, for Matches: that of a hash, 0 of what is none.
func UsualCost(hash []byte) int {
	c, err := bcrypt.Cost(hash)
	if err != nil {
		return 0
	}
	return c
}
