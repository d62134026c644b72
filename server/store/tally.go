package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
)

// Tally is how many calls of a day one person has made that ended alike.
type Tally struct {
	Day     time.Time // 0:00 UTC
	UserID  uuid.UUID
	Outcome string // a reason, "failed", or OutcomeLive
	Calls   int
}

// Tallies counts the tenant's living calls since from, at most limit of the newest;
// more says that there are others. Restricted records are in no figure.
func (d *DB) Tallies(ctx context.Context, tenant uuid.UUID, from time.Time, limit int) (tallies []Tally, more bool, err error) {
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		return tally(tx, tenant, from, limit+1).Scan(&tallies).Error
	})
	calls := 0
	for _, t := range tallies {
		calls += t.Calls
	}
	return tallies, calls > limit, err
}

func tally(tx *gorm.DB, tenant uuid.UUID, from time.Time, limit int) *gorm.DB {
	return tx.Raw(`SELECT date_trunc('day', created_at, 'UTC') AS day, user_id, coalesce(outcome, ?) AS outcome, count(*) AS calls
		FROM (SELECT created_at, user_id, outcome FROM calls WHERE tenant_id = ? AND created_at >= ? ORDER BY created_at DESC, id DESC LIMIT ?) c
		GROUP BY 1, 2, 3`, OutcomeLive, tenant, from, limit)
}
