package live

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
)

// Living says which records of a page of Postgres's have ended: hidden holds those
// whose time, there or in the index, has come by now. The index can only shorten
// a page: a record that it lacks is entered, and shown. With Redis down hidden
// still goes by the entries' own times, and the error, ErrDown, may be ignored.
// It costs a round trip, and a second one where something was lacking.
//
// now is by Postgres's clock (store.DB.Clock), so that what Postgres still shows
// is not taken away before its time.
func (x *TTLIndex) Living(ctx context.Context, now time.Time, entries []Entry) (hidden map[uuid.UUID]bool, err error) {
	hidden = map[uuid.UUID]bool{}
	pages := map[string][]Entry{}
	var key string // of the entry before: mostly this one's too
	var user uuid.UUID
	var until time.Time
	for _, e := range entries {
		if !e.Expires.After(now) {
			hidden[e.Call] = true
			continue
		}
		if end := endOfDay(e.Expires); key == "" || e.User != user || !end.Equal(until) {
			key, user, until = x.histKey(e.User, e.Expires), e.User, end
		}
		pages[key] = append(pages[key], e)
	}
	if len(pages) == 0 {
		return hidden, nil
	}
	var lacking []Entry
	err = x.redis.do(ctx, func(ctx context.Context) error {
		pipe := x.redis.client.Pipeline()
		scores := map[string]*redis.FloatSliceCmd{}
		for key, page := range pages {
			scores[key] = pipe.ZMScore(ctx, key, members(page)...)
		}
		if _, err := pipe.Exec(ctx); err != nil {
			return err
		}
		for key, page := range pages {
			lacking = append(lacking, ended(page, scores[key].Val(), now, hidden)...)
		}
		return nil
	})
	if err != nil || len(lacking) == 0 {
		return hidden, err
	}
	return hidden, x.Add(ctx, lacking...)
}

func members(page []Entry) []string {
	ids := make([]string, len(page))
	for i, e := range page {
		ids[i] = e.Call.String()
	}
	return ids
}

// ended notes whose score has come, and gives those without one: 0, as the client
// library has it.
func ended(page []Entry, scores []float64, now time.Time, hidden map[uuid.UUID]bool) (lacking []Entry) {
	for i, score := range scores {
		switch {
		case score == 0:
			lacking = append(lacking, page[i])
		case !time.UnixMilli(int64(score)).After(now):
			hidden[page[i].Call] = true
		}
	}
	return lacking
}
