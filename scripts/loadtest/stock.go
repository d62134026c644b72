package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// stockTenants is how many tenants a stock has. The first one's people own all of
// its calls; everybody clicks.
const stockTenants = 4

// stock is a database of its own with a history in it, and a server for it: what
// the other measures have filled stays as it is.
type stock struct {
	*bench // of that database

	of        installation
	server    *process
	rows, due int // calls, and how many of them have ended their time; those are the oldest
	owners    int
}

// stockOf makes one, filled and served.
func (b *bench) stockOf(ctx context.Context, name string, people, rows, due int, pbxURL string) (*stock, error) {
	own, err := b.within(ctx, "bench_"+name)
	if err != nil {
		return nil, err
	}
	s := &stock{bench: own, of: newInstallation(name), rows: rows, due: due, owners: people / stockTenants}
	s.of.settings = []string{"PURGE_INTERVAL=24h"} // it purges when it is told to
	if err := s.people(ctx, people); err != nil {
		s.close()
		return nil, err
	}
	// Before there is a call, so that nothing is due when the server first looks.
	if s.server, err = own.serveReplica(ctx, s.of, name, pbxURL, b.Redis); err == nil {
		err = s.fillCalls(ctx)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *stock) close() {
	s.halt()
	s.bench.close()
}

// halt stops its server.
func (s *stock) halt() {
	if s.server != nil {
		s.server.stop()
		s.server = nil
	}
}

// within makes a database and gives the bench that works in it.
func (b *bench) within(ctx context.Context, database string) (*bench, error) {
	service, err := url.Parse(b.Database)
	if err != nil {
		return nil, errors.New("DATABASE_URL cannot be read")
	}
	admin, err := url.Parse(b.Admin)
	if err != nil {
		return nil, errors.New("BENCH_ADMIN_URL cannot be read")
	}
	create := "CREATE DATABASE " + pgx.Identifier{database}.Sanitize() + " OWNER " + pgx.Identifier{service.User.Username()}.Sanitize()
	if _, err := b.data.conn.Exec(ctx, create); err != nil {
		return nil, fmt.Errorf("making a database: %w", err)
	}
	service.Path, admin.Path = database, database
	own := &bench{setup: b.setup, plan: b.plan}
	own.Database, own.Admin = service.String(), admin.String()
	if err := own.migrate(ctx); err != nil {
		return nil, err
	}
	own.data, err = openDatabase(ctx, own.Admin)
	return own, err
}

// people makes the tenants and their people, of whom the first is an admin.
func (s *stock) people(ctx context.Context, people int) error {
	if err := s.data.seed(ctx, stockTenants, people); err != nil {
		return err
	}
	for _, statement := range []string{
		"UPDATE users SET role = 'admin' WHERE id = '" + idOf(kindUser, 0).String() + "'",
		// No record is older than it may be: there is nothing to be shortened.
		fmt.Sprintf("UPDATE tenants SET kept_ms = %d", recordLife.Milliseconds()),
		// Neither side of a comparison has it come in between.
		"ALTER TABLE calls SET (autovacuum_enabled = false)",
		"ALTER TABLE call_words SET (autovacuum_enabled = false)",
		"ALTER TABLE call_events SET (autovacuum_enabled = false)",
	} {
		if _, err := s.data.conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("making the people of a stock: %w", err)
		}
	}
	return nil
}

// owner is the number of the n-th user of the first tenant.
func (s *stock) owner(n int) int { return n % s.owners * stockTenants }

// settle takes what callers have left, and what was deleted, out of the way of what follows.
func (s *stock) settle(ctx context.Context) error {
	for _, statement := range []string{
		"DELETE FROM calls WHERE ended_at IS NULL", "DELETE FROM idempotency",
		"VACUUM ANALYZE calls, call_words, call_events, idempotency", "CHECKPOINT",
	} {
		if _, err := s.data.conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("settling the database: %w", err)
		}
	}
	return nil
}

// thousands writes a number as people read it.
func thousands(n int) string {
	text := fmt.Sprint(n)
	var groups []string
	for len(text) > 3 {
		groups = append([]string{text[len(text)-3:]}, groups...)
		text = text[:len(text)-3]
	}
	return strings.Join(append([]string{text}, groups...), ",")
}

// seconds says how long something took.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
