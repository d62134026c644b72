package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"clicktodial/server/fault"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

func TestPostgresIsDown(t *testing.T) {
	t.Parallel()
	db := openStore(t, "postgres://ctd:secret@127.0.0.1:1/none?sslmode=disable", 4)
	b := &bundle{}
	start := time.Now()
	_, _, _, err := db.CreateCall(context.Background(), b.newCall(t, "020 123 4567"))
	if fault.Code(err) != "postgres-unavailable" {
		t.Errorf("got %v", err)
	}
	if took := time.Since(start); took > time.Second {
		t.Errorf("it took %v to find out", took)
	}
	if strings.Contains(fmt.Sprintf("%v", err), "secret") {
		t.Error("the error tells the password")
	}
	if err := db.Ping(context.Background()); fault.Code(err) != "postgres-unavailable" {
		t.Errorf("Ping: %v", err)
	}
}

// What waits in vain for somebody else's lock is a fault, also where a page of rows
// was to come.
func TestPostgresIsBusy(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	db := openStore(t, b.url, 1)
	page := func() error {
		_, err := db.History(context.Background(), b.tenant.ID, b.user.ID, store.Page{Limit: 10}, store.Search{})
		return err
	}
	if err := page(); err != nil { // its connection knows the statement: what fails is its execution
		t.Fatal(err)
	}
	tx, err := b.raw.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // that is the plan
	if _, err := tx.Exec("LOCK TABLE calls IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	if err := page(); fault.Code(err) != "postgres-unavailable" {
		t.Errorf("got %v", err)
	}
}

// The line is cut under a pool that has connections, and mended.
func TestPostgresIsCut(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	line := testdb.NewLine(t, b.url)
	db := openStore(t, line.URL, 4)
	call := b.startCall(t, "020 123 4567")
	if _, err := db.Call(ctx, b.tenant.ID, b.user.ID, call.ID); err != nil {
		t.Fatal(err)
	}
	line.Cut()
	for i := range 3 {
		if _, err := db.Call(ctx, b.tenant.ID, b.user.ID, call.ID); fault.Code(err) != "postgres-unavailable" {
			t.Errorf("try %d while cut: %v", i, err)
		}
	}
	line.Mend()
	if _, err := db.Call(ctx, b.tenant.ID, b.user.ID, call.ID); err != nil {
		t.Errorf("after it was mended: %v", err)
	}
	// Silent: only the caller's own deadline ends it.
	line.Silence()
	limited, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := db.Call(limited, b.tenant.ID, b.user.ID, call.ID); fault.Code(err) != "postgres-unavailable" {
		t.Errorf("while silent: %v", err)
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("a deadline of 200 ms took %v", took)
	}
}

// A statement that waits too long for a lock says so as an outage, not as a fault of ours.
func TestLockedOut(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	tx, err := b.raw.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // that is the plan
	if _, err := tx.Exec("SELECT set_config('role', 'ctd_operator', true)"); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("SELECT id FROM users WHERE id = $1 FOR UPDATE", b.user.ID); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	_, _, _, err = b.db.CreateCall(ctx, b.newCall(t, "020 123 4567"))
	if fault.Code(err) != "postgres-unavailable" {
		t.Errorf("got %v", err)
	}
}

func TestMigrate(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	url := testdb.URL(t)
	if steps, err := store.Migrate(ctx, url); err != nil || len(steps) != 0 {
		t.Errorf("a second time: %v, %v", steps, err)
	}
	if current, err := openStore(t, url, 1).Schema(ctx); err != nil || !current {
		t.Errorf("current %v, %v", current, err)
	}
	// Two at once on an empty database: each step runs once.
	empty := testdb.EmptyURL(t)
	if current, err := openStore(t, empty, 1).Schema(ctx); err == nil && current {
		t.Error("an empty database is current")
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	ran := map[string]int{}
	for range 3 {
		all.Go(func() {
			steps, err := store.Migrate(ctx, empty)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			for _, s := range steps {
				ran[s]++
			}
		})
	}
	all.Wait()
	if len(ran) < 4 {
		t.Errorf("steps that ran: %v", ran)
	}
	for step, n := range ran {
		if n != 1 {
			t.Errorf("%s ran %d times", step, n)
		}
	}
	if current, err := openStore(t, empty, 1).Schema(ctx); err != nil || !current {
		t.Errorf("afterwards current %v, %v", current, err)
	}
}

func TestClockSkew(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	for _, ahead := range []time.Duration{0, time.Hour, -time.Hour} {
		skew, err := db.ClockSkew(context.Background(), func() time.Time { return time.Now().Add(ahead) })
		if err != nil || (skew+ahead).Abs() > time.Second {
			t.Errorf("a clock %v ahead: %v, %v", ahead, skew, err)
		}
	}
}

// Errors of a bad URL do not repeat it.
func TestBadURL(t *testing.T) {
	t.Parallel()
	const url = "postgres://ctd:secret@host:port/%zz"
	if _, err := store.Open(url, 1); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("Open: %v", err)
	}
	if _, err := store.Migrate(context.Background(), url); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("Migrate: %v", err)
	}
}
