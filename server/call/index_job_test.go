package call

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
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
			FROM (SELECT now() - i * interval '48 minutes' AS at FROM generate_series(1, $3::int) i) s RETURNING id`, b.tenant.ID, user, n)
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
