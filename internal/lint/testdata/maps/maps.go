// Package maps is what the rule about maps is tried on.
package maps

import (
	"maps"
	"slices"
)

type named map[string]int

// Each ranges over maps in every way.
func Each(m map[string]int, n named, list []int) (sum int) {
	for _, v := range m { // found
		sum += v
	}
	for k := range maps.Keys(m) { // found
		sum += len(k)
	}
	for _, v := range n { // found
		sum += v
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		sum += len(k)
	}
	for _, v := range list {
		sum += v
	}
	// order-free: a sum
	for _, v := range m {
		sum += v
	}
	for _, v := range m { // order-free: a sum
		sum += v
	}
	return sum
}
