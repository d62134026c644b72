package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math/big"
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
)

func idOf(kind, n int) uuid.UUID {
	return uuid.MustParse(fmt.Sprintf("00000000-0000-7000-%04x-%012x", kind, n))
}

// ownPhone is the phone of the laboratory that takes many calls at once.
const ownPhone = "120"

// database is the superuser's connection: row-level security does not hold for
// it, and the service never has it.
type database struct {
	conn   *pgx.Conn
	tokens []string // the access token of each user
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
				"click-to-dial:calls:create click-to-dial:calls:read click-to-dial:calls:delete", "operator", later,
			}
		}},
		{"tokens", []string{"id", "tenant_id", "grant_id", "kind", "hash", "expires_at"}, people, func(n int) []any {
			token := newToken()
			d.tokens = append(d.tokens, token)
			sum := sha256.Sum256([]byte(token))
			return []any{idOf(kindToken, n), idOf(kindTenant, n%tenants), idOf(kindGrant, n), "access", sum[:], later}
		}},
		// Whose rows pgbench writes: it beats for as long as anyone looks.
		{"replicas", []string{"id", "beat_at"}, 1, func(n int) []any { return []any{idOf(kindReplica, n), now.Add(24 * time.Hour)} }},
	}
	for _, t := range tables {
		source := pgx.CopyFromSlice(t.rows, func(n int) ([]any, error) { return t.row(n), nil })
		if _, err := d.conn.CopyFrom(ctx, pgx.Identifier{t.name}, t.columns, source); err != nil {
			return fmt.Errorf("filling %s: %w", t.name, err)
		}
	}
	_, err := d.conn.Exec(ctx, "VACUUM ANALYZE")
	return err
}

// letters writes n as six capital letters, as a support code is.
func letters(n int) string {
	code := []byte("AAAAAA")
	for i := len(code) - 1; n > 0; i-- {
		code[i] = byte('A' + n%26)
		n /= 26
	}
	return string(code)
}

// newToken makes an access token of the service's form (design: c2da_, 43
// base62 characters, 6 of CRC32).
func newToken() string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand, Go 1.24)
	body := "c2da_" + base62(new(big.Int).SetBytes(secret), 43)
	return body + base62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(body)))), 6)
}

func base62(n *big.Int, width int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	out := make([]byte, width)
	digit := new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, big.NewInt(62), digit)
		out[i] = digits[digit.Int64()]
	}
	return string(out)
}

// fresh empties what calls leave behind and starts a checkpoint, so that every
// run, the yardstick's too, begins alike.
func (d *database) fresh(ctx context.Context) error {
	for _, statement := range []string{"TRUNCATE calls, call_events, idempotency, refusals", "CHECKPOINT"} {
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
