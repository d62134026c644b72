package store

import (
	"context"
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
)

// ExportedCall is a record with its timeline.
type ExportedCall struct {
	models.Call
	Timeline Timeline
}

// Timeline is the steps of a call, oldest first.
type Timeline []struct {
	Status models.Status `json:"status"`
	At     time.Time     `json:"at"`
}

// Scan reads the array that Postgres makes.
func (t *Timeline) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*t = nil
		return nil
	case []byte:
		return json.Unmarshal(v, t)
	case string:
		return json.Unmarshal([]byte(v), t)
	}
	return fmt.Errorf("a timeline is a %T", src)
}

// Value is never asked: a timeline is only read.
func (t Timeline) Value() (driver.Value, error) { return json.Marshal(t) }

// ExportCalls gives a page of the subject's living records, restricted ones too,
// newest first; the page after it begins at its last. All in one statement, so
// that none is told after its time.
func (d *DB) ExportCalls(ctx context.Context, s Subject, page Page) (rows []ExportedCall, err error) {
	err = d.ask(ctx, ForPrivacy(s.Tenant), func(tx *gorm.DB) error {
		q := s.calls(tx.Table("calls")).Select(`calls.*, (SELECT json_agg(json_build_object('status', e.status, 'at', e.at) ORDER BY e.rank)
			FROM call_events e WHERE e.tenant_id = calls.tenant_id AND e.call_id = calls.id) AS timeline`)
		return page.cut(q, "created_at").Find(&rows).Error
	})
	return rows, err
}

// cut takes the page out of a list by a time and the id.
func (p Page) cut(q *gorm.DB, column string) *gorm.DB {
	if !p.At.IsZero() {
		q = q.Where("("+column+", id) < (?, ?)", p.At, p.ID)
	}
	return q.Order(column + " DESC, id DESC").Limit(p.Limit)
}

// held reads a page of what a table holds of a user.
func held[T any](ctx context.Context, d *DB, as Asker, s Subject, page Page, column string, columns ...string) (rows []T, err error) {
	err = d.ask(ctx, as, func(tx *gorm.DB) error {
		q := tx.Where("tenant_id = ? AND user_id = ?", s.Tenant, s.User)
		if len(columns) > 0 {
			q = q.Select(columns)
		}
		return page.cut(q, column).Find(&rows).Error
	})
	return rows, err
}

// ExportProfile gives the user's own row, without what they sign in by; ErrNotFound
// for one of another tenant.
func (d *DB) ExportProfile(ctx context.Context, s Subject) (u models.User, err error) {
	err = d.ask(ctx, ForPrivacy(s.Tenant), func(tx *gorm.DB) error {
		return tx.Select("id", "email", "name", "role", "created_at", "disabled_at", "password_set_at", "password_set_by", "totp_confirmed_at").
			Where("tenant_id = ? AND id = ? AND deleted_at IS NULL", s.Tenant, s.User).Take(&u).Error
	})
	return u, err
}

// ExportDevices gives a page of the user's phones.
func (d *DB) ExportDevices(ctx context.Context, s Subject, page Page) ([]models.Device, error) {
	return held[models.Device](ctx, d, ForPrivacy(s.Tenant), s, page, "created_at")
}

// ExportGrants gives a page of the user's sign-ins.
func (d *DB) ExportGrants(ctx context.Context, s Subject, page Page) ([]models.Grant, error) {
	return held[models.Grant](ctx, d, ForPrivacy(s.Tenant), s, page, "created_at", "id", "client_id", "device_name", "support_code", "made_by",
		"created_at", "expires_at", "last_used_on", "revoked_at", "revoked_by", "revoked_reason")
}

// ExportSessions gives a page of the user's console sessions.
func (d *DB) ExportSessions(ctx context.Context, s Subject, page Page) ([]models.Session, error) {
	return held[models.Session](ctx, d, ForPrivacy(s.Tenant), s, page, "created_at", "id", "stage", "browser", "created_at", "seen_at", "expires_at")
}

// ExportPairings gives a page of the user's pairing codes, without the codes.
func (d *DB) ExportPairings(ctx context.Context, s Subject, page Page) ([]models.PairingCode, error) {
	return held[models.PairingCode](ctx, d, SignInDesk, s, page, "created_at", "id", "made_by", "created_at", "expires_at", "used_at")
}

// ExportLinks gives a page of the links that were made for the user.
func (d *DB) ExportLinks(ctx context.Context, s Subject, page Page) ([]models.PasswordLink, error) {
	return held[models.PasswordLink](ctx, d, SignInDesk, s, page, "created_at", "id", "kind", "made_by", "created_at", "expires_at", "used_at")
}

// ExportRefusals gives a page of the user's refused clicks.
func (d *DB) ExportRefusals(ctx context.Context, s Subject, page Page) ([]models.Refusal, error) {
	return held[models.Refusal](ctx, d, ForPrivacy(s.Tenant), s, page, "at")
}

// ExportAudit gives a page of what the user did, and what was done to them. Where
// somebody else acted from is theirs.
func (d *DB) ExportAudit(ctx context.Context, s Subject, page Page) (rows []models.Audit, err error) {
	err = d.ask(ctx, ForPrivacy(s.Tenant), func(tx *gorm.DB) error {
		q := tx.Where("tenant_id = ? AND (actor_id = ? OR subject_id = ?)", s.Tenant, s.User, s.User)
		return page.cut(q, "at").Find(&rows).Error
	})
	for i := range rows {
		if by := rows[i].ActorID; by == nil || *by != s.User {
			rows[i].Network = nil
		}
	}
	return rows, err
}

// Begin audits an act that takes several transactions, or none.
func (d *DB) Begin(ctx context.Context, tenant uuid.UUID, entries ...models.Audit) error {
	return d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		for _, entry := range entries {
			if err := addAudit(tx, entry); err != nil {
				return err
			}
		}
		return nil
	})
}

// CompleteRequest completes the user's open request for the act, if there is one.
func (d *DB) CompleteRequest(ctx context.Context, a Act, records int64) (r models.PrivacyRequest, err error) {
	err = d.ask(ctx, ForPrivacy(a.Subject.Tenant), func(tx *gorm.DB) error {
		if r, err = a.open(tx); err != nil || r.ID == uuid.Nil {
			return err
		}
		return closeRequest(tx, &r, *a.Receipt.DoneAt, false, records)
	})
	return r, err
}
