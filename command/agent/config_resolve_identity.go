package agent

import (
	"time"

	"golang.org/x/crypto/bcrypt"

	idbase "github.com/kilonova-cloud/kilonova/server/identity/base"
)

// maxHashRounds bounds the cost of a password: one of 16 takes seconds, and whoever logs in waits for it.
const maxHashRounds = 16

// maxReceiptTTL bounds the life of receipts, as in Keystone.
const maxReceiptTTL = 24 * time.Hour

func (r *resolver) identity() {
	c, out, path := r.config.Server.Identity, &r.rt.Server.Identity, "server.identity."
	switch mode := value(c.Mode, "builtin"); mode {
	case "builtin":
		r.notWithout(path, c)
	case "keystone":
		out.Keystone = r.keystone(c)
	default:
		r.refuse(path+"mode", "%q is not known; \"builtin\" or \"keystone\" is right", mode)
	}
	out.LockoutFailures = r.atLeast(path+"lockout_failure_attempts", c.LockoutFailures, 0, 0)
	out.LockoutDuration = r.duration(path+"lockout_duration", c.LockoutDuration, 30*time.Minute, 0)
	out.PasswordExpiresDays = r.days(path+"password_expires_days", c.PasswordExpiresDays)
	out.MinimumPasswordAge = r.days(path+"minimum_password_age", c.MinimumPasswordAge)
	out.UniquePasswords = r.atLeast(path+"unique_last_password_count", c.UniquePasswords, 0, 0)
	out.InactiveDays = r.days(path+"disable_user_account_days_inactive", c.InactiveDays)
	out.ChangeAtFirstUse = value(c.ChangeAtFirstUse, false)
	out.MaxProjectDepth = r.atLeast(path+"max_project_tree_depth", c.MaxProjectDepth, 5, 1)
	out.SignatureTTL = r.duration(path+"credential_auth_ttl", c.SignatureTTL, idbase.DefaultSignatureTTL, time.Second)
	out.MaxRedelegations = r.atLeast(path+"max_redelegation_count", c.MaxRedelegations, idbase.DefaultMaxRedelegations, 0)
	out.ReceiptTTL = r.duration(path+"receipt_expiration", c.ReceiptTTL, idbase.DefaultReceiptTTL, time.Second)
	if out.ReceiptTTL > maxReceiptTTL {
		r.refuse(path+"receipt_expiration", "%s is too long: it is for one who is about to log in; %s or less is right", out.ReceiptTTL, maxReceiptTTL)
	}
	out.HashRounds = r.atLeast(path+"password_hash_rounds", c.HashRounds, bcrypt.DefaultCost, bcrypt.MinCost)
	if out.HashRounds > maxHashRounds {
		r.refuse(path+"password_hash_rounds", "%d is too large: every login would wait for it; %d to %d is right", out.HashRounds, bcrypt.MinCost, maxHashRounds)
	}
	out.ChecksAtOnce = r.atLeast(path+"password_checks_at_once", c.ChecksAtOnce, 0, 0)
	out.PasswordRegex, out.PasswordRegexWords = value(c.PasswordRegex, ""), value(c.PasswordRegexWords, "")
	if err := idbase.CheckPasswordRegex(out.PasswordRegex); err != nil {
		r.refuse(path+"password_regex", "%v", err)
	}
	if out.PasswordExpiresDays > 0 && out.MinimumPasswordAge >= out.PasswordExpiresDays {
		r.refuse(path+"minimum_password_age", "%d days: a password that expires after %d could never be changed before; less is right", out.MinimumPasswordAge, out.PasswordExpiresDays)
	}
}

// maxDays bounds a number of days: a century is as good as for ever, and its time can still be told.
const maxDays = 36500

func (r *resolver) days(path string, number *int) int {
	n := r.atLeast(path, number, 0, 0)
	if n > maxDays {
		r.refuse(path, "%d is too large; 0 to %d is right", n, maxDays)
		return 0
	}
	return n
}

// Options are those of the Identity API.
func (i IdentityRuntime) Options() idbase.Options {
	return idbase.Options{Passwords: idbase.NewPasswords(i.HashRounds, i.ChecksAtOnce, 0), MaxProjectDepth: i.MaxProjectDepth,
		SignatureTTL: i.SignatureTTL, MaxRedelegations: &i.MaxRedelegations, ReceiptTTL: i.ReceiptTTL,
		Security: idbase.Security{LockoutFailures: i.LockoutFailures, LockoutDuration: i.LockoutDuration, PasswordExpiresDays: i.PasswordExpiresDays,
			MinimumAgeDays: i.MinimumPasswordAge, UniquePasswords: i.UniquePasswords, PasswordRegex: i.PasswordRegex, PasswordRegexWords: i.PasswordRegexWords,
			InactiveDays: i.InactiveDays, ChangeAtFirstUse: i.ChangeAtFirstUse}}
}
