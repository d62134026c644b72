package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/store"
)

// kept are the times of the logs, as the configuration has them.
var kept = store.PurgeTimes{Anonymise: 14 * models.Day, Audit: 365 * models.Day}

// startPurge has the lease of the purge.
func (b *bundle) startPurge(t *testing.T) store.Term {
	t.Helper()
	term, had, err := b.db.StartPurge(context.Background(), store.Want{Holder: uuid.New(), Every: time.Minute, AtOnce: true})
	if err != nil || !had {
		t.Fatalf("had %v, %v", had, err)
	}
	return term
}

func (b *bundle) endPurge(t *testing.T, term store.Term) models.Evidence {
	t.Helper()
	e, err := b.db.EndPurge(context.Background(), term, false)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// dueCalls makes n calls of the bundle's user that are due.
func (b *bundle) dueCalls(t *testing.T, n int) {
	t.Helper()
	b.asOwner(t, `INSERT INTO calls (id, tenant_id, user_id, device_label, number, number_masked, replica_id, channel_id, created_at, expires_at)
		SELECT gen_random_uuid(), $1, $2, '', '+31201234567', '', gen_random_uuid(), gen_random_uuid()::text,
		now() - interval '100 days', date_trunc('milliseconds', now() - interval '1 day' - i % 10 * interval '1 second') FROM generate_series(1, $3::int) i`, b.tenant.ID, b.user.ID, n)
}

func (b *bundle) countDue(t *testing.T) int64 {
	t.Helper()
	due, err := b.db.CountDue(context.Background(), kept)
	if err != nil {
		t.Fatal(err)
	}
	return due.Calls
}

// A batch does not wait for the disk; the evidence, which comes after it, waits for
// both.
func TestBatchesDoNotWaitForTheDisk(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	b.asOwner(t, `CREATE TABLE seen (what text, waits text);
		CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
		BEGIN INSERT INTO seen VALUES (TG_TABLE_NAME, current_setting('synchronous_commit')); RETURN NULL; END $$;
		CREATE TRIGGER see AFTER DELETE ON calls EXECUTE FUNCTION see();
		CREATE TRIGGER see AFTER INSERT ON evidence EXECUTE FUNCTION see();
		ALTER DATABASE `+b.database(t)+` SET synchronous_commit = on`)
	b.dueCalls(t, 3)
	db := openStore(t, b.url, 1) // its connection begins with that
	term, had, err := db.StartPurge(ctx, store.Want{Holder: uuid.New(), Every: time.Minute, AtOnce: true})
	if err != nil || !had {
		t.Fatal(had, err)
	}
	if gone, err := db.DeleteDue(ctx, term, store.Batch{Limit: 10}); err != nil || len(gone) != 3 {
		t.Fatal(len(gone), err)
	}
	if _, err := db.EndPurge(ctx, term, false); err != nil {
		t.Fatal(err)
	}
	var seen string
	if err := b.raw.QueryRow("SELECT string_agg(what || ' ' || waits, ', ' ORDER BY what) FROM seen").Scan(&seen); err != nil {
		t.Fatal(err)
	}
	if want := "calls off, evidence on"; seen != want {
		t.Errorf("%s, want %s", seen, want)
	}
}

func (b *bundle) database(t *testing.T) (name string) {
	t.Helper()
	if err := b.raw.QueryRow("SELECT quote_ident(current_database())").Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestDeleteDue(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	keep := b.startCall(t, "020 123 4567")
	b.dueCalls(t, 250)
	if due := b.countDue(t); due != 250 {
		t.Fatalf("%d due", due)
	}
	term := b.startPurge(t)
	total := int64(0)
	first, err := b.db.DeleteDue(ctx, term, store.Batch{Limit: 50})
	if total += int64(len(first)); err != nil || len(first) != 50 {
		t.Fatalf("a batch deleted %d, %v", len(first), err)
	}
	for _, call := range first {
		if call.ID == uuid.Nil || call.UserID != b.user.ID || call.TenantID != b.tenant.ID || call.ExpiresAt.After(time.Now()) || !call.Number.IsZero() {
			t.Fatalf("%+v", call)
		}
	}
	last := slices.MaxFunc(first, func(a, b models.Call) int { return a.ExpiresAt.Compare(b.ExpiresAt) }).ExpiresAt.Add(3 * time.Second)
	next, err := b.db.DeleteDue(ctx, term, store.Batch{From: last, Limit: 10})
	if total += int64(len(next)); err != nil || len(next) != 10 {
		t.Errorf("the next: %d, %v", len(next), err)
	}
	for _, call := range next {
		if call.ExpiresAt.Before(last) {
			t.Errorf("%v is before %v", call.ExpiresAt, last)
		}
	}
	ids := []uuid.UUID{keep.ID, uuid.New(), first[0].ID, uuid.MustParse(b.pick(t, "SELECT id::text FROM calls WHERE expires_at <= now() LIMIT 1")[0])}
	named, err := b.db.DeleteDue(ctx, term, store.Batch{IDs: ids, Limit: len(ids)})
	if total += int64(len(named)); err != nil || len(named) != 1 || named[0].ID != ids[3] {
		t.Errorf("by id: %v, %v", named, err)
	}
	var mu sync.Mutex
	var all sync.WaitGroup
	for range 4 { // what is deleted at once are different rows
		all.Go(func() {
			gone, err := b.db.DeleteDue(ctx, term, store.Batch{Limit: 40})
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			total += int64(len(gone))
		})
	}
	all.Wait()
	if due := b.countDue(t); due != 250-total {
		t.Errorf("%d due after %d were deleted", due, total)
	}
	for more := true; more; {
		gone, err := b.db.DeleteDue(ctx, term, store.Batch{Limit: 50})
		if err != nil {
			t.Fatal(err)
		}
		more = len(gone) > 0
	}
	if left := b.count(t, "calls"); left != 1 {
		t.Errorf("%d calls are left", left)
	}
	if e := b.endPurge(t, term); e.Calls != 250 || e.Others != 0 || e.Interrupted || e.Oldest == nil || !e.Oldest.Equal(keep.CreatedAt) {
		t.Errorf("evidence: %+v", e)
	}
}

// A holder that was too slow deletes nothing any more, and what it had done is in
// the evidence that whoever takes over leaves.
func TestPurgeLosesItsLease(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	b.dueCalls(t, 30)
	old := b.startPurge(t)
	if gone, err := b.db.DeleteDue(ctx, old, store.Batch{Limit: 10}); err != nil || len(gone) != 10 {
		t.Fatalf("%d, %v", len(gone), err)
	}
	if n, err := b.db.DeleteOthers(ctx, old, 0, kept, 10); err != nil || n != 0 {
		t.Fatalf("%d, %v", n, err)
	}
	b.asOwner(t, "UPDATE leases SET until = '-infinity'")
	term := b.startPurge(t)
	if _, err := b.db.DeleteDue(ctx, old, store.Batch{Limit: 10}); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("%v", err)
	}
	if _, err := b.db.EndPurge(ctx, old, false); !errors.Is(err, store.ErrLeaseLost) {
		t.Errorf("%v", err)
	}
	if due := b.countDue(t); due != 20 {
		t.Errorf("%d are due: the batch of the old term was not undone", due)
	}
	b.endPurge(t, term)
	chain, err := b.db.Evidence(ctx, 0, 10)
	if err != nil || len(chain) != 2 {
		t.Fatalf("%v %v", chain, err)
	}
	if e := chain[0]; !e.Interrupted || e.Calls != 10 || !e.StartedAt.Equal(old.StartedAt) || e.Oldest != nil {
		t.Errorf("of the run that was left behind: %+v", e)
	}
	if e := chain[1]; e.Interrupted || e.Calls != 0 || e.Oldest == nil {
		t.Errorf("of the other: %+v", e)
	}
}

// A batch that waits or works too long is undone, and says so.
func TestBatchHasATimeLimit(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	b.dueCalls(t, 3)
	b.asOwner(t, `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(10); RETURN OLD; END'`)
	b.asOwner(t, "CREATE TRIGGER slow BEFORE DELETE ON calls FOR EACH ROW EXECUTE FUNCTION slow()")
	term := b.startPurge(t)
	began := time.Now()
	if _, err := b.db.DeleteDue(ctx, term, store.Batch{Limit: 10}); !errors.Is(err, store.ErrBatchTime) {
		t.Errorf("%v", err)
	}
	if took := time.Since(began); took > store.LeaseFor {
		t.Errorf("it took %v: longer than the lease", took)
	}
	b.asOwner(t, "DROP TRIGGER slow ON calls")
	if gone, err := b.db.DeleteDue(ctx, term, store.Batch{Limit: 10}); err != nil || len(gone) != 3 {
		t.Errorf("%d, %v", len(gone), err)
	}
}

// What else ends, on both sides of its time.
func TestDeleteOthers(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.aged(t)
	n := b.deleteOthers(t)
	if want := int64(len(agedRows) + 1); n != want { // and one is made anonymous
		t.Errorf("%d, want %d", n, want)
	}
	if again := b.deleteOthers(t); again != 0 {
		t.Errorf("again: %d", again)
	}
	for table, want := range map[string]int{
		"idempotency": 1, "tokens": 3, "pairing_codes": 1, "replicas": 1, "daily_keys": 1, "calls": 1, "grants": 2, "searches": 1,
		"sessions": 1, "revocations": 1, "password_links": 1, "authorization_codes": 1, "users": 2, "refusals": 1, "audit": 2,
	} {
		if left := b.count(t, table); left != want {
			t.Errorf("%d rows of %s are left, want %d", left, table, want)
		}
	}
	for query, want := range map[string]int{
		"SELECT 1 FROM audit WHERE network IS NULL": 1, "SELECT 1 FROM audit WHERE network = '192.0.2.0/24'": 1,
	} {
		if got := len(b.pick(t, query)); got != want {
			t.Errorf("%s: %d, want %d", query, got, want)
		}
	}
}

func (b *bundle) deleteOthers(t *testing.T) (n int64) {
	t.Helper()
	term := b.startPurge(t)
	for kind := range store.OtherKinds {
		some, err := b.db.DeleteOthers(context.Background(), term, kind, kept, 100)
		if err != nil {
			t.Fatalf("kind %d: %v", kind, err)
		}
		n += some
	}
	if e := b.endPurge(t, term); e.Others != n {
		t.Errorf("evidence of %d, deleted %d", e.Others, n)
	}
	return n
}

// agedRows are rows of each kind that have ended by a second, and rows that have
// not; a hash is made of the id. The order is that of the foreign keys.
var agedRows = []struct{ table, columns, values, at string }{
	{"idempotency", "tenant_id, user_id, key, expires_at", "$1, $2, gen_random_uuid()::text, %s", "now()"},
	{"daily_keys", "day, key", "%s, sha256('k')", "(now() AT TIME ZONE 'UTC')::date - 1"},
	{"pairing_codes", "id, tenant_id, user_id, hash, made_by, expires_at", "gen_random_uuid(), $1, $2, sha256(gen_random_uuid()::text::bytea), 'user', %s", "now()"},
	{"password_links", "id, tenant_id, user_id, kind, hash, made_by, expires_at", "gen_random_uuid(), $1, $2, 'reset', sha256(gen_random_uuid()::text::bytea), 'admin', %s", "now()"},
	{"authorization_codes", "id, tenant_id, user_id, hash, client_id, redirect_uri, challenge, scopes, device_name, expires_at",
		"gen_random_uuid(), $1, $2, sha256(gen_random_uuid()::text::bytea), 'extension', '', repeat('a', 43), '', 'x', %s", "now() - interval '1 day'"},
	{"sessions", "id, tenant_id, user_id, hash, stage, browser, expires_at", "gen_random_uuid(), $1, $2, sha256(gen_random_uuid()::text::bytea), 'full', 'x', %s", "now()"},
	{"revocations", "hash, grant_id, expires_at", "sha256(gen_random_uuid()::text::bytea), gen_random_uuid(), %s", "now()"},
	{"searches", "id, tenant_id, user_id, sealed, expires_at", "gen_random_uuid(), $1, $2, '', %s", "now()"},
	{"replicas", "id, beat_at", "gen_random_uuid(), %s", "now() - interval '1 day'"},
	{"grants", "id, tenant_id, user_id, client_id, device_name, support_code, scopes, made_by, expires_at",
		"gen_random_uuid(), $1, $2, 'extension', 'x', translate(substr(md5(random()::text), 1, 6), '0123456789abcdef', 'ABCDEFGHIJKLMNOP'), '', 'user', %s", "now() - interval '90 days'"},
	{"users", "id, tenant_id, email, role, deleted_at", "gen_random_uuid(), $1, gen_random_uuid()::text, 'user', %s", "now() - interval '90 days'"},
	{"refusals", "id, tenant_id, user_id, grant_id, code, support_code, at", "gen_random_uuid(), $1, $2, gen_random_uuid(), 'star-code', 'ABCDEF', %s", "now() - interval '14 days'"},
	{"audit", "id, tenant_id, actor_kind, action, network, at", "gen_random_uuid(), $1, 'system', 'test', '192.0.2.0/24', %s", "now() - interval '365 days'"},
	{"tokens", "id, tenant_id, grant_id, kind, hash, expires_at", "gen_random_uuid(), $1, (SELECT id FROM grants WHERE expires_at > now() LIMIT 1), 'refresh', sha256(gen_random_uuid()::text::bytea), %s", "now()"},
}

// aged empties the tables of agedRows and makes a row on each side of each limit,
// and a call.
func (b *bundle) aged(t *testing.T) {
	t.Helper()
	b.newGrant(t, b.user) // with two tokens that live
	b.startCall(t, "020 123 4567")
	b.asOwner(t, "DELETE FROM audit")
	b.asOwner(t, "DELETE FROM idempotency")
	b.asOwner(t, "DELETE FROM daily_keys")
	b.asOwner(t, "DELETE FROM pairing_codes")
	for _, row := range agedRows {
		early, late := " - interval '1 second'", " + interval '1 minute'"
		if row.table == "daily_keys" {
			early, late = " - 1", ""
		}
		for _, side := range []string{early, late} {
			b.asOwner(t, fmt.Sprintf("INSERT INTO "+row.table+" ("+row.columns+") SELECT "+row.values+" FROM (SELECT $1::uuid, $2::uuid) args", row.at+side), b.tenant.ID, b.user.ID)
		}
	}
	// The younger: on both sides of being anonymous.
	b.asOwner(t, "UPDATE audit SET at = now() - interval '14 days 1 second' WHERE at > now() - interval '365 days'")
	b.asOwner(t, "INSERT INTO audit (id, tenant_id, actor_kind, action, network, at) VALUES (gen_random_uuid(), $1, 'system', 'test', '192.0.2.0/24', now() - interval '13 days 23:59')", b.tenant.ID)
}

// Even a bare DELETE, of whatever table, takes only what is due; and of logs and
// audit nothing, unless the transaction has named a moment, which is never one to
// come.
func TestBareDeleteTakesWhatIsDue(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.aged(t)
	b.dueCalls(t, 1)
	b.asOwner(t, "INSERT INTO pbx_connections (id, sealed_url) VALUES (gen_random_uuid(), '')")
	b.asOwner(t, "UPDATE tenants SET pbx_id = (SELECT id FROM pbx_connections)")
	b.asOwner(t, "INSERT INTO refusals (id, tenant_id, user_id, code, support_code, at) VALUES (gen_random_uuid(), $1, $2, 'x', 'ABCDEF', now() + interval '1 hour')", b.tenant.ID, b.user.ID)
	may := names(t, b.raw, `SELECT table_name::text FROM information_schema.table_privileges
		WHERE grantee = 'ctd_purger' AND privilege_type = 'DELETE' AND table_schema = 'public' ORDER BY 1`)
	if len(may) < len(agedRows)+3 {
		t.Fatalf("only %v", may)
	}
	moments := map[string]int{"refusals": 0, "audit": 0, "tenants": 0}
	for _, table := range may {
		want, named := moments[table]
		if !named {
			want = 1
		}
		b.as(t, "ctd_purger", uuid.Nil, func(tx *sql.Tx) {
			res, err := tx.Exec("DELETE FROM " + table)
			if table == "pbx_connections" { // a tenant has it
				if state(err) != "23503" {
					t.Errorf("%s: %v", table, err)
				}
				return
			}
			if err != nil {
				t.Errorf("%s: %v", table, err)
				return
			}
			if n, _ := res.RowsAffected(); int(n) != want {
				t.Errorf("%s: a bare DELETE takes %d rows, want %d", table, n, want)
			}
		})
	}
	for _, c := range []struct {
		moment, name, table string
		want                int64
	}{
		{"anonymise_before", "now() - interval '14 days'", "refusals", 1}, {"anonymise_before", "now() + interval '1 year'", "refusals", 2},
		{"audit_before", "now() - interval '365 days'", "audit", 1}, {"anonymise_before", "now()", "audit", 0},
	} {
		b.as(t, "ctd_purger", uuid.Nil, func(tx *sql.Tx) {
			if _, err := tx.Exec("SELECT set_config('app." + c.moment + "', (" + c.name + ")::text, true)"); err != nil {
				t.Fatal(err)
			}
			res, err := tx.Exec("DELETE FROM " + c.table)
			if err != nil {
				t.Fatal(err)
			}
			if n, _ := res.RowsAffected(); n != c.want {
				t.Errorf("%s, %s = %s: %d rows, want %d", c.table, c.moment, c.name, n, c.want)
			}
		})
	}
}

// pick gives the first column of a query that is asked past row-level security.
func (b *bundle) pick(t *testing.T, query string, args ...any) []string {
	t.Helper()
	b.asOwner(t, "CREATE TABLE picked (value text)")
	b.asOwner(t, "INSERT INTO picked "+query, args...)
	found := names(t, b.raw, "SELECT value FROM picked")
	if _, err := b.raw.Exec("DROP TABLE picked"); err != nil {
		t.Fatal(err)
	}
	return found
}
