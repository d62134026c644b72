package store

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
	"clicktodial/server/phone"
)

// CompanySearch narrows the history of a company. All that is set must hold.
type CompanySearch struct {
	Search
	UserID  uuid.UUID
	Outcome string // a reason, "failed", or OutcomeLive
}

// OutcomeLive asks for the calls that have not ended.
const OutcomeLive = "live"

// CompanyCall is a call with whose it is.
type CompanyCall struct {
	models.Call
	UserEmail string
	UserName  string
	UserLeft  *time.Time // who it was is not kept any more
}

// Listing is a part of a history. It may hold fewer calls than were asked for, or
// none, while there is more: a search that meets little looks at so many records
// and no more.
type Listing struct {
	Calls []CompanyCall
	More  bool
	Next  Page // where to go on, when there is more
}

// lookLimit is how many records one statement looks at, for filters of which each
// is common and all together are rare: some 30 ms.
const lookLimit = 5000

// CompanyHistory gives a page of the calls of a tenant's people, newest first. An
// entry with an action is written with it.
func (d *DB) CompanyHistory(ctx context.Context, tenant uuid.UUID, page Page, search CompanySearch, entry models.Audit) (l Listing, err error) {
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		if l, err = search.list(tx, tenant, page); err != nil {
			return err
		}
		return auditLook(tx, entry)
	})
	return l, err
}

func (s CompanySearch) list(tx *gorm.DB, tenant uuid.UUID, page Page) (Listing, error) {
	ways, err := s.rarestFirst(tx, tenant, page)
	if err != nil {
		return Listing{}, err
	}
	var rows []lookedAt
	err = s.look(tx, tenant, page, ways).Scan(&rows).Error
	return listingOf(rows, page.Limit), err
}

// lookedAt is a call that fits, or the last one that was looked at.
type lookedAt struct {
	CompanyCall
	Place int64
	Fits  bool
}

func listingOf(rows []lookedAt, limit int) (l Listing) {
	for _, row := range rows {
		if row.Fits && len(l.Calls) == limit {
			l.More = true
			return l
		}
		if row.Fits {
			l.Calls = append(l.Calls, row.CompanyCall)
		}
		l.Next = Page{Limit: limit, At: row.CreatedAt, ID: row.ID}
		l.More = row.Place == lookLimit
	}
	return l
}

// way is a filter by which an index finds calls, newest first.
type way struct {
	from  string // the calls as c, and, where the index is of another table, that table as by
	by    string // c or w
	id    string // by's column of the call
	is    string // the filter, on by
	fits  string // the same, on a call that another way has found
	value []any  // of both
}

func onCalls(is string, value ...any) way {
	return way{from: "calls c", by: "c", id: "c.id", is: is, fits: is, value: value}
}

// order is the list's: the index has it.
func (w way) order() string { return w.by + ".created_at DESC, " + w.id + " DESC" }

// OFFSET 0 keeps the planner, whatever its statistics say, from reading all calls in
// their order for the few that are up, and from joining all calls to a word's. Nor
// is a word asked for by EXISTS: it would make a table of all its calls for that.
const (
	liveCalls   = "(SELECT * FROM calls WHERE tenant_id = ctd_tenant() AND ended_at IS NULL OFFSET 0) c"
	callsOfWord = "call_words w CROSS JOIN LATERAL (SELECT * FROM calls WHERE tenant_id = w.tenant_id AND id = w.call_id OFFSET 0) c"
)

// ways are what is searched by; all calls when nothing is.
func (s CompanySearch) ways() (ways []way) {
	if !s.Number.IsZero() {
		ways = append(ways, onCalls("c.number = ?", s.Number))
	}
	if s.LastFour != "" {
		ways = append(ways, onCalls("c.last_four = ?", s.LastFour))
	}
	for _, word := range nameWords(phone.Name(s.Words)) {
		ways = append(ways, way{
			from: callsOfWord, by: "w", id: "w.call_id", is: "w.word = ?",
			fits:  "(SELECT true FROM call_words x WHERE x.tenant_id = c.tenant_id AND x.call_id = c.id AND x.word = ?)",
			value: []any{word},
		})
	}
	if s.UserID != uuid.Nil {
		ways = append(ways, onCalls("c.user_id = ?", s.UserID))
	}
	switch s.Outcome {
	case "":
	case OutcomeLive:
		live := onCalls("c.ended_at IS NULL")
		live.from = liveCalls
		ways = append(ways, live)
	default:
		ways = append(ways, onCalls("c.outcome = ?", s.Outcome))
	}
	if len(ways) == 0 {
		ways = append(ways, onCalls("true"))
	}
	return ways
}

// rarestFirst gives the ways, the one that meets least first. Whether a word or a
// number is rare only counting tells.
func (s CompanySearch) rarestFirst(tx *gorm.DB, tenant uuid.UUID, page Page) ([]way, error) {
	ways := s.ways()
	if len(ways) == 1 {
		return ways, nil
	}
	var first int
	if err := s.count(tx, tenant, page, ways).Scan(&first).Error; err != nil {
		return nil, err
	}
	ways[0], ways[first] = ways[first], ways[0]
	return ways, nil
}

// count asks which of the ways meets least; what meets many is not told apart.
func (s CompanySearch) count(tx *gorm.DB, tenant uuid.UUID, page Page, ways []way) *gorm.DB {
	const many = "1000"
	var counts []string
	var args []any
	for i, w := range ways {
		from := "calls c"
		if w.by == "w" {
			from = "call_words w"
		}
		where, values := s.where(w, tenant, page)
		counts = append(counts, "SELECT "+strconv.Itoa(i)+" AS i, count(*) AS n FROM (SELECT FROM "+from+" WHERE "+where+
			" ORDER BY "+w.order()+" LIMIT "+many+") x")
		args = append(args, values...)
	}
	return tx.Raw("SELECT i FROM ("+strings.Join(counts, " UNION ALL ")+") x ORDER BY n, i LIMIT 1", args...)
}

// where is what the index of a way is asked.
func (s CompanySearch) where(w way, tenant uuid.UUID, page Page) (where string, args []any) {
	where = w.by + ".tenant_id = ? AND " + w.is
	args = append([]any{tenant}, w.value...)
	if !page.At.IsZero() {
		where += " AND (" + w.by + ".created_at, " + w.id + ") < (?, ?)"
		args = append(args, page.At, page.ID)
	}
	if !s.From.IsZero() {
		where += " AND " + w.by + ".created_at >= ?"
		args = append(args, s.From)
	}
	if !s.To.IsZero() {
		where += " AND " + w.by + ".created_at < ?"
		args = append(args, s.To)
	}
	return where, args
}

// look asks for one page: by the first of the ways it goes through at most
// lookLimit calls, and stops at the page's end. The last call that it may look at
// comes along whether it fits or not: from there the next statement goes on.
func (s CompanySearch) look(tx *gorm.DB, tenant uuid.UUID, page Page, ways []way) *gorm.DB {
	first := ways[0]
	fits, args := []string{"true"}, []any(nil)
	for _, w := range ways[1:] {
		fits = append(fits, w.fits)
		args = append(args, w.value...)
	}
	where, values := s.where(first, tenant, page)
	args = append(args, values...)
	limit := strconv.Itoa(lookLimit)
	return tx.Raw(withUsers+` FROM (
		SELECT * FROM (
			SELECT c.*, `+first.by+`.created_at AS by_at, `+first.id+` AS by_id, row_number() OVER (ORDER BY `+first.order()+`) AS place,
				coalesce(`+strings.Join(fits, " AND ")+`, false) AS fits
			FROM `+first.from+` WHERE `+where+` ORDER BY `+first.order()+` LIMIT `+limit+`
		) c WHERE fits OR place = `+limit+` ORDER BY by_at DESC, by_id DESC LIMIT ?
	) c `+joinUsers+" ORDER BY by_at DESC, by_id DESC", append(args, page.Limit+1)...)
}

// OFFSET 0 again: some dozens of people are looked up, not all read for them.
const (
	withUsers = "SELECT c.*, u.email AS user_email, u.name AS user_name, u.deleted_at AS user_left"
	joinUsers = `LEFT JOIN LATERAL (
		SELECT email, name, deleted_at FROM users WHERE tenant_id = c.tenant_id AND id = c.user_id OFFSET 0) u ON true`
)

// CompanyCall gives one call of the tenant's people with its timeline; ErrNotFound
// when there is none such.
func (d *DB) CompanyCall(ctx context.Context, tenant, id uuid.UUID) (call CompanyCall, steps []models.CallEvent, err error) {
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		err := tx.Raw(withUsers+" FROM calls c "+joinUsers+" WHERE c.tenant_id = ? AND c.id = ?", tenant, id).Take(&call).Error
		if err != nil {
			return err
		}
		return tx.Where("tenant_id = ? AND call_id = ?", tenant, id).Order("rank").Find(&steps).Error
	})
	return call, steps, err
}

// UserByEmail finds somebody of the tenant by their whole e-mail, lower-case.
func (d *DB) UserByEmail(ctx context.Context, tenant uuid.UUID, email string) (uuid.UUID, error) {
	var user models.User
	err := d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		return tx.Select("id").Where("tenant_id = ? AND email = ? AND deleted_at IS NULL", tenant, email).Take(&user).Error
	})
	return user.ID, err
}

// SaveSearch keeps what an admin has asked the history for, until it expires.
func (d *DB) SaveSearch(ctx context.Context, search models.SavedSearch) error {
	return d.ask(ctx, ForTenant(search.TenantID), func(tx *gorm.DB) error { return tx.Create(&search).Error })
}

// SavedSearch gives what the user has asked; ErrNotFound when it was another, or
// its time has come.
func (d *DB) SavedSearch(ctx context.Context, tenant, user, id uuid.UUID) (search models.SavedSearch, err error) {
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		return tx.Where("tenant_id = ? AND user_id = ? AND id = ?", tenant, user, id).Take(&search).Error
	})
	return search, err
}
