package store_test

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/store"
)

var onTheWay = []models.Status{models.Initiating, models.CallingCaller, models.CallingCallee, models.Connected}

// Whatever comes in whatever order and how often: the rank only rises, and an
// ended call stays as it ended.
func TestAdvanceOnlyForward(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for round := range 20 {
		seed := uint64(time.Now().UnixNano()) + uint64(round)
		random := rand.New(rand.NewPCG(seed, 0))
		call := b.startCall(t, "020 123 4567")
		rank := 0
		for range 12 {
			i := random.IntN(len(onTheWay) + 1)
			decide := ended
			if i < len(onTheWay) {
				decide = reach(onTheWay[i])
			}
			now, changed, err := b.db.Advance(context.Background(), call.ChannelID, decide)
			if err != nil {
				t.Fatal(err)
			}
			if changed != (i > rank) {
				t.Fatalf("seed %d: rank %d, to %d: changed %v", seed, rank, i, changed)
			}
			rank = max(rank, i)
			if rank < 4 && now.Rank != rank {
				t.Fatalf("seed %d: rank %d, want %d", seed, now.Rank, rank)
			}
			stored, err := b.db.Call(context.Background(), b.tenant.ID, b.user.ID, call.ID)
			if err != nil || stored.Rank != rank || stored.Status.Rank() != rank {
				t.Fatalf("seed %d: stored %d %s, want %d (%v)", seed, stored.Rank, stored.Status, rank, err)
			}
		}
	}
}

func TestAdvanceByTwoReplicas(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	dbs := []*store.DB{b.db, openStore(t, b.url, 4)}
	for range 10 {
		call := b.startCall(t, "020 123 4567")
		var mu sync.Mutex
		changes := map[int]int{}
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				for rank := 1; rank <= 4; rank++ {
					decide := ended
					if rank < 4 {
						decide = reach(onTheWay[rank])
					}
					_, changed, err := dbs[i%2].Advance(context.Background(), call.ChannelID, decide)
					if err != nil {
						t.Error(err)
					}
					if changed {
						mu.Lock()
						changes[rank]++
						mu.Unlock()
					}
				}
			})
		}
		all.Wait()
		for rank, n := range changes {
			if n != 1 {
				t.Errorf("step %d was made %d times", rank, n)
			}
		}
		if changes[4] != 1 {
			t.Error("the call has not ended")
		}
	}
}

func TestAdvanceUnknownChannel(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	call, changed, err := b.db.Advance(context.Background(), "ctd-foreign", ended)
	if err != nil || changed || call.ID != uuid.Nil {
		t.Errorf("a foreign channel: %v %v %v", call.ID, changed, err)
	}
}

// What is left of a call when it has ended.
func TestEndOfARecord(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name         string
		days         int
		private      bool
		stays, whole bool
	}{
		{"usual", 90, false, true, true},
		{"private", 90, true, true, false},
		{"zero days", 0, false, false, false},
		{"private, zero days", 0, true, false, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			ctx := context.Background()
			b := newBundle(t)
			if err := b.db.SetTenant(ctx, b.tenant.ID, store.TenantChange{RetentionDays: &row.days}, entry); err != nil {
				t.Fatal(err)
			}
			n := b.newCall(t, "020 123 4567")
			n.Private = row.private
			call := b.create(t, n)
			b.advance(t, call, reach(models.CallingCaller))
			if living, err := b.db.Call(ctx, b.tenant.ID, b.user.ID, call.ID); err != nil || living.Number != n.Number {
				t.Errorf("while it lives: %v, %v", living.Number, err)
			}
			if last := b.advance(t, call, ended); last.Status != models.Disconnected || *last.Diagnosis != models.HungUp {
				t.Errorf("the last step: %s %v", last.Status, last.Diagnosis)
			}
			got, err := b.db.Call(ctx, b.tenant.ID, b.user.ID, call.ID)
			if (err == nil) != row.stays || err != nil && !errors.Is(err, store.ErrNotFound) {
				t.Fatalf("afterwards: %v", err)
			}
			if row.stays && !row.whole && (!got.Number.IsZero() || got.Name != "" || got.NumberMasked != nil || got.LastFour != nil) {
				t.Errorf("afterwards a private call has %v %v %v %v", got.Number, got.Name, got.NumberMasked, got.LastFour)
			}
			if row.whole && (got.Number != n.Number || got.Name != n.Name) {
				t.Errorf("afterwards: %v %v", got.Number, got.Name)
			}
			if words := b.count(t, "call_words"); row.whole && words != 2 || !row.whole && words != 0 {
				t.Errorf("%d words of its name", words)
			}
			if count := b.count(t, "call_events"); row.stays && count != 2 || !row.stays && count != 0 {
				t.Errorf("%d lines of its timeline", count)
			}
		})
	}
}

// count counts all rows of a table, past row-level security.
func (b *bundle) count(t *testing.T, table string) (n int) {
	t.Helper()
	b.asOwner(t, "CREATE TABLE counted_"+table+" AS SELECT count(*) AS n FROM "+table)
	if err := b.raw.QueryRow("SELECT n FROM counted_" + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	if _, err := b.raw.Exec("DROP TABLE counted_" + table); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOrphansAndClaim(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	n := b.newCall(t, "020 123 4567")
	call := b.create(t, n)
	if err := b.db.Beat(ctx, n.ReplicaID); err != nil {
		t.Fatal(err)
	}
	if calls, err := b.db.Orphans(ctx, time.Minute); err != nil || len(calls) != 0 {
		t.Errorf("a living replica's call is an orphan: %v, %v", calls, err)
	}
	if calls, err := b.db.Orphans(ctx, 0); err != nil || len(calls) != 1 {
		t.Errorf("a silent replica's call is no orphan: %v, %v", calls, err)
	}
	if err := b.db.Leave(ctx, n.ReplicaID); err != nil {
		t.Fatal(err)
	}
	calls, err := b.db.Orphans(ctx, time.Minute)
	if err != nil || len(calls) != 1 || calls[0].ID != call.ID || calls[0].ChannelID != call.ChannelID {
		t.Fatalf("orphans of a replica that left: %v, %v", calls, err)
	}
	won := make(chan uuid.UUID, 10)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			me := uuid.New()
			ours, err := b.db.Claim(ctx, call.ID, n.ReplicaID, me)
			if err != nil {
				t.Error(err)
			}
			if ours {
				won <- me
			}
		})
	}
	all.Wait()
	if len(won) != 1 {
		t.Fatalf("%d replicas adopted the call", len(won))
	}
	b.advance(t, call, ended)
	if ours, err := b.db.Claim(ctx, call.ID, <-won, uuid.New()); err != nil || ours {
		t.Errorf("an ended call was adopted: %v", err)
	}
}

// The role that follows calls cannot read whom they go to.
func TestFollowRole(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	call := b.startCall(t, "020 123 4567")
	other := b.startCall(t, "020 123 4568")
	b.advance(t, other, ended)
	denied := []string{
		"SELECT number FROM calls", "SELECT name FROM calls", "SELECT * FROM calls", "SELECT number_masked FROM calls",
		"SELECT last_four FROM calls", "SELECT device_label FROM calls", "UPDATE calls SET name = number",
		"UPDATE calls SET diagnosis = number", "DELETE FROM calls RETURNING number", "SELECT id FROM calls WHERE number LIKE '+31%'",
		"UPDATE calls SET expires_at = now()", "UPDATE calls SET tenant_id = tenant_id", "INSERT INTO calls DEFAULT VALUES",
		"SELECT email FROM users", "SELECT name FROM tenants", "SELECT * FROM grants", "SELECT * FROM audit", "SELECT * FROM idempotency",
	}
	for _, statement := range denied {
		b.as(t, "ctd_follow", uuid.Nil, func(tx *sql.Tx) {
			if _, err := tx.Exec(statement); state(err) != "42501" {
				t.Errorf("%s: %v, want permission denied", statement, err)
			}
		})
	}
	b.as(t, "ctd_follow", uuid.Nil, func(tx *sql.Tx) {
		res, err := tx.Exec("DELETE FROM calls")
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := res.RowsAffected(); n != 1 {
			t.Errorf("ctd_follow deletes %d calls, want only the 1 that lives", n)
		}
	})
	b.as(t, "ctd_follow", uuid.Nil, func(tx *sql.Tx) {
		res, err := tx.Exec("DELETE FROM call_words")
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := res.RowsAffected(); n != 2 {
			t.Errorf("ctd_follow deletes %d words, want the 2 of the call that lives", n)
		}
	})
	b.as(t, "ctd_follow", uuid.Nil, func(tx *sql.Tx) {
		res, err := tx.Exec("UPDATE calls SET dispatch = 'doubt' WHERE id IN ($1, $2)", call.ID, other.ID)
		if err != nil {
			t.Fatal(err)
		}
		if n, _ := res.RowsAffected(); n != 1 {
			t.Errorf("ctd_follow changes %d calls, want only the 1 that lives", n)
		}
	})
}

// The timeline is the tenant's, and goes with the call.
func TestTimeline(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	call := b.startCall(t, "020 123 4567")
	b.advance(t, call, reach(models.CallingCaller))
	b.advance(t, call, ended)
	other, _, _ := b.newTenant(t, "Other")
	for tenant, want := range map[uuid.UUID]int{b.tenant.ID: 2, other.ID: 0} {
		b.as(t, "ctd_app", tenant, func(tx *sql.Tx) {
			var ranks int
			if err := tx.QueryRow("SELECT count(*) FROM call_events").Scan(&ranks); err != nil {
				t.Fatal(err)
			}
			if ranks != want {
				t.Errorf("a tenant sees %d lines, want %d", ranks, want)
			}
		})
	}
}

func TestPBXURL(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	line := &models.PBXConnection{ID: uuid.Must(uuid.NewV7()), SealedURL: []byte("sealed"), CreatedAt: b.at}
	if err := b.db.SetTenant(ctx, b.tenant.ID, store.TenantChange{PBX: line}, entry); err != nil {
		t.Fatal(err)
	}
	if sealed, err := b.db.PBXURL(ctx, line.ID); err != nil || !slices.Equal(sealed, line.SealedURL) {
		t.Errorf("sealed %q, %v", sealed, err)
	}
	if _, err := b.db.PBXURL(ctx, uuid.New()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown line: %v", err)
	}
	if call := b.startCall(t, "020 123 4567"); call.PBXID == nil || *call.PBXID != line.ID {
		t.Errorf("a call goes to %v", call.PBXID)
	}
}
