package state

import "github.com/kilonova-cloud/kilonova/nomadlike/structs"

// counter gives small numbers to what Nova's answers number: instances, hosts, keypairs. Numbers are never given twice.
type counter struct {
	structs.Meta
	Name string `codec:"n"`
	Last int64  `codec:"l"`
}

var counterTable = newTable("counters", func(v *counter) []string { return []string{v.Name} })

// NextNum returns the next number of a series, from 1.
func (t *Txn) NextNum(name string) int64 {
	c := counter{Name: name, Last: t.lastNum(name) + 1}
	put(t, counterTable, &c)
	return c.Last
}

// lastNum returns the newest number of a series, 0 before the first.
func (r Reader) lastNum(name string) int64 {
	if c := first(r, counterTable, name); c != nil {
		return c.Last
	}
	return 0
}

// raiseNum makes the newest number of a series at least n.
func (t *Txn) raiseNum(name string, n int64) {
	if n > t.lastNum(name) {
		put(t, counterTable, &counter{Name: name, Last: n})
	}
}
