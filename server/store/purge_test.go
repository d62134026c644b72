package store_test

import (
	"context"
	"sync"
	"testing"
)

func TestDeleteDue(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	keep := b.startCall(t, "020 123 4567")
	b.asOwner(t, `INSERT INTO calls (id, tenant_id, user_id, device_label, number, number_masked, replica_id, channel_id, created_at, expires_at)
		SELECT gen_random_uuid(), tenant_id, user_id, '', number, number_masked, replica_id, gen_random_uuid()::text,
		created_at - interval '100 days', date_trunc('milliseconds', now() - interval '1 day') FROM calls, generate_series(1, 250)`)
	if due, err := b.db.CountDue(ctx); err != nil || due != 250 {
		t.Fatalf("%d due, %v", due, err)
	}
	if n, err := b.db.DeleteDue(ctx, 50); err != nil || n != 50 {
		t.Errorf("a batch deleted %d, %v", n, err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	total := int64(0)
	for range 4 { // purgers at once take different rows
		all.Go(func() {
			n, err := b.db.DeleteDue(ctx, 50)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			total += n
		})
	}
	all.Wait()
	if due, err := b.db.CountDue(ctx); err != nil || due != 200-total {
		t.Errorf("%d due after %d were deleted, %v", due, total, err)
	}
	for {
		n, err := b.db.DeleteDue(ctx, 50)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	if left := b.count(t, "calls"); left != 1 {
		t.Errorf("%d calls are left", left)
	}
	if _, err := b.db.Call(ctx, b.tenant.ID, b.user.ID, keep.ID); err != nil {
		t.Error(err)
	}
}

// What else ends, on both sides of its time.
func TestDeleteDueKeys(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	for range 2 {
		b.startCall(t, "020 123 4567") // a key each
		b.refuse(t)
		b.newGrant(t, b.user) // two tokens and a code
		if err := b.db.Beat(ctx, b.newCall(t, "102").ReplicaID); err != nil {
			t.Fatal(err)
		}
	}
	for _, aged := range []string{
		"UPDATE idempotency SET expires_at = now() - interval '1 second' WHERE key = (SELECT min(key) FROM idempotency)",
		"UPDATE tokens SET expires_at = now() - interval '1 second' WHERE kind = 'access'",
		"UPDATE pairing_codes SET expires_at = now() - interval '1 second' WHERE id = (SELECT min(id::text)::uuid FROM pairing_codes)",
		"UPDATE replicas SET beat_at = now() - interval '25 hours' WHERE id = (SELECT min(id::text)::uuid FROM replicas)",
	} {
		b.asOwner(t, aged)
	}
	for _, ago := range []int{0, 1, 2, 3} {
		if _, err := b.db.DailyKey(ctx, b.tenant.ID, b.at.AddDate(0, 0, -ago)); err != nil {
			t.Fatal(err)
		}
	}
	n, err := b.db.DeleteDueKeys(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if want := int64(1 + 2 + 1 + 1 + 2); n != want {
		t.Errorf("deleted %d, want %d", n, want)
	}
	for table, want := range map[string]int{
		"idempotency": 1, "refusals": 2, "tokens": 2, "pairing_codes": 1, "replicas": 1, "daily_keys": 2, "calls": 2, "grants": 2,
	} {
		if left := b.count(t, table); left != want {
			t.Errorf("%d rows of %s are left, want %d", left, table, want)
		}
	}
}
