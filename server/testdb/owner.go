package testdb

import (
	"database/sql"
	"regexp"
	"testing"
)

// AsOwner runs a statement past row-level security, as only the owner of the
// tables can who takes it off: for what time or another installation would do.
func AsOwner(t testing.TB, url, statement string, args ...any) {
	t.Helper()
	asOwner(t, url, statement, func(tx *sql.Tx) error {
		_, err := tx.Exec(statement, args...)
		return err
	})
}

// Strings gives what a statement of one text column finds, past row-level security.
func Strings(t testing.TB, url, statement string, args ...any) (all []string) {
	t.Helper()
	asOwner(t, url, statement, func(tx *sql.Tx) error {
		rows, err := tx.Query(statement, args...)
		if err != nil {
			return err
		}
		defer rows.Close() //nolint:errcheck // read to its end
		for rows.Next() {
			var one string
			if err := rows.Scan(&one); err != nil {
				return err
			}
			all = append(all, one)
		}
		return rows.Err()
	})
	return all
}

var word = regexp.MustCompile(`[a-z_]+`)

// with is what hangs on a table by trigger.
var with = map[string]string{"calls": "call_words"}

// asOwner takes row-level security off the tables that the statement names, and
// no others: each is locked for it.
func asOwner(t testing.TB, url, statement string, fn func(*sql.Tx) error) {
	t.Helper()
	db := connect(t, url)
	defer db.Close() //nolint:errcheck // the work is done or has failed already
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing to roll back after a commit
	done := map[string]bool{}
	var tables []string
	for _, name := range word.FindAllString(statement, -1) {
		for ; name != "" && !done[name]; name = with[name] {
			done[name] = true
			var is bool
			if err := tx.QueryRow("SELECT EXISTS (SELECT FROM pg_class WHERE relname = $1 AND relkind = 'r' AND relforcerowsecurity)", name).Scan(&is); err != nil {
				t.Fatal(err)
			}
			if is {
				tables = append(tables, name)
			}
		}
	}
	run := func(statement string) {
		if _, err := tx.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range tables {
		run("ALTER TABLE " + table + " NO FORCE ROW LEVEL SECURITY")
	}
	if err := fn(tx); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	for _, table := range tables {
		run("ALTER TABLE " + table + " FORCE ROW LEVEL SECURITY")
	}
	if err := tx.Commit(); err != nil {
		t.Fatal(err)
	}
}
