package driver

import (
	"reflect"
	"slices"
)

// OptionalMethods returns the names of the Driver methods that a driver may lack, sorted: those of Unsupported. They are
// the only names that belong in Capabilities.Methods.
func OptionalMethods() []string {
	t := reflect.TypeFor[Unsupported]()
	names := make([]string, 0, t.NumMethod())
	for i := range t.NumMethod() {
		names = append(names, t.Method(i).Name)
	}
	slices.Sort(names)
	return names
}
