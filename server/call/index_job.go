package call

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"clicktodial/server/live"
	"clicktodial/server/store"
)

// IndexJob keeps what is judged beside Postgres true: the Redis TTL index is built
// again where it is lost, and the difference of the clocks is known.
type IndexJob struct {
	DB    *store.DB
	Index *live.TTLIndex
	Every time.Duration
	Now   func() time.Time
	Log   *slog.Logger
}

// Run looks at once and then every so often, until ctx ends. What fails is tried
// again: meanwhile Postgres has the say.
func (j *IndexJob) Run(ctx context.Context) error {
	for {
		if err := j.DB.SetClock(ctx, j.Now); err != nil && ctx.Err() == nil {
			j.Log.Debug("the clocks were not compared", "error", err)
		}
		if _, err := j.Once(ctx); err != nil && ctx.Err() == nil && !errors.Is(err, live.ErrDown) {
			j.Log.Warn("the index was not rebuilt", "error", err)
		}
		if !pause(ctx, j.Every) {
			return ctx.Err()
		}
	}
}

// Once rebuilds the index where it was lost and no other replica is at it, and
// says how many records it entered.
func (j *IndexJob) Once(ctx context.Context) (entered int, err error) {
	built, err := j.Index.Built(ctx)
	if err != nil || built {
		return 0, err
	}
	began := time.Now()
	ran, err := j.Index.Rebuild(ctx, func(load func([]live.Entry) error) error {
		return j.DB.EachLiving(ctx, func(page store.LivingPage) error {
			entered += len(page.Records)
			return j.enter(ctx, page, load)
		})
	})
	if err != nil {
		return entered, fmt.Errorf("rebuilding the index: %w", err)
	}
	if ran {
		j.Log.Info("the index was rebuilt", "entries", entered, "took_ms", time.Since(began).Milliseconds())
	}
	return entered, nil
}

// enter writes a page, and takes back what was deleted while it was on its way:
// whoever deleted it may have cleaned up before we wrote. What is deleted after
// this look is cleaned up after it too.
func (j *IndexJob) enter(ctx context.Context, page store.LivingPage, load func([]live.Entry) error) error {
	if err := load(entriesOf(page.Records)); err != nil {
		return err
	}
	gone, err := j.DB.Missing(ctx, page)
	if err != nil || len(gone) == 0 {
		return err
	}
	return j.Index.Remove(ctx, entriesOf(gone)...)
}

func entriesOf(page []store.Living) []live.Entry {
	entries := make([]live.Entry, len(page))
	for i, r := range page {
		entries[i] = live.Entry{User: r.User, Call: r.Call, Expires: r.ExpiresAt}
	}
	return entries
}
