package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
)

// SettingsChange is what a tenant's admin changes; nil leaves a choice as it is.
type SettingsChange struct {
	RetentionDays   *int
	UsersMayDelete  *bool
	LeaverRecords   *models.LeaverRecords
	RecordingReason *string // "": nothing may be recorded any more
	RecordingText   string

	Ceiling time.Duration // HISTORY_MAX_AGE
}

// Settings gives what the tenant has chosen about its records.
func (d *DB) Settings(ctx context.Context, tenant uuid.UUID) (t models.Tenant, err error) {
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		return tx.Select("id, retention_days, kept_ms, users_may_delete, leaver_records, recording_reason, recording_text").
			Where("id = ?", tenant).Take(&t).Error
	})
	return t, err
}

// ChangeSettings writes what the tenant has chosen, with its entry. Records that
// would be kept too long now are shortened in the background, see Restamp.
func (d *DB) ChangeSettings(ctx context.Context, tenant uuid.UUID, change SettingsChange, entry models.Audit) error {
	set := map[string]any{}
	put(set, "retention_days", change.RetentionDays)
	put(set, "users_may_delete", change.UsersMayDelete)
	put(set, "leaver_records", change.LeaverRecords)
	if reason := change.RecordingReason; reason != nil {
		set["recording_reason"], set["recording_text"] = *reason, change.RecordingText
		if *reason == "" {
			set["recording_reason"], set["recording_text"] = nil, nil
		}
	}
	return d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		return changeTenant(tx, tenant, set, change.Ceiling, entry)
	})
}

// CountLimit is how many records a preview looks at.
const CountLimit = 100_000

// Shortening is what a shorter retention would do to the records that exist.
type Shortening struct {
	EndsNow       int64 // records that would be gone at once
	EndsEarlier   int64 // others that would end sooner than they were to
	Live          int64 // calls that are up: let be
	More          bool  // only the oldest CountLimit were counted, and there are more
	LastEndBefore *time.Time
	LastEndAfter  *time.Time
}

// PreviewRestamp says what keeping records no longer than keep would do to them,
// looking at CountLimit of them.
func (d *DB) PreviewRestamp(ctx context.Context, tenant uuid.UUID, keep time.Duration) (s Shortening, err error) {
	return d.previewRestamp(ctx, tenant, keep, CountLimit)
}

func (d *DB) previewRestamp(ctx context.Context, tenant uuid.UUID, keep time.Duration, limit int64) (s Shortening, err error) {
	const look = `SELECT count(*) AS looked,
		count(*) FILTER (WHERE seen AND ended_at IS NOT NULL AND latest <= statement_timestamp()) AS ends_now,
		count(*) FILTER (WHERE seen AND ended_at IS NOT NULL AND latest > statement_timestamp() AND latest < expires_at) AS ends_earlier,
		max(expires_at) FILTER (WHERE seen) AS last_end_before,
		max(least(latest, expires_at)) FILTER (WHERE seen AND latest > statement_timestamp()) AS last_end_after
		FROM (SELECT ended_at, expires_at, expires_at > statement_timestamp() AS seen, ` + latestEnd + ` AS latest
			FROM calls WHERE tenant_id = @tenant ORDER BY created_at `
	const rest = ` LIMIT @limit) c`
	type counts struct {
		Shortening
		Looked int64
	}
	args := map[string]any{"tenant": tenant, "keep": keep.Milliseconds(), "zero": keep.Milliseconds() == 0, "limit": limit + 1}
	var old, young counts
	err = d.as(ctx, roleRetention, tenant, func(tx *gorm.DB) error {
		if err := tx.Raw(look+"ASC, id ASC"+rest, args).Scan(&old).Error; err != nil {
			return err
		}
		args["limit"] = 1000 // where the last ends are, when there are more than were looked at
		if err := tx.Raw(look+"DESC, id DESC"+rest, args).Scan(&young).Error; err != nil {
			return err
		}
		return tx.Raw("SELECT count(*) FROM calls WHERE tenant_id = ? AND ended_at IS NULL AND expires_at > statement_timestamp()", tenant).Scan(&s.Live).Error
	})
	s.EndsNow, s.EndsEarlier = old.EndsNow, old.EndsEarlier
	s.LastEndBefore, s.LastEndAfter = laterOf(old.LastEndBefore, young.LastEndBefore), laterOf(old.LastEndAfter, young.LastEndAfter)
	if s.More = old.Looked > limit; s.More {
		s.EndsNow, s.EndsEarlier = min(s.EndsNow, limit), min(s.EndsEarlier, limit)
	}
	return s, err
}

func laterOf(a, b *time.Time) *time.Time {
	if a == nil || b != nil && b.After(*a) {
		return b
	}
	return a
}

// RestampOf gives the last shortening of the tenant's records; ErrNotFound when
// there was none.
func (d *DB) RestampOf(ctx context.Context, tenant uuid.UUID) (r models.Restamp, err error) {
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		return tx.Where("tenant_id = ?", tenant).Take(&r).Error
	})
	return r, err
}
