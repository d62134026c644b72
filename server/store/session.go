package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
)

// Credential is a user as ctd_auth sees them: what signing in goes by.
type Credential struct {
	ID              uuid.UUID
	TenantID        *uuid.UUID
	Email           string
	Name            string
	Role            models.Role
	PasswordHash    *string
	DisabledAt      *time.Time
	TOTPSecret      []byte     `gorm:"column:totp_secret"`
	TOTPConfirmedAt *time.Time `gorm:"column:totp_confirmed_at"`
	TOTPLastStep    int64      `gorm:"column:totp_last_step"`
	TenantName      string
	TenantStatus    models.TenantStatus
	FactorRequired  bool // by the tenant
}

const credentialColumns = `u.id, u.tenant_id, u.email, u.name, u.role, u.password_hash, u.disabled_at, u.totp_secret, u.totp_confirmed_at,
	u.totp_last_step, coalesce(t.name, '') AS tenant_name, coalesce(t.status, 'active') AS tenant_status,
	coalesce(t.require_second_factor, false) AS factor_required`

const credentialRow = "SELECT " + credentialColumns + " FROM users u LEFT JOIN tenants t ON t.id = u.tenant_id"

// FindCredential gives a user by e-mail (already case-folded), or ErrNotFound.
func (d *DB) FindCredential(ctx context.Context, email string) (c Credential, err error) {
	err = d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Raw(credentialRow+" WHERE u.email = ?", email).Take(&c).Error
	})
	return c, err
}

// Credential gives a user by id, or ErrNotFound.
func (d *DB) Credential(ctx context.Context, user uuid.UUID) (c Credential, err error) {
	err = d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error { return tx.Raw(credentialRow+" WHERE u.id = ?", user).Take(&c).Error })
	return c, err
}

// AddSignInAudit writes an entry of the sign-in that stands for itself: a failure.
func (d *DB) AddSignInAudit(ctx context.Context, entry models.Audit) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error { return addAudit(tx, entry) })
}

// SessionRow is a session with its person.
type SessionRow struct {
	Credential
	SessionID uuid.UUID
	Stage     models.Stage
	CreatedAt time.Time
	SeenAt    time.Time
	ExpiresAt time.Time
}

// FindSession gives the session with this hash, or ErrNotFound.
func (d *DB) FindSession(ctx context.Context, hash []byte) (row SessionRow, err error) {
	err = d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Raw("SELECT s.id AS session_id, s.stage, s.created_at, s.seen_at, s.expires_at, "+credentialColumns+
			" FROM sessions s JOIN users u ON u.id = s.user_id LEFT JOIN tenants t ON t.id = u.tenant_id WHERE s.hash = ?", hash).Take(&row).Error
	})
	return row, err
}

// BeginSession stores a session in the place of another one, or of none (Nil).
func (d *DB) BeginSession(ctx context.Context, session models.Session, instead uuid.UUID, entry models.Audit) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		if err := replaceSession(tx, session, instead); err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
}

// replaceSession: two requests that both take the place of one session do not
// both get it.
func replaceSession(tx *gorm.DB, session models.Session, instead uuid.UUID) error {
	if instead != uuid.Nil {
		res := tx.Where("id = ?", instead).Delete(&models.Session{})
		if res.Error == nil && res.RowsAffected == 0 {
			return ErrNotFound
		}
		if res.Error != nil {
			return res.Error
		}
	}
	return tx.Create(&session).Error
}

// TouchSession notes that a session was used.
func (d *DB) TouchSession(ctx context.Context, id uuid.UUID, at time.Time) error {
	return d.asUnsynced(ctx, roleAuth, func(tx *gorm.DB) error {
		return tx.Model(&models.Session{}).Where("id = ? AND seen_at < ?", id, at).Update("seen_at", at).Error
	})
}

// EndSession removes a session of the user; ErrNotFound when there is none such.
func (d *DB) EndSession(ctx context.Context, user, id uuid.UUID, entry models.Audit) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		res := tx.Where("user_id = ? AND id = ?", user, id).Delete(&models.Session{})
		if res.Error == nil && res.RowsAffected == 0 {
			return ErrNotFound
		}
		if res.Error != nil {
			return res.Error
		}
		return addAudit(tx, entry)
	})
}

// Sessions gives the user's sessions that may be used, newest first.
func (d *DB) Sessions(ctx context.Context, user uuid.UUID, seenAfter time.Time) (sessions []models.Session, err error) {
	err = d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Where("user_id = ? AND stage = 'full' AND seen_at > ? AND expires_at > statement_timestamp()", user, seenAfter).
			Order("created_at DESC, id DESC").Limit(100).Find(&sessions).Error
	})
	return sessions, err
}

// ChangePassword stores the user's own new password, ends their other sessions
// and begins the one that comes instead.
func (d *DB) ChangePassword(ctx context.Context, session models.Session, hash string, now time.Time, entry models.Audit) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		if err := setPassword(tx, session.UserID, hash, "user", now); err != nil {
			return err
		}
		if err := tx.Create(&session).Error; err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
}

// FindLink gives a link that can be used at that moment, or ErrNotFound.
func (d *DB) FindLink(ctx context.Context, hash []byte, now time.Time) (link models.PasswordLink, err error) {
	err = d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		if err := tx.Where("hash = ? AND kind <> ? AND used_at IS NULL AND expires_at > ?", hash, models.Export, now).Take(&link).Error; err != nil {
			return err
		}
		return mustLive(tx, link.UserID)
	})
	return link, err
}

// UseLink uses a link up, once, sets the password, ends the user's sessions and
// begins one. Other links to the same user are used up with it.
func (d *DB) UseLink(ctx context.Context, link models.PasswordLink, session models.Session, hash string, now time.Time, entry models.Audit) error {
	return d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		res := tx.Model(&models.PasswordLink{}).Where("id = ? AND used_at IS NULL AND expires_at > ?", link.ID, now).Update("used_at", now)
		if res.Error == nil && res.RowsAffected == 0 {
			return ErrNotFound
		}
		if res.Error != nil {
			return res.Error
		}
		if err := mustLive(tx, link.UserID); err != nil {
			return err
		}
		others := tx.Model(&models.PasswordLink{}).Where("user_id = ? AND used_at IS NULL", link.UserID).Update("used_at", now)
		if others.Error != nil {
			return others.Error
		}
		if err := setPassword(tx, link.UserID, hash, "user", now); err != nil {
			return err
		}
		if err := tx.Create(&session).Error; err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
}

// CreateLink stores a link to a user. ErrNotFound when the user is not of that
// tenant.
func (d *DB) CreateLink(ctx context.Context, as Asker, link models.PasswordLink, entry models.Audit) error {
	return d.ask(ctx, as, func(tx *gorm.DB) error { return createLink(tx, link, entry) })
}

func createLink(tx *gorm.DB, link models.PasswordLink, entry models.Audit) error {
	if err := tx.Create(&link).Error; violates(err, "password_links_tenant_id_user_id_fkey") {
		return ErrNotFound
	} else if err != nil {
		return err
	}
	return addAudit(tx, entry)
}

// Notices gives what others did to the user's way of signing in, newest first.
func (d *DB) Notices(ctx context.Context, user uuid.UUID, since time.Time) (entries []models.Audit, err error) {
	err = d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Raw(`SELECT id, tenant_id, at, actor_kind, action, subject_kind, subject_id FROM audit
			WHERE subject_id = ? AND subject_kind = 'user' AND actor_kind <> 'user' AND actor_id IS DISTINCT FROM ? AND at > ?
			ORDER BY at DESC, id DESC LIMIT 100`, user, user, since).Scan(&entries).Error
	})
	return entries, err
}
