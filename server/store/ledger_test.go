package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/store"
)

// waiting is what waits for the ledger, and goes on to.
func waiting(t *testing.T, db *store.DB) (lines []map[string]any) {
	t.Helper()
	stop := errors.New("only looking")
	_, _, err := db.Flush(context.Background(), func(all []string) error {
		for _, line := range all {
			var o map[string]any
			if err := json.Unmarshal([]byte(line), &o); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			lines = append(lines, o)
		}
		return stop
	})
	if len(lines) > 0 && !errors.Is(err, stop) || len(lines) == 0 && err != nil {
		t.Fatal(err)
	}
	return lines
}

func mustState(t *testing.T, db *store.DB) store.LedgerState {
	t.Helper()
	state, err := db.LedgerState(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return state
}

func TestRevocationsAreCounted(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	fresh := mustState(t, b.db)
	if fresh.N != 0 || fresh.Waiting != 1 || fresh.Installation == uuid.Nil || fresh.RestoredAt != nil {
		t.Errorf("fresh: %+v", fresh)
	}
	grant := b.newGrant(t, b.user)
	revoke := func() (store.Ended, error) {
		return b.db.Revoke(ctx, store.SignInDesk, store.Which{Grant: grant.ID, Tenant: b.tenant.ID}, "user", "", b.at, entry)
	}
	if ended, err := revoke(); err != nil || ended.SignIns != 1 {
		t.Fatalf("%+v %v", ended, err)
	}
	if _, err := revoke(); err != nil {
		t.Fatal(err)
	}
	lines := waiting(t, b.db)
	if len(lines) != 1 || lines[0]["kind"] != "revocation" || lines[0]["n"] != 1.0 || lines[0]["installation"] != fresh.Installation.String() {
		t.Fatalf("one that was, one that had been: %v", lines)
	}
	for _, word := range []string{b.tenant.ID.String(), b.user.ID.String(), grant.ID.String()} {
		if strings.Contains(fmt.Sprint(lines[0]), word) {
			t.Errorf("a revocation names somebody: %v", lines[0])
		}
	}
	if _, err := time.Parse(time.RFC3339Nano, fmt.Sprint(lines[0]["at"])); err != nil {
		t.Error(err)
	}
	// Every other way to end sign-ins counts too.
	if _, err := b.db.Disable(ctx, b.tenant.ID, b.user.ID, true, b.at, entry); err != nil {
		t.Fatal(err)
	}
	if _, err := b.db.EndTenant(ctx, b.tenant.ID, b.at, time.Hour, entry); err != nil {
		t.Fatal(err)
	}
	lines = waiting(t, b.db)
	var kinds []string
	for _, line := range lines {
		kinds = append(kinds, fmt.Sprint(line["kind"]))
	}
	if !slices.Equal(kinds, []string{"revocation", "revocation", "revocation", "tenant"}) {
		t.Fatalf("%v", kinds)
	}
	before, err := time.Parse(time.RFC3339Nano, fmt.Sprint(lines[3]["before"]))
	if lines[3]["tenant"] != b.tenant.ID.String() || err != nil || !before.Equal(b.at.Add(time.Hour)) {
		t.Errorf("an ended contract: %v", lines[3])
	}
	if state := mustState(t, b.db); state.N != 4 || state.Waiting != 1 {
		t.Errorf("%+v", state)
	}
}

// A revocation that fails leaves no line and no gap.
func TestNoLineWithoutTheAct(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	grant := b.newGrant(t, b.user)
	bad := entry
	bad.Action = "NOT KEBAB"
	if _, err := b.db.Revoke(context.Background(), store.SignInDesk, store.Which{Grant: grant.ID}, "user", "", b.at, bad); err == nil {
		t.Fatal("it should have failed")
	}
	if state := mustState(t, b.db); state.N != 0 || len(waiting(t, b.db)) != 0 {
		t.Errorf("%+v", state)
	}
}

// Many revoke at once, several flush at once, and some of those fail: every line
// comes, in order within a flush, and what was safe does not come again.
func TestFlushLosesNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	const grants, flushers = 30, 3
	var ids []uuid.UUID
	for range grants {
		ids = append(ids, b.newGrant(t, b.user).ID)
	}
	var mu sync.Mutex
	seen := map[float64]int{}
	tries := 0
	flush := func() {
		_, _, err := b.db.Flush(ctx, func(lines []string) error {
			mu.Lock()
			defer mu.Unlock()
			if tries++; tries%3 == 0 {
				return errors.New("the disk is full")
			}
			last := 0.0
			for _, line := range lines {
				var o struct{ N float64 }
				if err := json.Unmarshal([]byte(line), &o); err != nil || o.N <= last {
					t.Errorf("%s after %v: %v", line, last, err)
				}
				last = o.N
				seen[o.N]++
			}
			return nil
		})
		if err != nil && err.Error() != "the disk is full" {
			t.Error(err)
		}
	}
	var work, flushing sync.WaitGroup
	for _, id := range ids {
		work.Go(func() {
			if _, err := b.db.Revoke(ctx, store.SignInDesk, store.Which{Grant: id}, "user", "", b.at, entry); err != nil {
				t.Error(err)
			}
		})
	}
	done := make(chan struct{})
	for range flushers {
		flushing.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					flush()
				}
			}
		})
	}
	work.Wait()
	close(done)
	flushing.Wait()
	for mustState(t, b.db).Waiting <= grants {
		flush()
	}
	if len(seen) != grants {
		t.Errorf("%d of %d lines: %v", len(seen), grants, seen)
	}
	for n, times := range seen {
		if times != 1 || n < 1 || n > grants {
			t.Errorf("line %v came %d times", n, times)
		}
	}
}

// One flusher at a time: the second is told so and does not wait.
func TestFlushIsOneAtATime(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	if err := b.db.MarkLedger(ctx); err != nil {
		t.Fatal(err)
	}
	called := false
	_, busy, err := b.db.Flush(ctx, func([]string) error {
		called = true
		_, busy, err := b.db.Flush(ctx, func([]string) error { t.Error("two at once"); return nil })
		if err != nil || !busy {
			t.Errorf("the second: busy %v, %v", busy, err)
		}
		return nil
	})
	if err != nil || busy || !called {
		t.Errorf("the first: busy %v, %v", busy, err)
	}
}

// A long backlog comes in batches.
func TestFlushInBatches(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	b.asOwner(t, `INSERT INTO ledger_outbox SELECT n, '{"n":' || n || '}' FROM generate_series(1, 1001) n`)
	sizes := []int{}
	for more := true; more; {
		var err error
		more, _, err = b.db.Flush(ctx, func(lines []string) error { sizes = append(sizes, len(lines)); return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(sizes, []int{1000, 1}) {
		t.Errorf("%v", sizes)
	}
}
