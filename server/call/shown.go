package call

import (
	"context"
	"slices"
	"time"

	"clicktodial/models"
	"clicktodial/server/live"
	"clicktodial/server/store"
)

// lookAtMost bounds how many pages are read to fill one: where the index hides
// what Postgres shows, something is wrong with Postgres.
const lookAtMost = 10

// shown leaves out of what Postgres gave whatever has ended meanwhile, by its own
// time or by the index. It works in place.
func (s *Service) shown(ctx context.Context, calls []models.Call) []models.Call {
	entries := make([]live.Entry, len(calls))
	for i, c := range calls {
		entries[i] = live.Entry{User: c.UserID, Call: c.ID, Expires: c.ExpiresAt}
	}
	hidden, _ := s.Index.Living(ctx, s.DB.Clock(s.Now()), entries) // without Redis, Postgres has the say
	return slices.DeleteFunc(calls, func(c models.Call) bool { return hidden[c.ID] })
}

// Over says whether a record that ends then has ended.
func (s *Service) Over(expires time.Time) bool { return !expires.After(s.DB.Clock(s.Now())) }

// shownOne is shown for one call.
func (s *Service) shownOne(ctx context.Context, call models.Call, err error) (models.Call, error) {
	if err != nil {
		return models.Call{}, err
	}
	if len(s.shown(ctx, []models.Call{call})) == 0 {
		return models.Call{}, store.ErrNotFound
	}
	return call, nil
}

// shownPage gives a page that is full as long as there are more.
func (s *Service) shownPage(ctx context.Context, caller Caller, page Page, search Search) (calls []models.Call, more bool, err error) {
	want := page.Limit
	for range lookAtMost {
		page.Limit = want - len(calls)
		rows, err := s.DB.History(ctx, caller.TenantID, caller.UserID, page, search)
		if err != nil {
			return nil, false, err
		}
		if more = len(rows) > page.Limit; more {
			rows = rows[:page.Limit]
			page.At, page.ID = rows[len(rows)-1].CreatedAt, rows[len(rows)-1].ID
		}
		if rows = s.shown(ctx, rows); calls == nil {
			calls = rows // as good as always the whole page
		} else {
			calls = append(calls, rows...)
		}
		if !more || len(calls) == want {
			break
		}
	}
	return calls, more && len(calls) > 0, nil
}
