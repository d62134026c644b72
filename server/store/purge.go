package store

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
)

// DeleteDue deletes at most limit calls whose time has come and says how many.
// It runs as ctd_purger, which cannot see, so not delete, any other; rows that
// another purger holds are left to it.
func (d *DB) DeleteDue(ctx context.Context, limit int) (deleted int64, err error) {
	err = d.as(ctx, rolePurger, uuid.Nil, func(tx *gorm.DB) error {
		res := tx.Where("id IN (SELECT id FROM calls WHERE expires_at <= statement_timestamp() ORDER BY expires_at LIMIT ? FOR UPDATE SKIP LOCKED)", limit).
			Delete(&models.Call{})
		deleted = res.RowsAffected
		return res.Error
	})
	return deleted, err
}

// CountDue says how many calls the purge would delete now.
func (d *DB) CountDue(ctx context.Context) (due int64, err error) {
	err = d.as(ctx, rolePurger, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Raw("SELECT count(*) FROM calls").Scan(&due).Error
	})
	return due, err
}

// DeleteDueKeys deletes what else has ended: refusals after 14 days, used keys
// after 24 hours, daily keys after 48, dead tokens, codes, links and sessions,
// silent replicas.
// Row-level security holds the times; here is only the list.
func (d *DB) DeleteDueKeys(ctx context.Context) (deleted int64, err error) {
	err = d.as(ctx, rolePurger, uuid.Nil, func(tx *gorm.DB) error {
		for _, row := range []any{
			&models.Idempotency{}, &models.DailyKey{},
			&models.Token{}, &models.PairingCode{}, &models.Replica{}, &models.Revocation{}, &models.Session{},
			&models.AuthorizationCode{}, &models.PasswordLink{},
		} {
			res := tx.Where("true").Delete(row)
			if res.Error != nil {
				return res.Error
			}
			deleted += res.RowsAffected
		}
		return nil
	})
	return deleted, err
}
