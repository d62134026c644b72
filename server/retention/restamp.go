package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/store"
)

// How many records are looked at in one transaction. A batch that was too much for
// its time is tried again at half the size. Each record is written to ten indexes,
// and a click's commit waits until what was written before it is on the disk: no
// batch may be large.
const (
	restampBatch    = 50
	restampSmallest = 10
	restampRest     = 1.0 // of a batch's time so much again is left to others
)

// RestampJob makes records that exist end earlier when a tenant has shortened its
// retention, or the operator HISTORY_MAX_AGE. One replica at a time does it.
type RestampJob struct {
	DB      *store.DB
	Index   *live.TTLIndex
	Ceiling time.Duration // HISTORY_MAX_AGE
	Log     *slog.Logger

	Every time.Duration   // how often to look for work; 0: each second
	Wake  <-chan struct{} // look now; nil: never
	Batch int             // 0: restampBatch

	holder uuid.UUID
}

// Prepare lets new records live as long as the ceiling allows: before the first of
// them is made.
func (j *RestampJob) Prepare(ctx context.Context) error {
	if err := j.DB.RaiseKept(ctx, j.Ceiling); err != nil {
		return fmt.Errorf("raising what is kept: %w", err)
	}
	return nil
}

// Run looks for work until ctx ends. What fails is tried again at the next look,
// by this replica or another.
func (j *RestampJob) Run(ctx context.Context) error {
	every := j.Every
	if every == 0 {
		every = time.Second
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := j.Once(ctx); err != nil && ctx.Err() == nil {
			j.Log.Warn("shortening was interrupted", "error", err)
		}
		select {
		case <-tick.C:
		case <-j.Wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Once shortens what there is to shorten, unless another replica is at it. Tenants
// take turns, so that a small one need not wait for a large one.
func (j *RestampJob) Once(ctx context.Context) error {
	work, err := j.DB.RestampWork(ctx, j.Ceiling)
	if err != nil || len(work) == 0 {
		return err
	}
	if j.holder == uuid.Nil {
		j.holder = uuid.New()
	}
	term, had, err := j.DB.TakeRestamp(ctx, j.holder)
	if err != nil || !had {
		return err
	}
	size := j.Batch
	if size == 0 {
		size = restampBatch
	}
	for len(work) > 0 && err == nil {
		again := work[:0]
		for _, tenant := range work {
			began := time.Now()
			more, stepErr := j.step(ctx, term, tenant, size)
			if tooMuch(stepErr) && size > restampSmallest {
				more, stepErr, size = true, nil, size/2
			}
			if more {
				again = append(again, tenant)
			}
			if err == nil {
				err = stepErr
			}
			if more && err == nil {
				err = rest(ctx, began, restampRest)
			}
		}
		work = again
	}
	if errors.Is(err, store.ErrLeaseLost) || ctx.Err() != nil {
		return err
	}
	return errors.Join(err, j.DB.LeaveRestamp(ctx, term))
}

// tooMuch says whether a step may succeed with fewer records.
func tooMuch(err error) bool { return fault.Code(err) == "postgres-unavailable" }

// step takes one step of a tenant's shortening; more says that another can follow
// at once.
func (j *RestampJob) step(ctx context.Context, term store.Term, tenant uuid.UUID, size int) (more bool, err error) {
	done, err := j.DB.Restamp(ctx, term, tenant, j.Ceiling, size, func(moved []store.Moved) { j.forget(ctx, moved) })
	j.follow(ctx, done.Changed) // also when what came after their commit failed
	if err != nil {
		return false, fmt.Errorf("shortening: %w", err)
	}
	if done.State != store.RestampFresh {
		return done.State == store.RestampMore, nil
	}
	total, err := j.DB.CountCalls(ctx, tenant)
	if err != nil {
		return false, fmt.Errorf("counting what is to be shortened: %w", err)
	}
	if err := j.DB.BeginRestamp(ctx, term, tenant, j.Ceiling, total); err != nil {
		return false, fmt.Errorf("beginning to shorten: %w", err)
	}
	j.Log.Info("shortening the retention of what exists", "tenant_id", tenant, "records", total)
	return true, nil
}

// forget takes records out of the index that are about to end at another time:
// should we die after the commit, nothing is left behind that nobody looks for. A
// record that the index does not have is entered when it is read.
func (j *RestampJob) forget(ctx context.Context, moved []store.Moved) {
	if len(moved) == 0 {
		return
	}
	entries := make([]live.Entry, len(moved))
	for i, m := range moved {
		entries[i] = live.Entry{User: m.UserID, Call: m.ID, Expires: m.Was}
	}
	_ = j.Index.Remove(ctx, entries...) // Redis may be away
}

// follow brings the index after what has been committed. What has ended already, or
// goes with its call's end, is not entered again: it would outlive its record when
// that is deleted before us.
func (j *RestampJob) follow(ctx context.Context, moved []store.Moved) {
	j.forget(ctx, moved) // again: it may have been read, and so entered, meanwhile
	var fresh []live.Entry
	for _, m := range moved {
		if !m.Live && m.ExpiresAt.After(time.Now()) {
			fresh = append(fresh, live.Entry{User: m.UserID, Call: m.ID, Expires: m.ExpiresAt})
		}
	}
	if len(fresh) == 0 {
		return
	}
	if err := j.Index.Add(ctx, fresh...); err != nil && ctx.Err() == nil {
		j.Log.Debug("the index learns of a shortening when it is read", "error", err)
	}
}
