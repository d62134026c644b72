package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
)

// Clicks while retention goes from 90 days to 1 and shortening runs: when it has
// finished, no record is kept for longer, whenever it was read how long.
func TestClicksWhileShortening(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(context.Background())
	b := newBundle(t)
	users := []models.User{b.user}
	for i := range 3 {
		u := b.newUser(t, b.tenant, fmt.Sprintf("u%d@example.test", i))
		b.newDevice(t, u, "desk", fmt.Sprint(200+i))
		users = append(users, u)
	}
	var work sync.WaitGroup
	var mu sync.Mutex
	made := 0
	for _, u := range users {
		work.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				n := b.newCall(t, "020 123 4567")
				n.UserID, n.At, n.Limits.AtOnce = u.ID, time.Now().UTC().Truncate(time.Millisecond), 1_000_000
				call, _, _, err := b.db.CreateCall(context.Background(), n)
				if err == nil && i%2 == 0 {
					_, _, err = b.db.Advance(context.Background(), call.ChannelID, ended)
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				made++
				mu.Unlock()
			}
		})
	}
	count := func() int {
		mu.Lock()
		defer mu.Unlock()
		return made
	}
	more := func(calls int) {
		t.Helper()
		for before, end := count(), time.Now().Add(20*time.Second); count() < before+calls; time.Sleep(time.Millisecond) {
			if time.Now().After(end) || t.Failed() {
				t.Fatalf("%d clicks only", count()-before)
			}
		}
	}
	defer work.Wait()
	defer stop()
	more(100)
	for _, days := range []int{30, 1} {
		b.setDays(t, days)
		b.shorten(t, ninety, 20)
		if n := b.calls(t, fmt.Sprintf(" expires_at > created_at + interval '%d hours'", 24*days)); n != 0 {
			t.Errorf("%d records are kept longer than %d days", n, days)
		}
		if b.kept(t) != time.Duration(days)*models.Day || b.restamp(t).FinishedAt == nil {
			t.Errorf("kept %v", b.kept(t))
		}
	}
	more(20)
	stop()
	work.Wait()
	if n := b.calls(t, " expires_at > created_at + interval '24 hours'"); n != 0 {
		t.Errorf("%d records came later that are kept longer", n)
	}
}

// A click that read the days before they were changed, and inserts after: the
// change waits for it, or it is done again.
func TestClickAcrossTheChange(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	const insert = `INSERT INTO calls (id, tenant_id, user_id, device_label, number, number_masked, replica_id, channel_id, created_at, expires_at)
		VALUES (gen_random_uuid(), $1, $2, '', '+31201234567', 'x', gen_random_uuid(), 'ctd-late', $3, $4)`
	const change = "UPDATE tenants SET retention_days = 30 WHERE id = $1"
	impatient := func(tx *sql.Tx, what, statement string, args ...any) {
		t.Helper()
		if _, err := tx.Exec("SET LOCAL lock_timeout = '50ms'"); err != nil {
			t.Fatal(err)
		}
		if _, err := tx.Exec(statement, args...); state(err) != "55P03" {
			t.Errorf("%s does not wait: %v", what, err)
		}
	}
	b.as(t, "ctd_app", b.tenant.ID, func(click *sql.Tx) {
		if _, err := click.Exec(insert, b.tenant.ID, b.user.ID, b.at, b.at.Add(ninety)); err != nil {
			t.Fatal(err)
		}
		b.as(t, "ctd_operator", uuid.Nil, func(tx *sql.Tx) { impatient(tx, "a change", change, b.tenant.ID) })
	})
	b.as(t, "ctd_operator", uuid.Nil, func(tx *sql.Tx) {
		if _, err := tx.Exec(change, b.tenant.ID); err != nil {
			t.Fatal(err)
		}
		b.as(t, "ctd_app", b.tenant.ID, func(click *sql.Tx) {
			impatient(click, "a click", insert, b.tenant.ID, b.user.ID, b.at, b.at.Add(ninety))
		})
	})
	b.setDays(t, 30)
	b.as(t, "ctd_app", b.tenant.ID, func(tx *sql.Tx) {
		_, err := tx.Exec(insert, b.tenant.ID, b.user.ID, b.at, b.at.Add(ninety))
		if state(err) != "23514" {
			t.Errorf("a record of 90 days where 30 are kept: %v", err)
		}
	})
	b.setDays(t, 0)
	for name, c := range map[string]struct {
		atEnd bool
		lives time.Duration
		ok    bool
	}{
		"zero days, for good":  {false, 4 * time.Hour, false},
		"zero days, too long":  {true, 4*time.Hour + time.Millisecond, false},
		"zero days, as it is":  {true, 4 * time.Hour, true},
		"zero days, ends soon": {true, time.Second, true},
	} {
		b.as(t, "ctd_app", b.tenant.ID, func(tx *sql.Tx) {
			_, err := tx.Exec(`INSERT INTO calls (id, tenant_id, user_id, device_label, number, number_masked, replica_id, channel_id, created_at, expires_at, delete_at_end)
				VALUES (gen_random_uuid(), $1, $2, '', '+31201234567', 'x', gen_random_uuid(), 'ctd-late', $3, $4, $5)`, b.tenant.ID, b.user.ID, b.at, b.at.Add(c.lives), c.atEnd)
			if (err == nil) != c.ok || err != nil && state(err) != "23514" {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
}

// ctd_retention shortens, and can do nothing else.
func TestRetentionRole(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	call := b.startCall(t, "020 123 4567")
	other, _, _ := b.newTenant(t, "Other")
	refused := func(as uuid.UUID, want, statement string) {
		t.Helper()
		b.as(t, "ctd_retention", as, func(tx *sql.Tx) {
			if _, err := tx.Exec(statement); state(err) != want {
				t.Errorf("%s: %v, want %s", statement, err, want)
			}
		})
	}
	for _, column := range []string{"number", "name", "number_masked", "last_four", "device_label", "sign_in_label", "grant_id", "channel_id"} {
		refused(b.tenant.ID, "42501", "SELECT "+column+" FROM calls")
		refused(b.tenant.ID, "42501", "UPDATE calls SET "+column+" = NULL")
	}
	for _, statement := range []string{
		"SELECT * FROM calls", "SELECT outcome FROM calls", "DELETE FROM calls", "INSERT INTO calls (id) VALUES (gen_random_uuid())", "UPDATE calls SET created_at = now()",
		"UPDATE calls SET ended_at = now()", "SELECT word FROM call_words", "DELETE FROM call_words", "UPDATE tenants SET retention_days = 1",
		"SELECT name FROM tenants", "SELECT email FROM users", "SELECT FROM call_events", "DELETE FROM tenants", "SELECT FROM grants",
		"INSERT INTO leases (name) VALUES ('mine')", "DELETE FROM leases",
	} {
		refused(b.tenant.ID, "42501", statement)
	}
	refused(b.tenant.ID, "23514", "UPDATE calls SET expires_at = expires_at + interval '1 ms'")
	met := func(as uuid.UUID, statement string) (n int64) {
		t.Helper()
		b.as(t, "ctd_retention", as, func(tx *sql.Tx) {
			res, err := tx.Exec(statement)
			if err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
			n, _ = res.RowsAffected()
		})
		return n
	}
	for statement, want := range map[string][3]int64{ // by its tenant, by another's, by none
		"SELECT id FROM calls": {1, 0, 0},
		"UPDATE calls SET expires_at = expires_at - interval '1 ms'":               {1, 0, 0},
		"UPDATE calls SET delete_at_end = true":                                    {1, 0, 0},
		"UPDATE call_words SET expires_at = now()":                                 {2, 0, 0},
		"UPDATE leases SET term = term + 1":                                        {1, 1, 1},
		"UPDATE leases SET term = term + 1 WHERE name = 'purge'":                   {0, 0, 0},
		"UPDATE tenants SET kept_ms = 1 WHERE id = '" + b.tenant.ID.String() + "'": {1, 1, 1}, // it asks of all what is to be done
	} {
		if got := [3]int64{met(b.tenant.ID, statement), met(other.ID, statement), met(uuid.Nil, statement)}; got != want {
			t.Errorf("%s: %v, want %v", statement, got, want)
		}
	}
	if b.lives(t, call) != ninety {
		t.Error("something was left behind")
	}
}
