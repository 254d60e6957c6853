package token

import (
	"net/http"
	"slices"

	"github.com/hashicorp/go-msgpack/v2/codec"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
	"github.com/kilonova-cloud/kilonova/server/identity/base"
)

const (
	receiptHeader = "Openstack-Auth-Receipt"
	// receiptVersion is far from a token's: what one of them is sealed with opens the other, and neither may be taken for the other.
	receiptVersion = 1000
)

// receipt says what a user has shown of what its rules ask for. It is sealed with the tokens' keys, and encoded as an array: fields are only ever appended.
type receipt struct {
	//lint:ignore U1000 the codec reads it
	_struct   struct{} `codec:",toarray"`
	Version   int
	User      []byte
	Methods   int // bits of methodNames
	IssuedAt  int64
	ExpiresAt int64
}

// loginMethods are the methods that rules may ask for; others in them are ignored, as in Keystone.
func loginMethods() []string { return methodNames[:4] }

// rulesOf are the sets of methods of which one is asked of a user, those that could be shown; none when it has no such rules, or they are off.
func rulesOf(u *structs.User) [][]string {
	if u == nil || u.Options == nil || u.Options.MultiFactor != nil && !*u.Options.MultiFactor {
		return nil
	}
	var out [][]string
	for _, rule := range u.Options.MultiFactorRules {
		var set []string
		for _, m := range rule {
			if slices.Contains(loginMethods(), m) && !slices.Contains(set, m) {
				set = append(set, m)
			}
		}
		if len(set) > 0 {
			out = append(out, set)
		}
	}
	return out
}

// enough reports whether a user has shown all that one of its rules asks for. Rules that nobody could follow ask for nothing, so that they lock nobody out.
func enough(u *structs.User, methods []string) bool {
	rules := rulesOf(u)
	return len(rules) == 0 || slices.ContainsFunc(rules, func(rule []string) bool {
		return !slices.ContainsFunc(rule, func(m string) bool { return !slices.Contains(methods, m) })
	})
}

// Suffices reports whether a login by these methods alone would be one of a user.
func Suffices(u *structs.User, methods ...string) bool { return enough(u, methods) }

// takeReceipt adds what the user had shown before.
func (s *service) takeReceipt(p *proof, text string) error {
	none := structs.Errorf(structs.KindUnauthorized, "Could not find auth receipt: %.*s.", maxTokenLength, text)
	msg := unseal(p.st, text)
	if msg == nil {
		return none
	}
	var r receipt
	if err := codec.NewDecoderBytes(msg, payloadHandle).Decode(&r); err != nil || r.Version != receiptVersion {
		return none
	}
	user := structs.UserID(unpackID(r.User))
	if structs.Time(r.ExpiresAt) <= p.now || user != p.user || holder(p.st, user, structs.Time(r.IssuedAt)) == nil {
		return none
	}
	p.claims.methods = append(p.claims.methods, unpackMethods(r.Methods)...)
	return nil
}

// giveReceipt answers whoever has shown some of what is needed: 401 with what is known now, and what else could be shown.
func (s *service) giveReceipt(r *httpapi.Request, p *proof) (any, error) {
	u := p.st.User(p.user)
	rec := receipt{Version: receiptVersion, User: packID(string(p.user)), Methods: packMethods(p.claims.methods), IssuedAt: int64(p.now), ExpiresAt: int64(p.now.Add(s.opts.ReceiptTTL))}
	var msg []byte
	if err := codec.NewEncoderBytes(&msg, payloadHandle).Encode(&rec); err != nil {
		return nil, structs.Errorf(structs.KindInternal, "encode receipt: %w", err)
	}
	text, err := s.auth.seal(p.st, msg)
	if err != nil {
		return nil, err
	}
	required := [][]string{}
	for _, rule := range rulesOf(u) {
		if slices.ContainsFunc(rule, func(m string) bool { return slices.Contains(p.claims.methods, m) }) {
			required = append(required, rule)
		}
	}
	h := r.Writer.Header()
	h.Set(receiptHeader, text)
	h.Set("Vary", "X-Auth-Token")
	return httpapi.Reply{Status: http.StatusUnauthorized, Body: map[string]any{
		"receipt": map[string]any{"methods": methodsInOrder(p.claims.methods), "user": scoped{string(u.ID), u.Name, domainNamed(p.st, u.DomainID)},
			"expires_at": base.Time(structs.Time(rec.ExpiresAt)), "issued_at": base.Time(p.now)},
		"required_auth_methods": required,
	}}, nil
}
