package api_test

import (
	"database/sql"
	"testing"
	"time"

	"github.com/google/uuid"
)

// sqlPool looks into the database past everything of ours. The login of the tests
// owns the tables.
type sqlPool struct{ *sql.DB }

func openPool(t *testing.T, url string) *sqlPool {
	t.Helper()
	db, err := sql.Open("pgx", url)
	check(t, err)
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	return &sqlPool{db}
}

// app counts as ctd_app of the tenant.
func (p *sqlPool) app(tenant uuid.UUID, query string, args ...any) (n int, err error) {
	tx, err := p.Begin()
	if err != nil {
		return 0, err
	}
	defer tx.Rollback() //nolint:errcheck // it only looks
	if _, err := tx.Exec("SELECT set_config('role', 'ctd_app', true), set_config('app.tenant_id', $1, true)", tenant.String()); err != nil {
		return 0, err
	}
	return n, tx.QueryRow(query, args...).Scan(&n)
}

// as runs statements as the owner, who is held by no policy meanwhile.
func (p *sqlPool) as(t *testing.T, fn func(*sql.Tx) error) {
	t.Helper()
	tx, err := p.Begin()
	check(t, err)
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to undo
	for _, table := range []string{"calls", "call_words"} {
		_, err := tx.Exec("ALTER TABLE " + table + " NO FORCE ROW LEVEL SECURITY")
		check(t, err)
	}
	check(t, fn(tx))
	for _, table := range []string{"calls", "call_words"} {
		_, err := tx.Exec("ALTER TABLE " + table + " FORCE ROW LEVEL SECURITY")
		check(t, err)
	}
	check(t, tx.Commit())
}

// owner counts the record's rows as the owner of the tables sees them.
func (p *sqlPool) owner(t *testing.T, id uuid.UUID) (n int) {
	t.Helper()
	p.as(t, func(tx *sql.Tx) error {
		return tx.QueryRow(`SELECT (SELECT count(*) FROM calls WHERE id = $1) + (SELECT count(*) FROM call_words WHERE call_id = $1)`, id).Scan(&n)
	})
	return n
}

// noteEnds has Postgres note, by its own clock, when each record is deleted.
func (p *sqlPool) noteEnds(t *testing.T) {
	t.Helper()
	_, err := p.Exec(`CREATE TABLE ends (id uuid, at timestamptz);
		CREATE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
		BEGIN INSERT INTO ends VALUES (OLD.id, clock_timestamp()); RETURN NULL; END $$;
		CREATE TRIGGER note_end AFTER DELETE ON calls FOR EACH ROW EXECUTE FUNCTION note_end()`)
	check(t, err)
}

// wentAt says when a record was deleted.
func (p *sqlPool) wentAt(t *testing.T, id uuid.UUID) (at time.Time) {
	t.Helper()
	check(t, p.QueryRow("SELECT at FROM ends WHERE id = $1", id).Scan(&at))
	return at
}

// lengthen puts a record's end off, which the triggers forbid everybody else.
func (p *sqlPool) lengthen(t *testing.T, id uuid.UUID, end time.Time) {
	t.Helper()
	p.as(t, func(tx *sql.Tx) error {
		if _, err := tx.Exec("ALTER TABLE calls DISABLE TRIGGER USER; ALTER TABLE call_words DISABLE TRIGGER USER"); err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE calls SET expires_at = $2 WHERE id = $1", id, end); err != nil {
			return err
		}
		if _, err := tx.Exec("UPDATE call_words SET expires_at = $2 WHERE call_id = $1", id, end); err != nil {
			return err
		}
		_, err := tx.Exec("ALTER TABLE calls ENABLE TRIGGER USER; ALTER TABLE call_words ENABLE TRIGGER USER")
		return err
	})
}

// open has ctd_app see records whatever their time.
func (p *sqlPool) open(t *testing.T) {
	t.Helper()
	for _, table := range []string{"calls", "call_words"} {
		_, err := p.Exec("ALTER POLICY app ON " + table + " USING (tenant_id = ctd_tenant())")
		check(t, err)
	}
}
