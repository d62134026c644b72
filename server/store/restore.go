package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clicktodial/models"
	"clicktodial/server/phone"
)

// MarkRestored notes that the database is a restored one, until FinishRestore.
func (d *DB) MarkRestored(ctx context.Context) error {
	return d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE ledger_counter SET restored_at = now() WHERE restored_at IS NULL").Error
	})
}

// AdoptLedger makes the database that of another ledger: it was restored from a
// dump that knew of none.
func (d *DB) AdoptLedger(ctx context.Context, installation uuid.UUID, entry models.Audit) error {
	return d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		if err := tx.Exec("UPDATE ledger_counter SET installation = ?", installation).Error; err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
}

// FinishRestore opens a restored database, whose ledger has come as far as newest,
// and counts on from there. The check becomes evidence: the chain goes on from where
// it was in the dump, and whoever has noted a later head finds here why.
func (d *DB) FinishRestore(ctx context.Context, newest int64, began time.Time, erased int64, entry models.Audit) error {
	return d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		if err := addAudit(tx, entry); err != nil {
			return err
		}
		if err := tx.Exec("UPDATE ledger_counter SET n = greatest(n, ?), restored_at = NULL", newest).Error; err != nil {
			return err
		}
		if err := note(tx, LedgerNote{Kind: "restored"}); err != nil {
			return err
		}
		oldest, err := oldestCall(tx)
		if err != nil {
			return err
		}
		_, err = addEvidence(tx, models.Evidence{Kind: models.EvidenceRestore, StartedAt: began, Calls: erased, Oldest: oldest})
		return err
	})
}

// TenantIDs gives tenants after one, in the order of their ids.
func (d *DB) TenantIDs(ctx context.Context, after uuid.UUID, limit int) (ids []uuid.UUID, err error) {
	err = d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Raw("SELECT id FROM tenants WHERE id > ? ORDER BY id LIMIT ?", after, limit).Scan(&ids).Error
	})
	return ids, err
}

// UserIDs gives users of the tenant after one, in the order of their ids; of no
// tenant (Nil), the provider's staff.
func (d *DB) UserIDs(ctx context.Context, tenant, after uuid.UUID, limit int) (ids []uuid.UUID, err error) {
	err = d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Raw("SELECT id FROM users WHERE coalesce(tenant_id, ?) = ? AND id > ? ORDER BY id LIMIT ?", uuid.Nil, tenant, after, limit).Scan(&ids).Error
	})
	return ids, err
}

// KillLinks uses up all links by which passwords are set or sessions begun.
func (d *DB) KillLinks(ctx context.Context, now time.Time) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Model(&models.PasswordLink{}).Where("used_at IS NULL").Update("used_at", now).Error
	})
}

// SubjectCall is what tells whose a record is.
type SubjectCall struct {
	ID         uuid.UUID
	UserID     uuid.UUID
	Number     phone.Number
	CreatedAt  time.Time
	EndedAt    *time.Time
	Restricted bool
}

// TableName names the table.
func (SubjectCall) TableName() string { return "calls" }

// SubjectCalls gives living calls of the tenant after one, oldest first,
// restricted ones too.
func (d *DB) SubjectCalls(ctx context.Context, tenant uuid.UUID, after SubjectCall, limit int) (calls []SubjectCall, err error) {
	err = d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		return tx.Where("tenant_id = ? AND (created_at, id) > (?, ?)", tenant, after.CreatedAt, after.ID).
			Order("created_at, id").Limit(limit).Find(&calls).Error
	})
	return calls, err
}

// EraseCalls deletes records with all that hangs on them, and says how many there
// were. Of a click only its key is left, with nothing to tell what was clicked.
func (d *DB) EraseCalls(ctx context.Context, tenant uuid.UUID, ids []uuid.UUID) (erased int64, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	err = d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		err := tx.Model(&models.Idempotency{}).Where("tenant_id = ? AND call_id = ANY(?::uuid[])", tenant, idTexts(ids)).
			Update("fingerprint", nil).Error
		if err != nil {
			return err
		}
		res := tx.Where("tenant_id = ? AND id = ANY(?::uuid[])", tenant, idTexts(ids)).Delete(&models.Call{})
		erased = res.RowsAffected
		return res.Error
	})
	return erased, err
}

// RestrictCalls has records shown to nobody, or again.
func (d *DB) RestrictCalls(ctx context.Context, tenant uuid.UUID, ids []uuid.UUID, restricted bool) error {
	if len(ids) == 0 {
		return nil
	}
	return d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		return tx.Model(&models.Call{}).Where("tenant_id = ? AND id = ANY(?::uuid[])", tenant, idTexts(ids)).Update("restricted", restricted).Error
	})
}

// Standing is an objection or a restriction that stands, or was lifted.
type Standing struct {
	Hash    []byte
	Subject models.SubjectKind // of a restriction
	At      time.Time          // since when; a restriction is of the records that had ended by then
	Said    time.Time          // when it was last said
	Lifted  bool
}

// StandObjections enters objections of the tenant, or takes them out.
func (d *DB) StandObjections(ctx context.Context, tenant uuid.UUID, all []Standing) error {
	return d.stand(ctx, tenant, all, func(s Standing) any {
		return &models.DoNotDial{TenantID: tenant, Hash: s.Hash, CreatedAt: s.At}
	})
}

// StandRestrictions enters restrictions of the tenant, or takes them out.
func (d *DB) StandRestrictions(ctx context.Context, tenant uuid.UUID, all []Standing) error {
	return d.stand(ctx, tenant, all, func(s Standing) any {
		return &models.Restriction{TenantID: tenant, Subject: s.Subject, Hash: s.Hash, CreatedAt: s.At}
	})
}

func (d *DB) stand(ctx context.Context, tenant uuid.UUID, all []Standing, row func(Standing) any) error {
	if len(all) == 0 {
		return nil
	}
	return d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		for _, s := range all {
			var err error
			if s.Lifted {
				err = tx.Where("tenant_id = ? AND hash = ?", tenant, s.Hash).Delete(row(s)).Error
			} else {
				err = tx.Clauses(clause.OnConflict{DoNothing: true}).Create(row(s)).Error
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// StandingRestrictions gives the tenant's restrictions.
func (d *DB) StandingRestrictions(ctx context.Context, tenant uuid.UUID) (all []Standing, err error) {
	err = d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		return tx.Raw("SELECT hash, subject, created_at AS at, created_at AS said FROM restrictions WHERE tenant_id = ?", tenant).Scan(&all).Error
	})
	return all, err
}

// EndAgain ends a contract that had ended, with all its data to go at wipe. Its
// sign-ins have been ended.
func (d *DB) EndAgain(ctx context.Context, tenant uuid.UUID, ended, wipe time.Time) error {
	return d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE tenants SET status = 'ended', ended_at = coalesce(ended_at, ?), wipe_at = least(wipe_at, ?) WHERE id = ?",
			ended, wipe, tenant).Error
	})
}

// EraseUser deletes a user who is gone, with all that hangs on them.
func (d *DB) EraseUser(ctx context.Context, tenant, user uuid.UUID) error {
	return d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Where("tenant_id = ? AND id = ?", tenant, user).Delete(&models.User{}).Error
	})
}

// LeaveAgain makes a user who left nobody: their calls stay until their time,
// without the person. The account is closed and its sign-ins have been ended.
func (d *DB) LeaveAgain(ctx context.Context, tenant, user uuid.UUID, at time.Time) error {
	if _, err := d.ForgetCaller(ctx, Subject{Tenant: tenant, User: user}); err != nil {
		return err
	}
	return d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		if err := tx.Where("tenant_id = ? AND user_id = ?", tenant, user).Delete(&models.Refusal{}).Error; err != nil {
			return err
		}
		if err := become(tx, CommandLine); err != nil {
			return err
		}
		for _, of := range []any{&models.Device{}, &models.RecoveryCode{}, &models.Session{}} {
			if err := tx.Where("user_id = ?", user).Delete(of).Error; err != nil {
				return err
			}
		}
		// A label is often the person's own words.
		err := tx.Model(&models.Grant{}).Where("user_id = ?", user).Updates(map[string]any{"device_name": "-", "revoked_reason": nil}).Error
		if err != nil {
			return err
		}
		return tx.Exec(`UPDATE users SET email = 'gone-' || id || '@invalid', name = '', password_hash = NULL, password_set_at = NULL,
			password_set_by = NULL, totp_secret = NULL, totp_confirmed_at = NULL, disabled_at = coalesce(disabled_at, ?), deleted_at = coalesce(deleted_at, ?)
			WHERE tenant_id = ? AND id = ?`, at, at, tenant, user).Error
	})
}
