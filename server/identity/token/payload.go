package token

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

// payload is what a token carries. It is encoded as an array: fields are only ever appended. Ids of 32 hexadecimal digits travel as 16 bytes.
type payload struct {
	//lint:ignore U1000 the codec reads it
	_struct   struct{} `codec:",toarray"`
	Version   int
	User      []byte
	Project   []byte // of a token on a domain the domain; empty: unscoped, or on the system
	Methods   int    // bits of methodNames
	IssuedAt  int64
	ExpiresAt int64
	Audit     []byte
	Parent    []byte // audit id of the token that this one was made from

	Scope   int    // what Project is
	Trust   []byte // the trust that the token stands on
	AppCred []byte // the application credential that it stands on
}

// What a token is for beside a project.
const (
	onProject = iota // or on nothing
	onDomain
	onSystem
)

const payloadVersion = 1

// methodNames are the ways to prove who one is, by their bits. New ones are appended.
var methodNames = []string{"password", "token", "totp", "application_credential", "ec2credential"}

var payloadHandle = func() *codec.MsgpackHandle {
	h := &codec.MsgpackHandle{}
	h.WriteExt = true
	return h
}()

func encodePayload(p *payload) ([]byte, error) {
	var out []byte
	err := codec.NewEncoderBytes(&out, payloadHandle).Encode(p)
	return out, err
}

func decodePayload(b []byte) (*payload, error) {
	p := new(payload)
	if err := codec.NewDecoderBytes(b, payloadHandle).Decode(p); err != nil {
		return nil, err
	}
	if p.Version != payloadVersion || p.Scope < onProject || p.Scope > onSystem {
		return nil, errInvalid
	}
	return p, nil
}

// packID shortens an id; a leading zero byte marks one that is packed.
func packID(id string) []byte {
	if len(id) == 32 {
		if b, err := hex.DecodeString(id); err == nil && hex.EncodeToString(b) == id {
			return append([]byte{0}, b...)
		}
	}
	return []byte(id)
}

func unpackID(b []byte) string {
	if len(b) == 17 && b[0] == 0 {
		return hex.EncodeToString(b[1:])
	}
	return string(b)
}

func packAudit(id string) []byte {
	b, err := base64.RawURLEncoding.DecodeString(id)
	if err != nil {
		return nil
	}
	return b
}

func unpackAudit(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// newAuditID names a token in revocations; it says nothing of the token itself. 16 random bytes, as Keystone's.
func newAuditID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand never fails
	return unpackAudit(b[:])
}

func packMethods(names []string) int {
	bits := 0
	for i, m := range methodNames {
		for _, n := range names {
			if n == m {
				bits |= 1 << i
			}
		}
	}
	return bits
}

func unpackMethods(bits int) []string {
	var out []string
	for i, m := range methodNames {
		if bits&(1<<i) != 0 {
			out = append(out, m)
		}
	}
	return out
}

// claims is a payload in the model's words.
type claims struct {
	user          structs.UserID // who proved itself: of a trust the trustee
	project       structs.ProjectID
	domain        structs.DomainID
	system        bool
	trust         string
	appCred       string
	methods       []string
	issued        structs.Time
	expires       structs.Time
	audit, parent string
}

func (c claims) payload() *payload {
	p := &payload{Version: payloadVersion, User: packID(string(c.user)), Methods: packMethods(c.methods), IssuedAt: int64(c.issued), ExpiresAt: int64(c.expires),
		Audit: packAudit(c.audit), Parent: packAudit(c.parent)}
	switch {
	case c.system:
		p.Scope = onSystem
	case c.domain != "":
		p.Scope, p.Project = onDomain, packID(string(c.domain))
	case c.project != "":
		p.Project = packID(string(c.project))
	}
	if c.trust != "" {
		p.Trust = packID(c.trust)
	}
	if c.appCred != "" {
		p.AppCred = packID(c.appCred)
	}
	return p
}

func (p *payload) claims() claims {
	c := claims{user: structs.UserID(unpackID(p.User)), methods: unpackMethods(p.Methods), trust: unpackID(p.Trust), appCred: unpackID(p.AppCred),
		issued: structs.Time(p.IssuedAt), expires: structs.Time(p.ExpiresAt), audit: unpackAudit(p.Audit), parent: unpackAudit(p.Parent)}
	switch p.Scope {
	case onProject:
		c.project = structs.ProjectID(unpackID(p.Project))
	case onDomain:
		c.domain = structs.DomainID(unpackID(p.Project))
	case onSystem:
		c.system = true
	}
	return c
}

// verified is a token that holds, with the claims that it was made of.
type verified struct {
	token *httpapi.Token
	claims
}

// chain is the audit id of the first token of the chain that this one is the end of.
func (v *verified) chain() string {
	if v.parent != "" {
		return v.parent
	}
	return v.audit
}

// cleanBase64 refuses what the decoder would pass over, so that one token has one spelling.
func cleanBase64(s string) bool {
	if len(s) > maxTokenLength || strings.ContainsAny(s, "\r\n") {
		return false
	}
	_, err := strictBase64.DecodeString(s)
	return err == nil
}

var strictBase64 = base64.RawURLEncoding.Strict()

// maxTokenLength bounds what is decoded at all; ours have about 200 bytes.
const maxTokenLength = 1024
