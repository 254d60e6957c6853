package scheduler

import (
	"slices"
	"strconv"
	"strings"
)

// match compares an attribute with an extra spec's expression (Nova's extra_specs_ops): the first word is the operator, and a
// text without one is plain equality. "=" means "at least", as in Nova. An operator without operand is false, and so is a
// comparison of numbers when one side is none.
func match(value, expr string) bool {
	words := strings.Fields(expr)
	if len(words) == 0 {
		return value == expr
	}
	op, args := words[0], words[1:]
	if op == "<or>" {
		return matchAny(value, args)
	}
	compare := operators[op]
	if compare == nil {
		return value == expr
	}
	return len(args) > 0 && compare(value, args)
}

// matchAny reads "v1 <or> v2 <or> v3": every second word is the operator again.
func matchAny(value string, args []string) bool {
	for i := 0; i < len(args); i += 2 {
		if args[i] == value {
			return true
		}
	}
	return false
}

var operators = map[string]func(value string, args []string) bool{
	"=":    number(func(a, b float64) bool { return a >= b }),
	"==":   number(func(a, b float64) bool { return a == b }),
	"!=":   number(func(a, b float64) bool { return a != b }),
	">=":   number(func(a, b float64) bool { return a >= b }),
	"<=":   number(func(a, b float64) bool { return a <= b }),
	"s==":  text(func(a, b string) bool { return a == b }),
	"s!=":  text(func(a, b string) bool { return a != b }),
	"s<":   text(func(a, b string) bool { return a < b }),
	"s<=":  text(func(a, b string) bool { return a <= b }),
	"s>":   text(func(a, b string) bool { return a > b }),
	"s>=":  text(func(a, b string) bool { return a >= b }),
	"<in>": text(strings.Contains),
	"<all-in>": func(value string, args []string) bool {
		return !slices.ContainsFunc(args, func(a string) bool { return !strings.Contains(value, a) })
	},
}

func number(f func(a, b float64) bool) func(string, []string) bool {
	return func(value string, args []string) bool {
		a, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
		if err != nil {
			return false
		}
		b, err := strconv.ParseFloat(args[0], 64)
		return err == nil && f(a, b)
	}
}

func text(f func(a, b string) bool) func(string, []string) bool {
	return func(value string, args []string) bool { return f(value, args[0]) }
}
