package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/stdlib"
	"gorm.io/gorm"
	"gorm.io/gorm/schema"

	"clicktodial/models"
)

// A trip is what is sent to Postgres in one go, and answered in one: what every
// click waits for takes one or two round trips so, where as takes one for each
// statement (measured: a third of the time of a click). GORM writes the
// statements as elsewhere, pgx sends them.
//
// Statements of one trip see each other's changes and, each, what others had
// committed when it began, as they would one by one. A trip that neither begins
// nor goes on with a transaction is one by itself: PostgreSQL's implicit
// transaction of a pipeline, which the first error undoes whole.
type trip struct {
	batch pgx.Batch
	write *gorm.DB // renders statements and sends none
}

func (d *DB) newTrip() *trip { return &trip{write: d.dry} }

// take takes the role on for the rest of the transaction, as the function as does.
func (t *trip) take(role dbRole, tenant uuid.UUID) {
	of := ""
	if tenant != uuid.Nil {
		of = tenant.String()
	}
	t.ask("SELECT set_config('role', $1, true), set_config('app.tenant_id', $2, true)", string(role), of)
}

// takeUnsynced is take for a change that may be lost in a crash of Postgres: see
// terms.
func (t *trip) takeUnsynced(role dbRole) {
	t.ask("SELECT set_config('role', $1, true), set_config('synchronous_commit', 'off', true)", string(role))
}

// begin begins a transaction that lasts longer than this trip, to a commit in a
// later one.
func (t *trip) begin(role dbRole, tenant uuid.UUID) {
	t.batch.Queue("BEGIN")
	t.take(role, tenant)
}

// beginOn is begin, on terms.
func (t *trip) beginOn(m terms) {
	t.batch.Queue("BEGIN")
	t.add(m.set(t.write))
}

func (t *trip) commit() { t.batch.Queue("COMMIT") }

// add puts a statement that GORM has written into the trip.
func (t *trip) add(statement *gorm.DB) *pgx.QueuedQuery {
	return t.ask(statement.Statement.SQL.String(), statement.Statement.Vars...)
}

// ask puts a statement with $1, $2 … into the trip.
func (t *trip) ask(sql string, args ...any) *pgx.QueuedQuery {
	for i, arg := range args {
		args[i] = plain(arg)
	}
	return t.batch.Queue(sql, args...)
}

// plain gives pgx an id as the bytes that it is. As a driver.Valuer it becomes
// text first, which pgx cannot send in binary, finds out, and reads back.
func plain(arg any) any {
	switch id := arg.(type) {
	case uuid.UUID:
		return [16]byte(id)
	case *uuid.UUID:
		if id == nil {
			return nil
		}
		return [16]byte(*id)
	case []uuid.UUID:
		all := make([][16]byte, len(id))
		for i := range id {
			all[i] = id[i]
		}
		return all
	}
	return arg
}

// find reads at most one row of a statement's answer into into.
func find[T any](into *T, found *bool) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		row, err := pgx.CollectOneRow(rows, pgx.RowToStructByName[T])
		if errors.Is(err, pgx.ErrNoRows) {
			*found = false
			return nil
		}
		*into, *found = row, err == nil
		return err
	}
}

// findAll reads all rows of a statement's answer into into, each over the one
// before it: where its columns go is found out once.
func findAll[T any](into *[]T) func(pgx.Rows) error {
	return func(rows pgx.Rows) error {
		*into = (*into)[:0]
		if err := rows.Err(); err != nil { // rows that never came have no columns to ask about: it panics
			return err
		}
		var row T
		places, err := placesOf(&row, rows.FieldDescriptions())
		if err != nil {
			return err
		}
		_, err = pgx.ForEachRow(rows, places, func() error {
			*into = append(*into, row)
			var empty T // what is NULL in the next row is not this one's
			row = empty
			return nil
		})
		return err
	}
}

// rowTypes is what GORM has found out of row types.
var rowTypes sync.Map

// CallColumns are those of a call, as GORM asks for them.
func CallColumns() (string, error) {
	parsed, err := schema.Parse(models.Call{}, &rowTypes, schema.NamingStrategy{})
	if err != nil {
		return "", err
	}
	return `"calls"."` + strings.Join(parsed.DBNames, `","calls"."`) + `"`, nil
}

// placesOf gives the fields of a row that hold the columns.
func placesOf(row any, columns []pgconn.FieldDescription) ([]any, error) {
	parsed, err := schema.Parse(row, &rowTypes, schema.NamingStrategy{})
	if err != nil {
		return nil, err
	}
	places := make([]any, len(columns))
	for i, column := range columns {
		field := parsed.LookUpField(column.Name)
		if field == nil {
			return nil, fmt.Errorf("%T has no column %s", row, column.Name)
		}
		places[i] = field.ReflectValueOf(context.Background(), reflect.ValueOf(row)).Addr().Interface()
	}
	return places, nil
}

// uuidCodec reads ids as the bytes that they are: pgx by itself, as uuid.UUID is a
// sql.Scanner, writes each as text for it to be parsed.
type uuidCodec struct{ pgtype.UUIDCodec }

func (c uuidCodec) PlanScan(m *pgtype.Map, oid uint32, format int16, target any) pgtype.ScanPlan {
	if _, ok := target.(*uuid.UUID); ok && format == pgtype.BinaryFormatCode {
		return uuidPlan{}
	}
	return c.UUIDCodec.PlanScan(m, oid, format, target)
}

type uuidPlan struct{}

// Scan is as uuid.UUID's: NULL leaves the target as it is.
func (uuidPlan) Scan(src []byte, target any) error {
	id, ok := target.(*uuid.UUID)
	if !ok || src != nil && len(src) != len(id) {
		return errors.New("no id")
	}
	copy(id[:], src)
	return nil
}

// readUUIDs has a new connection read ids so.
func readUUIDs(_ context.Context, conn *pgx.Conn) error {
	conn.TypeMap().RegisterType(&pgtype.Type{Name: "uuid", OID: pgtype.UUIDOID, Codec: uuidCodec{}})
	return nil
}

// session is one connection on which trips are made, one after the other.
type session struct {
	ctx  context.Context //nolint:containedctx // lives as long as the call of travel that made it
	conn *pgx.Conn
}

func (s session) send(t *trip) error { return s.conn.SendBatch(s.ctx, &t.batch).Close() }

// travel runs fn on one connection. A transaction that fn has left open is undone.
func (d *DB) travel(ctx context.Context, fn func(session) error) error {
	ctx, cancel := context.WithTimeout(ctx, transactionTimeout)
	defer cancel()
	const tries = 3 // of a pool's connections that turn out to be dead; as in database/sql
	for try := 1; ; try++ {
		err := d.travelOnce(ctx, fn)
		if try == tries || !errors.Is(err, driver.ErrBadConn) {
			return clean(err)
		}
	}
}

func (d *DB) travelOnce(ctx context.Context, fn func(session) error) error {
	pooled, err := d.sql.Conn(ctx)
	if err != nil {
		return err
	}
	defer pooled.Close() //nolint:errcheck // it goes back to the pool
	return pooled.Raw(func(raw any) error {
		wrapped, ok := raw.(*stdlib.Conn)
		if !ok {
			return fmt.Errorf("a connection is a %T", raw)
		}
		conn := wrapped.Conn()
		err := fn(session{ctx, conn})
		undo(conn)
		if pgconn.SafeToRetry(err) { // not one byte of it went out
			return driver.ErrBadConn
		}
		return err
	})
}

// undo ends a transaction that is still open; when that fails, the connection is
// closed, and Postgres undoes it.
func undo(conn *pgx.Conn) {
	if conn.IsClosed() || conn.PgConn().TxStatus() == 'I' {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		_ = conn.Close(ctx) // the pool notices
	}
}
