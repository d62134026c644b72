package store

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/phone"
)

// Bar puts a number on the tenant's do-not-dial list, under the first of its
// hashes, unless it is there under another.
func (d *DB) Bar(ctx context.Context, a Act, hashes [][]byte) (r models.PrivacyRequest, err error) {
	err = d.ask(ctx, ForPrivacy(a.Subject.Tenant), func(tx *gorm.DB) error {
		listed, err := holds(tx, &models.DoNotDial{}, a.Subject.Tenant, hashes)
		if err != nil {
			return err
		}
		if !listed {
			row := models.DoNotDial{TenantID: a.Subject.Tenant, Hash: hashes[0], CreatedAt: *a.Receipt.DoneAt}
			if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
				return err
			}
		}
		if r, err = a.write(tx, 0); err != nil {
			return err
		}
		return note(tx, LedgerNote{Kind: NoteObjection, Hash: hashes[0]})
	})
	return r, err
}

var (
	errNotListed     = fault.New(fault.Conflict, "not-on-list", "This number is not on the do-not-dial list.")
	errNotRestricted = fault.New(fault.Conflict, "not-restricted", "The records of this person are not restricted.")
)

// Unbar takes a number off the list. Errors: not-on-list.
func (d *DB) Unbar(ctx context.Context, a Act, hashes [][]byte) (r models.PrivacyRequest, err error) {
	err = d.ask(ctx, ForPrivacy(a.Subject.Tenant), func(tx *gorm.DB) error {
		res := tx.Where("tenant_id = ? AND hash IN ?", a.Subject.Tenant, hashes).Delete(&models.DoNotDial{})
		if res.Error == nil && res.RowsAffected == 0 {
			return errNotListed
		}
		if res.Error != nil {
			return res.Error
		}
		if r, err = a.write(tx, 0); err != nil {
			return err
		}
		return note(tx, liftNotes(NoteObjectionLifted, hashes)...)
	})
	return r, err
}

// liftNotes name the entry by each hash that it may have been made under.
func liftNotes(kind string, hashes [][]byte) (notes []LedgerNote) {
	for _, hash := range hashes {
		notes = append(notes, LedgerNote{Kind: kind, Hash: hash})
	}
	return notes
}

// Restrict hides the subject's ended records from everybody until it is lifted;
// they end on time all the same. Those of calls that are up, or come later, are
// not hidden: each restriction is of what there was.
func (d *DB) Restrict(ctx context.Context, a Act, hashes [][]byte) (r models.PrivacyRequest, err error) {
	at := *a.Receipt.DoneAt
	err = d.ask(ctx, ForPrivacy(a.Subject.Tenant), func(tx *gorm.DB) error {
		// One who asks again means what has come since too.
		if err := tx.Where("tenant_id = ? AND hash IN ?", a.Subject.Tenant, hashes).Delete(&models.Restriction{}).Error; err != nil {
			return err
		}
		row := models.Restriction{TenantID: a.Subject.Tenant, Subject: a.Subject.Kind(), Hash: hashes[0], CreatedAt: at}
		if err := tx.Clauses(clause.OnConflict{DoNothing: true}).Create(&row).Error; err != nil {
			return err
		}
		if err := addAudit(tx, a.Entry); err != nil {
			return err
		}
		return note(tx, LedgerNote{Kind: NoteRestriction, Hash: hashes[0], Before: at})
	})
	if err != nil {
		return r, err
	}
	total, err := d.setRestricted(ctx, a.Subject, true, at, func(*gorm.DB, []models.Call) ([]uuid.UUID, error) { return nil, nil })
	if err != nil {
		return r, err
	}
	a.Entry = models.Audit{} // it is written already
	return d.Acted(ctx, a, total)
}

// HashSubject gives what a subject is known by in the list of restrictions.
type HashSubject func(Subject) ([][]byte, error)

// Unrestrict shows the subject's records again, but for those that the other
// party's restriction hides too. Errors: not-restricted.
func (d *DB) Unrestrict(ctx context.Context, a Act, hashes [][]byte, hash HashSubject) (r models.PrivacyRequest, err error) {
	tenant := a.Subject.Tenant
	err = d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		held, err := holds(tx, &models.Restriction{}, tenant, hashes)
		if err == nil && !held {
			return errNotRestricted
		}
		if err != nil {
			return err
		}
		return addAudit(tx, a.Entry)
	})
	if err != nil {
		return r, err
	}
	a.Entry = models.Audit{} // it is written
	total, err := d.setRestricted(ctx, a.Subject, false, *a.Receipt.DoneAt, func(tx *gorm.DB, rows []models.Call) ([]uuid.UUID, error) {
		return stillHidden(tx, tenant, rows, hashes, hash)
	})
	if err != nil {
		return r, err
	}
	err = d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		if err := tx.Where("tenant_id = ? AND hash IN ?", tenant, hashes).Delete(&models.Restriction{}).Error; err != nil {
			return err
		}
		if r, err = a.write(tx, total); err != nil {
			return err
		}
		return note(tx, liftNotes(NoteRestrictionLifted, hashes)...)
	})
	return r, err
}

// setRestricted hides or shows the subject's ended records, a batch a transaction,
// but for those that keep names, and counts them.
func (d *DB) setRestricted(ctx context.Context, s Subject, restricted bool, until time.Time,
	keep func(*gorm.DB, []models.Call) ([]uuid.UUID, error),
) (total int64, err error) {
	var after Page
	for {
		var rows []models.Call
		err := d.ask(ctx, ForPrivacy(s.Tenant), func(tx *gorm.DB) error {
			q := s.calls(tx).Where("ended_at <= ?", until)
			if !after.At.IsZero() {
				q = q.Where("(created_at, id) > (?, ?)", after.At, after.ID)
			}
			if err := q.Select("id", "user_id", "number", "ended_at", "created_at").Order("created_at, id").Limit(eraseBatch).Find(&rows).Error; err != nil {
				return err
			}
			kept, err := keep(tx, rows)
			if err != nil {
				return err
			}
			ids := make([]uuid.UUID, 0, len(rows))
			for _, row := range rows {
				if !slices.Contains(kept, row.ID) {
					ids = append(ids, row.ID)
				}
			}
			res := tx.Model(&models.Call{}).Where("tenant_id = ? AND id = ANY(?::uuid[]) AND restricted <> ?", s.Tenant, idTexts(ids), restricted).
				Update("restricted", restricted)
			total += res.RowsAffected
			return res.Error
		})
		if err != nil || len(rows) < eraseBatch {
			return total, err
		}
		last := rows[len(rows)-1]
		after = Page{At: last.CreatedAt, ID: last.ID}
	}
}

// stillHidden gives the records that another restriction hides: the caller's own,
// or that of whoever was called.
func stillHidden(tx *gorm.DB, tenant uuid.UUID, rows []models.Call, lifted [][]byte, hash HashSubject) ([]uuid.UUID, error) {
	var others []models.Restriction
	if err := tx.Where("tenant_id = ? AND hash NOT IN ?", tenant, lifted).Find(&others).Error; err != nil || len(others) == 0 {
		return nil, err
	}
	known := map[Subject]time.Time{} // what was found out of a subject before
	hiddenUntil := func(s Subject) (time.Time, error) {
		if at, ok := known[s]; ok {
			return at, nil
		}
		hashes, err := hash(s)
		for _, h := range hashes {
			for _, other := range others {
				if bytes.Equal(h, other.Hash) {
					known[s] = other.CreatedAt
					return other.CreatedAt, nil
				}
			}
		}
		known[s] = time.Time{}
		return time.Time{}, err
	}
	var hidden []uuid.UUID
	for _, row := range rows {
		for _, s := range subjectsOf(tenant, row) {
			at, err := hiddenUntil(s)
			if err != nil {
				return nil, err
			}
			if !row.EndedAt.After(at) {
				hidden = append(hidden, row.ID)
				break
			}
		}
	}
	return hidden, nil
}

// subjectsOf gives whom a record is about: who called, and who was called, by the
// number with its extension and without.
func subjectsOf(tenant uuid.UUID, row models.Call) []Subject {
	all := []Subject{{Tenant: tenant, User: row.UserID}}
	if row.Number.IsZero() {
		return all
	}
	all = append(all, Subject{Tenant: tenant, Number: row.Number})
	if row.Number.Extension() != "" {
		var whole phone.Number
		if whole.Scan(row.Number.E164()) == nil {
			all = append(all, Subject{Tenant: tenant, Number: whole})
		}
	}
	return all
}

// Restrictions counts the subjects whose records are restricted.
func (d *DB) Restrictions(ctx context.Context, tenant uuid.UUID) (n int64, err error) {
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		return tx.Model(&models.Restriction{}).Where("tenant_id = ?", tenant).Count(&n).Error
	})
	return n, err
}

// Objections counts the numbers on the do-not-dial list.
func (d *DB) Objections(ctx context.Context, tenant uuid.UUID) (n int64, err error) {
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		return tx.Model(&models.DoNotDial{}).Where("tenant_id = ?", tenant).Count(&n).Error
	})
	return n, err
}
