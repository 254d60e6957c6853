// Package base is what the rooms of the Identity API share: their options, passwords, the forms of lists and resources, and changes that are tried again when
// somebody else's came between.
package base

import (
	"cmp"
	"time"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// What holds when Options say nothing of it.
const (
	DefaultTokenTTL         = 12 * time.Hour
	DefaultSignatureTTL     = 15 * time.Minute
	DefaultMaxRedelegations = 3
	DefaultReceiptTTL       = 5 * time.Minute
)

// DefaultDomain is the id of the one domain that a new cluster has; its name is Default.
const DefaultDomain structs.DomainID = "default"

// Options configure the service.
type Options struct {
	// Endpoints are the services that are there, and nothing else: clients call what the catalog names.
	Endpoints []Endpoint
	TokenTTL  time.Duration // 0: DefaultTokenTTL
	Passwords *Passwords    // nil: one of the defaults
	Security  Security
	Now       func() time.Time // nil: time.Now
	// MaxProjectDepth is how deep projects may lie below each other, the domain not counted (Keystone's max_project_tree_depth); 0 is 5.
	MaxProjectDepth int
	// SignatureTTL is how long after its time a request that was signed with access keys holds (Keystone's [credential] auth_ttl); 0: DefaultSignatureTTL.
	SignatureTTL time.Duration
	// MaxRedelegations is how often a trust may be handed on (Keystone's [trust] max_redelegation_count): 0 not at all, nil DefaultMaxRedelegations.
	MaxRedelegations *int
	// ReceiptTTL is how long whoever has shown one of several things has to show the next (Keystone's [receipt] expiration); 0: DefaultReceiptTTL.
	ReceiptTTL time.Duration
}

// WithDefaults fills in what was left out.
func (o Options) WithDefaults() Options {
	o.TokenTTL, o.MaxProjectDepth = cmp.Or(o.TokenTTL, DefaultTokenTTL), cmp.Or(o.MaxProjectDepth, 5)
	o.SignatureTTL, o.ReceiptTTL = cmp.Or(o.SignatureTTL, DefaultSignatureTTL), cmp.Or(o.ReceiptTTL, DefaultReceiptTTL)
	if o.MaxRedelegations == nil {
		o.MaxRedelegations = new(DefaultMaxRedelegations)
	}
	if o.Passwords == nil {
		o.Passwords = NewPasswords(0, 0, 0)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

// Time is now, in the state's form.
func (o *Options) Time() structs.Time { return structs.TimeOf(o.Now()) }

// Endpoint is a service of this binary in the catalog that a token comes with.
type Endpoint struct {
	Type string // compute, identity, image, placement, network, volumev3
	Name string // nova, keystone, glance, placement, neutron, cinderv3
	// Path is below the URL that the client reached us at ("/compute/v2.1"). An absolute URL names a service that runs elsewhere.
	Path string
}

// The endpoints of the services in this binary.
var (
	Compute   = Endpoint{"compute", "nova", "/compute/v2.1"}
	Identity  = Endpoint{"identity", "keystone", "/identity/v3"}
	Image     = Endpoint{"image", "glance", "/image"}
	Placement = Endpoint{"placement", "placement", "/placement"}
)

// Security is Keystone's [security_compliance]. Everything is off at its zero value, as in Keystone.
type Security struct {
	LockoutFailures     int           // wrong passwords in a row that lock a user out
	LockoutDuration     time.Duration // for how long; 0 is until an administrator enables it
	PasswordExpiresDays int
	MinimumAgeDays      int    // of a password that its user may change
	UniquePasswords     int    // how many of the last ones a new one may not equal, itself counted
	PasswordRegex       string // that every password matches
	PasswordRegexWords  string // what that asks for, for people
	InactiveDays        int    // without a login that disable a user
	ChangeAtFirstUse    bool   // of a password that an administrator made
}
