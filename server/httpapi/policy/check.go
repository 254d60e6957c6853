package policy

import (
	"slices"
	"strings"
)

type op uint8

const (
	never op = iota
	always
	all
	some
	not
	role
	rule    // another rule
	isAdmin // context_is_admin, or its contrary
	compare
)

// operand is one side of a comparison.
type operand uint8

const (
	literal   operand = iota
	attribute         // of the caller on the left, of the target on the right
	none              // what is missing
)

// check is a node of a rule's tree.
type check struct {
	op          op
	kids        []*check
	name        string // of a role or a rule
	to          *check // rule, isAdmin: what is referred to, once linked
	want        bool   // isAdmin
	left, right operand
	l, r        string // literals, or attributes' names
}

// holds judges a tree that is linked.
func (c *check) holds(who *Subject, what *Target) bool {
	switch c.op {
	case always:
		return true
	case all:
		for _, k := range c.kids {
			if !k.holds(who, what) {
				return false
			}
		}
		return true
	case some:
		for _, k := range c.kids {
			if k.holds(who, what) {
				return true
			}
		}
		return false
	case not:
		return !c.kids[0].holds(who, what)
	case role:
		for _, r := range who.Roles {
			if r == c.name || strings.EqualFold(r, c.name) {
				return true
			}
		}
		return false
	case rule:
		return c.to.holds(who, what)
	case isAdmin: // is judged of the caller alone
		return c.to.holds(who, who.own()) == c.want
	case compare:
		return c.equal(who, what)
	}
	return false
}

// equal compares. What is missing on either side equals nothing but None: a token without project owns nothing, least of all what has no project. None on the
// left asks for an attribute that the target has, without a value.
func (c *check) equal(who *Subject, what *Target) bool {
	l, r := c.l, c.r
	if c.left == attribute {
		l = who.attribute(c.l)
	}
	has := true
	if c.right == attribute {
		r, has = what.attribute(c.r)
	}
	switch {
	case c.left == none:
		return has && c.right == attribute && r == ""
	case c.right == none:
		return l == ""
	}
	return l == r && (l != "" || c.left == literal && c.right == literal)
}

// String writes the check so that parse reads the same again.
func (c *check) String() string {
	switch c.op {
	case always:
		return "@"
	case role:
		return "role:" + c.name
	case rule:
		return "rule:" + c.name
	case isAdmin:
		if c.want {
			return "is_admin:True"
		}
		return "is_admin:False"
	case compare:
		return [...]string{"'" + c.l + "'", c.l, "None"}[c.left] + ":" + [...]string{c.r, "%(" + c.r + ")s", "None"}[c.right]
	case not:
		return "not " + c.kids[0].within()
	case all, some:
		words := make([]string, len(c.kids))
		for i, k := range c.kids {
			words[i] = k.within()
		}
		return strings.Join(words, map[op]string{all: " and ", some: " or "}[c.op])
	}
	return "!"
}

// within is String as a part of another check.
func (c *check) within() string {
	if c.op == all || c.op == some || c.op == not {
		return "(" + c.String() + ")"
	}
	return c.String()
}

// references calls f for every node that refers to a rule.
func (c *check) references(f func(*check)) {
	if c.op == rule || c.op == isAdmin {
		f(c)
	}
	for _, k := range c.kids {
		k.references(f)
	}
}

func (c *check) size() int {
	n := 1
	for _, k := range c.kids {
		n += k.size()
	}
	return n
}

// definition is a rule while a set is made.
type definition struct {
	Rule
	check          *check
	linked, failed bool
	size           int // with all that is referred to
}

func (d *definition) where() string {
	if d.Where == "" {
		return "default of " + d.Name
	}
	return d.Where + ": rule " + d.Name
}

// link resolves what a rule refers to. path are the rules on whose behalf it is linked: one that comes again is a cycle.
func link(defs map[string]*definition, d *definition, path []*definition, wrong *problems) {
	if d.linked || d.failed {
		return
	}
	if i := slices.Index(path, d); i >= 0 {
		ring := path[i:]
		first := max(0, slices.IndexFunc(ring, func(p *definition) bool { return p.Where != "" })) // the defaults have no cycle: the file made it
		var names []string
		for k := range len(ring) + 1 {
			p := ring[(first+k)%len(ring)]
			p.failed = true
			names = append(names, p.Name)
		}
		wrong.add(ring[first].where(), "it refers to itself: %s; a rule that ends in checks of roles, users or projects is right", strings.Join(names, " -> "))
		return
	}
	path = append(path[:len(path):len(path)], d)
	d.size = d.check.size()
	d.check.references(func(c *check) {
		to := defs[c.name]
		if to == nil {
			d.failed = true
			wrong.add(d.where(), "there is no rule %q to refer to; %s", c.name, meant(c.name, defs))
			return
		}
		link(defs, to, path, wrong)
		c.to = to.check
		d.size = min(d.size+to.size, 2*maxEvaluated)
		d.failed = d.failed || to.failed
	})
	if d.size > maxEvaluated && !d.failed {
		d.failed = true
		wrong.add(d.where(), "with all that it refers to it comes to more than %d checks; fewer references are right", maxEvaluated)
	}
	d.linked = !d.failed
}
