package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clicktodial/models"
)

// eraseBatch is how many records one transaction deletes.
const eraseBatch = 1000

// Erased is a record that is gone, for whoever else knows of it.
type Erased struct {
	User, Call uuid.UUID
	Expires    time.Time
}

// Erasure says which records are to go.
type Erasure struct {
	Subject Subject
	Before  time.Time // those made until then
	// Whole is an erasure of a data subject: restricted records go too, what else
	// hangs on a user's clicks, and a call that is up takes its record along when it
	// ends. A user who clears their history keeps what is restricted or up.
	Whole bool
	Note  LedgerNote
	Entry models.Audit // none: a user's own
}

// Erase deletes the subject's ended records, a batch a transaction, and tells gone
// of each batch once it is committed. Note and audit are made with the first: what a
// crash has left of the request, a restored dump must not bring back either. With
// the last one a data subject's erasure becomes evidence. It counts the records that
// go, those of calls that are up among them.
func (d *DB) Erase(ctx context.Context, e Erasure, gone func([]Erased)) (n int64, err error) {
	as := ForTenant(e.Subject.Tenant)
	if e.Whole {
		as = ForPrivacy(e.Subject.Tenant)
	}
	for first := true; ; first = false {
		var rows []Erased
		var live int64
		err := d.ask(ctx, as, func(tx *gorm.DB) (err error) {
			if first && e.Whole {
				if live, err = e.takeAlong(tx); err != nil {
					return err
				}
			}
			if rows, err = e.batch(tx); err != nil {
				return err
			}
			if first {
				if err := e.written(tx); err != nil {
					return err
				}
			}
			if e.Whole && len(rows) < eraseBatch {
				return erasureEvidence(tx, e.Before, n+live+int64(len(rows)))
			}
			return nil
		})
		if err != nil {
			return n, err
		}
		n += live + int64(len(rows))
		if gone != nil && len(rows) > 0 {
			gone(rows)
		}
		if len(rows) < eraseBatch {
			return n, nil
		}
	}
}

// written puts down that the erasure has begun.
func (e Erasure) written(tx *gorm.DB) error {
	if err := auditLook(tx, e.Entry); err != nil {
		return err
	}
	return note(tx, e.Note)
}

// erasureEvidence says when and how many, and not of whom. Call it last, as
// addEvidence.
func erasureEvidence(tx *gorm.DB, began time.Time, calls int64) error {
	oldest, err := oldestCall(tx)
	if err != nil {
		return err
	}
	_, err = addEvidence(tx, models.Evidence{Kind: models.EvidenceErasure, StartedAt: began, Calls: calls, Oldest: oldest})
	return err
}

// takeAlong lets the end of a call that is up take its record; what is kept
// besides calls goes at once. Before the first batch: what has ended meanwhile
// is in that.
func (e Erasure) takeAlong(tx *gorm.DB) (live int64, err error) {
	if err := knowUser(tx, e.Subject); err != nil {
		return 0, err
	}
	var up []models.Call
	res := e.Subject.calls(tx.Model(&up).Clauses(clause.Returning{Columns: []clause.Column{{Name: "id"}}})).
		Where("ended_at IS NULL AND created_at <= ?", e.Before).
		Updates(map[string]any{"private": true, "delete_at_end": true})
	if res.Error != nil {
		return 0, res.Error
	}
	ids := make([]uuid.UUID, len(up))
	for i := range up {
		ids[i] = up[i].ID
	}
	if err := clearKeys(tx, e.Subject.Tenant, ids); err != nil {
		return 0, err
	}
	if e.Subject.Kind() == models.SubjectUser {
		err = e.takeClicks(tx)
	}
	return res.RowsAffected, err
}

// takeClicks takes what else hangs on a user's clicks: those that were refused, and
// what those are known by whose call has gone before, at 0 days.
func (e Erasure) takeClicks(tx *gorm.DB) error {
	of := tx.Where("tenant_id = ? AND user_id = ?", e.Subject.Tenant, e.Subject.User).Session(&gorm.Session{})
	if err := of.Where("at <= ?", e.Before).Delete(&models.Refusal{}).Error; err != nil {
		return err
	}
	return of.Model(&models.Idempotency{}).Where("call_id IS NULL AND fingerprint IS NOT NULL").Update("fingerprint", nil).Error
}

func (e Erasure) batch(tx *gorm.DB) (rows []Erased, err error) {
	err = e.Subject.calls(tx.Model(&models.Call{})).Clauses(clause.Locking{Strength: "UPDATE"}).
		Select("id AS call, user_id AS \"user\", expires_at AS expires").
		Where("ended_at IS NOT NULL AND created_at <= ?", e.Before).Order("created_at, id").Limit(eraseBatch).Scan(&rows).Error
	if err != nil {
		return nil, err
	}
	return rows, deleteCalls(tx, e.Subject.Tenant, rows)
}

// deleteCalls deletes records, their timelines and words, and what a repeated
// click could be known by.
func deleteCalls(tx *gorm.DB, tenant uuid.UUID, rows []Erased) error {
	if len(rows) == 0 {
		return nil
	}
	ids := make([]uuid.UUID, len(rows))
	for i := range rows {
		ids[i] = rows[i].Call
	}
	if err := clearKeys(tx, tenant, ids); err != nil {
		return err
	}
	return tx.Where("tenant_id = ? AND id = ANY(?::uuid[])", tenant, idTexts(ids)).Delete(&models.Call{}).Error
}

// clearKeys blanks the fingerprints of the clicks that made the calls: repeated,
// they are answered call-gone and ring nothing.
func clearKeys(tx *gorm.DB, tenant uuid.UUID, calls []uuid.UUID) error {
	if len(calls) == 0 {
		return nil
	}
	return tx.Model(&models.Idempotency{}).Where("tenant_id = ? AND call_id = ANY(?::uuid[])", tenant, idTexts(calls)).
		Update("fingerprint", nil).Error
}

// DeleteCall removes one ended call from the user's history; a living one stays,
// or its end would be lost. ErrNotFound when there is none such.
func (d *DB) DeleteCall(ctx context.Context, tenant, user, id uuid.UUID, n LedgerNote) (gone Erased, err error) {
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		err := findCall(tx.Model(&models.Call{}), tenant, user, id).Clauses(clause.Locking{Strength: "UPDATE"}).
			Select("id AS call, user_id AS \"user\", expires_at AS expires").Where("ended_at IS NOT NULL").Take(&gone).Error
		if err != nil {
			return err
		}
		if err := deleteCalls(tx, tenant, []Erased{gone}); err != nil {
			return err
		}
		return note(tx, n)
	})
	return gone, err
}
