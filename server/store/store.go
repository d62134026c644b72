// Package store is Postgres: all GORM and all SQL of the project.
//
// Every transaction begins by taking on one of the roles of migrations/, and for
// ctd_app a tenant, so that row-level security decides what it can see; the
// WHERE on the tenant is written as well. The login role itself sees no row.
// A call's number and name are read and written in call.go and nowhere else.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"

	"clicktodial/server/fault"
)

// DB is the database. Its methods may be called at once from many goroutines.
type DB struct {
	gorm *gorm.DB
	dry  *gorm.DB // renders statements for a trip and sends none
	sql  *sql.DB

	ahead atomic.Int64 // clock.go: ns
}

// Time limits of one statement and of one wait for a lock. A click waits for a
// second at most in practice; these only bound what has gone wrong.
const (
	statementTimeout = 5 * time.Second
	lockTimeout      = 3 * time.Second
	connectTimeout   = 2 * time.Second
	// A whole transaction, when its caller sets no earlier end: a line that has gone
	// silent is noticed by no statement's limit.
	transactionTimeout = 8 * time.Second
)

// Open makes a pool; it does not connect yet. The URL may hold a password and
// is in no error.
func Open(url string, maxConns int) (*DB, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, errors.New("DATABASE_URL cannot be read")
	}
	config.ConnectTimeout = connectTimeout
	config.RuntimeParams["timezone"] = "UTC"
	config.RuntimeParams["application_name"] = "clicktodial"
	config.RuntimeParams["statement_timeout"] = millis(statementTimeout)
	config.RuntimeParams["lock_timeout"] = millis(lockTimeout)
	config.RuntimeParams["idle_in_transaction_session_timeout"] = millis(2 * statementTimeout)
	pool := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(readUUIDs))
	pool.SetMaxOpenConns(maxConns)
	pool.SetMaxIdleConns(maxConns)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	g, err := gorm.Open(postgres.New(postgres.Config{Conn: pool}), &gorm.Config{
		// Not TranslateError: it drops the constraint's name, by which our faults
		// are told apart; clean in error.go translates.
		SkipDefaultTransaction: true,
		// SELECT the row type's columns, never *: a role is granted some columns only.
		QueryFields:          true,
		DisableAutomaticPing: true,
		// Silent, and no values should anyone ever make it speak.
		Logger: logger.New(nil, logger.Config{LogLevel: logger.Silent, ParameterizedQueries: true}),
	})
	if err != nil {
		return nil, fmt.Errorf("opening the database: %w", clean(err))
	}
	return &DB{gorm: g, dry: g.Session(&gorm.Session{DryRun: true, NewDB: true}), sql: pool}, nil
}

func millis(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// Close ends all connections.
func (d *DB) Close() error { return d.sql.Close() }

// Ping says whether Postgres answers.
func (d *DB) Ping(ctx context.Context) error { return clean(d.sql.PingContext(ctx)) }

// ClockSkew is Postgres's clock minus now, measured to within a round trip.
func (d *DB) ClockSkew(ctx context.Context, now func() time.Time) (time.Duration, error) {
	before := now()
	var theirs time.Time
	if err := d.gorm.WithContext(ctx).Raw("SELECT clock_timestamp()").Scan(&theirs).Error; err != nil {
		return 0, clean(err)
	}
	trip := now().Sub(before)
	return theirs.Sub(before.Add(trip / 2)), nil
}

// dbRole is a role of migrations/0001_roles.sql.
type dbRole string

const (
	roleApp      dbRole = "ctd_app"
	roleAuth     dbRole = "ctd_auth"
	roleFollow   dbRole = "ctd_follow"
	roleOperator dbRole = "ctd_operator"
	rolePurger   dbRole = "ctd_purger"
	roleSupport  dbRole = "ctd_support"

	roleRetention dbRole = "ctd_retention"
)

// Asker is in whose name something is asked: row-level security shows each what
// is theirs.
type Asker struct {
	role    dbRole
	tenant  uuid.UUID
	privacy bool // sees restricted records too
}

// Those who ask, besides a tenant's people.
var (
	SignInDesk  = Asker{role: roleAuth}     // the sign-in itself, for people of whatever tenant
	Support     = Asker{role: roleSupport}  // the provider's staff
	CommandLine = Asker{role: roleOperator} // the operator
)

// ForTenant asks in the name of people of the tenant.
func ForTenant(id uuid.UUID) Asker { return Asker{role: roleApp, tenant: id} }

// ForPrivacy asks in the name of a tenant that answers a data subject: it sees
// restricted records too.
func ForPrivacy(tenant uuid.UUID) Asker { return Asker{role: roleApp, tenant: tenant, privacy: true} }

func (d *DB) ask(ctx context.Context, as Asker, fn func(*gorm.DB) error) error {
	return d.as(ctx, as.role, as.tenant, func(tx *gorm.DB) error {
		if as.privacy {
			if err := tx.Exec("SELECT set_config('app.privacy', 'yes', true)").Error; err != nil {
				return err
			}
		}
		return fn(tx)
	})
}

// become changes the role within a transaction.
func become(tx *gorm.DB, as Asker) error {
	return terms{role: as.role, tenant: as.tenant}.set(tx).Error
}

// takeRole is the first statement of a transaction.
const takeRole = "SELECT set_config('role', ?, true), set_config('app.tenant_id', ?, true)"

// terms is how a transaction is done. All of it lasts as long as the transaction, so
// that a pooled connection carries nothing to the next.
type terms struct {
	role   dbRole
	tenant uuid.UUID
	// It does not wait for the disk: for a change that may be lost in a crash of
	// Postgres, because the next look finds out again. The log goes to the disk evenly
	// behind it, where a large commit holds up every click that comes at its time.
	unsynced bool
	// Limits of a statement and of its wait for a lock; zero: the connection's.
	statement, lock time.Duration
}

// set says the terms, in one statement.
func (m terms) set(tx *gorm.DB) *gorm.DB {
	of := ""
	if m.tenant != uuid.Nil {
		of = m.tenant.String()
	}
	query, args := takeRole, []any{string(m.role), of}
	more := func(name, value string) {
		query += ", set_config(?, ?, true)"
		args = append(args, name, value)
	}
	if m.unsynced {
		more("synchronous_commit", "off")
	}
	if m.statement > 0 {
		more("statement_timeout", millis(m.statement))
	}
	if m.lock > 0 {
		more("lock_timeout", millis(m.lock))
	}
	return tx.Exec(query, args...)
}

// as runs fn in a transaction of the role.
func (d *DB) as(ctx context.Context, role dbRole, tenant uuid.UUID, fn func(*gorm.DB) error) error {
	return d.on(ctx, terms{role: role, tenant: tenant}, fn)
}

// asUnsynced is as, and does not wait for the disk.
func (d *DB) asUnsynced(ctx context.Context, role dbRole, fn func(*gorm.DB) error) error {
	return d.on(ctx, terms{role: role, unsynced: true}, fn)
}

// on runs fn in a transaction on the terms.
func (d *DB) on(ctx context.Context, m terms, fn func(*gorm.DB) error) error {
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	err := d.gorm.WithContext(ctx).Transaction(func(tx *gorm.DB) error {
		if err := m.set(tx).Error; err != nil {
			return err
		}
		return fn(tx)
	})
	return clean(err)
}

// CheckLogin refuses a login role that row-level security would not hold.
func (d *DB) CheckLogin(ctx context.Context) error {
	var role struct{ Super, Bypass, Inherit bool }
	err := d.gorm.WithContext(ctx).Raw(`SELECT rolsuper AS super, rolbypassrls AS bypass, rolinherit AS inherit
		FROM pg_roles WHERE rolname = session_user`).Scan(&role).Error
	if err != nil {
		return fmt.Errorf("looking at the login role: %w", clean(err))
	}
	if role.Super || role.Bypass || role.Inherit {
		return fault.New(fault.Internal, "login-role-unsafe",
			"The database login must be NOINHERIT, no superuser and without BYPASSRLS: row-level security would not hold for it.")
	}
	return nil
}
