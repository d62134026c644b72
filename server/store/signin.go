package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clicktodial/models"
)

// Bearer is who stands behind a token, as ctd_auth may see them.
type Bearer struct {
	TokenID        uuid.UUID
	TokenExpiresAt time.Time
	UsedAt         *time.Time
	Successor      []byte

	GrantID        uuid.UUID
	GrantExpiresAt time.Time
	RevokedAt      *time.Time
	DeviceName     string
	SupportCode    string
	Scopes         string

	UserID       uuid.UUID
	TenantID     *uuid.UUID
	Email        string
	UserName     string
	Role         models.Role
	DisabledAt   *time.Time
	TenantName   string
	TenantStatus models.TenantStatus
	Region       string
	PBXID        *uuid.UUID `gorm:"column:pbx_id"`
}

const bearerRow = `SELECT k.id AS token_id, k.expires_at AS token_expires_at, k.used_at, k.successor,
	  g.id AS grant_id, g.expires_at AS grant_expires_at, g.revoked_at, g.device_name, g.support_code, g.scopes,
	  u.id AS user_id, u.tenant_id, u.email, u.name AS user_name, u.role, u.disabled_at,
	  coalesce(t.name, '') AS tenant_name, coalesce(t.status, 'active') AS tenant_status, coalesce(t.region, '') AS region, t.pbx_id
	FROM tokens k JOIN grants g ON g.id = k.grant_id JOIN users u ON u.id = g.user_id
	LEFT JOIN tenants t ON t.id = u.tenant_id`

const bearerColumns = bearerRow + " WHERE k.kind = ? AND k.hash = ?"

// FindBearer gives who a token stands for, ended or not; ErrNotFound when there
// is no such token.
func (d *DB) FindBearer(ctx context.Context, kind models.TokenKind, hash []byte) (b Bearer, err error) {
	err = d.travel(ctx, func(s session) error {
		found := false
		t := d.newTrip()
		t.take(roleAuth, uuid.Nil)
		t.ask(bearerRow+" WHERE k.kind = $1 AND k.hash = $2", kind, hash).Query(find(&b, &found))
		if err := s.send(t); err != nil || found {
			return err
		}
		return ErrNotFound
	})
	return b, err
}

// Issue is a pair of tokens to store.
type Issue struct{ Access, Refresh models.Token }

// Rotate locks the sign-in that a refresh token belongs to, so that nothing is
// issued after it was revoked, and lets decide look. A pair that decide returns
// is stored and the old token marked as used, with the sealed answer; a reason
// ends the sign-in instead.
func (d *DB) Rotate(ctx context.Context, hash []byte, now time.Time,
	decide func(Bearer) (issue *Issue, sealed []byte, revokeReason string, err error),
) error {
	var decided error
	err := d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		var b Bearer
		if err := tx.Raw(bearerColumns+" FOR UPDATE OF g", models.RefreshToken, hash).Take(&b).Error; err != nil {
			return err
		}
		// Read again under the lock: what was read while waiting for it is old.
		if err := tx.Raw(bearerColumns, models.RefreshToken, hash).Take(&b).Error; err != nil {
			return err
		}
		issue, sealed, reason, err := decide(b)
		decided = err
		if reason != "" {
			return revoke(tx, tx.Where("id = ?", b.GrantID), "system", reason, now,
				models.Audit{TenantID: b.TenantID, ActorKind: "system", Action: "sign-in-revoke", SubjectKind: "grant", SubjectID: &b.GrantID, Reason: reason})
		}
		if issue == nil {
			return nil
		}
		if err := tx.Create([]models.Token{issue.Access, issue.Refresh}).Error; err != nil {
			return fmt.Errorf("storing tokens: %w", clean(err))
		}
		return tx.Model(&models.Token{}).Where("id = ?", b.TokenID).
			Updates(map[string]any{"used_at": now, "successor": sealed}).Error
	})
	if err != nil {
		return err
	}
	return decided
}

// EraseSuccessors blanks the sealed answers of tokens used before the instant.
func (d *DB) EraseSuccessors(ctx context.Context, usedBefore time.Time) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Model(&models.Token{}).Where("successor IS NOT NULL AND used_at < ?", usedBefore).Update("successor", nil).Error
	})
}

// FindUser gives a user by e-mail (already case-folded), or ErrNotFound.
func (d *DB) FindUser(ctx context.Context, email string) (u models.User, err error) {
	err = d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Where("email = ?", email).Take(&u).Error
	})
	return u, err
}

// CreatePairing stores a pairing code's hash, with its audit entry.
func (d *DB) CreatePairing(ctx context.Context, code models.PairingCode, entry models.Audit) error {
	return d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		if err := tx.Create(&code).Error; err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
}

// RedeemPairing uses a code up, once and before its end, and stores the sign-in
// that build makes for its user. ErrNotFound for every code that is no use.
func (d *DB) RedeemPairing(ctx context.Context, hash []byte, now time.Time,
	build func(code models.PairingCode) (models.Grant, Issue, models.Audit),
) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		var code models.PairingCode
		res := tx.Model(&code).Clauses(clause.Returning{}).
			Where("hash = ? AND used_at IS NULL AND expires_at > ?", hash, now).Update("used_at", now)
		if res.Error != nil {
			return res.Error
		}
		if res.RowsAffected == 0 {
			return ErrNotFound
		}
		var alive int64
		err := tx.Raw(`SELECT count(*) FROM users u LEFT JOIN tenants t ON t.id = u.tenant_id
			WHERE u.id = ? AND u.disabled_at IS NULL AND coalesce(t.status, 'active') = 'active'`, code.UserID).Scan(&alive).Error
		if err != nil {
			return err
		}
		if alive == 0 {
			return ErrNotFound
		}
		grant, issue, entry := build(code)
		if err := tx.Create(&grant).Error; err != nil {
			return fmt.Errorf("storing a sign-in: %w", clean(err))
		}
		if err := tx.Create([]models.Token{issue.Access, issue.Refresh}).Error; err != nil {
			return fmt.Errorf("storing tokens: %w", clean(err))
		}
		return addAudit(tx, entry)
	})
}

// TouchGrant notes the day on which a sign-in was last used.
func (d *DB) TouchGrant(ctx context.Context, grant uuid.UUID, day time.Time) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Model(&models.Grant{}).Where("id = ? AND (last_used_on IS NULL OR last_used_on < ?)", grant, day.Format(time.DateOnly)).
			Update("last_used_on", day.Format(time.DateOnly)).Error
	})
}

// Grants gives the user's sign-ins, newest first.
func (d *DB) Grants(ctx context.Context, user uuid.UUID) (grants []models.Grant, err error) {
	err = d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Where("user_id = ?", user).Order("created_at DESC, id DESC").Limit(1000).Find(&grants).Error
	})
	return grants, err
}

// Which says which sign-ins to revoke; exactly one field is set.
type Which struct{ Grant, User, Tenant uuid.UUID }

func (w Which) scope(tx *gorm.DB) *gorm.DB {
	switch {
	case w.Grant != uuid.Nil:
		return tx.Where("id = ?", w.Grant)
	case w.User != uuid.Nil:
		return tx.Where("user_id = ?", w.User)
	default:
		return tx.Where("tenant_id = ?", w.Tenant)
	}
}

// Revoke ends sign-ins and deletes their tokens; it says how many were alive.
func (d *DB) Revoke(ctx context.Context, which Which, by, reason string, now time.Time, entry models.Audit) (ended int64, err error) {
	err = d.as(ctx, roleOperator, uuid.Nil, func(tx *gorm.DB) error {
		ended, err = revokeCounted(tx, which.scope(tx), by, reason, now, entry)
		return err
	})
	return ended, err
}

// RevokeOwn ends the sign-in that asks for it.
func (d *DB) RevokeOwn(ctx context.Context, grant uuid.UUID, by, reason string, now time.Time, entry models.Audit) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		return revoke(tx, tx.Where("id = ?", grant), by, reason, now, entry)
	})
}

func revoke(tx, scope *gorm.DB, by, reason string, now time.Time, entry models.Audit) error {
	_, err := revokeCounted(tx, scope, by, reason, now, entry)
	return err
}

// revokeCounted leaves the token rows: a token of a revoked sign-in is known and
// refused, and goes with the purge at its own end.
func revokeCounted(tx, scope *gorm.DB, by, reason string, now time.Time, entry models.Audit) (int64, error) {
	res := scope.Model(&models.Grant{}).Where("revoked_at IS NULL").
		Updates(map[string]any{"revoked_at": now, "revoked_by": by, "revoked_reason": reason})
	if res.Error != nil {
		return 0, res.Error
	}
	return res.RowsAffected, addAudit(tx, entry)
}

func addAudit(tx *gorm.DB, entry models.Audit) error {
	if entry.ID == uuid.Nil {
		entry.ID = uuid.Must(uuid.NewV7())
	}
	if err := tx.Omit("At").Create(&entry).Error; err != nil {
		return fmt.Errorf("writing the audit: %w", clean(err))
	}
	return nil
}
