// Package retention makes records end on time.
//
// This is its first floor: the GORM purge job deletes what is due, in batches.
// Row-level security hides a record at its instant already; what is deleted here
// is seen by nobody.
package retention

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"clicktodial/server/store"
)

const purgeBatch = 1000

// PurgeJob deletes the calls whose time has come.
type PurgeJob struct {
	DB       *store.DB
	Interval time.Duration
	Log      *slog.Logger
}

// Purged is what one run did.
type Purged struct {
	Calls int64 `json:"calls"`
	Keys  int64 `json:"keys"` // refusals, used keys, dead tokens …
}

// Run purges at each interval until ctx ends. A run that fails is made up for by
// the next.
func (j *PurgeJob) Run(ctx context.Context) error {
	tick := time.NewTicker(j.Interval)
	defer tick.Stop()
	for {
		if done, err := j.Once(ctx); err != nil && ctx.Err() == nil {
			j.Log.Warn("a purge run failed", "error", err)
		} else if done.Calls > 0 {
			j.Log.Info("purged", "calls", done.Calls, "keys", done.Keys)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Once deletes all that is due now, a batch a transaction, so that no lock is
// held for long. A short batch is the last.
func (j *PurgeJob) Once(ctx context.Context) (done Purged, err error) {
	for {
		n, err := j.DB.DeleteDue(ctx, purgeBatch)
		if err != nil {
			return done, fmt.Errorf("deleting due calls: %w", err)
		}
		done.Calls += n
		if n < purgeBatch {
			break
		}
	}
	if done.Keys, err = j.DB.DeleteDueKeys(ctx); err != nil {
		return done, fmt.Errorf("deleting due keys: %w", err)
	}
	return done, nil
}

// Due says how many calls a run would delete now.
func (j *PurgeJob) Due(ctx context.Context) (int64, error) { return j.DB.CountDue(ctx) }
