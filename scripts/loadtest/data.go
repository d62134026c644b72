package main

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// Ids are made of a kind and a number, so that pgbench can make them too.
const (
	kindTenant = 0x8000 + iota
	kindUser
	kindDevice
	kindGrant
	kindToken
	kindReplica
	kindCall
)

func idOf(kind, n int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("00000000-0000-7000-%04x-%012x", kind, n))
}

const scopes = "click-to-dial:calls:create click-to-dial:calls:read click-to-dial:calls:delete"

// ownPhone is the phone of the laboratory that takes many calls at once.
const ownPhone = "120"

// database is the superuser's connection: row-level security does not hold for
// it, and the service never has it.
type database struct {
	conn    *pgx.Conn
	tokens  []string // the access token of each user
	tenants int
	spare   int // sign-ins made besides (signins.go)
}

func openDatabase(ctx context.Context, url string) (*database, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("connecting to the private Postgres: %w", err)
	}
	return &database{conn: conn}, nil
}

func (d *database) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = d.conn.Close(ctx) // the whole Postgres goes next
}

// seed makes tenants, and users with a phone, a sign-in and an access token each.
func (d *database) seed(ctx context.Context, tenants, people int) error {
	d.tenants = tenants
	now, later := time.Now().UTC(), time.Now().UTC().Add(time.Hour)
	tables := []struct {
		name    string
		columns []string
		rows    int
		row     func(n int) []any
	}{
		{"tenants", []string{"id", "name", "region"}, tenants, func(n int) []any {
			return []any{idOf(kindTenant, n), fmt.Sprintf("Company %d", n), "NL"}
		}},
		{"users", []string{"id", "tenant_id", "email", "role"}, people, func(n int) []any {
			return []any{idOf(kindUser, n), idOf(kindTenant, n%tenants), fmt.Sprintf("user%d@bench.example", n), "user"}
		}},
		{"devices", []string{"id", "tenant_id", "user_id", "label", "endpoint", "caller_id"}, people, func(n int) []any {
			return []any{idOf(kindDevice, n), idOf(kindTenant, n%tenants), idOf(kindUser, n), "Desk phone", ownPhone, "+31201112233"}
		}},
		{"grants", []string{"id", "tenant_id", "user_id", "client_id", "device_name", "support_code", "scopes", "made_by", "expires_at"}, people, func(n int) []any {
			return []any{
				idOf(kindGrant, n), idOf(kindTenant, n%tenants), idOf(kindUser, n), "extension", "Chromium", letters(n),
				scopes, "operator", later,
			}
		}},
		{"tokens", []string{"id", "tenant_id", "grant_id", "kind", "hash", "expires_at"}, people, func(n int) []any {
			d.tokens = append(d.tokens, newToken("c2da_"))
			return []any{idOf(kindToken, n), idOf(kindTenant, n%tenants), idOf(kindGrant, n), "access", hashOf(d.tokens[n]), later}
		}},
		// Whose rows pgbench writes: it beats for as long as anyone looks.
		{"replicas", []string{"id", "beat_at"}, 1, func(n int) []any { return []any{idOf(kindReplica, n), now.Add(24 * time.Hour)} }},
	}
	for _, t := range tables {
		if err := d.fill(ctx, t.name, t.columns, t.rows, t.row); err != nil {
			return err
		}
	}
	_, err := d.conn.Exec(ctx, "VACUUM ANALYZE")
	return err
}

// fill copies rows into a table.
func (d *database) fill(ctx context.Context, table string, columns []string, rows int, row func(n int) []any) error {
	source := pgx.CopyFromSlice(rows, func(n int) ([]any, error) { return row(n), nil })
	if _, err := d.conn.CopyFrom(ctx, pgx.Identifier{table}, columns, source); err != nil {
		return fmt.Errorf("filling %s: %w", table, err)
	}
	return nil
}

// fresh empties what calls leave behind and starts a checkpoint, so that every
// run, the yardstick's too, begins alike.
func (d *database) fresh(ctx context.Context) error {
	for _, statement := range []string{"TRUNCATE calls, call_words, call_events, idempotency, refusals", "CHECKPOINT"} {
		if _, err := d.conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("emptying the tables: %w", err)
		}
	}
	return nil
}

// count counts the calls whose rank is from least to most.
func (d *database) count(ctx context.Context, least, most int) (n int, err error) {
	err = d.conn.QueryRow(ctx, "SELECT count(*) FROM calls WHERE rank BETWEEN $1 AND $2", least, most).Scan(&n)
	return n, err
}

// awaitEnds waits until no call is up.
func (d *database) awaitEnds(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for {
		var up bool
		if err := d.conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM calls WHERE ended_at IS NULL)").Scan(&up); err != nil {
			return fmt.Errorf("waiting for the calls to end: %w", err)
		}
		if !up {
			return nil
		}
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
			return fmt.Errorf("calls are still up after %v", limit)
		}
	}
}
