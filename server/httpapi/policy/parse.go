package policy

import (
	"fmt"
	"slices"
	"strings"
)

// token is a word of a check: a parenthesis, and, or, not, or a check by itself.
type token struct {
	text    string
	keyword bool
}

// tokens splits as oslo.policy does: at spaces, with parentheses only before and after a word.
func tokens(text string) []token {
	var list []token
	for word := range strings.FieldsSeq(text) {
		clean := strings.TrimLeft(word, "(")
		for range len(word) - len(clean) {
			list = append(list, token{"(", true})
		}
		if clean == "" {
			continue
		}
		word = strings.TrimRight(clean, ")")
		switch lower := strings.ToLower(word); lower {
		case "":
		case "and", "or", "not":
			list = append(list, token{lower, true})
		default:
			list = append(list, token{word, false})
		}
		for range len(clean) - len(word) {
			list = append(list, token{")", true})
		}
	}
	return list
}

// parser reads: or := and {"or" and}; and := not {"and" not}; not := "not" not | "(" or ")" | check.
type parser struct {
	list  []token
	depth int
}

// parse reads a check. The empty one lets everybody in who has a token.
func parse(text string) (*check, error) {
	p := &parser{list: tokens(text)}
	if len(p.list) == 0 {
		return &check{op: always}, nil
	}
	c, err := p.several("or", some, func() (*check, error) { return p.several("and", all, p.one) })
	if err == nil && len(p.list) > 0 {
		if t := p.list[0]; t.text == ")" {
			err = fmt.Errorf("a ) closes nothing; as many ( as ) are right")
		} else {
			err = fmt.Errorf("%q stands where the check could end; \"and\" or \"or\" before it is right", t.text)
		}
	}
	return c, err
}

func (p *parser) keyword(word string) bool {
	if len(p.list) > 0 && p.list[0].keyword && p.list[0].text == word {
		p.list = p.list[1:]
		return true
	}
	return false
}

func (p *parser) several(word string, o op, part func() (*check, error)) (*check, error) {
	first, err := part()
	if err != nil {
		return nil, err
	}
	kids := []*check{first}
	for p.keyword(word) {
		next, err := part()
		if err != nil {
			return nil, err
		}
		kids = append(kids, next)
	}
	if len(kids) == 1 {
		return first, nil
	}
	return &check{op: o, kids: kids}, nil
}

func (p *parser) one() (*check, error) {
	p.depth++
	defer func() { p.depth-- }()
	if p.depth > maxDepth {
		return nil, fmt.Errorf("it is nested more than %d deep; parts of it as rules of their own (rule:NAME) are right", maxDepth)
	}
	switch {
	case p.keyword("not"):
		c, err := p.one()
		if err != nil {
			return nil, err
		}
		return &check{op: not, kids: []*check{c}}, nil
	case p.keyword("("):
		c, err := p.several("or", some, func() (*check, error) { return p.several("and", all, p.one) })
		if err == nil && !p.keyword(")") {
			if len(p.list) > 0 {
				return nil, fmt.Errorf("%q stands where a ) could; \"and\" or \"or\" before it is right", p.list[0].text)
			}
			return nil, fmt.Errorf("a ( is not closed; as many ) as ( are right")
		}
		return c, err
	case len(p.list) == 0:
		return nil, fmt.Errorf("it ends where a check is missing; KIND:MATCH such as role:member is right")
	case p.list[0].keyword:
		return nil, fmt.Errorf("%q stands where a check is missing; KIND:MATCH such as role:member is right", p.list[0].text)
	}
	text := p.list[0].text
	p.list = p.list[1:]
	return single(text)
}

// single reads one check without and, or, not.
func single(text string) (*check, error) {
	switch text {
	case "@":
		return &check{op: always}, nil
	case "!":
		return &check{op: never}, nil
	}
	kind, match, ok := cutKind(text)
	if !ok {
		return nil, fmt.Errorf("%q is no check; KIND:MATCH is right, such as role:%s for a role or rule:%s for another rule", text, bare(text), bare(text))
	}
	switch kind {
	case "role":
		if match == "" || strings.ContainsAny(match, `%'"`) {
			return nil, fmt.Errorf("%q names no role; role:NAME such as role:member is right", text)
		}
		return &check{op: role, name: match}, nil
	case "rule":
		if match == "" {
			return nil, fmt.Errorf("%q names no rule; rule:NAME such as rule:context_is_admin is right", text)
		}
		return &check{op: rule, name: match}, nil
	case "is_admin":
		if match != "True" && match != "False" {
			return nil, fmt.Errorf("%q compares with what is_admin never is; is_admin:True or is_admin:False is right", text)
		}
		return &check{op: isAdmin, name: adminRule, want: match == "True"}, nil
	case "http", "https":
		return nil, fmt.Errorf("%q asks another server, which is not done here: a request waits for none; checks of roles, users and projects are right", text)
	}
	return comparison(text, kind, match)
}

// cutKind splits at the first colon, or the first one after a quoted kind.
func cutKind(text string) (kind, match string, ok bool) {
	if q := text[0]; q == '\'' || q == '"' {
		if end := strings.IndexByte(text[1:], q) + 2; end > 1 && end < len(text) && text[end] == ':' {
			return text[:end], text[end+1:], true
		}
		return "", "", false
	}
	return strings.Cut(text, ":")
}

// bare is what a wrong word may stand for in an example.
func bare(text string) string {
	if t := strings.Trim(text, `'"`); t != "" && !strings.ContainsAny(t, `%:'"`) {
		return t
	}
	return "NAME"
}

func comparison(text, kind, match string) (*check, error) {
	c := &check{op: compare}
	switch {
	case slices.Contains(subjectAttributes, kind):
		c.left, c.l = attribute, kind
	case kind == "None":
		c.left = none
	case len(kind) >= 2 && (kind[0] == '\'' || kind[0] == '"'):
		c.l = kind[1 : len(kind)-1]
	default:
		return nil, fmt.Errorf("%q: there is no check of the kind %q; role:, rule:, is_admin:, None:, 'literal': and the caller's %s are right", text, kind,
			strings.Join(subjectAttributes, ":, ")+":")
	}
	if c.left == literal && strings.ContainsAny(c.l, "'%") || strings.ContainsAny(match, `'"`) {
		return nil, fmt.Errorf("%q: a quote or percent sign stands where none can; 'literal':%%(project_id)s or user_id:ID is right", text)
	}
	name, found := strings.CutPrefix(match, "%(")
	name, closed := strings.CutSuffix(name, ")s")
	switch {
	case found && closed && slices.Contains(targetAttributes, name):
		c.right, c.r = attribute, name
	case strings.Contains(match, "%"):
		return nil, fmt.Errorf("%q: %s is nothing that a target has; %%(project_id)s and %%(user_id)s are right, and in the rules of Identity %%(%s)s", text, match,
			strings.Join(targetAttributes[5:], ")s, %("))
	case match == "None":
		c.right = none
	case match == "":
		return nil, fmt.Errorf("%q compares with nothing; an id, %%(project_id)s or %%(user_id)s is right", text)
	default:
		c.r = match
	}
	if c.left == none && c.right != attribute {
		return nil, fmt.Errorf("%q compares nothing with nothing; None:%%(target.role.domain_id)s is right", text)
	}
	return c, nil
}
