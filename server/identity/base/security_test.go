package base

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

func drawUser(rt *rapid.T) (*Security, *structs.User, structs.Time) {
	flag := func(name string) *bool {
		return rapid.SampledFrom([]*bool{nil, new(bool), func() *bool { b := true; return &b }()}).Draw(rt, name)
	}
	now := structs.TimeOf(time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC))
	at := func(name string) structs.Time {
		if rapid.Bool().Draw(rt, name+" is set") {
			return now.Add(time.Duration(rapid.IntRange(-20*24, 20*24).Draw(rt, name)) * time.Hour)
		}
		return 0
	}
	s := &Security{LockoutFailures: rapid.IntRange(0, 3).Draw(rt, "max"), LockoutDuration: time.Duration(rapid.IntRange(0, 48).Draw(rt, "for")) * time.Hour,
		PasswordExpiresDays: rapid.IntRange(0, 10).Draw(rt, "days"), MinimumAgeDays: rapid.IntRange(0, 5).Draw(rt, "age"), UniquePasswords: rapid.IntRange(0, 4).Draw(rt, "unique"),
		InactiveDays: rapid.IntRange(0, 10).Draw(rt, "idle"), ChangeAtFirstUse: rapid.Bool().Draw(rt, "first")}
	u := &structs.User{PasswordHash: []byte("h"), Failures: rapid.IntRange(0, 4).Draw(rt, "fails"), FailedAt: at("failed"), PasswordAt: at("pw"), PasswordSelfAt: at("self"),
		PasswordExpires: at("expires"), ActiveAt: at("active"), CreatedAt: at("created")}
	if rapid.Bool().Draw(rt, "options") {
		u.Options = &structs.UserOptions{IgnoreLockout: flag("lockout"), IgnorePasswordExpiry: flag("expiry"), IgnoreInactivity: flag("inactivity"),
			IgnoreChangeUponFirstUse: flag("firstuse"), LockPassword: flag("lock")}
	}
	return s, u, now
}

func on(b *bool) bool { return b != nil && *b }

// Whoever is exempt is never refused; what is off refuses nobody; and what is refused now for its time is so until that time, and not after.
func TestSecurityIsHeldFor(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, u, now := drawUser(rt)
		o := optionsOf(u)
		if s.LockoutFailures == 0 || on(o.IgnoreLockout) || u.Failures < s.LockoutFailures {
			require.False(rt, s.Locked(u, now) || s.Lapsed(u, now))
		} else {
			require.NotEqual(rt, s.Locked(u, now), s.Lapsed(u, now), "a lock is there or over")
			until := u.FailedAt.Add(s.LockoutDuration)
			require.Equal(rt, s.LockoutDuration == 0, s.Locked(u, until), "without a duration it never ends")
			require.True(rt, s.Locked(u, until-1))
		}
		if on(o.IgnorePasswordExpiry) {
			require.False(rt, s.PasswordExpired(u, now))
		} else if !u.PasswordExpires.IsZero() {
			require.True(rt, s.PasswordExpired(u, u.PasswordExpires))
			require.False(rt, s.PasswordExpired(u, u.PasswordExpires-1))
		} else {
			require.False(rt, s.PasswordExpired(u, now), "nothing said so when it was made")
		}
		if s.Inactive(u, now) {
			require.True(rt, s.InactiveDays > 0 && !on(o.IgnoreInactivity))
			seen := *u
			seen.ActiveAt = now
			require.False(rt, s.Inactive(&seen, now))
			require.True(rt, s.Inactive(u, now.Add(24*time.Hour)), "it does not come back by itself")
		}
		if s.MayChange(u, now) == nil {
			require.False(rt, on(o.LockPassword))
			require.NoError(rt, s.MayChange(u, now.Add(time.Hour)))
		}
	})
}

// A life of passwords: none of the last ones is free, so many are kept and no more, and a new one that its user chose is never expired at once.
func TestPasswordsOfALife(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		s, u, now := drawUser(rt)
		u.PasswordHash = nil
		var all []string
		for i := range rapid.IntRange(1, 8).Draw(rt, "changes") {
			self := rapid.Bool().Draw(rt, "self")
			now = now.Add(time.Hour)
			s.Give(u, []byte{byte(i)}, now, self)
			all = append([]string{string([]byte{byte(i)})}, all...)
			require.Equal(rt, now, u.PasswordAt)
			require.Equal(rt, self, u.PasswordSelfAt == now)
			require.Zero(rt, u.Failures)
			var before []string
			for _, h := range s.Before(u) {
				before = append(before, string(h))
			}
			require.Len(rt, before, min(s.UniquePasswords, len(all)))
			require.Equal(rt, strings.Join(all[:len(before)], ""), strings.Join(before, ""))
			require.LessOrEqual(rt, len(u.PasswordsBefore), max(0, s.UniquePasswords-1))
			o := optionsOf(u)
			expired := !self && s.ChangeAtFirstUse && !on(o.IgnoreChangeUponFirstUse) && !on(o.IgnorePasswordExpiry)
			require.Equal(rt, expired, s.PasswordExpired(u, now))
			if s.PasswordExpiresDays > 0 && !on(o.IgnorePasswordExpiry) {
				require.True(rt, s.PasswordExpired(u, now.Add(time.Duration(s.PasswordExpiresDays)*24*time.Hour)))
			}
			require.Equal(rt, self && s.MinimumAgeDays > 0 || on(o.LockPassword), s.MayChange(u, now) != nil)
			require.Equal(rt, on(o.LockPassword), s.MayChange(u, now.Add(time.Duration(s.MinimumAgeDays)*24*time.Hour)) != nil)
		}
	})
}

func TestStrong(t *testing.T) {
	t.Parallel()
	for regex, passwords := range map[string]map[string]bool{
		``:                                {"": true, "x": true},
		`^(?=.*\d)(?=.*[a-zA-Z]).{7,}$`:   {"abcdef1": true, "abcdefg": false, "1234567": false, "abc1": false},
		`^(?!.*pass)(?=.*[)\]\\(]).{3,}$`: {"ab)": true, "pass)": false, "abc": false, `ab\`: true, "ab]": true},
		`(?=[^]a]*$)b`:                    {"b": true, "ba": false, "b]": false},
		`[a-z]+`:                          {"abc": true, "abc1": true, "1abc": false},
		`a|b$`:                            {"a1": true, "b": true, "b1": false, "ca": false},
		`^.{3}$`:                          {"äöü": true, "ab": false},
	} {
		require.NoError(t, CheckPasswordRegex(regex), regex)
		s := Security{PasswordRegex: regex, PasswordRegexWords: "words"}
		for p, want := range passwords {
			err := s.Strong(p)
			assert.Equal(t, want, err == nil, "%s of %q", regex, p)
			if err != nil {
				assert.Equal(t, "The password does not match the requirements: words.", err.Error())
			}
		}
	}
	for _, regex := range []string{`(`, `(?=a`, `(?=(a)`, `^(?=a))`, `a)|(b`, `a(?=b)`, `(?=a)(?<=b)`, `[`, `(?=[)])[`} {
		require.ErrorContains(t, CheckPasswordRegex(regex), "\"", regex)
		require.Error(t, (&Security{PasswordRegex: regex}).Strong("anything"), regex)
	}
}
