package base

import (
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
	"github.com/kilonova-cloud/kilonova/server/httpapi"
)

const day = 24 * time.Hour

func set(b *bool) bool { return b != nil && *b }

func optionsOf(u *structs.User) structs.UserOptions {
	if u.Options == nil {
		return structs.UserOptions{}
	}
	return *u.Options
}

// Locked reports whether wrong passwords have locked a user out: a login is refused without a look at the password.
func (s *Security) Locked(u *structs.User, now structs.Time) bool {
	return s.counts(u) && !s.lapsed(u, now)
}

// Lapsed reports whether a user was locked out and no longer is: the next wrong password is the first of a new count.
func (s *Security) Lapsed(u *structs.User, now structs.Time) bool {
	return s.counts(u) && s.lapsed(u, now)
}

// counts reports whether a user's wrong passwords are as many as lock it out.
func (s *Security) counts(u *structs.User) bool {
	return s.LockoutFailures > 0 && u.Failures >= s.LockoutFailures && !set(optionsOf(u).IgnoreLockout)
}

func (s *Security) lapsed(u *structs.User, now structs.Time) bool {
	return s.LockoutDuration > 0 && u.FailedAt.Add(s.LockoutDuration) <= now
}

// PasswordExpired reports whether a user must make a new password before it can log in: its time is over. One that an administrator made, while the setting
// was on that its user is to change it first, ended as it was made (Expiry); passwords from before keep what they had, so that switching it on locks out nobody.
func (s *Security) PasswordExpired(u *structs.User, now structs.Time) bool {
	return len(u.PasswordHash) > 0 && !set(optionsOf(u).IgnorePasswordExpiry) && !u.PasswordExpires.IsZero() && u.PasswordExpires <= now
}

// Expiry is when a password that is made now ends, 0 for never. One that an administrator made and its user is to change has ended at once.
func (s *Security) Expiry(u *structs.User, now structs.Time, self bool) structs.Time {
	switch {
	case !self && s.ChangeAtFirstUse && !set(optionsOf(u).IgnoreChangeUponFirstUse):
		return now
	case s.PasswordExpiresDays <= 0 || set(optionsOf(u).IgnorePasswordExpiry):
		return 0
	}
	return structs.TimeOf(now.Time().Add(time.Duration(s.PasswordExpiresDays) * day).Truncate(time.Second))
}

// Inactive reports whether a user has not logged in for so many days that it counts as disabled. Days are UTC's; one that never logged in is as old as itself.
func (s *Security) Inactive(u *structs.User, now structs.Time) bool {
	active := u.ActiveAt
	if active.IsZero() {
		active = u.CreatedAt
	}
	if s.InactiveDays <= 0 || active.IsZero() || set(optionsOf(u).IgnoreInactivity) {
		return false
	}
	return now.Time().Truncate(day).Sub(active.Time().Truncate(day)) >= time.Duration(s.InactiveDays)*day
}

// MayChange refuses a user who wants to change its own password: it is locked, or younger than it must become. What an administrator made may be changed at once.
func (s *Security) MayChange(u *structs.User, now structs.Time) error {
	if set(optionsOf(u).LockPassword) {
		return httpapi.BadRequest("You cannot change your password at this time due to password policy disallowing password changes. Please contact your administrator to reset your password.")
	}
	if s.MinimumAgeDays <= 0 || u.PasswordSelfAt.IsZero() {
		return nil
	}
	left := u.PasswordSelfAt.Add(time.Duration(s.MinimumAgeDays) * day).Sub(now)
	if left <= 0 {
		return nil
	}
	return httpapi.BadRequest("You cannot change your password at this time due to the minimum password age. Once you change your password, it must be used for %d day(s) before it can be changed. Please try again in %d day(s) or contact your administrator to reset your password.",
		s.MinimumAgeDays, left/day)
}

// Before are the hashes that a new password may not be one of, newest first: the one of now and those before it.
func (s *Security) Before(u *structs.User) [][]byte { return s.kept(u, s.UniquePasswords) }

// kept are the newest so many of a user's hashes.
func (s *Security) kept(u *structs.User, n int) [][]byte {
	if n <= 0 {
		return nil
	}
	var all [][]byte
	if len(u.PasswordHash) > 0 {
		all = append(all, u.PasswordHash)
	}
	all = append(all, u.PasswordsBefore...)
	return all[:min(n, len(all))]
}

// Give gives a user a password by its hash, none for no password: its own choice, or an administrator's. A lock is over. Tokens from before it are void.
func (s *Security) Give(u *structs.User, hash []byte, now structs.Time, self bool) {
	u.PasswordsBefore = s.kept(u, s.UniquePasswords-1)
	u.PasswordHash, u.PasswordAt, u.PasswordSelfAt, u.PasswordExpires = hash, now, 0, 0
	if self {
		u.PasswordSelfAt = now
	}
	if len(hash) > 0 {
		u.PasswordExpires = s.Expiry(u, now, self)
	}
	u.Failures, u.FailedAt = 0, 0
}

// ErrUsedBefore refuses a password that is one of the last.
func (s *Security) ErrUsedBefore() error {
	return httpapi.BadRequest("The new password cannot be identical to a previous password. The total number which includes the new password must be unique is %d.", s.UniquePasswords)
}

// Strong refuses a password that the expression does not match from its beginning, as in Keystone.
func (s *Security) Strong(password string) error {
	if s.PasswordRegex == "" {
		return nil
	}
	if e, err := parseExpression(s.PasswordRegex); err == nil && e.match(password) { // the configuration has refused one that is none
		return nil
	}
	return httpapi.BadRequest("The password does not match the requirements: %s.", s.PasswordRegexWords)
}

// CheckPasswordRegex refuses what passwords cannot be compared with.
func CheckPasswordRegex(text string) error {
	_, err := parseExpression(text)
	return err
}
