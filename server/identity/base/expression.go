package base

import (
	"regexp"
	"strings"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

// expression is a regular expression for passwords. Those of Keystone's operators are Python's and begin with conditions, (?=...) and (?!...), which package
// regexp does not know: each is an expression of its own, and all must hold from the password's beginning.
type expression struct {
	parts []condition
}

type condition struct {
	re  *regexp.Regexp
	not bool
}

func (e *expression) match(s string) bool {
	for _, p := range e.parts {
		if p.re.MatchString(s) == p.not {
			return false
		}
	}
	return true
}

// parseExpression reads an expression whose conditions are at its beginning.
func parseExpression(text string) (*expression, error) {
	e := &expression{}
	rest := strings.TrimPrefix(text, "^")
	for strings.HasPrefix(rest, "(?=") || strings.HasPrefix(rest, "(?!") {
		end := closing(rest)
		if end < 0 {
			return nil, structs.Errorf(structs.KindInvalid, "%q: a parenthesis is not closed", text)
		}
		if err := e.add(rest[3:end], rest[2] == '!'); err != nil {
			return nil, err
		}
		rest = rest[end+1:]
	}
	if len(e.parts) == 0 {
		rest = text
	}
	return e, e.add(rest, false)
}

func (e *expression) add(text string, not bool) error {
	_, err := regexp.Compile(text) // of itself: within a group, an unbalanced one could leave it
	var re *regexp.Regexp
	if err == nil {
		re, err = regexp.Compile(`\A(?:` + text + `)`)
	}
	if err != nil {
		return structs.Errorf(structs.KindInvalid, "%q is no regular expression: %v; one in the words of Go's package regexp, with (?=...) and (?!...) at its beginning at most, is right", text, err)
	}
	e.parts = append(e.parts, condition{re, not})
	return nil
}

// closing returns where the parenthesis ends that a text begins with, -1 for nowhere. Those that are escaped or in a class of characters are none.
func closing(text string) int {
	depth, class := 0, -1
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case class >= 0:
			if c == ']' && i > class+1 && (i != class+2 || text[class+1] != '^') {
				class = -1
			}
		case c == '[':
			class = i
		case c == '(':
			depth++
		case c == ')':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}
