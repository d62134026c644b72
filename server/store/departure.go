package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clicktodial/models"
	"clicktodial/server/fault"
)

var (
	errLastAdmin = fault.New(fault.Conflict, "last-admin", "This is the company's last administrator.")
	// ErrCallLive is about a record whose call is up.
	ErrCallLive = fault.New(fault.Conflict, "call-live", "A call is still up: hang up first, or wait for its end.")
)

// BeginDeparture closes the account of a user who leaves, so that nothing new
// comes of it, and says what becomes of their records. An admin who has been
// closed meanwhile (by, unless Nil) closes nobody. Errors: ErrNotFound, last-admin.
func (d *DB) BeginDeparture(ctx context.Context, tenant, by, user uuid.UUID, now time.Time, entry models.Audit) (records models.LeaverRecords, err error) {
	err = d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		if err := tx.Model(&models.Tenant{}).Where("id = ?", tenant).Select("leaver_records").Scan(&records).Error; err != nil {
			return err
		}
		// Locked in one order: of two admins who delete each other, one is too late.
		var admins []models.User
		err := tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).Select("id").
			Where("tenant_id = ? AND role = ? AND disabled_at IS NULL AND deleted_at IS NULL", tenant, models.RoleAdmin).
			Order("id").Find(&admins).Error
		if err != nil {
			return err
		}
		others, allowed := 0, by == uuid.Nil
		for _, admin := range admins {
			if admin.ID != user {
				others++
			}
			allowed = allowed || admin.ID == by
		}
		if !allowed {
			return fault.New(fault.Forbidden, "forbidden", "You are not allowed to do this.")
		}
		if err := knowUser(tx, Subject{Tenant: tenant, User: user}); err != nil {
			return err
		}
		if others == 0 {
			return errLastAdmin
		}
		res := tx.Model(&models.User{}).Where("tenant_id = ? AND id = ? AND disabled_at IS NULL", tenant, user).Update("disabled_at", now)
		if res.Error != nil || res.RowsAffected == 0 { // it was closed before
			return res.Error
		}
		return addAudit(tx, entry)
	})
	return records, err
}

// CallsUp counts the calls of a user that are up.
func (d *DB) CallsUp(ctx context.Context, tenant, user uuid.UUID) (n int64, err error) {
	err = d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		n, err = callsUp(tx, tenant, user)
		return err
	})
	return n, err
}

func callsUp(tx *gorm.DB, tenant, user uuid.UUID) (n int64, err error) {
	err = tx.Model(&models.Call{}).Where("tenant_id = ? AND user_id = ? AND ended_at IS NULL", tenant, user).Count(&n).Error
	return n, err
}

// DeleteUser removes a user whose account is closed and whose records are erased,
// with all that hangs on them. What has ended since the erasure goes too, and is
// told. Errors: ErrNotFound; call-live: its end would be lost.
func (d *DB) DeleteUser(ctx context.Context, a Act, erased int64, n LedgerNote) (r models.PrivacyRequest, rest []Erased, err error) {
	tenant, user := a.Subject.Tenant, a.Subject.User
	err = d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		if err := knowUser(tx.Clauses(clause.Locking{Strength: "UPDATE"}), a.Subject); err != nil {
			return err
		}
		up, err := callsUp(tx, tenant, user)
		if err != nil {
			return err
		}
		if up > 0 {
			return ErrCallLive
		}
		if rest, err = (Erasure{Subject: a.Subject, Before: *a.Receipt.DoneAt}).batch(tx); err != nil {
			return err
		}
		if r, err = a.write(tx, erased+int64(len(rest))); err != nil {
			return err
		}
		if err := closeRequests(tx, a, false); err != nil {
			return err
		}
		if err := one(tx.Where("tenant_id = ? AND id = ?", tenant, user).Delete(&models.User{})); err != nil {
			return err
		}
		if err := note(tx, n); err != nil || len(rest) == 0 {
			return err
		}
		return erasureEvidence(tx, *a.Receipt.DoneAt, int64(len(rest)))
	})
	return r, rest, err
}

// closeRequests ends what a user who leaves has still asked for, once the act has
// completed the request that it answers: with their
// records gone, an erasure is done, and nothing else can be.
func closeRequests(tx *gorm.DB, a Act, kept bool) error {
	return tx.Model(&models.PrivacyRequest{}).
		Where("tenant_id = ? AND user_id = ? AND done_at IS NULL", a.Subject.Tenant, a.Subject.User).
		Updates(map[string]any{
			"user_id": nil, "done_at": *a.Receipt.DoneAt,
			"refused": gorm.Expr("act NOT IN (?, ?) OR ?", models.ActErasure, models.ActDeparture, kept),
		}).Error
}

// ForgetCaller takes what names the user out of their calls, a batch a
// transaction: phone and sign-in, and what people called them.
func (d *DB) ForgetCaller(ctx context.Context, s Subject) (total int64, err error) {
	for {
		var n int64
		err := d.ask(ctx, ForPrivacy(s.Tenant), func(tx *gorm.DB) error {
			res := tx.Exec(`UPDATE calls SET device_id = NULL, device_label = '', grant_id = NULL, sign_in_label = ''
				WHERE tenant_id = ? AND id IN (SELECT id FROM calls WHERE tenant_id = ? AND user_id = ?
				  AND (device_id IS NOT NULL OR grant_id IS NOT NULL OR device_label <> '' OR sign_in_label <> '')
				  ORDER BY created_at, id LIMIT ?)`, s.Tenant, s.Tenant, s.User, eraseBatch)
			n = res.RowsAffected
			return res.Error
		})
		total += n
		if err != nil || n < eraseBatch {
			return total, err
		}
	}
}

// BlankUser makes a user whose account is closed nobody: their calls stay until
// their time, without the person. The e-mail may be used again.
func (d *DB) BlankUser(ctx context.Context, a Act, n LedgerNote) (r models.PrivacyRequest, err error) {
	tenant, user := a.Subject.Tenant, a.Subject.User
	err = d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		if err := knowUser(tx.Clauses(clause.Locking{Strength: "UPDATE"}), a.Subject); err != nil {
			return err
		}
		if r, err = a.write(tx, 0); err != nil {
			return err
		}
		if err := closeRequests(tx, a, true); err != nil {
			return err
		}
		for _, of := range []any{&models.Device{}, &models.Refusal{}} {
			if err := tx.Where("tenant_id = ? AND user_id = ?", tenant, user).Delete(of).Error; err != nil {
				return err
			}
		}
		err := one(tx.Model(&models.User{}).Where("tenant_id = ? AND id = ?", tenant, user).Updates(map[string]any{
			"email": "gone-" + user.String() + "@invalid", "name": "", "deleted_at": *a.Receipt.DoneAt,
		}))
		if err != nil {
			return err
		}
		if err := blankSignIn(tx, user); err != nil {
			return err
		}
		return note(tx, n)
	})
	return r, err
}

// blankSignIn takes away what the user signed in by; only the desk may. It leaves
// the transaction in its role.
func blankSignIn(tx *gorm.DB, user uuid.UUID) error {
	if err := useUpLinks(tx, user); err != nil {
		return err
	}
	err := tx.Model(&models.User{}).Where("id = ?", user).Updates(map[string]any{
		"password_hash": nil, "password_set_at": nil, "password_set_by": nil, "totp_secret": nil, "totp_confirmed_at": nil,
	}).Error
	if err != nil {
		return err
	}
	for _, of := range []any{&models.RecoveryCode{}, &models.Session{}} {
		if err := tx.Where("user_id = ?", user).Delete(of).Error; err != nil {
			return err
		}
	}
	// A label is often the person's own words. The row keeps its tokens dead.
	return tx.Model(&models.Grant{}).Where("user_id = ?", user).Updates(map[string]any{"device_name": "-", "revoked_reason": nil}).Error
}
