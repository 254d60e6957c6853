package token

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238's default, and what every authenticator has
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/fsm"
	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

const (
	totpPeriod = 30 // seconds of a step
	totpDigits = 6
	totpBefore = 1 // steps before that of now whose passcodes are taken too (Keystone's included_previous_windows)
)

// totp is the passcode of a step (RFC 6238, RFC 4226).
func totp(seed []byte, step int64) string {
	mac := hmac.New(sha1.New, seed)
	_ = binary.Write(mac, binary.BigEndian, step) // a hash takes everything
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 15
	n := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", totpDigits, n%1000000)
}

// Passcode is the passcode of a seed at a time, as an authenticator shows it.
func Passcode(seed []byte, at time.Time) string { return totp(seed, at.Unix()/totpPeriod) }

// totpSeed reads a credential's blob: base32, its padding left out or not.
func totpSeed(blob string) []byte {
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(blob, "="))
	if err != nil {
		return nil
	}
	return seed
}

// totpStep is the step whose passcode this is of a credential, of those that may still be used; 0 for none.
func totpStep(c *structs.Credential, passcode string, now structs.Time) int64 {
	seed := totpSeed(c.Blob)
	if len(seed) == 0 {
		return 0
	}
	var found int64
	last := now.Time().Unix() / totpPeriod
	for step := last - totpBefore; step <= last; step++ {
		if subtle.ConstantTimeCompare([]byte(totp(seed, step)), []byte(passcode)) == 1 && step > c.LastStep {
			found = step
		}
	}
	return found
}

// byTOTP compares a passcode with those of the user's seeds. Each is taken once, by one login: the state machine decides whose.
func (s *service) byTOTP(p *proof) error {
	var in struct {
		User *struct {
			ref
			Passcode string `json:"passcode"`
		} `json:"user"`
	}
	if err := p.req.decode("totp", &in); err != nil {
		return err
	}
	if in.User == nil {
		return missing("user", "totp")
	}
	u, err := userOf(p.st, &in.User.ref)
	if err != nil {
		return err
	}
	if !s.opts.MayLogIn(p.st, u, p.now) {
		return s.opts.Wrong(p.ctx, p.core, p.st, u, p.now)
	}
	for c := range p.st.CredentialsOfUser(u.ID) {
		if c.Type != "totp" || c.TrustID != "" || c.AppCredID != "" {
			continue
		}
		if step := totpStep(c, in.User.Passcode, p.now); step > 0 {
			if _, err := fsm.TOTPUse.Propose(p.ctx, p.core, &structs.TOTPUseRequest{ID: c.ID, Step: step}); err != nil {
				return err
			}
			return p.is(u.ID)
		}
	}
	return s.opts.Wrong(p.ctx, p.core, p.st, u, p.now)
}
