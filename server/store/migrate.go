package store

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"clicktodial/migrations"
)

// versionTable stands beside the data, not among it: "the login role sees no row
// of public" stays true without exception.
const versionTable = "ctd_migrations.version"

// Migrate brings the schema to the newest step and says which steps it ran. Two
// at once wait for each other.
func Migrate(ctx context.Context, url string) ([]string, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL cannot be read")
	}
	db := stdlib.OpenDB(*config)
	defer db.Close() //nolint:errcheck // the work is done or has failed already
	if err := openSchema(ctx, db); err != nil {
		return nil, err
	}
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return nil, fmt.Errorf("making the migration lock: %w", err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS,
		goose.WithTableName(versionTable), goose.WithSessionLocker(locker))
	if err != nil {
		return nil, fmt.Errorf("reading the migrations: %w", err)
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return nil, fmt.Errorf("migrating: %w", err)
	}
	done := make([]string, 0, len(results))
	for _, r := range results {
		done = append(done, r.Source.Path)
	}
	return done, nil
}

// openSchema lets the login create in public. It owns the database, but being
// NOINHERIT it does not hold what pg_database_owner holds until it takes that
// role on.
func openSchema(ctx context.Context, db *sql.DB) error {
	conn, err := db.Conn(ctx)
	if err != nil {
		return clean(err)
	}
	defer conn.Close() //nolint:errcheck // goes back to the pool
	_, err = conn.ExecContext(ctx, `DO $$ BEGIN
	  PERFORM pg_advisory_xact_lock(7236542000);
	  CREATE SCHEMA IF NOT EXISTS ctd_migrations;
	  IF NOT has_schema_privilege('public', 'CREATE') THEN
	    SET LOCAL ROLE pg_database_owner;
	    EXECUTE format('GRANT USAGE, CREATE ON SCHEMA public TO %I', session_user);
	  END IF;
	END $$`)
	if err != nil {
		return fmt.Errorf("opening the schema: %w", clean(err))
	}
	return nil
}

// Schema says whether the database is at the newest step.
func (d *DB) Schema(ctx context.Context) (current bool, err error) {
	provider, err := goose.NewProvider(goose.DialectPostgres, d.sql, migrations.FS, goose.WithTableName(versionTable))
	if err != nil {
		return false, fmt.Errorf("reading the migrations: %w", err)
	}
	pending, err := provider.HasPending(ctx)
	return !pending, clean(err)
}
