package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm"

	"clicktodial/server/fault"
)

// ErrNotFound is "no such row, or not yours".
var ErrNotFound error = fault.New(fault.NotFound, "not-found", "There is no such record, or it is not yours.")

// sqlError is what is left of Postgres's error: its message and detail can hold
// values, so they go no further.
type sqlError struct{ state, table, constraint string }

func (e *sqlError) Error() string {
	return fmt.Sprintf("postgres: SQLSTATE %s table %q constraint %q", e.state, e.table, e.constraint)
}

// clean turns an error of GORM or pgx into one that may be logged and told
// apart: a fault passes, no row is ErrNotFound, no database is a fault.
func clean(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := fault.Of(err); ok {
		return err
	}
	if errors.Is(err, gorm.ErrRecordNotFound) {
		return ErrNotFound
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return cleanPG(pg)
	}
	var se *sqlError
	if errors.As(err, &se) {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	// What is left is the line to Postgres: refused, cut, timed out.
	return unavailable(fmt.Errorf("the line to postgres: %T", err))
}

func cleanPG(pg *pgconn.PgError) error {
	short := &sqlError{state: pg.Code, table: pg.TableName, constraint: pg.ConstraintName}
	// 08 connection, 40 deadlock, 53 resources, 57P0x shutdown, 57014 our own time
	// limit, 55P03 lock wait, 25P03 idle too long (PostgreSQL manual, appendix A).
	for _, class := range []string{"08", "40", "53", "57P0", "57014", "55P03", "25P03"} {
		if strings.HasPrefix(pg.Code, class) {
			return unavailable(short)
		}
	}
	return short
}

func unavailable(err error) error {
	return fault.Wrap(err, fault.Unavailable, "postgres-unavailable",
		"The database cannot be reached just now. Nothing was started.")
}

// violates says whether err is the violation of the named constraint.
func violates(err error, constraint string) bool {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.ConstraintName == constraint
	}
	var se *sqlError
	return errors.As(err, &se) && se.constraint == constraint
}
