package token

import (
	"crypto/sha256"
	"time"

	"github.com/fernet/fernet-go"
	"github.com/hashicorp/go-memdb"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/kilonova-cloud/kilonova/nomadlike"
	"github.com/kilonova-cloud/kilonova/nomadlike/state"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

// errInvalid is the one answer to every token that does not hold: why is nobody's business.
var errInvalid = base.ErrNobody

// ready refuses while a state holds no users: what cannot be found in it may well be right. A server is there from its first start until it
// has heard from a leader, and every server until the cluster's administrator is made.
func ready(st state.Reader) error {
	if st.ClusterSettings().Bootstrapped {
		return nil
	}
	return structs.Errorf(structs.KindUnavailable, "This server knows no users yet: it has not heard from the cluster's leader, or the cluster has no administrator (kilonova identity bootstrap makes it).")
}

// The cache is split so that requests on many cores do not queue for one lock.
const (
	cacheShards = 16
	cachePerLRU = 1024
)

type tokenHash [sha256.Size]byte

// cached is a verified token with what it was verified against: once any of the watches has fired, something that it stands on may have
// changed and it is verified again. There is no time in which a change is not seen but the commit's own.
type cached struct {
	verified
	watches []<-chan struct{}
}

func (c *cached) fresh() bool {
	for _, ch := range c.watches {
		select {
		case <-ch:
			return false
		default:
		}
	}
	return true
}

// Authenticator verifies and issues tokens against the state of this server. It does no I/O and has no goroutine. Safe for concurrent use.
type Authenticator struct {
	core  nomadlike.Core
	now   func() time.Time
	cache [cacheShards]*lru.Cache[tokenHash, *cached]
}

var _ httpapi.Authenticator = (*Authenticator)(nil)

// NewAuthenticator returns an authenticator on a core's state. now is its clock; nil is time.Now.
func NewAuthenticator(core nomadlike.Core, now func() time.Time) *Authenticator {
	if now == nil {
		now = time.Now
	}
	a := &Authenticator{core: core, now: now}
	for i := range a.cache {
		c, err := lru.New[tokenHash, *cached](cachePerLRU)
		if err != nil {
			panic("identity: " + err.Error()) // the size is a constant
		}
		a.cache[i] = c
	}
	return a
}

// Verify implements httpapi.Authenticator. The Token is shared and constant. KindUnavailable says that there is no state yet to verify a token with.
func (a *Authenticator) Verify(token string) (*httpapi.Token, error) {
	v, err := a.verify(token)
	if err != nil {
		return nil, err
	}
	return v.token, nil
}

func (a *Authenticator) verify(token string) (verified, error) {
	hash := tokenHash(sha256.Sum256([]byte(token)))
	shard := a.cache[hash[0]%cacheShards]
	now := structs.TimeOf(a.now())
	if c, ok := shard.Get(hash); ok {
		switch {
		case c.token.ExpiresAt <= now:
			shard.Remove(hash)
			return verified{}, errInvalid
		case c.fresh():
			return c.verified, nil
		}
	}
	st := a.core.Stale()
	c, err := check(st, token, now)
	if err != nil {
		shard.Remove(hash)
		if unready := ready(st); unready != nil {
			err = unready
		}
		return verified{}, err
	}
	shard.Add(hash, c)
	return c.verified, nil
}

// check verifies a token in full: signature, time, revocation, and that user, project and grants still are what they have to be.
func check(st state.Reader, token string, now structs.Time) (*cached, error) {
	ws := memdb.NewWatchSet()
	r := st.Watching(ws)
	msg := unseal(r, token)
	if msg == nil {
		return nil, errInvalid
	}
	p, err := decodePayload(msg)
	if err != nil {
		return nil, errInvalid
	}
	claimed := p.claims()
	t, err := bind(r, claimed, now)
	if err != nil {
		return nil, err
	}
	c := &cached{verified: verified{t, claimed}, watches: make([]<-chan struct{}, 0, len(ws))}
	for ch := range ws {
		c.watches = append(c.watches, ch)
	}
	return c, nil
}

// unseal opens what one of the cluster's keys has sealed; nil is what none has.
func unseal(r state.Reader, text string) []byte {
	if !cleanBase64(text) {
		return nil
	}
	for len(text)%4 != 0 {
		text += "=" // Keystone leaves the padding out, and so do we
	}
	return fernet.VerifyAndDecrypt([]byte(text), 0, verifyKeys(r))
}

// Scope is what a token is for: nothing at its zero value.
type Scope struct {
	Project structs.ProjectID
	Domain  structs.DomainID
	System  bool
}

// IssueScoped is Issue for any scope.
func (a *Authenticator) IssueScoped(user structs.UserID, s Scope, life time.Duration, methods ...string) (string, error) {
	now := structs.TimeOf(a.now())
	return a.sign(a.core.Stale(), claims{user: user, project: s.Project, domain: s.Domain, system: s.System, methods: methods, issued: now, expires: now.Add(life), audit: newAuditID()})
}

// Issue signs a token for a user, scoped to a project unless that is "", valid for life. It does not ask whether the user may have it: that
// is for who calls it (POST /auth/tokens after a password; tests; an operator's tool). The methods are how the user proved itself.
func (a *Authenticator) Issue(user structs.UserID, project structs.ProjectID, life time.Duration, methods ...string) (string, error) {
	return a.IssueScoped(user, Scope{Project: project}, life, methods...)
}

func (a *Authenticator) sign(r state.Reader, c claims) (string, error) {
	b, err := encodePayload(c.payload())
	if err != nil {
		return "", structs.Errorf(structs.KindInternal, "encode token: %w", err)
	}
	return a.seal(r, b)
}

// seal signs and encrypts.
func (a *Authenticator) seal(r state.Reader, b []byte) (string, error) {
	now := structs.TimeOf(a.now())
	key, err := signingKey(r, now)
	if err != nil {
		return "", err
	}
	tok, err := fernet.EncryptAndSignAtTime(b, key, now.Time())
	if err != nil {
		return "", structs.Errorf(structs.KindInternal, "sign token: %w", err)
	}
	for len(tok) > 0 && tok[len(tok)-1] == '=' {
		tok = tok[:len(tok)-1]
	}
	return string(tok), nil
}
