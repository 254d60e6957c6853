package fuzz_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// dice are decisions, read from fuzzed bytes. When those are used up, chance that the same bytes always give the same way decides: so most new inputs
// are new decisions from the first to the last, which finds more than one changed byte does.
type dice struct {
	left []byte
	more *rand.Rand
}

func newDice(b []byte) *dice {
	return &dice{b, rand.New(rand.NewChaCha8(sha256.Sum256(b)))}
}

// roll returns a number below n.
func (d *dice) roll(n int) int {
	if len(d.left) == 0 {
		return d.more.IntN(n)
	}
	v := 0
	for size := 1; size < n && len(d.left) > 0; size *= 256 {
		v, d.left = v<<8|int(d.left[0]), d.left[1:]
	}
	return v % n
}

// node is a JSON value whose text may be what no value has.
type node struct {
	raw  string // of what is neither object nor list
	open byte   // '{', '[' or 0
	keys []string
	kids []*node
}

func parseNode(text []byte) *node {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return readNode(dec)
}

func readNode(dec *json.Decoder) *node {
	tok, err := dec.Token()
	if err != nil {
		return &node{raw: "null"}
	}
	open, ok := tok.(json.Delim)
	if !ok {
		b, err := json.Marshal(tok)
		if err != nil {
			return &node{raw: "null"}
		}
		return &node{raw: string(b)}
	}
	n := &node{open: byte(open)}
	for dec.More() {
		if open == '{' {
			key, err := dec.Token()
			name, ok := key.(string)
			if err != nil || !ok {
				break
			}
			n.keys = append(n.keys, name)
		}
		n.kids = append(n.kids, readNode(dec))
	}
	if _, err := dec.Token(); err != nil {
		return n
	}
	return n
}

func (n *node) write(b *bytes.Buffer) {
	if n.open == 0 {
		b.WriteString(n.raw)
		return
	}
	b.WriteByte(n.open)
	for i, k := range n.kids {
		if i > 0 {
			b.WriteByte(',')
		}
		if n.open == '{' {
			b.WriteString(strconv.Quote(n.keys[i]) + ":")
		}
		k.write(b)
	}
	b.WriteByte(n.open + 2) // '{' and '}', '[' and ']'
}

// holders are the objects and lists of a value that have something in them.
func (n *node) holders() (all []*node) {
	if len(n.kids) > 0 {
		all = append(all, n)
	}
	for _, k := range n.kids {
		all = append(all, k.holders()...)
	}
	return all
}

// hostile are values that a careless reader stumbles over.
var hostile = func() []string {
	long := strings.Repeat("a", 70000)
	many := "[" + strings.TrimSuffix(strings.Repeat("1,", 10000), ",") + "]"
	list := []string{"null", "true", "false", "0", "-1", "1", "1e400", "-1e400", "1e-400", "1E2", "1.0", "1.5", "-0", "2147483647", "2147483648", "4294967296", "9223372036854775807",
		"9223372036854775808", "-9223372036854775808", "-9223372036854775809", "18446744073709551616", strings.Repeat("9", 400), `"\ud800"`, `"\u0000"`, `"a\u0000b"`, "\"\xff\"", "[]", "{}", "[null]",
		`[[]]`, `[{}]`, `{"": null}`, `{"a": {"b": {"c": null}}}`, `"` + long + `"`, many, strings.Repeat("[", 5000) + strings.Repeat("]", 5000), strings.Repeat(`{"a":`, 3000) + "1" + strings.Repeat("}", 3000),
		strings.Repeat("[", 20000), "nul", `"unclosed`, "01", "+1", "NaN", "Infinity", "0x10"}
	for _, s := range []string{"", " ", "\t", "\n", "a\nb", "\u2028", "\ufeff", "\U0001f600", "e\u0301", "\u0661", "\uff11", " 1 ", "+1", "-1", "1_000", "1e3", "0x10", "1.0", "true", "True", "None", "none",
		"null", "auto", "../../etc/passwd", "a/b", "%2e%2e", "%s%n%d", "${x}", "'; --", "(", "(a+)+$", "[z-a]", "*", ",", "a,b", "::1", "::ffff:1.2.3.4", "fe80::1%eth0", "1.2.3.4", "1.2.3.4/33", "999.1.1.1",
		"2026-01-01T00:00:00Z", "0000-00-00T00:00:00", "9999-12-31T23:59:60Z", "host-1", "nova:host-1", "nova:host-1:host-1", ":::", "nova", "internal", "1", "10", "6", "key", "agg", "r-1", "default", "soft", "HARD",
		thing, other, fuzzGroup, fuzzHost, sampleImage, string(fuzzInstance(0)), string(fuzzInstance(6)), strings.ToUpper(sampleImage), strings.ReplaceAll(sampleImage, "-", ""), "{" + sampleImage + "}",
		"http://x/flavors/1", "http://[::1/flavors/1", strings.Repeat("a", 255), strings.Repeat("a", 256), strings.Repeat("\u00e4", 255), strings.Repeat("a", 60), strings.Repeat("a", 61), strings.Repeat("1", 65536),
		base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", 49000))), "AAAA=", "====", aliceProject, bobProject, "ssh-rsa AAAA", sshKey, "x509", "-----BEGIN CERTIFICATE-----", "a=b", "<a>&\"", "\x7f", "\u0085"} {
		b, err := json.Marshal(s)
		if err != nil {
			panic(err)
		}
		list = append(list, string(b))
	}
	return list
}()

// mutate changes a JSON text as the dice say, keys being known names.
func mutate(text []byte, d *dice, keys []string) string {
	root := &node{open: '[', kids: []*node{parseNode(text)}} // so that the text's own value is in something
	for range 1 + d.roll(4) {
		holders := root.holders()
		if len(holders) == 0 {
			break
		}
		h := holders[d.roll(len(holders))]
		h.change(d, holders, keys)
	}
	var b bytes.Buffer
	for _, k := range root.kids[:min(1, len(root.kids))] {
		k.write(&b)
	}
	return b.String()
}

// change does one thing to one value in n.
func (n *node) change(d *dice, holders []*node, keys []string) {
	i := d.roll(len(n.kids))
	add := func(v *node, key string) {
		if n.kids = append(n.kids, v); n.open == '{' {
			n.keys = append(n.keys, key)
		}
	}
	switch d.roll(9) {
	case 0, 1, 2:
		n.kids[i] = &node{raw: hostile[d.roll(len(hostile))]}
	case 3:
		n.kids = slices.Delete(n.kids, i, i+1)
		if n.open == '{' {
			n.keys = slices.Delete(n.keys, i, i+1)
		}
	case 4: // twice, where an object has each key once
		key := ""
		if n.open == '{' {
			key = n.keys[i]
		}
		add(n.kids[i], key)
	case 5:
		n.kids[i] = &node{open: '[', kids: []*node{n.kids[i]}}
	case 6:
		if n.open == '{' {
			n.keys[i] = keys[d.roll(len(keys))]
		}
	case 7:
		add(&node{raw: hostile[d.roll(len(hostile))]}, keys[d.roll(len(keys))])
	case 8: // something from elsewhere in the text; not what holds n
		from := holders[d.roll(len(holders))]
		if v := from.kids[d.roll(len(from.kids))]; v.open == 0 {
			n.kids[i] = v
		}
	}
}
