package store

import (
	"time"

	"gorm.io/gorm"
)

// LedgerNote is what the ledger outside the database is told of an act that a
// restored dump would undo.
type LedgerNote struct {
	Kind   string    // number, user, history, call, objection, restriction, tenant …, revocation
	Hash   []byte    // of whom, keyed; nil for a revocation
	Before time.Time // records made before; zero: all
}

// note counts an erasure or revocation, and leaves its line for the ledger. It
// locks the counter to the end of the transaction: call it last.
func note(tx *gorm.DB, notes ...LedgerNote) error {
	return nil // TODO(4)
}
