package state

import (
	"iter"

	"github.com/kilonova-cloud/kilonova/nomadlike/structs"
)

var operationTable = newTable("operations", func(v *structs.Operation) []string { return []string{string(v.ID)} },
	index[structs.Operation]{"instance", func(v *structs.Operation) []string {
		return []string{string(v.InstanceID), newestFirst(v.CreatedAt)}
	}},
	index[structs.Operation]{"active", func(v *structs.Operation) []string {
		if v.Status.Final() {
			return nil
		}
		return []string{}
	}},
	index[structs.Operation]{"host", func(v *structs.Operation) []string {
		if v.Status.Final() || v.HostID == "" {
			return nil
		}
		return []string{string(v.HostID)}
	}})

// Operation returns an operation by id, or nil.
func (r Reader) Operation(id structs.OperationID) *structs.Operation {
	return first(r, operationTable, string(id))
}

// Operations iterates over all operations by id, finished ones too while their record stays.
func (r Reader) Operations() iter.Seq[*structs.Operation] { return all(r, operationTable) }

// OperationsOfInstance iterates over an instance's operations, newest first.
func (r Reader) OperationsOfInstance(id structs.InstanceID) iter.Seq[*structs.Operation] {
	return prefix(r, operationTable, "instance", string(id))
}

// ActiveOperations iterates over all operations that are not final.
func (r Reader) ActiveOperations() iter.Seq[*structs.Operation] {
	return prefix(r, operationTable, "active")
}

// OperationsOnHost iterates over the operations that are not final and have a host.
func (r Reader) OperationsOnHost(h structs.HostID) iter.Seq[*structs.Operation] {
	return prefix(r, operationTable, "host", string(h))
}

// PutOperation writes an operation.
func (t *Txn) PutOperation(v *structs.Operation) { put(t, operationTable, v) }

// DeleteOperation removes an operation's record; an unknown one is no error.
func (t *Txn) DeleteOperation(id structs.OperationID) { remove(t, operationTable, string(id)) }
