package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/phone"
)

// Page is a place in a list that is sorted newest first.
type Page struct {
	Limit int       // 1 to 100
	At    time.Time // zero: from the newest
	ID    uuid.UUID // tells calls of one millisecond apart
}

// Search narrows a history. All that is set must hold.
type Search struct {
	Number   phone.Number // exactly this number
	LastFour string       // its last four digits
	Words    string       // whole words of the name, in any order; compared by equality: under row-level security LIKE uses no index
	From, To time.Time    // zero: open
}

// History gives a page of the user's calls, newest first, and one row more than
// asked for when there is a next page.
func (d *DB) History(ctx context.Context, tenant, user uuid.UUID, page Page, search Search) (calls []models.Call, err error) {
	page.Limit++
	if search.asksForSome() {
		err = d.as(ctx, roleApp, tenant, func(tx *gorm.DB) error {
			calls, err = findOwn(tx, tenant, page, CompanySearch{Search: search, UserID: user})
			return err
		})
		return calls, err
	}
	calls = make([]models.Call, 0, page.Limit)
	err = d.travel(ctx, func(s session) error {
		t := d.newTrip()
		t.take(roleApp, tenant)
		t.add(ownHistory(t.write, tenant, user, page, search).Find(&[]models.Call{})).Query(findAll(&calls))
		return s.send(t)
	})
	return calls, err
}

// asksForSome says whether not all calls of its time are asked for.
func (s Search) asksForSome() bool { return !s.Number.IsZero() || s.LastFour != "" || s.Words != "" }

func ownHistory(tx *gorm.DB, tenant, user uuid.UUID, page Page, search Search) *gorm.DB {
	q := tx.Where("tenant_id = ? AND user_id = ?", tenant, user)
	if !page.At.IsZero() {
		q = q.Where("(created_at, id) < (?, ?)", page.At, page.ID)
	}
	if !search.From.IsZero() {
		q = q.Where("created_at >= ?", search.From)
	}
	if !search.To.IsZero() {
		q = q.Where("created_at < ?", search.To)
	}
	return q.Order("created_at DESC, id DESC").Limit(page.Limit)
}

// findOwn looks until the page is full. A user has not so many calls that it
// would take long.
func findOwn(tx *gorm.DB, tenant uuid.UUID, page Page, search CompanySearch) (calls []models.Call, err error) {
	for {
		l, err := search.list(tx, tenant, page)
		if err != nil {
			return nil, err
		}
		for _, call := range l.Calls {
			calls = append(calls, call.Call)
		}
		if !l.More || len(l.Calls) == page.Limit {
			return calls, nil
		}
		page.Limit -= len(l.Calls)
		page.At, page.ID = l.Next.At, l.Next.ID
	}
}

// NameCall gives a call another name. Errors: ErrNotFound when it is not the
// user's, call-private.
func (d *DB) NameCall(ctx context.Context, tenant, user, id uuid.UUID, name phone.Name) (call models.Call, err error) {
	err = d.as(ctx, roleApp, tenant, func(tx *gorm.DB) error {
		if call, err = takeCall(tx, tenant, user, id); err != nil {
			return err
		}
		if call.Private && call.Status.Ended() {
			return fault.New(fault.Conflict, "call-private", "A private call that has ended keeps no name.")
		}
		call.Name = name
		res := tx.Model(&models.Call{}).
			Where("tenant_id = ? AND user_id = ? AND id = ? AND NOT (private AND rank = 4)", tenant, user, id).
			Update("name", name)
		if res.Error != nil || res.RowsAffected == 0 { // ended meanwhile
			return res.Error
		}
		return setWords(tx, call)
	})
	return call, err
}

// setWords makes a call be found under the name that it has now.
func setWords(tx *gorm.DB, call models.Call) error {
	if err := tx.Where("tenant_id = ? AND call_id = ?", call.TenantID, call.ID).Delete(&models.CallWord{}).Error; err != nil {
		return err
	}
	words := wordsOf(call)
	if len(words) == 0 {
		return nil
	}
	return tx.Create(&words).Error
}

// MayDelete says whether the tenant lets its users delete from their history.
func (d *DB) MayDelete(ctx context.Context, tenant uuid.UUID) (may bool, err error) {
	err = d.as(ctx, roleApp, tenant, func(tx *gorm.DB) error {
		return tx.Model(&models.Tenant{}).Where("id = ?", tenant).Select("users_may_delete").Scan(&may).Error
	})
	return may, err
}

// Devices gives the user's phones, the one that rings by default first.
func (d *DB) Devices(ctx context.Context, tenant, user uuid.UUID) (devices []models.Device, err error) {
	err = d.as(ctx, roleApp, tenant, func(tx *gorm.DB) error {
		return tx.Where("tenant_id = ? AND user_id = ?", tenant, user).Order("created_at, id").Limit(100).Find(&devices).Error
	})
	return devices, err
}

// TenantSettings gives what the API tells of the tenant.
func (d *DB) TenantSettings(ctx context.Context, tenant uuid.UUID) (t models.Tenant, err error) {
	err = d.as(ctx, roleApp, tenant, func(tx *gorm.DB) error {
		return tx.Select("id, name, region, status, retention_days, users_may_delete, pbx_id").
			Where("id = ?", tenant).Take(&t).Error
	})
	if err != nil {
		return t, fmt.Errorf("reading the tenant: %w", err)
	}
	return t, nil
}
