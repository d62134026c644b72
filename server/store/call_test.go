package store_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

func TestCreateCall(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	device := b.device
	device.ID, device.Label, device.Endpoint = uuid.Must(uuid.NewV7()), "second", "102"
	device.CallerID, device.CreatedAt = number(t, "020 765 4321"), b.at.Add(time.Second)
	if err := b.db.AddDevice(context.Background(), device, entry); err != nil {
		t.Fatal(err)
	}
	n := b.newCall(t, "020 123 4567")
	n.DeviceID = device.ID
	call, dial, replayed, err := b.db.CreateCall(context.Background(), n)
	if err != nil || replayed {
		t.Fatalf("replayed %v, %v", replayed, err)
	}
	if dial.Endpoint != "102" || dial.CallerID != device.CallerID || dial.Region != "NL" || dial.RingSeconds != 25 {
		t.Errorf("dial %v", dial)
	}
	got, err := b.db.Call(context.Background(), b.tenant.ID, b.user.ID, call.ID)
	if err != nil {
		t.Fatal(err)
	}
	if got.Number != n.Number || got.Name != n.Name || *got.NumberMasked != "+31 20 123 4***" || *got.LastFour != "4567" {
		t.Errorf("row %v %v %s %s", got.Number, got.Name, *got.NumberMasked, *got.LastFour)
	}
	if got.Status != models.Initiating || got.Dispatch != models.Dispatching || got.DeviceLabel != "second" || got.ID.Version() != 7 {
		t.Errorf("row %s %s %s", got.Status, got.Dispatch, got.DeviceLabel)
	}
	if !got.ExpiresAt.Equal(b.at.Add(90*models.Day)) || !got.CreatedAt.Equal(b.at) {
		t.Errorf("created %v, expires %v", got.CreatedAt, got.ExpiresAt)
	}
	if first := b.startCall(t, "020 123 4567"); *first.DeviceID != b.device.ID {
		t.Error("without a device, the first one does not ring")
	}
}

// Both sides of every limit and every state of the account.
func TestCreateCallRefusals(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	rows := []struct {
		name string
		with func(*testing.T, *bundle, *store.NewCall)
		code string
	}{
		{"nothing", func(*testing.T, *bundle, *store.NewCall) {}, ""},
		{"no device", func(t *testing.T, b *bundle, n *store.NewCall) {
			n.UserID = b.newUser(t, b.tenant, "phoneless@example.test").ID
		}, "no-device"},
		{"a colleague's device", func(t *testing.T, b *bundle, n *store.NewCall) {
			n.DeviceID = b.newDevice(t, b.newUser(t, b.tenant, "colleague@example.test"), "desk", "102").ID
		}, "device-unknown"},
		{"another tenant's device", func(t *testing.T, b *bundle, n *store.NewCall) {
			_, _, device := b.newTenant(t, "Other")
			n.DeviceID = device.ID
		}, "device-unknown"},
		{"another tenant's user", func(t *testing.T, b *bundle, n *store.NewCall) {
			_, user, _ := b.newTenant(t, "Other")
			n.UserID = user.ID
		}, "unauthorized"},
		{"disabled user", func(t *testing.T, b *bundle, _ *store.NewCall) {
			b.asOwner(t, "UPDATE users SET disabled_at = now() WHERE id = $1", b.user.ID)
		}, "account-ended"},
		{"ended tenant", func(t *testing.T, b *bundle, _ *store.NewCall) {
			if _, err := b.db.EndTenant(ctx, b.tenant.ID, b.at, 90*models.Day, entry); err != nil {
				t.Fatal(err)
			}
		}, "account-ended"},
		{"one below at once", func(t *testing.T, b *bundle, n *store.NewCall) {
			b.startCall(t, "020 123 4567")
			n.Limits = store.Limits{AtOnce: 2}
		}, ""},
		{"at once reached", func(t *testing.T, b *bundle, n *store.NewCall) {
			b.startCall(t, "020 123 4567")
			b.startCall(t, "020 123 4567")
			n.Limits = store.Limits{AtOnce: 2}
		}, "too-many-calls"},
		{"ended calls are not up", func(t *testing.T, b *bundle, n *store.NewCall) {
			b.advance(t, b.startCall(t, "020 123 4567"), ended)
			n.Limits = store.Limits{AtOnce: 1}
		}, ""},
		{"one below the pace", func(t *testing.T, b *bundle, n *store.NewCall) {
			b.advance(t, b.startCall(t, "020 123 4567"), ended)
			n.Limits = store.Limits{AtOnce: 9, PerWindow: 2, Window: time.Minute}
		}, ""},
		{"pace reached", func(t *testing.T, b *bundle, n *store.NewCall) {
			b.advance(t, b.startCall(t, "020 123 4567"), ended)
			b.advance(t, b.startCall(t, "020 123 4567"), ended)
			n.Limits = store.Limits{AtOnce: 9, PerWindow: 2, Window: time.Minute}
		}, "pace-exceeded"},
		{"the window has slid on", func(t *testing.T, b *bundle, n *store.NewCall) {
			b.advance(t, b.startCall(t, "020 123 4567"), ended)
			n.At = n.At.Add(time.Minute)
			n.Limits = store.Limits{AtOnce: 9, PerWindow: 1, Window: time.Minute}
		}, ""},
		{"the window has nearly slid on", func(t *testing.T, b *bundle, n *store.NewCall) {
			b.advance(t, b.startCall(t, "020 123 4567"), ended)
			n.At = n.At.Add(time.Minute - time.Millisecond)
			n.Limits = store.Limits{AtOnce: 9, PerWindow: 1, Window: time.Minute}
		}, "pace-exceeded"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			n := b.newCall(t, "020 123 4567")
			row.with(t, b, &n)
			call, _, _, err := b.db.CreateCall(ctx, n)
			if fault.Code(err) != row.code || (err == nil) != (row.code == "") {
				t.Fatalf("got %v, want code %q", err, row.code)
			}
			if row.code == "" {
				return
			}
			if _, err := b.db.Call(ctx, b.tenant.ID, n.UserID, call.ID); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a refused call left a row: %v", err)
			}
			if _, err := b.db.Replay(ctx, n); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a refused call used its key up: %v", err)
			}
		})
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	n := b.newCall(t, "020 123 4567")
	first := b.create(t, n)
	// The same click has another channel id and time when it comes again.
	again := n
	again.ChannelID, again.At = "ctd-another", n.At.Add(time.Second)

	rows := []struct {
		name   string
		change func(*store.NewCall)
		code   string
	}{
		{"the same", func(*store.NewCall) {}, ""},
		{"over midnight", func(n *store.NewCall) { n.Fingerprints = [2][]byte{[]byte("tomorrow's"), n.Fingerprints[0]} }, ""},
		{"another body", func(n *store.NewCall) { n.Fingerprints = [2][]byte{[]byte("x"), []byte("y")} }, "idempotency-key-reused"},
		{"limits are reached", func(n *store.NewCall) { n.Limits = store.Limits{AtOnce: 0, PerWindow: 0, Window: time.Hour} }, ""},
		{"the device has gone", func(n *store.NewCall) { n.DeviceID = uuid.New() }, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			n := again
			row.change(&n)
			call, _, replayed, err := b.db.CreateCall(ctx, n)
			if fault.Code(err) != row.code {
				t.Fatalf("got %v, want code %q", err, row.code)
			}
			if row.code == "" && (!replayed || call.ID != first.ID) {
				t.Errorf("replayed %v, call %s, want %s", replayed, call.ID, first.ID)
			}
			if call, err := b.db.Replay(ctx, n); fault.Code(err) != row.code || err == nil && call.ID != first.ID {
				t.Errorf("Replay: %s, %v", call.ID, err)
			}
		})
	}

	b.advance(t, first, ended)
	if err := b.db.DeleteCall(ctx, b.tenant.ID, b.user.ID, first.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := b.db.CreateCall(ctx, again); fault.Code(err) != "call-gone" {
		t.Errorf("after the record's end: %v", err)
	}
	b.asOwner(t, "UPDATE idempotency SET fingerprint = NULL")
	if _, _, _, err := b.db.CreateCall(ctx, again); fault.Code(err) != "call-gone" {
		t.Errorf("after an erasure: %v", err)
	}
	// A colleague may have the same key: it is the user's.
	other := b.newUser(t, b.tenant, "colleague@example.test")
	b.newDevice(t, other, "desk", "102")
	n.UserID, n.ChannelID = other.ID, "ctd-colleague"
	b.create(t, n)
}

// The record has ended by its time but not been purged.
func TestReplayOfExpiredCall(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	n := b.newCall(t, "020 123 4567")
	b.age(t, b.create(t, n))
	n.ChannelID = "ctd-another"
	if _, _, _, err := b.db.CreateCall(context.Background(), n); fault.Code(err) != "call-gone" {
		t.Errorf("got %v, want call-gone", err)
	}
}

// Fifty clicks with one key, through two pools as two replicas have.
func TestOneKeyAtOnce(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	dbs := []*store.DB{b.db, openStore(t, b.url, 8)}
	n := b.newCall(t, "020 123 4567")
	var mu sync.Mutex
	ids, fresh := map[uuid.UUID]bool{}, 0
	var all sync.WaitGroup
	for i := range 50 {
		all.Go(func() {
			n := n
			n.ChannelID = fmt.Sprint("ctd-", i)
			call, _, replayed, err := dbs[i%2].CreateCall(context.Background(), n)
			if err != nil {
				t.Errorf("click %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			ids[call.ID] = true
			if !replayed {
				fresh++
			}
		})
	}
	all.Wait()
	if len(ids) != 1 || fresh != 1 {
		t.Errorf("%d calls, %d of them new", len(ids), fresh)
	}
}

// The limits hold for clicks that come at once.
func TestLimitsAtOnce(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		limits store.Limits
		code   string
	}{
		{"two up", store.Limits{AtOnce: 2}, "too-many-calls"},
		{"three a minute", store.Limits{AtOnce: 100, PerWindow: 3, Window: time.Minute}, "pace-exceeded"},
	}
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			var mu sync.Mutex
			var all sync.WaitGroup
			made := 0
			for range 20 {
				n := b.newCall(t, "020 123 4567")
				n.Limits = row.limits
				all.Go(func() {
					_, _, _, err := b.db.CreateCall(context.Background(), n)
					mu.Lock()
					defer mu.Unlock()
					if err == nil {
						made++
					} else if fault.Code(err) != row.code {
						t.Errorf("got %v, want code %s", err, row.code)
					}
				})
			}
			all.Wait()
			if want := i + 2; made != want {
				t.Errorf("%d of 20 clicks made a call, want %d", made, want)
			}
		})
	}
}

func TestZeroDaysAndCeiling(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name   string
		days   int
		maxAge time.Duration
		lives  time.Duration
		atEnd  bool
	}{
		{"zero days", 0, 90 * models.Day, 4 * time.Hour, true},
		{"zero days, low ceiling", 0, time.Minute, time.Minute, true},
		{"one day", 1, 90 * models.Day, models.Day, false},
		{"ninety", 90, 90 * models.Day, 90 * models.Day, false},
		{"a year under the ceiling", 365, 90 * models.Day, 90 * models.Day, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := newBundle(t)
			if err := b.db.SetTenant(context.Background(), b.tenant.ID, store.TenantChange{RetentionDays: &row.days}, entry); err != nil {
				t.Fatal(err)
			}
			n := b.newCall(t, "020 123 4567")
			n.MaxAge = row.maxAge
			call := b.create(t, n)
			if !call.ExpiresAt.Equal(b.at.Add(row.lives)) || call.DeleteAtEnd != row.atEnd {
				t.Errorf("lives %v, deleted at its end %v", call.ExpiresAt.Sub(b.at), call.DeleteAtEnd)
			}
		})
	}
}

func TestAskHangUp(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	call := b.startCall(t, "020 123 4567")
	stranger, user, _ := b.newTenant(t, "Other")
	if _, err := b.db.AskHangUp(ctx, stranger.ID, user.ID, call.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another tenant's call: %v", err)
	}
	if _, err := b.db.AskHangUp(ctx, b.tenant.ID, b.user.ID, call.ID); err != nil {
		t.Fatal(err)
	}
	if err := b.db.AskHangUpBy(ctx, call.ID, models.HangUpLimit); err != nil {
		t.Fatal(err)
	}
	hangUps, err := b.db.MarkDispatched(ctx, []uuid.UUID{call.ID})
	if err != nil || hangUps[call.ID] != models.HangUpClient {
		t.Errorf("the first reason counts: %v, %v", hangUps, err)
	}
	b.advance(t, call, ended)
	if _, err := b.db.AskHangUp(ctx, b.tenant.ID, b.user.ID, call.ID); fault.Code(err) != "call-ended" {
		t.Errorf("after its end: %v", err)
	}
	if hangUps, err := b.db.MarkDispatched(ctx, []uuid.UUID{call.ID}); err != nil || len(hangUps) > 0 {
		t.Errorf("an ended call was marked: %v, %v", hangUps, err)
	}
}

func TestLiveCalls(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	first, second := b.startCall(t, "020 123 4567"), b.startCall(t, "020 123 4568")
	b.advance(t, b.startCall(t, "020 123 4569"), ended)
	calls, err := b.db.LiveCalls(context.Background(), b.tenant.ID, b.user.ID)
	if err != nil || len(calls) != 2 || calls[0].ID != first.ID || calls[1].ID != second.ID {
		t.Errorf("live: %v, %v", calls, err)
	}
}

func TestDailyKey(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	keys := make([][]byte, 10)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			key, err := b.db.DailyKey(ctx, b.tenant.ID, b.at)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	all.Wait()
	for _, key := range keys {
		if len(key) != 32 || !slices.Equal(key, keys[0]) {
			t.Fatal("one day has several keys")
		}
	}
	for name, at := range map[string]time.Time{"yesterday": b.at.Add(-models.Day), "three days ago": b.at.Add(-3 * models.Day)} {
		key, err := b.db.DailyKey(ctx, b.tenant.ID, at)
		if err != nil || slices.Equal(key, keys[0]) {
			t.Errorf("the key of %s: %v", name, err)
		}
	}
	if n := b.deleteOthers(t); n != 1 {
		t.Errorf("%d keys destroyed, want the 1 that is too old", n)
	}
}
