// Package testdb gives each test a migrated database of its own on the real
// Postgres, and a key prefix of its own on the real Redis. scripts/test starts
// both and says where they are in TEST_DATABASE_URL and TEST_REDIS_URL.
package testdb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver for the administration connection

	"clicktodial/migrations"
	"clicktodial/server/live"
	"clicktodial/server/store"
)

// URL gives the URL of a fresh migrated database; it is dropped when the test ends.
func URL(t testing.TB) string {
	t.Helper()
	admin := need(t, "TEST_DATABASE_URL")
	return create(t, admin, makeTemplate(t, admin))
}

// Clone gives the URL of a copy of a database as it stands, byte for byte: a dump,
// restored. Whoever is in the database is put out.
func Clone(t testing.TB, source string) string {
	t.Helper()
	u, err := url.Parse(source)
	if err != nil {
		t.Fatal("the database's URL cannot be read")
	}
	admin, name := need(t, "TEST_DATABASE_URL"), strings.TrimPrefix(u.Path, "/")
	var put int
	query(t, admin, `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = $1 AND usename = current_user`, &put, name)
	return create(t, admin, name) // it waits five seconds for them to go
}

// EmptyURL gives the URL of a database that nothing has migrated yet.
func EmptyURL(t testing.TB) string {
	t.Helper()
	return create(t, need(t, "TEST_DATABASE_URL"), "template1")
}

func create(t testing.TB, admin, template string) string {
	t.Helper()
	name := "ctd_test_" + short(uuid.New())
	exec(t, admin, fmt.Sprintf("CREATE DATABASE %s TEMPLATE %s", name, template))
	t.Cleanup(func() { drop(t, admin, name) })
	return withDatabase(t, admin, name)
}

// Open gives a store on a fresh migrated database.
func Open(t testing.TB) *store.DB {
	t.Helper()
	db, err := store.Open(URL(t), 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // the test is over
	return db
}

// Redis gives a Redis with a key prefix of its own, whose keys go with the test.
func Redis(t testing.TB) *live.Redis {
	t.Helper()
	r, err := live.Open(need(t, "TEST_REDIS_URL"), Prefix())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() }) //nolint:errcheck // the test is over
	return r
}

// Prefix makes a key prefix for a server that a test starts.
func Prefix() string { return "ctdtest:" + short(uuid.New()) + ":" }

// RedisURL gives the Redis of the test run.
func RedisURL(t testing.TB) string { return need(t, "TEST_REDIS_URL") }

func short(id uuid.UUID) string { return hex.EncodeToString(id[:6]) }

// need gives an environment variable, or skips the test; with CI set it fails it.
func need(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" && os.Getenv("CI") != "" {
		t.Fatalf("%s is not set: run scripts/test", name)
	}
	if value == "" {
		t.Skipf("SKIPPED: %s is not set; scripts/test starts what this test needs", name)
	}
	return value
}

// makeTemplate migrates one database per state of the migrations; the others are
// cloned from it, which takes a tenth of the time. Test binaries run at once, so
// the first to hold the lock makes it.
func makeTemplate(t testing.TB, admin string) string {
	t.Helper()
	name := "ctd_template_" + migrationHash(t)
	unlock := lockFile(t, name)
	defer unlock()
	var exists bool
	query(t, admin, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datallowconn)", &exists, name)
	if exists {
		return name
	}
	making := name + "_new"
	drop(t, admin, making)
	exec(t, admin, "CREATE DATABASE "+making)
	if _, err := store.Migrate(context.Background(), withDatabase(t, admin, making)); err != nil {
		t.Fatalf("migrating the template: %v", err)
	}
	exec(t, admin, fmt.Sprintf("ALTER DATABASE %s RENAME TO %s", making, name))
	return name
}

// drop removes a database with whoever is in it. An autovacuum worker there is
// the superuser's and may not be ended by us; it gives way to a drop that waits.
func drop(t testing.TB, admin, name string) {
	t.Helper()
	db := connect(t, admin)
	defer db.Close() //nolint:errcheck // the work is done or has failed already
	var err error
	for _, how := range []string{" WITH (FORCE)", "", " WITH (FORCE)", ""} {
		if _, err = db.Exec("DROP DATABASE IF EXISTS " + name + how); err == nil {
			return
		}
	}
	t.Errorf("dropping %s: %v", name, err)
}

func migrationHash(t testing.TB) string {
	t.Helper()
	h := sha256.New()
	names, err := fs.Glob(migrations.FS, "*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		body, err := migrations.FS.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(h, "%s %d\n", name, len(body))
		h.Write(body)
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

func withDatabase(t testing.TB, admin, name string) string {
	t.Helper()
	u, err := url.Parse(admin)
	if err != nil {
		t.Fatal("TEST_DATABASE_URL cannot be read")
	}
	u.Path = "/" + name
	return u.String()
}

func exec(t testing.TB, admin, statement string) {
	t.Helper()
	db := connect(t, admin)
	defer db.Close() //nolint:errcheck // one statement long
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func query(t testing.TB, admin, statement string, into any, args ...any) {
	t.Helper()
	db := connect(t, admin)
	defer db.Close() //nolint:errcheck // one statement long
	if err := db.QueryRow(statement, args...).Scan(into); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func connect(t testing.TB, admin string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", admin)
	if err != nil {
		t.Fatal(err)
	}
	return db
}
