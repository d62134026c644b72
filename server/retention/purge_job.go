// Package retention makes records end on time.
//
// The GORM purge job deletes what is due, in batches, one replica at a time, and
// leaves evidence of each run, chained by hash. Row-level security hides a record
// at its instant already; what is deleted here is seen by nobody.
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

const (
	lookEvery = time.Second // at most, for the lease: a dead holder's run is taken over
	lastWords = 2 * time.Second
)

// ErrPurgeBusy says that another purge is under way.
var ErrPurgeBusy = fault.New(fault.Conflict, "purge-busy", "Another purge is under way; it deletes what is due.")

// PurgeJob deletes the records whose time has come. Any number of replicas may run
// it: Postgres lets one at a time.
type PurgeJob struct {
	DB       *store.DB
	Index    *live.TTLIndex // nil: Redis is not told
	Interval time.Duration  // from the start of a run to the start of the next
	Kept     store.PurgeTimes
	Log      *slog.Logger

	Patience time.Duration              // how long Once waits for another's run
	Waiting  func()                     // told once that Once waits; may be nil
	Deleted  func(calls, others int64)  // told of each batch; may be nil
	Ended    func(done Purged, e error) // told of each run; may be nil

	holder    uuid.UUID
	unforgot  []live.Entry // what Redis could not be told of
	afterStep func(step)   // for tests, which end a run there
}

// Purged is what one run did.
type Purged struct {
	Calls       int64   `json:"calls"`
	Others      int64   `json:"others"` // used keys, dead tokens, old log entries …, deleted or made anonymous
	Seconds     float64 `json:"seconds"`
	Interrupted bool    `json:"interrupted"` // not all that is due has gone
}

// Run purges at each interval until ctx ends. A run that fails is made up for by
// the next, and one that a dead replica left behind is taken over.
func (j *PurgeJob) Run(ctx context.Context) error {
	return each(ctx, min(j.Interval, lookEvery), func() {
		if _, _, err := j.try(ctx, false); err != nil && ctx.Err() == nil {
			j.Log.Warn("a purge run failed", "error", err)
		}
	})
}

// each does do at once and then at each interval until ctx ends. What takes longer
// than the interval is not made up for.
func each(ctx context.Context, interval time.Duration, do func()) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		do()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Once deletes all that is due now. Errors: purge-busy, when another purge has not
// ended within Patience.
func (j *PurgeJob) Once(ctx context.Context) (done Purged, err error) {
	told := false
	for end := time.Now().Add(j.Patience); ; {
		done, had, err := j.try(ctx, true)
		if had || err != nil {
			return done, err
		}
		if time.Now().After(end) {
			return done, ErrPurgeBusy
		}
		if !told && j.Waiting != nil {
			j.Waiting()
		}
		told = true
		select {
		case <-time.After(lookEvery / 5):
		case <-ctx.Done():
			return done, ctx.Err()
		}
	}
}

// try does a run, if the lease is to be had.
func (j *PurgeJob) try(ctx context.Context, atOnce bool) (done Purged, had bool, err error) {
	if j.holder == uuid.Nil {
		j.holder = uuid.New()
	}
	term, had, err := j.DB.StartPurge(ctx, store.Want{Holder: j.holder, Every: j.Interval, AtOnce: atOnce})
	if err != nil {
		return done, had, j.failed(done, err)
	}
	if !had {
		return done, false, nil
	}
	j.after(stepTaken)
	r := &purgeRun{PurgeJob: j, term: term, began: time.Now()}
	err = r.all(ctx)
	if !errors.Is(err, store.ErrLeaseLost) { // else whoever has it has left the evidence
		err = errors.Join(err, r.end(ctx, err != nil))
	}
	r.done.Seconds, r.done.Interrupted = time.Since(r.began).Seconds(), err != nil
	if r.done.Calls > 0 || r.done.Others > 0 {
		j.Log.Info("purged", "calls", r.done.Calls, "others", r.done.Others, "seconds", r.done.Seconds, "interrupted", r.done.Interrupted)
	}
	return r.done, true, j.failed(r.done, err)
}

func (j *PurgeJob) failed(done Purged, err error) error {
	if j.Ended != nil {
		j.Ended(done, err)
	}
	return err
}

// end leaves the evidence and the lease, also when ctx has ended. A run that was
// whole, but whose evidence cannot tell the oldest record in time, counts as
// interrupted, so that the next is not held up.
func (r *purgeRun) end(ctx context.Context, interrupted bool) error {
	r.after(stepDone)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*lastWords)
	defer cancel()
	_, err := r.DB.EndPurge(ctx, r.term, interrupted)
	if errors.Is(err, store.ErrBatchTime) && !interrupted {
		_, again := r.DB.EndPurge(ctx, r.term, true)
		err = errors.Join(err, again)
	}
	if err != nil {
		return fmt.Errorf("leaving evidence of a purge: %w", err)
	}
	r.after(stepEnded)
	return nil
}

// Due says what a run would find now.
func (j *PurgeJob) Due(ctx context.Context) (store.Due, error) { return j.DB.CountDue(ctx, j.Kept) }

// step is a place in a run at which a process may die.
type step string

const (
	stepTaken step = "the lease was taken"
	stepBatch step = "a batch was committed"
	stepRedis step = "redis was told"
	stepDone  step = "all was deleted"
	stepEnded step = "the evidence was left"
)

func (j *PurgeJob) after(s step) {
	if j.afterStep != nil {
		j.afterStep(s)
	}
}
