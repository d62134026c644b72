package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
)

// AuditSearch narrows the audit. All that is set must hold.
type AuditSearch struct {
	ActorID  uuid.UUID
	Action   string
	From, To time.Time // zero: open; To is not included
}

// AuditEntry is an entry of the audit with the people whom it names.
type AuditEntry struct {
	models.Audit
	ActorName  string
	ActorEmail string
	ActorLeft  *time.Time // who it was is not kept any more
	UserID     *uuid.UUID // whom it is about: the user, or whose the sign-in or phone is, as far as that is still there
	UserName   string
	UserEmail  string
	UserLeft   *time.Time
}

// AuditEntries gives a page of the tenant's audit, newest first, and one entry more than
// asked for when there is a next page.
func (d *DB) AuditEntries(ctx context.Context, tenant uuid.UUID, page Page, search AuditSearch) (entries []AuditEntry, err error) {
	page.Limit++
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		return search.list(tx, tenant, page).Scan(&entries).Error
	})
	return entries, err
}

func (s AuditSearch) list(tx *gorm.DB, tenant uuid.UUID, page Page) *gorm.DB {
	where, args := "tenant_id = ?", []any{tenant}
	narrow := func(term string, values ...any) { where, args = where+" AND "+term, append(args, values...) }
	if !page.At.IsZero() {
		narrow("(at, id) < (?, ?)", page.At, page.ID)
	}
	if s.ActorID != uuid.Nil {
		narrow("actor_id = ?", s.ActorID)
	}
	if s.Action != "" {
		narrow("action = ?", s.Action)
	}
	if !s.From.IsZero() {
		narrow("at >= ?", s.From)
	}
	if !s.To.IsZero() {
		narrow("at < ?", s.To)
	}
	// OFFSET 0: the people of a page are looked up, not all read for it.
	return tx.Raw(`SELECT a.*, actor.email AS actor_email, actor.name AS actor_name, actor.deleted_at AS actor_left,
			about.id AS user_id, person.email AS user_email, person.name AS user_name, person.deleted_at AS user_left
		FROM (SELECT * FROM audit WHERE `+where+` ORDER BY at DESC, id DESC LIMIT ?) a
		LEFT JOIN LATERAL (SELECT email, name, deleted_at FROM users WHERE tenant_id = a.tenant_id AND id = a.actor_id OFFSET 0) actor ON true
		CROSS JOIN LATERAL (SELECT CASE a.subject_kind
			WHEN 'user' THEN a.subject_id
			WHEN 'grant' THEN (SELECT user_id FROM grants WHERE tenant_id = a.tenant_id AND id = a.subject_id)
			WHEN 'device' THEN (SELECT user_id FROM devices WHERE tenant_id = a.tenant_id AND id = a.subject_id) END AS id) about
		LEFT JOIN LATERAL (SELECT email, name, deleted_at FROM users WHERE tenant_id = a.tenant_id AND id = about.id OFFSET 0) person ON true
		ORDER BY a.at DESC, a.id DESC`, append(args, page.Limit)...)
}
