package store

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
)

// LedgerNote is what the ledger outside the database is told of an act that a
// restored dump would undo.
type LedgerNote struct {
	Kind   string    // number, user, history, call, objection, restriction, tenant …, revocation
	Hash   []byte    // of whom, keyed; nil for a revocation
	Before time.Time // records made before; zero: all
	Tenant uuid.UUID // Nil: the one in whose name the transaction asks, if any
}

// noteBody is the part of a line that is known before it has its number.
type noteBody struct {
	Kind   string     `json:"kind"`
	Tenant *uuid.UUID `json:"tenant,omitempty"`
	Hash   string     `json:"hash,omitempty"`
	Before *time.Time `json:"before,omitempty"`
}

// note counts an erasure or revocation, and leaves its line for the ledger. It
// locks the counter to the end of the transaction: call it last.
func note(tx *gorm.DB, notes ...LedgerNote) error {
	bodies := make([]string, len(notes))
	for i, n := range notes {
		body := noteBody{Kind: n.Kind, Hash: hex.EncodeToString(n.Hash)}
		if n.Tenant != uuid.Nil {
			body.Tenant = &n.Tenant
		}
		if !n.Before.IsZero() {
			before := n.Before.UTC()
			body.Before = &before
		}
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("writing a line of the ledger: %w", err)
		}
		bodies[i] = string(text)
	}
	if len(bodies) == 0 {
		return nil
	}
	all, err := json.Marshal(bodies)
	if err != nil {
		return fmt.Errorf("writing a line of the ledger: %w", err)
	}
	// One round trip. The clock is read once the counter is ours, so that times
	// are in the order of the numbers. A revocation names nobody, no tenant either.
	return tx.Exec(`WITH counter AS (UPDATE ledger_counter SET n = n + ? RETURNING n, installation)
		INSERT INTO ledger_outbox (n, line)
		SELECT c.n - ? + b.ord, (jsonb_build_object('n', c.n - ? + b.ord, 'installation', c.installation, 'at', clock_timestamp())
			|| CASE WHEN b.body::jsonb ->> 'kind' IN ('revocation', 'marker', 'restored') THEN '{}'
				ELSE jsonb_strip_nulls(jsonb_build_object('tenant', nullif(current_setting('app.tenant_id', true), ''))) END
			|| b.body::jsonb)::text
		FROM counter c, jsonb_array_elements_text(?::jsonb) WITH ORDINALITY AS b (body, ord)`,
		len(bodies), len(bodies), len(bodies), string(all)).Error
}

// revocationNote counts a revocation; the ledger does not say whose.
var revocationNote = LedgerNote{Kind: "revocation"}

// LedgerState is what the database knows of its ledger.
type LedgerState struct {
	Installation uuid.UUID
	N            int64      // acts that were counted
	Waiting      int64      // the first line that waits to be written; N+1 when none does
	RestoredAt   *time.Time // found to be restored, and restore-check is not through
}

// LedgerState gives it.
func (d *DB) LedgerState(ctx context.Context) (state LedgerState, err error) {
	err = d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Raw(`SELECT installation, n, restored_at, coalesce((SELECT min(o.n) FROM ledger_outbox o), c.n + 1) AS waiting
			FROM ledger_counter c`).Take(&state).Error
	})
	return state, err
}

// MarkLedger leaves a line that says how far the counter was: the first of a new
// ledger.
func (d *DB) MarkLedger(ctx context.Context) error {
	return d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error { return note(tx, LedgerNote{Kind: "marker"}) })
}

// flushBatch bounds the lines of one write.
const flushBatch = 1000

// Flush hands the lines that wait, oldest first, to write, and forgets them when
// it says that they are safe: after a crash between the two they come again.
// One flusher at a time, whatever replica: another finds busy. more says that
// there are lines left.
func (d *DB) Flush(ctx context.Context, write func(lines []string) error) (more, busy bool, err error) {
	var unsafe error // of write: none of Postgres's
	err = d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		var ours bool
		if err := tx.Raw("SELECT pg_try_advisory_xact_lock(7236542002)").Scan(&ours).Error; err != nil || !ours {
			busy = !ours
			return err
		}
		var waiting []models.LedgerLine
		err := tx.Raw(`DELETE FROM ledger_outbox WHERE n IN (SELECT n FROM ledger_outbox ORDER BY n LIMIT ?) RETURNING n, line`, flushBatch).
			Scan(&waiting).Error
		if err != nil || len(waiting) == 0 {
			return err
		}
		slices.SortFunc(waiting, func(a, b models.LedgerLine) int { return cmp.Compare(a.N, b.N) })
		lines := make([]string, len(waiting))
		for i := range waiting {
			lines[i] = waiting[i].Line
		}
		more = len(lines) == flushBatch
		unsafe = write(lines)
		return unsafe
	})
	if unsafe != nil {
		err = unsafe
	}
	return more && err == nil, busy && err == nil, err
}
