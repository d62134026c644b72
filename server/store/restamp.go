package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
)

// Shortening makes the records that exist end as early as a tenant's choice, or
// HISTORY_MAX_AGE, now asks for. tenants.kept_ms is the promise that it keeps up:
// no record of the tenant lives longer. New records are held to it by a trigger, so
// that two looks at a tenant's records suffice: one at all of them, oldest first;
// then, kept_ms lowered, one at those that can have come, or been up, meanwhile.
//
// It is a row of restamps from its beginning to its end; each step is one
// transaction, so that whoever comes after a dead replica goes on where it stood.

// RestampState is what a step of shortening has found.
type RestampState int

// The states.
const (
	RestampNothing RestampState = iota // to be done, or left to be done
	RestampFresh                       // it is to be begun: CountCalls, then BeginRestamp
	RestampMore                        // there is more to look at
	RestampWaits                       // for the end of calls that are up
)

// Restamped is what a step of shortening did.
type Restamped struct {
	State   RestampState
	Changed []Moved
}

// Moved is a record that ends earlier than it did.
type Moved struct {
	ID        uuid.UUID
	UserID    uuid.UUID
	Was       time.Time
	ExpiresAt time.Time
	Live      bool
}

// restampLimit bounds one statement of it.
const restampLimit = 2 * time.Second

// tailMargin is how much older than the moment of its click a call's row can be
// when it is committed: a click's time limits add up to less than a minute.
const tailMargin = models.LongestCall + 5*time.Minute

// TakeRestamp gives the lease to shorten; had is false while another has it.
func (d *DB) TakeRestamp(ctx context.Context, holder uuid.UUID) (t Term, had bool, err error) {
	return d.take(ctx, RestampLease, Want{Holder: holder, AtOnce: true}, nil)
}

// LeaveRestamp gives the lease back. Errors: ErrLeaseLost.
func (d *DB) LeaveRestamp(ctx context.Context, t Term) error {
	return d.as(ctx, roleRetention, uuid.Nil, func(tx *gorm.DB) error { return t.release(tx) })
}

// RestampWork gives up to 100 tenants that have records to shorten under the
// ceiling, or whose shortening is not finished.
func (d *DB) RestampWork(ctx context.Context, ceiling time.Duration) (tenants []uuid.UUID, err error) {
	err = d.as(ctx, roleRetention, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Raw(`SELECT t.id FROM tenants t LEFT JOIN restamps r ON r.tenant_id = t.id
			WHERE t.kept_ms > least(t.retention_days::bigint * 86400000, ?) OR r.tenant_id IS NOT NULL AND r.finished_at IS NULL
			ORDER BY t.id LIMIT 100`, ceiling.Milliseconds()).Scan(&tenants).Error
	})
	return tenants, err
}

// RaiseKept lets new records of all tenants live as long as the ceiling allows,
// when it was raised: no record that exists is touched.
func (d *DB) RaiseKept(ctx context.Context, ceiling time.Duration) error {
	return d.as(ctx, roleRetention, uuid.Nil, func(tx *gorm.DB) error {
		// Not below the longest call: one may be up whose record was let be.
		err := tx.Exec(`UPDATE tenants SET kept_ms = greatest(least(retention_days::bigint * 86400000, @ceiling), @call)
			WHERE retention_days > 0 AND kept_ms < least(retention_days::bigint * 86400000, @ceiling)`,
			map[string]any{"ceiling": ceiling.Milliseconds(), "call": models.LongestCall.Milliseconds()}).Error
		if err != nil {
			return err
		}
		return tx.Exec(`UPDATE restamps r SET finished_at = now() FROM tenants t WHERE t.id = r.tenant_id AND r.finished_at IS NULL
			AND r.kept_ms < least(t.retention_days::bigint * 86400000, ?)`, ceiling.Milliseconds()).Error
	})
}

// raiseKept ends a change of a tenant's days. The trigger has raised what is kept
// to the days; here it comes down again to the ceiling, or to what it was, and a
// shortening to less than the days now ask for ends where it stands.
func raiseKept(tx *gorm.DB, tenant uuid.UUID, was int64, days int, ceiling time.Duration) error {
	if ceiling == 0 {
		ceiling = models.Keep(days, 365*models.Day)
	}
	keep := models.Keep(days, ceiling).Milliseconds()
	kept := max(was, keep)
	if days > 0 {
		kept = max(kept, models.LongestCall.Milliseconds()) // as in RaiseKept
	}
	if err := become(tx, Asker{role: roleRetention, tenant: tenant}); err != nil {
		return err
	}
	if err := tx.Exec("UPDATE tenants SET kept_ms = ? WHERE id = ? AND kept_ms > ?", kept, tenant, kept).Error; err != nil {
		return err
	}
	return tx.Exec("UPDATE restamps SET finished_at = now() WHERE tenant_id = ? AND finished_at IS NULL AND kept_ms < ?", tenant, keep).Error
}

// CountCalls counts a tenant's records, some at a time: no statement takes long.
func (d *DB) CountCalls(ctx context.Context, tenant uuid.UUID) (total int64, err error) {
	return d.countCalls(ctx, tenant, CountLimit)
}

func (d *DB) countCalls(ctx context.Context, tenant uuid.UUID, some int64) (total int64, err error) {
	var after lookedTo
	for {
		var last []lookedTo
		var rest int64
		err := d.asRetention(ctx, tenant, func(tx *gorm.DB) error {
			const from = " FROM calls WHERE tenant_id = ? AND (created_at, id) > (?, ?)"
			err := tx.Raw("SELECT created_at AS at, id"+from+" ORDER BY created_at, id OFFSET ? LIMIT 1", tenant, after.At, after.ID, some-1).Scan(&last).Error
			if err != nil || len(last) > 0 {
				return err
			}
			return tx.Raw("SELECT count(*)"+from, tenant, after.At, after.ID).Scan(&rest).Error
		})
		if err != nil || len(last) == 0 {
			return total + rest, err
		}
		total, after = total+some, last[0]
	}
}

// lookedTo is where a look at a tenant's records goes on; zero: at the oldest.
type lookedTo struct {
	At time.Time
	ID uuid.UUID
}

func (d *DB) asRetention(ctx context.Context, tenant uuid.UUID, fn func(*gorm.DB) error) error {
	return d.on(ctx, terms{role: roleRetention, tenant: tenant, statement: restampLimit}, fn)
}

// BeginRestamp begins the shortening of a tenant's records, total in all, in the
// place of any before it.
func (d *DB) BeginRestamp(ctx context.Context, t Term, tenant uuid.UUID, ceiling time.Duration, total int64) error {
	return d.asRetention(ctx, tenant, func(tx *gorm.DB) error {
		plan, err := lockRestamp(tx, tenant, "SHARE")
		if err != nil {
			return err
		}
		err = tx.Exec(`INSERT INTO restamps (tenant_id, kept_ms, started_at, total) VALUES (?, ?, clock_timestamp(), ?)
			ON CONFLICT (tenant_id) DO UPDATE SET kept_ms = excluded.kept_ms, started_at = excluded.started_at, total = excluded.total,
			done = 0, changed = 0, after_at = NULL, after_id = NULL, finished_at = NULL`, tenant, plan.keep(ceiling), total).Error
		if err != nil {
			return err
		}
		return t.keep(tx, 0, 0)
	})
}

// restampPlan is what a tenant wants and has, and the shortening that is open, if any.
type restampPlan struct {
	RetentionDays int
	KeptMS        int64
	open          *models.Restamp
}

func (p restampPlan) keep(ceiling time.Duration) int64 {
	return models.Keep(p.RetentionDays, ceiling).Milliseconds()
}

// lockRestamp reads the plan; nobody changes the tenant's days until the transaction
// ends. With UPDATE nobody adds a record meanwhile either.
func lockRestamp(tx *gorm.DB, tenant uuid.UUID, lock string) (p restampPlan, err error) {
	res := tx.Raw("SELECT retention_days, kept_ms FROM tenants WHERE id = ? FOR "+lock, tenant).Scan(&p)
	if err := one(res); err != nil {
		return p, err
	}
	var open []models.Restamp
	err = tx.Raw("SELECT * FROM restamps WHERE tenant_id = ? AND finished_at IS NULL FOR UPDATE", tenant).Scan(&open).Error
	if err == nil && len(open) > 0 {
		p.open = &open[0]
	}
	return p, err
}

// next says what is to be done: another replica may have begun under a lower
// ceiling, and goes by that.
func (p restampPlan) next(ceiling time.Duration) RestampState {
	keep := p.keep(ceiling)
	switch {
	case p.open == nil && keep >= p.KeptMS:
		return RestampNothing
	case p.open == nil, keep < p.open.KeptMS:
		return RestampFresh
	}
	return RestampMore
}

// first says that this is the look at all records.
func (p restampPlan) first() bool { return p.KeptMS > p.open.KeptMS }

// Restamp looks at the next records of a tenant, size at most, and makes those end
// earlier that would be kept too long. A call that is up is let be: it keeps its
// time up to the longest call's, and goes with its end if nothing is to be kept.
// about is told of them before the commit, which may yet fail. Errors: ErrLeaseLost;
// postgres-unavailable also when size was too much for the time.
func (d *DB) Restamp(ctx context.Context, t Term, tenant uuid.UUID, ceiling time.Duration, size int, about func([]Moved)) (done Restamped, err error) {
	tip := false
	// Unsynced: where it stands goes with it, and lowering kept_ms waits for all.
	err = d.on(ctx, terms{role: roleRetention, tenant: tenant, unsynced: true, statement: restampLimit}, func(tx *gorm.DB) error {
		plan, err := lockRestamp(tx, tenant, "SHARE")
		if err != nil {
			return err
		}
		if done.State = plan.next(ceiling); done.State != RestampMore {
			return nil
		}
		if !plan.first() {
			if waits, err := plan.waits(tx, tenant); err != nil || waits {
				done.State = RestampWaits
				return err
			}
		}
		if done.Changed, tip, err = plan.batch(tx, tenant, size); err != nil {
			return err
		}
		if tip && !plan.first() {
			done.State = RestampNothing
			if err := tx.Exec("UPDATE restamps SET finished_at = clock_timestamp() WHERE tenant_id = ?", tenant).Error; err != nil {
				return err
			}
		}
		if err := t.keep(tx, 0, 0); err != nil {
			return err
		}
		about(done.Changed)
		return nil
	})
	if err != nil {
		return Restamped{}, err
	}
	if tip && done.State == RestampMore {
		err = d.lowerKept(ctx, t, tenant, ceiling)
	}
	return done, err
}

// lowerKept ends the first look and begins the second.
func (d *DB) lowerKept(ctx context.Context, t Term, tenant uuid.UUID, ceiling time.Duration) error {
	return d.asRetention(ctx, tenant, func(tx *gorm.DB) error {
		plan, err := lockRestamp(tx, tenant, "UPDATE")
		if err != nil || plan.next(ceiling) != RestampMore || !plan.first() {
			return err // changed meanwhile: the next step sees to it
		}
		if err := tx.Exec("UPDATE tenants SET kept_ms = ? WHERE id = ?", plan.open.KeptMS, tenant).Error; err != nil {
			return err
		}
		err = tx.Exec("UPDATE restamps SET total = done, after_at = ?, after_id = ? WHERE tenant_id = ?",
			plan.open.StartedAt.Add(-tailMargin), uuid.Nil, tenant).Error
		if err != nil {
			return err
		}
		return t.keep(tx, 0, 0)
	})
}

// waits says that calls are up which were up when shortening began, and whose
// records are yet to be shortened, or gone, at their end.
func (p restampPlan) waits(tx *gorm.DB, tenant uuid.UUID) (waits bool, err error) {
	err = tx.Raw(`SELECT EXISTS (SELECT FROM calls WHERE tenant_id = ? AND ended_at IS NULL
		AND expires_at > created_at + CAST(? AS bigint) * interval '1 millisecond' AND (created_at <= ? OR NOT delete_at_end))`,
		tenant, p.open.KeptMS, p.open.StartedAt).Scan(&waits).Error
	return waits, err
}

// latestEnd is when a record ends at the latest. Whole milliseconds; no earlier than
// the call was made, which the schema asks for.
const latestEnd = `CASE
	WHEN ended_at IS NULL THEN date_trunc('milliseconds', created_at + greatest(CAST(@keep AS bigint) * interval '1 millisecond', interval '4 hours'))
	WHEN @zero THEN greatest(date_trunc('milliseconds', created_at + interval '999 microseconds'), date_trunc('milliseconds', statement_timestamp()))
	ELSE date_trunc('milliseconds', created_at + CAST(@keep AS bigint) * interval '1 millisecond') END`

// batch looks at the next records; tip says that these were the last.
func (p restampPlan) batch(tx *gorm.DB, tenant uuid.UUID, size int) (changed []Moved, tip bool, err error) {
	type row struct {
		ID, UserID           uuid.UUID
		CreatedAt, ExpiresAt time.Time
		TooLong              bool
	}
	args := map[string]any{"tenant": tenant, "keep": p.open.KeptMS, "zero": p.open.KeptMS == 0, "at": time.Time{}, "id": uuid.Nil, "size": size}
	if p.open.AfterAt != nil {
		args["at"], args["id"] = *p.open.AfterAt, *p.open.AfterID
	}
	var rows []row
	err = tx.Raw(`SELECT id, user_id, created_at, expires_at, expires_at > `+latestEnd+` OR @zero AND ended_at IS NULL AND NOT delete_at_end AS too_long
		FROM calls WHERE tenant_id = @tenant AND (created_at, id) > (@at, @id) ORDER BY created_at, id LIMIT @size`, args).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return nil, err == nil, err
	}
	was := map[uuid.UUID]time.Time{}
	var ids []uuid.UUID
	for _, r := range rows {
		if r.TooLong {
			ids, was[r.ID] = append(ids, r.ID), r.ExpiresAt
		}
	}
	if len(ids) > 0 {
		args["ids"] = ids
		// A call that ends meanwhile is judged as it stands when its row is had.
		err = tx.Raw(`UPDATE calls SET expires_at = least(expires_at, `+latestEnd+`), delete_at_end = delete_at_end OR @zero AND ended_at IS NULL
			WHERE tenant_id = @tenant AND id IN @ids RETURNING id, user_id, expires_at, ended_at IS NULL AS live`, args).Scan(&changed).Error
		if err != nil {
			return nil, false, err
		}
	}
	for i := range changed {
		changed[i].Was = was[changed[i].ID]
	}
	looked := len(rows)
	if !p.first() {
		looked = 0 // they were counted
	}
	last := rows[len(rows)-1]
	err = tx.Exec("UPDATE restamps SET done = done + ?, changed = changed + ?, after_at = ?, after_id = ? WHERE tenant_id = ?",
		looked, len(changed), last.CreatedAt, last.ID, tenant).Error
	return changed, len(rows) < size, err
}
