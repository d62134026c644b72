package retention

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/live"
	"clicktodial/server/store"
)

// How much a batch takes; the next when that was too much for its time limit.
var (
	callBatches  = []int{100, 25} // a click that comes meanwhile shares processor and disk with one: small ones it hardly notices (scripts/bench)
	otherBatches = []int{1000, 100}
	userBatches  = []int{20, 5, 1} // much hangs on a user
)

const (
	redisTime    = 500 * time.Millisecond // no batch waits longer for Redis
	forgetAtOnce = 500
	mostUnforgot = 100_000
	wipesAtOnce  = 100
	// What a long run leaves to others, of the time that each batch takes.
	purgeRest = 0.25
)

// purgeRun is one run, under one term of the lease.
type purgeRun struct {
	*PurgeJob
	term  store.Term
	began time.Time
	done  Purged
}

// all does each part, so that one that fails holds up no other, as long as the
// lease can be kept.
func (r *purgeRun) all(ctx context.Context) error {
	var failed []error
	for _, part := range []struct {
		what string
		do   func(context.Context) error
	}{
		{"deleting the calls of the due queue", r.queue}, {"deleting due calls", r.walk},
		{"deleting what else is due", r.others}, {"wiping an ended contract", r.wipe},
	} {
		err := part.do(ctx)
		if err == nil {
			continue
		}
		failed = append(failed, fmt.Errorf("%s: %w", part.what, err))
		if errors.Is(err, store.ErrLeaseLost) || r.DB.KeepPurge(ctx, r.term) != nil {
			break
		}
	}
	return errors.Join(failed...)
}

// batches does one batch after the other, each as large as its time limit lets it
// be. A short one is the last.
func (r *purgeRun) batches(ctx context.Context, sizes []int, one func(ctx context.Context, limit int) (int, error)) error {
	for {
		began := time.Now()
		n, err := one(ctx, sizes[0])
		switch {
		case errors.Is(err, store.ErrBatchTime) && len(sizes) > 1:
			sizes = sizes[1:]
			if err := r.DB.KeepPurge(ctx, r.term); err != nil {
				return err
			}
		case err != nil:
			return err
		case n < sizes[0]:
			return nil
		default:
			if err := rest(ctx, began, purgeRest); err != nil {
				return err
			}
		}
	}
}

// rest waits after a batch that was begun then, when another follows: for that share
// of the time that the batch took.
func rest(ctx context.Context, began time.Time, share float64) error {
	wait := time.NewTimer(time.Duration(share * float64(time.Since(began))))
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// queue deletes what the due queue names. It is only a short cut: what it does not
// know, or names wrongly, walk finds in Postgres's own index.
func (r *purgeRun) queue(ctx context.Context) error {
	r.forget(ctx, nil) // what was left of the run before
	for r.Index != nil {
		began := time.Now()
		asked, cancel := context.WithTimeout(ctx, redisTime)
		// By Postgres's clock: what is due by it is due there, too.
		due, err := r.Index.Due(asked, r.term.StartedAt, callBatches[0])
		cancel()
		if err != nil || len(due) == 0 {
			return nil //nolint:nilerr // without Redis nothing waits
		}
		ids := make([]uuid.UUID, len(due))
		for i, e := range due {
			ids[i] = e.Call
		}
		gone, err := r.deleteCalls(ctx, store.Batch{IDs: ids, Limit: len(ids)})
		if errors.Is(err, store.ErrBatchTime) {
			return r.DB.KeepPurge(ctx, r.term)
		}
		if err != nil {
			return err
		}
		// Also what another run has deleted without coming to tell Redis of it.
		r.forget(ctx, without(due, gone))
		if len(r.unforgot) > 0 {
			return nil // it would be named again; the next run tells it
		}
		if len(due) == callBatches[0] {
			if err := rest(ctx, began, purgeRest); err != nil {
				return err
			}
		}
	}
	return nil
}

// without gives the entries of no call that was deleted: the queue named them, and
// Postgres has them no more, or somebody holds them and walk will do.
func without(due []live.Entry, gone []models.Call) (stale []live.Entry) {
	deleted := make(map[uuid.UUID]bool, len(gone))
	for _, call := range gone {
		deleted[call.ID] = true
	}
	for _, e := range due {
		if !deleted[e.Call] {
			stale = append(stale, e)
		}
	}
	return stale
}

// walk deletes what Postgres's own index says is due, from the first end on; each
// batch goes on where the last one was, past what has been deleted and not yet
// vacuumed. A second pass finds what somebody held during the first.
func (r *purgeRun) walk(ctx context.Context) error {
	for range 2 {
		var from time.Time
		batches := 0
		err := r.batches(ctx, callBatches, func(ctx context.Context, limit int) (int, error) {
			batches++
			gone, err := r.deleteCalls(ctx, store.Batch{From: from, Limit: limit})
			for _, call := range gone {
				if call.ExpiresAt.After(from) {
					from = call.ExpiresAt
				}
			}
			return len(gone), err
		})
		if err != nil || batches == 1 {
			return err
		}
	}
	return nil
}

func (r *purgeRun) deleteCalls(ctx context.Context, b store.Batch) ([]models.Call, error) {
	gone, err := r.DB.DeleteDue(ctx, r.term, b)
	if err != nil {
		return nil, err
	}
	r.gone(ctx, gone)
	if living := countLiving(gone); living > 0 {
		r.Log.Warn("calls were purged that had not ended", "calls", living)
	}
	return gone, nil
}

func countLiving(gone []models.Call) (n int) {
	for _, call := range gone {
		if call.EndedAt == nil {
			n++
		}
	}
	return n
}

// gone counts calls that were deleted, and has Redis forget them: before the next
// batch is begun, or both would keep a processor busy that a click wants (measured).
func (r *purgeRun) gone(ctx context.Context, calls []models.Call) {
	if len(calls) == 0 {
		return
	}
	r.count(int64(len(calls)), 0)
	r.after(stepBatch)
	entries := make([]live.Entry, len(calls))
	for i, call := range calls {
		entries[i] = live.Entry{User: call.UserID, Call: call.ID, Expires: call.ExpiresAt}
	}
	r.forget(ctx, entries)
	r.after(stepRedis)
}

// forget takes records out of the index, and what the event streams hold of them.
// What Redis cannot be told now it is told in the next run; what is lost with this
// process, its keys' own ends take.
func (r *purgeRun) forget(ctx context.Context, entries []live.Entry) {
	if r.Index == nil {
		return
	}
	entries = append(r.unforgot, entries...)
	r.unforgot = nil
	ctx, cancel := context.WithTimeout(ctx, redisTime)
	defer cancel()
	for chunk := range slices.Chunk(entries, forgetAtOnce) {
		if err := r.Index.Forget(ctx, chunk...); err != nil && len(r.unforgot) < mostUnforgot {
			r.unforgot = append(r.unforgot, chunk...)
		}
	}
}

func (r *purgeRun) count(calls, others int64) {
	r.done.Calls += calls
	r.done.Others += others
	if r.Deleted != nil {
		r.Deleted(calls, others)
	}
}

// others deletes what else has ended, or makes it anonymous.
func (r *purgeRun) others(ctx context.Context) error {
	var failed []error
	for kind := range store.OtherKinds {
		err := r.batches(ctx, otherBatches, func(ctx context.Context, limit int) (int, error) {
			n, err := r.DB.DeleteOthers(ctx, r.term, kind, r.Kept, limit)
			r.count(0, n)
			return int(n), err
		})
		if err != nil {
			failed = append(failed, err)
			if errors.Is(err, store.ErrLeaseLost) || r.DB.KeepPurge(ctx, r.term) != nil {
				break
			}
		}
	}
	return errors.Join(failed...)
}

// wipe deletes all data of the contracts whose time has come.
func (r *purgeRun) wipe(ctx context.Context) error {
	tenants, err := r.DB.Wipes(ctx, wipesAtOnce)
	for _, tenant := range tenants {
		if err := r.wipeTenant(ctx, tenant); err != nil {
			return err
		}
	}
	return err
}

func (r *purgeRun) wipeTenant(ctx context.Context, tenant uuid.UUID) error {
	err := r.batches(ctx, callBatches, func(ctx context.Context, limit int) (int, error) {
		gone, err := r.DB.WipeCalls(ctx, r.term, tenant, limit)
		r.gone(ctx, gone)
		return len(gone), err
	})
	if err != nil {
		return err
	}
	for _, part := range []struct {
		sizes []int
		wipe  func(context.Context, store.Term, uuid.UUID, int) (int64, error)
	}{{userBatches, r.DB.WipePeople}, {otherBatches, r.DB.WipeAudit}} {
		err := r.batches(ctx, part.sizes, func(ctx context.Context, limit int) (int, error) {
			n, err := part.wipe(ctx, r.term, tenant, limit)
			r.count(0, n)
			return int(n), err
		})
		if err != nil {
			return err
		}
	}
	e, done, err := r.DB.EndWipe(ctx, r.term, tenant)
	if done {
		r.Log.Info("all data of an ended contract has gone", "tenant_id", tenant, "evidence", e.N, "calls", e.Calls, "others", e.Others)
	}
	return err
}
