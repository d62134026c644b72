package call

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/live"
	"clicktodial/server/store"
	"clicktodial/server/testdb"
)

// records writes n ended records of each user by SQL, a day's 30 apart, and gives
// their ids. expires is made of at, when the call was.
func (b *bundle) records(t testing.TB, n int, expires string, users ...uuid.UUID) (ids []uuid.UUID) {
	t.Helper()
	db, err := sql.Open("pgx", b.url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // two statements long
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("SELECT set_config('role', 'ctd_app', true), set_config('app.tenant_id', $1, true)", b.tenant.ID.String()); err != nil {
		t.Fatal(err)
	}
	for _, user := range users {
		rows, err := tx.Query(`INSERT INTO calls (id, tenant_id, user_id, device_label, number, number_masked, status, rank, reason, diagnosis,
				replica_id, channel_id, created_at, ended_at, expires_at)
			SELECT gen_random_uuid(), $1, $2, 'Desk', '+31201234567', '+31 20 123 4***', 'disconnected', 4, 'hangUp', 'hung-up',
				gen_random_uuid(), gen_random_uuid()::text, at, at, date_trunc('milliseconds', `+expires+`)
			FROM (SELECT now() - i * least(interval '48 minutes', interval '85 days' / $3::int) AS at FROM generate_series(1, $3::int) i) s RETURNING id`, b.tenant.ID, user, n)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var id uuid.UUID
			if err := rows.Scan(&id); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	return ids
}

// colleagues are more users of the tenant.
func (b *bundle) colleagues(t testing.TB, n int) (ids []uuid.UUID) {
	t.Helper()
	for i := range n {
		u := models.User{
			ID: uuid.New(), TenantID: &b.tenant.ID, Email: fmt.Sprintf("user%d@example.test", i), Role: models.RoleUser, CreatedAt: time.Now(),
		}
		if err := b.db.CreateUser(context.Background(), u, audit.Entry(audit.Operator, "test", audit.Subject{}, "")); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, u.ID)
	}
	return ids
}

func BenchmarkRebuild(b *testing.B) {
	x := setup(b)
	x.records(b, 2500, "at + interval '90 days'", x.colleagues(b, 120)...)
	db, err := store.Open(x.url, 4)
	if err != nil {
		b.Fatal(err)
	}
	b.ResetTimer()
	for range b.N {
		redis, err := live.Open(testdb.NewRedisServer(b).URL, "ctd:")
		if err != nil {
			b.Fatal(err)
		}
		job := &IndexJob{DB: db, Index: live.NewTTLIndex(redis), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
		n, err := job.Once(context.Background())
		if err != nil || n != 300000 {
			b.Fatal(n, err)
		}
		b.ReportMetric(float64(n)/b.Elapsed().Seconds()*float64(b.N), "entries/s")
	}
}

func (b *bundle) indexJob(t testing.TB) *IndexJob {
	t.Helper()
	return &IndexJob{DB: openStore(t, b.url), Index: live.NewTTLIndex(b.openRedis(t, b.redis)), Now: time.Now, Log: slog.New(slog.DiscardHandler)}
}

// A rebuild enters every living record, of however many users and pages, and none
// that has ended.
func TestRebuildEntersTheLiving(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := context.Background()
	users := b.colleagues(t, 5)
	ended := b.records(t, 30, "now() + interval '3 seconds'", users[2], b.user.ID)
	end := time.Now().Add(3 * time.Second)
	living := b.records(t, 30, "at + interval '90 days'", users[0])
	living = append(living, b.records(t, 25000, "at + interval '90 days'", users[1])...) // more than two pages of one user
	living = append(living, b.records(t, 30, "at + interval '90 days'", users[3], users[4], b.user.ID)...)
	<-time.NewTimer(time.Until(end)).C // an end is never in the past when it is written
	job := b.indexJob(t)
	n, err := job.Once(ctx)
	if err != nil || n != len(living) {
		t.Fatalf("%d entered, %v, want %d", n, err, len(living))
	}
	held := strings.Join(testdb.RedisHolds(t, b.redis, b.prefix, ids(ended)...), "\n")
	if held != "" {
		t.Errorf("what has ended was entered: %s", held)
	}
	some := ids([]uuid.UUID{living[0], living[29], living[30], living[10029], living[10030], living[20030], living[25029], living[25030], living[len(living)-1]})
	if held := testdb.RedisHolds(t, b.redis, b.prefix, some...); len(held) != 2*len(some) {
		t.Errorf("held: %v", held)
	}
	if again, err := job.Once(ctx); again != 0 || err != nil {
		t.Errorf("again: %d, %v", again, err)
	}
}

func ids(list []uuid.UUID) (texts []string) {
	for _, id := range list {
		texts = append(texts, id.String())
	}
	return texts
}

// What is deleted, and forgotten, while its page is on its way is not resurrected.
func TestRebuildResurrectsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := context.Background()
	all := b.records(t, 200, "at + interval '90 days'", b.user.ID)
	job := b.indexJob(t)
	pages := 0
	ran, err := job.Index.Rebuild(ctx, func(load func([]live.Entry) error) error {
		return job.DB.EachLiving(ctx, func(page store.LivingPage) error {
			pages++
			for _, i := range []int{0, 100, 199} { // deleted after they were read
				if _, err := b.db.DeleteCall(ctx, b.tenant.ID, b.user.ID, all[i], store.LedgerNote{Kind: store.NoteCall}); err != nil {
					return err
				}
			}
			b.records(t, 150, "at + interval '90 days'", b.user.ID) // and new ones came
			return job.enter(ctx, page, load)
		})
	})
	if !ran || err != nil || pages != 1 {
		t.Fatalf("ran %v, %v, %d pages", ran, err, pages)
	}
	if held := testdb.RedisHolds(t, b.redis, b.prefix, ids([]uuid.UUID{all[0], all[100], all[199]})...); len(held) != 0 {
		t.Errorf("resurrected: %v", held)
	}
	if held := testdb.RedisHolds(t, b.redis, b.prefix, ids([]uuid.UUID{all[1], all[198]})...); len(held) != 4 {
		t.Errorf("held: %v", held)
	}
}

// An entry of a record that is not there shows nothing and holds nothing up: it is
// due once, and dropped.
func TestAStaleEntryIsHarmless(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := context.Background()
	s := b.newService(t, newPeer())
	stale := live.Entry{User: b.user.ID, Call: uuid.New(), Expires: time.Now().Add(time.Millisecond).Truncate(time.Millisecond)}
	if err := s.Index.Add(ctx, stale); err != nil {
		t.Fatal(err)
	}
	calls, more, err := s.History(ctx, b.caller, Page{Limit: 10}, Search{})
	if len(calls) != 0 || more || err != nil {
		t.Errorf("%d shown, more %v, %v", len(calls), more, err)
	}
	if _, err := s.Get(ctx, b.caller, stale.Call); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	due, err := s.Index.Due(ctx, stale.Expires, 10)
	if err != nil || len(due) != 1 || due[0].Call != stale.Call || due[0].User != stale.User {
		t.Fatalf("due %v, %v", due, err)
	}
	if err := s.Index.Forget(ctx, due...); err != nil {
		t.Fatal(err)
	}
	if due, err := s.Index.Due(ctx, stale.Expires, 10); err != nil || len(due) != 0 {
		t.Errorf("due again %v, %v", due, err)
	}
}

// Where the index hides calls the page is filled from behind them, to the end.
func TestHistoryIsFilled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ctx := context.Background()
	noon := time.Now().UTC().Truncate(models.Day).Add(3 * models.Day / 2)
	all := b.records(t, 12, "'"+noon.Format(time.RFC3339)+"'::timestamptz", b.user.ID) // newest first
	b.now = func() time.Time { return noon.Add(-time.Hour / 2) }
	s := b.newService(t, newPeer())
	hide := func(ids ...uuid.UUID) {
		for _, id := range ids {
			if err := s.Index.Add(ctx, live.Entry{User: b.user.ID, Call: id, Expires: noon.Add(-time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	look := func(name string, limit int, more bool, want ...uuid.UUID) {
		t.Helper()
		calls, gotMore, err := s.History(ctx, b.caller, Page{Limit: limit}, Search{})
		var got []uuid.UUID
		for _, c := range calls {
			got = append(got, c.ID)
		}
		if err != nil || gotMore != more || !slices.Equal(got, want) {
			t.Errorf("%s: %v, more %v, %v, want %v, %v", name, got, gotMore, err, want, more)
		}
	}
	look("none hidden", 3, true, all[:3]...)
	hide(all[0], all[2])
	look("two hidden", 3, true, all[1], all[3], all[4])
	look("all of it", 12, false, append([]uuid.UUID{all[1]}, all[3:]...)...)
	hide(all[3:10]...)
	look("behind a whole page of hidden ones", 2, true, all[1], all[10])
	look("to the end", 3, false, all[1], all[10], all[11])
	hide(all[1], all[10], all[11])
	look("all hidden", 5, false)
	for _, id := range []uuid.UUID{all[0], all[11]} {
		if _, err := s.Get(ctx, b.caller, id); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("one that is hidden: %v", err)
		}
	}
	if _, err := s.Rename(ctx, b.caller, all[0], "Mrs Quince"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("renaming one that is hidden: %v", err)
	}
}
