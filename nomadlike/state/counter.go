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
	c := counter{Name: name}
	if old := first(t.Reader, counterTable, name); old != nil {
		c.Last = old.Last
	}
	c.Last++
	put(t, counterTable, &c)
	return c.Last
}
