// Package policy is oslo.policy's language: rules as operators write them in policy.yaml, and their judgement. It knows no HTTP; the names of
// the rules and their defaults are given by who serves the routes.
package policy

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// The default checks of Nova's rules (nova/policies/base.py), which other services' rules have too.
const (
	Anybody        = "@" // with a token
	Admin          = "rule:" + adminRule
	ReaderOrAdmin  = "rule:project_reader_or_admin"
	MemberOrAdmin  = "rule:project_member_or_admin"
	ManagerOrAdmin = "rule:project_manager_or_admin"
	ServiceOrAdmin = "rule:service_or_admin"
	SelfOrAdmin    = "rule:" + adminRule + " or user_id:%(user_id)s"
	adminRule      = "context_is_admin"
	maxEvaluated   = 10000   // checks that one rule may come to, with all that it refers to
	maxDepth       = 64      // of parentheses and nots
	maxFile        = 1 << 20 // bytes
)

// Rule is a named check.
type Rule struct {
	Name  string
	Check string // in oslo.policy's words
	// Operations are the requests that the rule is judged for: "GET /os-aggregates". A rule that is judged within a request has none.
	Operations []string
	// Base rules are judged only where others refer to them.
	Base bool
	// Where an override was said: file:line; "" for a default.
	Where string
}

// base are the rules that Nova's and Keystone's other rules refer to. Of the two that both services have under one name with different words,
// admin_or_owner and service_or_admin, these are Nova's; the defaults of Keystone's rules do without them.
var base = []Rule{
	{Name: adminRule, Check: "role:admin"},
	{Name: "admin_api", Check: "is_admin:True"},
	{Name: "admin_or_owner", Check: "is_admin:True or project_id:%(project_id)s"},
	{Name: "project_manager_api", Check: "role:manager and project_id:%(project_id)s"},
	{Name: "project_manager_or_admin", Check: "rule:project_manager_api or rule:context_is_admin"},
	{Name: "project_member_api", Check: "role:member and project_id:%(project_id)s"},
	{Name: "project_member_or_admin", Check: "rule:project_member_api or rule:context_is_admin"},
	{Name: "project_reader_api", Check: "role:reader and project_id:%(project_id)s"},
	{Name: "project_reader_or_admin", Check: "rule:project_reader_api or rule:context_is_admin"},
	{Name: "service_api", Check: "role:service"},
	{Name: "service_or_admin", Check: "rule:service_api or rule:context_is_admin"},
	{Name: "admin_required", Check: "role:admin"},
	{Name: "service_role", Check: "role:service"},
	{Name: "owner", Check: "user_id:%(user_id)s"},
	{Name: "token_subject", Check: "user_id:%(target.token.user_id)s"},
	{Name: "domain_managed_target_role", Check: "'manager':%(target.role.name)s or 'member':%(target.role.name)s or 'reader':%(target.role.name)s"},
}

// Set is a complete set of rules. It is constant and safe for concurrent use.
type Set struct {
	rules    map[string]*check
	byText   sync.Map // the default checks of rules that have no name here: text to *check, nil of one that is none
	list     []Rule
	admin    *check
	newAdmin bool
	notes    []string
}

// Allows judges a rule; one that is not in the set is judged by its default check. What is no check is refused.
func (s *Set) Allows(name, byDefault string, who *Subject, what *Target) bool {
	c := s.rules[name]
	if c == nil {
		c = s.read(byDefault)
	}
	return c != nil && c.holds(who, what)
}

// read returns a default check with what it refers to, or nil when it is none. Each is read once: they are the words of the routes' tables.
func (s *Set) read(text string) *check {
	if c, ok := s.byText.Load(text); ok {
		return c.(*check)
	}
	var c *check
	if parsed, err := parse(text); err == nil {
		var wrong problems
		d := &definition{Rule: Rule{Name: text}, check: parsed}
		all := map[string]*definition{}
		for name, known := range s.rules {
			all[name] = &definition{Rule: Rule{Name: name}, check: known, linked: true}
		}
		if link(all, d, nil, &wrong); wrong.err() == nil {
			c = d.check
		}
	}
	s.byText.Store(text, c)
	return c
}

// IsAdmin judges context_is_admin: whether somebody is an administrator at all.
func (s *Set) IsAdmin(who *Subject) bool {
	return s.admin.holds(who, who.own())
}

// RedefinesAdmin reports whether a file says who is an administrator.
func (s *Set) RedefinesAdmin() bool { return s.newAdmin }

// Rules returns every rule with the check that is in force, sorted by name.
func (s *Set) Rules() []Rule { return slices.Clone(s.list) }

// Notes are what an operator should know about a file that is right nevertheless.
func (s *Set) Notes() []string { return s.notes }

// Base reports whether a rule is one that only others refer to.
func Base(name string) bool {
	return slices.ContainsFunc(base, func(r Rule) bool { return r.Name == name })
}

// New returns the set of the defaults alone.
func New(defaults []Rule) (*Set, error) { return build(defaults, nil) }

// Builtin are Nova's base rules alone: what holds without a file for any rule, by its default check.
var Builtin = func() *Set {
	s, err := New(nil)
	if err != nil {
		panic("policy: " + err.Error()) // the rules are constants
	}
	return s
}()

// build makes a set of the defaults with what a file overrides.
func build(defaults []Rule, file *file) (*Set, error) {
	var wrong problems
	all := map[string]*definition{}
	for _, r := range slices.Concat(base, defaults) {
		c, err := parse(r.Check)
		if err != nil {
			wrong.add("default of "+r.Name, "%v", err)
			continue
		}
		r.Base = r.Base || Base(r.Name)
		all[r.Name] = &definition{Rule: r, check: c}
	}
	s := &Set{rules: map[string]*check{}}
	if file != nil {
		s.notes = file.overlay(all, &wrong)
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		link(all, all[name], nil, &wrong)
	}
	if err := wrong.err(); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		s.rules[name] = all[name].check
		s.list = append(s.list, all[name].Rule)
	}
	s.admin, s.newAdmin = s.rules[adminRule], all[adminRule].Where != ""
	return s, wrong.err()
}

// Live is the set in force. Requests take it as they begin; a reload puts another in its place.
type Live struct{ set atomic.Pointer[Set] }

// NewLive returns a holder of a set.
func NewLive(s *Set) *Live {
	l := &Live{}
	l.set.Store(s)
	return l
}

// Set returns the set in force: the built-in one before there is another, and of no holder.
func (l *Live) Set() *Set {
	if l == nil {
		return Builtin
	}
	if s := l.set.Load(); s != nil {
		return s
	}
	return Builtin
}

// Replace puts a set in force.
func (l *Live) Replace(s *Set) { l.set.Store(s) }

// nearest returns the known name that a wrong one probably means, or "".
func nearest(name string, known []string) string {
	best, at := "", len(name)/3+1
	for _, k := range known {
		if strings.HasSuffix(k, ":"+name) {
			return k
		}
		if d := distance(name, k, at); d < at {
			best, at = k, d
		}
	}
	return best
}

// distance is Levenshtein's, or limit when it is not below.
func distance(a, b string, limit int) int {
	if cmp.Compare(max(len(a), len(b))-min(len(a), len(b)), limit) >= 0 {
		return limit
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		corner := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := corner
			if a[i] != b[j] {
				d = 1 + min(corner, row[j], row[j+1])
			}
			corner, row[j+1] = row[j+1], d
		}
	}
	return min(row[len(b)], limit)
}
