package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"clicktodial/server/testdb"
)

func openRaw(t *testing.T) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", testdb.URL(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	return db
}

func names(t *testing.T, db *sql.DB, query string, args ...any) []string {
	t.Helper()
	rows, err := db.Query(query, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close() //nolint:errcheck // read to its end
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		out = append(out, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

const tables = `SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
	WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p')`

// Every table is behind row-level security, forced: without FORCE the owner, who
// is the login role, would see everything.
func TestEveryTableForcesRowSecurity(t *testing.T) {
	t.Parallel()
	db := openRaw(t)
	if open := names(t, db, tables+" AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"); len(open) > 0 {
		t.Errorf("tables without forced row-level security: %v", open)
	}
	if _, err := db.Exec("CREATE TABLE forgotten (tenant_id uuid)"); err != nil {
		t.Fatal(err)
	}
	if open := names(t, db, tables+" AND NOT (c.relrowsecurity AND c.relforcerowsecurity)"); len(open) != 1 {
		t.Errorf("the check does not see a table that was forgotten: %v", open)
	}
}

// The login role takes on a role in each transaction; without one it sees no row
// of anything. A member role that inherits would see all policies at once.
func TestLoginRoleSeesNothing(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.startCall(t, "020 123 4567")
	b.refuse(t)
	b.newGrant(t, b.user)
	db := b.raw
	filled := 0
	for _, table := range names(t, db, tables) {
		var count int
		if err := db.QueryRow(fmt.Sprintf("SELECT count(*) FROM %s", table)).Scan(&count); err != nil {
			t.Fatal(err)
		}
		if count != 0 {
			t.Errorf("without a role, %d rows of %s are visible", count, table)
		}
		var bytes int64
		if err := db.QueryRow("SELECT pg_relation_size($1::regclass)", table).Scan(&bytes); err != nil {
			t.Fatal(err)
		}
		if bytes > 0 {
			filled++
		}
	}
	if filled < 8 {
		t.Errorf("only %d tables hold rows: the test proves little", filled)
	}
}

func TestLoginRoleIsChecked(t *testing.T) {
	t.Parallel()
	db := testdb.Open(t)
	if err := db.CheckLogin(context.Background()); err != nil {
		t.Errorf("the login of the tests: %v", err)
	}
}

// What the purger can delete is what is due, whatever it asks for.
func TestPurgerDeletesOnlyWhatIsDue(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	keep := b.startCall(t, "020 123 4567")
	b.advance(t, keep, ended)
	due := b.startCall(t, "020 123 4568")
	b.advance(t, due, ended)
	b.age(t, due)
	tx, err := b.raw.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing to roll back after a commit
	if _, err := tx.Exec("SET LOCAL ROLE ctd_purger"); err != nil {
		t.Fatal(err)
	}
	res, err := tx.Exec("DELETE FROM calls")
	if err != nil {
		t.Fatal(err)
	}
	if n, _ := res.RowsAffected(); n != 1 {
		t.Errorf("a bare DELETE removed %d rows, want the 1 that is due", n)
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.db.Call(context.Background(), b.tenant.ID, b.user.ID, keep.ID); err != nil {
		t.Errorf("the call that is not due: %v", err)
	}
}
