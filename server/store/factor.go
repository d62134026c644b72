package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
)

// SetFactor stores the sealed secret of a second factor that is being set up; one
// that is set up stays. ErrNotFound then.
func (d *DB) SetFactor(ctx context.Context, user uuid.UUID, sealed []byte) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		return one(tx.Model(&models.User{}).Where("id = ? AND totp_confirmed_at IS NULL", user).
			Updates(map[string]any{"totp_secret": sealed, "totp_last_step": 0}))
	})
}

// ConfirmFactor sets up the second factor of that sealed secret, with its recovery
// codes, and begins the session that comes instead of another. ErrNotFound when one
// was set up before, or another was begun meanwhile.
func (d *DB) ConfirmFactor(ctx context.Context, session models.Session, instead uuid.UUID, sealed []byte, step int64, codes []models.RecoveryCode,
	now time.Time, entry models.Audit,
) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		err := one(tx.Model(&models.User{}).Where("id = ? AND totp_secret = ? AND totp_confirmed_at IS NULL", session.UserID, sealed).
			Updates(map[string]any{"totp_confirmed_at": now, "totp_last_step": step}))
		if err != nil {
			return err
		}
		if err := replaceRecovery(tx, session.UserID, codes); err != nil {
			return err
		}
		if err := replaceSession(tx, session, instead); err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
}

// UseStep uses up a 30 s step of the user's second factor; ErrNotFound for one
// that is not newer than the last.
func (d *DB) UseStep(ctx context.Context, user uuid.UUID, step int64) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		return one(tx.Model(&models.User{}).Where("id = ? AND totp_confirmed_at IS NOT NULL AND totp_last_step < ?", user, step).
			Update("totp_last_step", step))
	})
}

// UseRecoveryCode uses a recovery code up; ErrNotFound for every one that is no use.
func (d *DB) UseRecoveryCode(ctx context.Context, user uuid.UUID, hash []byte, now time.Time, entry models.Audit) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		err := one(tx.Model(&models.RecoveryCode{}).Where("user_id = ? AND hash = ? AND used_at IS NULL", user, hash).Update("used_at", now))
		if err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
}

// ReplaceRecoveryCodes puts new codes in the place of all the user has.
func (d *DB) ReplaceRecoveryCodes(ctx context.Context, user uuid.UUID, codes []models.RecoveryCode, entry models.Audit) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		if err := replaceRecovery(tx, user, codes); err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
}

func replaceRecovery(tx *gorm.DB, user uuid.UUID, codes []models.RecoveryCode) error {
	if err := tx.Where("user_id = ?", user).Delete(&models.RecoveryCode{}).Error; err != nil {
		return err
	}
	return tx.Create(&codes).Error
}

// RemoveFactor takes the second factor of a user of the tenant (Nil: of the
// provider's staff) away. By somebody else it ends the user's sessions too.
func (d *DB) RemoveFactor(ctx context.Context, as Asker, tenant, user uuid.UUID, entry models.Audit) error {
	return d.ask(ctx, as, func(tx *gorm.DB) error {
		var of any
		if tenant != uuid.Nil {
			of = tenant
		}
		err := one(tx.Model(&models.User{}).Where("id = ? AND tenant_id IS NOT DISTINCT FROM ?", user, of).
			Updates(map[string]any{"totp_secret": nil, "totp_confirmed_at": nil, "totp_last_step": 0}))
		if err != nil {
			return err
		}
		if err := tx.Where("user_id = ?", user).Delete(&models.RecoveryCode{}).Error; err != nil {
			return err
		}
		if entry.ActorID == nil || *entry.ActorID != user {
			if err := tx.Where("user_id = ?", user).Delete(&models.Session{}).Error; err != nil {
				return err
			}
		}
		return addAudit(tx, entry)
	})
}

// one turns a change of no row into ErrNotFound.
func one(res *gorm.DB) error {
	if res.Error == nil && res.RowsAffected == 0 {
		return ErrNotFound
	}
	return res.Error
}
