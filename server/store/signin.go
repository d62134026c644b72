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
	RevokedBy      *string
	RevokedReason  *string
	ClientID       string
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
	  g.id AS grant_id, g.expires_at AS grant_expires_at, g.revoked_at, g.revoked_by, g.revoked_reason,
	  g.client_id, g.device_name, g.support_code, coalesce(k.scopes, g.scopes) AS scopes,
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

// BearerOf gives who stands behind a sign-in, without a token.
func (d *DB) BearerOf(ctx context.Context, grant uuid.UUID) (b Bearer, err error) {
	err = d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Raw(bearerRow+" WHERE g.id = ? LIMIT 1", grant).Take(&b).Error
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
) (ended Ended, err error) {
	var decided error
	err = d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
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
			ended, err = revoke(tx, Which{Grant: b.GrantID}, "system", reason, now,
				models.Audit{TenantID: b.TenantID, ActorKind: "system", Action: "token-reuse", SubjectKind: "grant", SubjectID: &b.GrantID, Reason: reason})
			return err
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
		return ended, err
	}
	return ended, decided
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

// CreatePairing stores a pairing code's hash, with its audit entry. ErrNotFound
// when the user is not of that tenant.
func (d *DB) CreatePairing(ctx context.Context, as Asker, code models.PairingCode, entry models.Audit) error {
	return d.ask(ctx, as, func(tx *gorm.DB) error {
		if err := tx.Create(&code).Error; violates(err, "pairing_codes_tenant_id_user_id_fkey") {
			return ErrNotFound
		} else if err != nil {
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
		if err := mustLive(tx, code.UserID); err != nil {
			return err
		}
		grant, issue, entry := build(code)
		return createSignIn(tx, grant, issue, entry)
	})
}

// mustLive gives ErrNotFound for a user who may no longer sign in.
func mustLive(tx *gorm.DB, user uuid.UUID) error {
	var alive int64
	err := tx.Raw(`SELECT count(*) FROM users u LEFT JOIN tenants t ON t.id = u.tenant_id
		WHERE u.id = ? AND u.disabled_at IS NULL AND coalesce(t.status, 'active') = 'active'`, user).Scan(&alive).Error
	if err == nil && alive == 0 {
		return ErrNotFound
	}
	return err
}

func createSignIn(tx *gorm.DB, grant models.Grant, issue Issue, entry models.Audit) error {
	if err := tx.Create(&grant).Error; err != nil {
		return fmt.Errorf("storing a sign-in: %w", clean(err))
	}
	if err := tx.Create([]models.Token{issue.Access, issue.Refresh}).Error; err != nil {
		return fmt.Errorf("storing tokens: %w", clean(err))
	}
	return addAudit(tx, entry)
}

// CreateCode stores an authorization code that the session's person has consented
// to; ErrNotFound when the session has ended.
func (d *DB) CreateCode(ctx context.Context, code models.AuthorizationCode, session uuid.UUID) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		var held models.Session
		if err := tx.Select("id").Clauses(clause.Locking{Strength: "SHARE"}).Where("id = ?", session).Take(&held).Error; err != nil {
			return err
		}
		return tx.Create(&code).Error
	})
}

// RedeemCode uses an authorization code up, once, and stores the sign-in that
// build makes of it, unless build refuses. A code that was used before ends the
// sign-in that it gave (RFC 6749 4.1.2); ErrNotFound then, and for one that is
// not known.
func (d *DB) RedeemCode(ctx context.Context, hash []byte, now time.Time,
	build func(code models.AuthorizationCode) (models.Grant, Issue, models.Audit, error),
) (ended Ended, err error) {
	var refused error
	err = d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		var code models.AuthorizationCode
		if err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("hash = ?", hash).Take(&code).Error; err != nil {
			return err
		}
		if code.UsedAt != nil {
			refused = ErrNotFound
			ended, err = revokeReused(tx, code, now)
			return err
		}
		grant, issue, entry, err := build(code)
		if err != nil {
			return err
		}
		if err := mustLive(tx, code.UserID); err != nil {
			return err
		}
		if err := createSignIn(tx, grant, issue, entry); err != nil {
			return err
		}
		return tx.Model(&models.AuthorizationCode{}).Where("id = ?", code.ID).
			Updates(map[string]any{"used_at": now, "grant_id": grant.ID}).Error
	})
	if err == nil {
		err = refused
	}
	return ended, err
}

func revokeReused(tx *gorm.DB, code models.AuthorizationCode, now time.Time) (Ended, error) {
	if code.GrantID == nil { // the sign-in is long gone
		return Ended{}, nil
	}
	const reason = "an authorization code came back"
	return revoke(tx, Which{Grant: *code.GrantID}, "system", reason, now, models.Audit{
		TenantID: code.TenantID, ActorKind: "system", Action: "code-reuse", SubjectKind: "grant", SubjectID: code.GrantID, Reason: reason,
	})
}

// TouchGrants notes the day on which sign-ins were last used.
func (d *DB) TouchGrants(ctx context.Context, grants []uuid.UUID, day time.Time) error {
	return d.asUnsynced(ctx, roleAuth, func(tx *gorm.DB) error {
		return tx.Exec("UPDATE grants SET last_used_on = ? WHERE id = ANY(?::uuid[]) AND (last_used_on IS NULL OR last_used_on < ?)",
			day.Format(time.DateOnly), idTexts(grants), day.Format(time.DateOnly)).Error
	})
}

func idTexts(ids []uuid.UUID) models.Texts {
	texts := make(models.Texts, len(ids))
	for i, id := range ids {
		texts[i] = id.String()
	}
	return texts
}

// SignIn is a grant as its user, an admin or support may see it.
type SignIn struct {
	models.Grant
	Alive bool // it has a refresh token that can still be used
}

// SignIns gives the user's sign-ins, newest first.
func (d *DB) SignIns(ctx context.Context, as Asker, user uuid.UUID) (list []SignIn, err error) {
	err = d.ask(ctx, as, func(tx *gorm.DB) error { return tx.Raw(signInsOf, user, maxSignIns).Scan(&list).Error })
	return list, err
}

const (
	maxSignIns = 1000
	signInsOf  = `SELECT g.id, g.tenant_id, g.user_id, g.client_id, g.device_name, g.support_code, g.made_by, g.created_at,
	  g.expires_at, g.last_used_on, g.revoked_at, g.revoked_by, g.revoked_reason,
	  g.revoked_at IS NULL AND EXISTS (SELECT FROM tokens k WHERE k.grant_id = g.id AND k.kind = 'refresh'
	    AND k.used_at IS NULL AND k.expires_at > statement_timestamp()) AS alive
	FROM grants g WHERE g.user_id = ? ORDER BY g.created_at DESC, g.id DESC LIMIT ?`
)

// SignInEnd gives how a sign-in ended; ErrNotFound when it has not.
func (d *DB) SignInEnd(ctx context.Context, grant uuid.UUID) (g models.Grant, err error) {
	err = d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Where("id = ? AND revoked_at IS NOT NULL", grant).Take(&g).Error
	})
	return g, err
}

func addAudit(tx *gorm.DB, entry models.Audit) (err error) {
	if entry.ID == uuid.Nil {
		entry.ID = uuid.Must(uuid.NewV7())
	}
	if entry.TenantID == nil {
		if entry.TenantID, err = concerned(tx, entry); err != nil {
			return err
		}
	}
	switch entry.ActorKind { // people, not the operator or the system
	case string(models.RoleUser), string(models.RoleAdmin), string(models.RoleSupport):
		if network := models.NetworkOf(tx.Statement.Context); network != "" {
			entry.Network = &network
		}
	}
	if err := tx.Omit("At").Create(&entry).Error; err != nil {
		return fmt.Errorf("writing the audit: %w", clean(err))
	}
	return nil
}

// concerned is the company whose admins are to see an entry: support and the
// operator act upon people of a company and are of none.
func concerned(tx *gorm.DB, entry models.Audit) (tenant *uuid.UUID, err error) {
	switch {
	case entry.SubjectID == nil:
		return nil, nil //nolint:nilnil // of no company
	case entry.SubjectKind == "user":
		err = tx.Raw("SELECT (SELECT tenant_id FROM users WHERE id = ?)", entry.SubjectID).Row().Scan(&tenant)
	case entry.SubjectKind == "grant":
		err = tx.Raw("SELECT (SELECT tenant_id FROM grants WHERE id = ?)", entry.SubjectID).Row().Scan(&tenant)
	}
	if err != nil {
		return nil, fmt.Errorf("looking whom an entry concerns: %w", clean(err))
	}
	return tenant, nil
}
