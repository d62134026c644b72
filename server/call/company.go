package call

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/phone"
	"clicktodial/server/secret"
	"clicktodial/server/sheet"
	"clicktodial/server/store"
)

// Company is the history of all people of a company, for its admins.
type Company struct {
	DB    *store.DB
	Index *live.TTLIndex
	Keys  *secret.Keys
	Now   func() time.Time

	exports sheet.Slots // under way
}

// CompanySearch narrows the history; CompanyCall is a call with whose it is;
// Listing is a part of the history.
type (
	CompanySearch = store.CompanySearch
	CompanyCall   = store.CompanyCall
	Listing       = store.Listing
)

var errForbidden = fault.New(fault.Forbidden, "forbidden", "You are not allowed to do this.")

// looks is how often one page asks Postgres: a search that meets little in many
// calls then gives what it has, and where to go on.
const looks = 20

// List gives a page of the company's calls, newest first.
func (c *Company) List(ctx context.Context, by models.Actor, page Page, search CompanySearch) (all Listing, err error) {
	if !by.IsAdmin() {
		return all, errForbidden
	}
	for look := 1; ; look++ {
		l, err := c.DB.CompanyHistory(ctx, by.TenantID, page, search, models.Audit{})
		if err != nil {
			return Listing{}, err
		}
		all.Calls = append(all.Calls, c.living(ctx, l.Calls)...)
		all.More, all.Next = l.More, l.Next
		if !l.More || len(l.Calls) == page.Limit || look == looks {
			return all, nil
		}
		page = Page{Limit: page.Limit - len(l.Calls), At: l.Next.At, ID: l.Next.ID}
	}
}

// living leaves out calls whose time has come since Postgres was asked, or by the
// TTL index.
func (c *Company) living(ctx context.Context, calls []CompanyCall) []CompanyCall {
	entries := make([]live.Entry, len(calls))
	for i, call := range calls {
		entries[i] = live.Entry{User: call.UserID, Call: call.ID, Expires: call.ExpiresAt}
	}
	hidden, _ := c.Index.Living(ctx, c.DB.Clock(c.Now()), entries) // without Redis, Postgres has the say
	return slices.DeleteFunc(calls, func(call CompanyCall) bool { return hidden[call.ID] })
}

// Get gives one call of the company and its timeline. Errors: not-found.
func (c *Company) Get(ctx context.Context, by models.Actor, id uuid.UUID) (CompanyCall, []models.CallEvent, error) {
	if !by.IsAdmin() {
		return CompanyCall{}, nil, errForbidden
	}
	call, steps, err := c.DB.CompanyCall(ctx, by.TenantID, id)
	if err == nil && len(c.living(ctx, []CompanyCall{call})) == 0 {
		err = store.ErrNotFound
	}
	if err != nil {
		return CompanyCall{}, nil, err
	}
	return call, steps, nil
}

// Asked is a search as an admin has put it. All that is set must hold.
type Asked struct {
	Number   string // exactly this one, as people write it
	LastFour string
	Name     string    // whole words of it
	UserID   uuid.UUID // of the company
	Email    string    // or the user's
	Outcome  string    // a reason, "failed" or "live"
	From, To time.Time // To is not included
}

// Live is the outcome of a call that has not ended.
const Live = store.OutcomeLive

// Outcomes are what a call can be filtered by.
var Outcomes = []string{
	string(models.HangUp), string(models.CalleeBusy), string(models.CalleeNoAnswer), string(models.CalleeFailure),
	string(models.CallerAbandon), string(models.CallerBusy), string(models.CallerNoAnswer), string(models.CallerFailure),
	string(models.Failed), Live,
}

// Read makes a search of what was asked. Errors: number-invalid, name-invalid,
// outcome-invalid, period-invalid, user-unknown; not-found for a user who is not
// of the company.
func (c *Company) Read(ctx context.Context, by models.Actor, a Asked) (search CompanySearch, err error) {
	if !by.IsAdmin() {
		return search, errForbidden
	}
	search = CompanySearch{Search: Search{From: a.From.UTC(), To: a.To.UTC()}, Outcome: a.Outcome}
	if !a.From.IsZero() && !a.To.IsZero() && !a.From.Before(a.To) {
		return search, fault.New(fault.Refused, "period-invalid", "The period ends before it begins.")
	}
	if a.Outcome != "" && !slices.Contains(Outcomes, a.Outcome) {
		return search, fault.New(fault.Refused, "outcome-invalid", "There is no such outcome.")
	}
	if a.LastFour != "" && !fourDigits.MatchString(a.LastFour) {
		return search, fault.New(fault.Refused, "number-invalid", "The last digits of a number are four.")
	}
	search.LastFour = a.LastFour
	if search.Number, err = c.number(ctx, by, a.Number); err != nil {
		return search, err
	}
	name, err := phone.ParseName(a.Name)
	if err != nil {
		return search, err
	}
	search.Words = name.Reveal()
	search.UserID, err = c.user(ctx, by, a)
	return search, err
}

// ReadDigits puts what was typed as a number, or as the last four digits of one.
func (a *Asked) ReadDigits(text string) {
	if text = strings.TrimSpace(text); fourDigits.MatchString(text) {
		a.LastFour = text
		return
	}
	a.Number = text
}

func (c *Company) number(ctx context.Context, by models.Actor, text string) (phone.Number, error) {
	if text == "" {
		return phone.Number{}, nil
	}
	tenant, err := c.DB.TenantSettings(ctx, by.TenantID)
	if err != nil {
		return phone.Number{}, err
	}
	return phone.Parse(text, tenant.Region)
}

var emailShape = regexp.MustCompile(`^[^\s@]{1,64}@[^\s@]{1,189}$`)

// user finds whose calls are asked for; Nil: everybody's.
func (c *Company) user(ctx context.Context, by models.Actor, a Asked) (uuid.UUID, error) {
	if a.UserID != uuid.Nil {
		person, err := c.DB.Person(ctx, store.ForTenant(by.TenantID), a.UserID, models.Audit{})
		return person.ID, err
	}
	if a.Email == "" {
		return uuid.Nil, nil
	}
	unknown := fault.New(fault.Refused, "user-unknown", "Nobody in your company has this e-mail address.")
	email := strings.ToLower(strings.TrimSpace(a.Email))
	if !emailShape.MatchString(email) {
		return uuid.Nil, unknown
	}
	id, err := c.DB.UserByEmail(ctx, by.TenantID, email)
	if errors.Is(err, store.ErrNotFound) {
		return uuid.Nil, unknown
	}
	return id, err
}

// searchLife is how long a saved search is kept.
const searchLife = time.Hour

const sealSearch = "search"

// SaveSearch seals what an admin has asked, at most 4,000 bytes, and gives the id
// under which only they find it again, for an hour.
func (c *Company) SaveSearch(ctx context.Context, by models.Actor, plain []byte) (uuid.UUID, error) {
	if !by.IsAdmin() {
		return uuid.Nil, errForbidden
	}
	sealed, err := c.Keys.Seal(sealSearch, plain)
	if err != nil {
		return uuid.Nil, fmt.Errorf("sealing a search: %w", err)
	}
	now := c.Now().UTC()
	search := models.SavedSearch{
		ID: uuid.New(), TenantID: by.TenantID, UserID: by.UserID, Sealed: sealed, CreatedAt: now, ExpiresAt: now.Add(searchLife),
	}
	return search.ID, c.DB.SaveSearch(ctx, search)
}

// FindSearch gives it. Errors: not-found, also for somebody else's, and after its time.
func (c *Company) FindSearch(ctx context.Context, by models.Actor, id uuid.UUID) ([]byte, error) {
	if !by.IsAdmin() {
		return nil, errForbidden
	}
	row, err := c.DB.SavedSearch(ctx, by.TenantID, by.UserID, id)
	if err != nil {
		return nil, err
	}
	plain, err := c.Keys.Open(sealSearch, row.Sealed)
	if err != nil { // SECRET_KEY has changed
		return nil, store.ErrNotFound
	}
	return plain, nil
}

// exportEntry tells of an export: which filters it had, and none of their values.
func exportEntry(by models.Actor, search CompanySearch, format Format) models.Audit {
	var kinds []string
	for _, k := range []struct {
		is   bool
		kind string
	}{
		{!search.From.IsZero() || !search.To.IsZero(), "time"}, {search.UserID != uuid.Nil, "user"}, {search.Outcome != "", "outcome"},
		{!search.Number.IsZero(), "number"}, {search.LastFour != "", "last four digits"}, {search.Words != "", "name"},
	} {
		if k.is {
			kinds = append(kinds, k.kind)
		}
	}
	what := "all calls"
	if len(kinds) > 0 {
		what = "by " + strings.Join(kinds, ", ")
	}
	tenant := audit.Subject{Kind: "tenant", ID: by.TenantID, Tenant: by.TenantID}
	return audit.Entry(audit.By(by), "export", tenant, "history as "+string(format)+", "+what)
}
