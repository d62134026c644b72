package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"
	"gorm.io/gorm/schema"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/register"
	"clicktodial/server/store"
)

// state gives the SQLSTATE of an error of the raw connection.
func state(err error) string {
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		return pg.Code
	}
	return ""
}

// rows are all row types; each column of one is in the schema, and each column
// of the schema is in one.
var rows = register.Rows()

// unmodelled are columns that no row type reads.
var unmodelled []string

func TestModelsMatchSchema(t *testing.T) {
	t.Parallel()
	db := openRaw(t)
	there := names(t, db, `SELECT table_name || '.' || column_name FROM information_schema.columns
		WHERE table_schema = 'public'`)
	var modelled []string
	for _, row := range rows {
		parsed, err := schema.Parse(row, &sync.Map{}, schema.NamingStrategy{})
		if err != nil {
			t.Fatalf("%T: %v", row, err)
		}
		for _, column := range parsed.DBNames {
			name := parsed.Table + "." + column
			if !slices.Contains(there, name) {
				t.Errorf("%s of %T is not in the schema", name, row)
			}
			modelled = append(modelled, name)
		}
	}
	for _, name := range there {
		if !slices.Contains(modelled, name) && !slices.Contains(unmodelled, name) {
			t.Errorf("%s is in no row type", name)
		}
	}
	type Call struct{ ID, Forgotten string }
	parsed, err := schema.Parse(Call{}, &sync.Map{}, schema.NamingStrategy{})
	if err != nil || slices.Contains(there, parsed.Table+".forgotten") || parsed.Table != "calls" {
		t.Errorf("the check does not see a forgotten column: %v", err)
	}
}

// What ctd_follow is granted is what FollowedCall reads, and no personal column.
func TestFollowedCallColumns(t *testing.T) {
	t.Parallel()
	db := openRaw(t)
	granted := names(t, db, `SELECT column_name FROM information_schema.column_privileges
		WHERE grantee = 'ctd_follow' AND table_name = 'calls' AND privilege_type = 'SELECT'`)
	parsed, err := schema.Parse(models.FollowedCall{}, &sync.Map{}, schema.NamingStrategy{})
	if err != nil {
		t.Fatal(err)
	}
	for _, column := range parsed.DBNames {
		if !slices.Contains(granted, column) {
			t.Errorf("ctd_follow may not read %s", column)
		}
	}
	for _, column := range []string{"number", "name", "number_masked", "last_four", "device_label", "sign_in_label"} {
		if slices.Contains(granted, column) {
			t.Errorf("ctd_follow may read %s", column)
		}
	}
}

// Everything of one tenant, seen by the API's role in the name of another, with
// and without the WHERE that the store writes.
func TestTenantsAreApart(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	call := b.startCall(t, "020 123 4567")
	b.advance(t, call, reach(models.CallingCaller))
	b.refuse(t)
	b.newGrant(t, b.user)
	other, stranger, _ := b.newTenant(t, "Other")
	tenanted := names(t, b.raw, `SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'tenant_id'`)
	if len(tenanted) < 9 {
		t.Fatalf("only %v have a tenant", tenanted)
	}
	seen := func(tenant uuid.UUID, table, where string) (n int, denied bool) {
		b.as(t, "ctd_app", tenant, func(tx *sql.Tx) {
			err := tx.QueryRow(fmt.Sprintf("SELECT count(tenant_id) FROM %s WHERE %s", table, where)).Scan(&n)
			denied = state(err) == "42501"
			if err != nil && !denied {
				t.Errorf("%s: %v", table, err)
			}
		})
		return n, denied
	}
	own := 0
	for _, table := range tenanted {
		of := fmt.Sprintf("tenant_id = '%s'", b.tenant.ID)
		if n, _ := seen(other.ID, table, of); n != 0 {
			t.Errorf("%s: asked for by its id, tenant B sees %d rows of tenant A", table, n)
		}
		all, _ := seen(other.ID, table, "true")
		theirs, _ := seen(other.ID, table, fmt.Sprintf("tenant_id = '%s'", other.ID))
		if all != theirs {
			t.Errorf("%s: with a forgotten WHERE tenant B sees %d rows, %d are its own", table, all, theirs)
		}
		if n, _ := seen(uuid.Nil, table, "true"); n != 0 {
			t.Errorf("%s: without a tenant %d rows are visible", table, n)
		}
		if n, denied := seen(b.tenant.ID, table, of); n > 0 && !denied {
			own++
		}
	}
	if own < 6 {
		t.Errorf("tenant A itself sees rows of %d tables only: the test proves little", own)
	}
	for _, table := range []string{"calls", "devices", "idempotency", "refusals"} {
		b.as(t, "ctd_app", other.ID, func(tx *sql.Tx) {
			for _, verb := range []string{"UPDATE " + table + " SET tenant_id = tenant_id", "DELETE FROM " + table} {
				if _, err := tx.Exec("SAVEPOINT s"); err != nil {
					t.Fatal(err)
				}
				res, err := tx.Exec(verb + fmt.Sprintf(" WHERE tenant_id = '%s'", b.tenant.ID))
				if err == nil {
					if n, _ := res.RowsAffected(); n != 0 {
						t.Errorf("tenant B: %s: %d rows", verb, n)
					}
				} else if state(err) != "42501" {
					t.Errorf("%s: %v", verb, err)
				}
				if _, err := tx.Exec("ROLLBACK TO s"); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	// The same through the store, by the ids of tenant A.
	for name, err := range map[string]error{
		"Call":       second(b.db.Call(ctx, other.ID, stranger.ID, call.ID)),
		"Call, user": second(b.db.Call(ctx, other.ID, b.user.ID, call.ID)),
		"NameCall":   second(b.db.NameCall(ctx, other.ID, b.user.ID, call.ID, "x")),
		"DeleteCall": second(b.db.DeleteCall(ctx, other.ID, b.user.ID, call.ID, store.LedgerNote{})),
		"AskHangUp":  second(b.db.AskHangUp(ctx, other.ID, b.user.ID, call.ID)),
	} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of another tenant's: %v", name, err)
		}
	}
	if calls, err := b.db.History(ctx, other.ID, b.user.ID, store.Page{Limit: 10}, store.Search{}); err != nil || len(calls) != 0 {
		t.Errorf("History: %d rows, %v", len(calls), err)
	}
}

func second[T any](_ T, err error) error { return err }

// The checks of foreign keys go past row-level security: they hold the tenant too.
func TestForeignKeysHoldTheTenant(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	own := b.startCall(t, "020 123 4567")
	_, user, device := b.newTenant(t, "Other")
	grant := b.newGrant(t, user)
	ownGrant := b.newGrant(t, b.user)
	insert := `INSERT INTO calls (id, tenant_id, user_id, device_id, device_label, grant_id, number, number_masked, replica_id, channel_id, created_at, expires_at)
		SELECT gen_random_uuid(), tenant_id, $1, $2, device_label, $3, number, number_masked, replica_id, gen_random_uuid()::text, created_at, expires_at
		FROM calls WHERE id = $4`
	cases := []struct {
		name                string
		user, device, grant uuid.UUID
		refused             bool
	}{
		{"all its own", b.user.ID, b.device.ID, ownGrant.ID, false},
		{"another's user", user.ID, b.device.ID, ownGrant.ID, true},
		{"another's device", b.user.ID, device.ID, ownGrant.ID, true},
		{"another's sign-in", b.user.ID, b.device.ID, grant.ID, true},
	}
	for _, c := range cases {
		b.as(t, "ctd_app", b.tenant.ID, func(tx *sql.Tx) {
			_, err := tx.Exec(insert, c.user, c.device, c.grant, own.ID)
			if (state(err) == "23503") != c.refused || !c.refused && err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		})
	}
	// Every foreign key to a table with a tenant names the tenant, or is one
	// column of a table whose tenant may be NULL and has a second key that does.
	for _, fk := range names(t, b.raw, `SELECT conrelid::regclass || ' -> ' || confrelid::regclass FROM pg_constraint k
		WHERE contype = 'f' AND connamespace = 'public'::regnamespace AND cardinality(conkey) = 1
		AND EXISTS (SELECT FROM pg_attribute WHERE attrelid = confrelid AND attname = 'tenant_id')
		AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conrelid = k.conrelid AND c.confrelid = k.confrelid
			AND c.contype = 'f' AND cardinality(c.conkey) = 2)`) {
		t.Errorf("foreign key without a tenant: %s", fk)
	}
}

// The API's role cannot make a record live longer or look at one that has ended.
func TestExpiryHoldsForTheAPI(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	call, due := b.startCall(t, "020 123 4567"), b.startCall(t, "020 123 4568")
	b.age(t, due)
	for _, statement := range []string{
		"UPDATE calls SET expires_at = expires_at + interval '1 day'", "UPDATE calls SET expires_at = now() - interval '1 day'",
		"UPDATE calls SET number = '+31201234567'", "UPDATE calls SET user_id = user_id", "UPDATE calls SET created_at = now()",
		"UPDATE calls SET status = 'connected'",
	} {
		b.as(t, "ctd_app", b.tenant.ID, func(tx *sql.Tx) {
			if _, err := tx.Exec(statement); state(err) != "42501" {
				t.Errorf("%s: %v, want permission denied", statement, err)
			}
		})
	}
	b.as(t, "ctd_app", b.tenant.ID, func(tx *sql.Tx) {
		_, err := tx.Exec(`INSERT INTO calls (id, tenant_id, user_id, device_label, number, number_masked, replica_id, channel_id, created_at, expires_at)
			SELECT gen_random_uuid(), tenant_id, user_id, '', number, number_masked, replica_id, 'ctd-x', created_at - interval '2 days',
			date_trunc('milliseconds', now() - interval '1 day') FROM calls`)
		if state(err) != "42501" {
			t.Errorf("a record that has ended already: %v", err)
		}
	})
	for what, err := range map[string]error{
		"Call":       second(b.db.Call(ctx, b.tenant.ID, b.user.ID, due.ID)),
		"NameCall":   second(b.db.NameCall(ctx, b.tenant.ID, b.user.ID, due.ID, "x")),
		"DeleteCall": second(b.db.DeleteCall(ctx, b.tenant.ID, b.user.ID, due.ID, store.LedgerNote{})),
		"AskHangUp":  second(b.db.AskHangUp(ctx, b.tenant.ID, b.user.ID, due.ID)),
	} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s of a record that has ended: %v", what, err)
		}
	}
	calls, err := b.db.History(ctx, b.tenant.ID, b.user.ID, store.Page{Limit: 10}, store.Search{})
	if err != nil || len(calls) != 1 || calls[0].ID != call.ID {
		t.Errorf("History shows %d rows, %v", len(calls), err)
	}
}

// A record ends by the role whose part it is: the API takes living ones back, what
// follows the PBX those that are up, the purge those that are due; shortening brings
// an end forward, and nobody puts one off.
func TestEachRoleEndsARecordItsOwnWay(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	b.dueCalls(t, 1)
	b.asOwner(t, "UPDATE calls SET status = 'disconnected', rank = 4, reason = 'hangUp', diagnosis = 'hung-up', caller_answered_at = created_at, connected_at = created_at, ended_at = created_at")
	up := b.startCall(t, "020 123 4567")
	b.advance(t, b.startCall(t, "020 123 4568"), ended)
	const denied = "42501"
	type end struct {
		rows int64
		code string // of the error
	}
	no := end{code: denied}
	ways := map[string]struct{ remove, earlier, later end }{
		"ctd_app":       {end{rows: 2}, no, no},
		"ctd_follow":    {end{rows: 1}, no, no},
		"ctd_purger":    {end{rows: 1}, no, no},
		"ctd_retention": {no, end{rows: 3}, end{code: "23514"}},
		"ctd_auth":      {no, no, no},
		"ctd_support":   {no, no, no},
		"ctd_operator":  {no, no, no},
	}
	roles := names(t, b.raw, `SELECT rolname::text FROM pg_roles WHERE rolname LIKE 'ctd\_%' AND NOT rolcanlogin`)
	if len(roles) != len(ways) {
		t.Errorf("the roles are %v", roles)
	}
	for _, role := range roles {
		for statement, want := range map[string]end{
			"DELETE FROM calls": ways[role].remove,
			"UPDATE calls SET expires_at = expires_at - interval '1 second'":      ways[role].earlier,
			"UPDATE calls SET expires_at = expires_at + interval '1 millisecond'": ways[role].later,
		} {
			b.as(t, role, b.tenant.ID, func(tx *sql.Tx) {
				res, err := tx.Exec(statement)
				if state(err) != want.code {
					t.Errorf("%s, %s: %v", role, statement, err)
					return
				}
				if err != nil {
					return
				}
				if n, _ := res.RowsAffected(); n != want.rows {
					t.Errorf("%s, %s: %d rows, want %d", role, statement, n, want.rows)
				}
			})
		}
	}
	for end, want := range map[string]string{"1 hour": "", "1 year": "23514"} {
		b.as(t, "ctd_retention", b.tenant.ID, func(tx *sql.Tx) {
			_, err := tx.Exec("UPDATE call_words SET expires_at = now() + interval '"+end+"' WHERE call_id = $1", up.ID)
			if state(err) != want {
				t.Errorf("words end in %s: %v", end, err)
			}
		})
	}
}

// The last moment of a record, to the millisecond: no sleep, Postgres's own clock.
func TestRecordEndsAtItsInstant(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	n := b.newCall(t, "020 123 4567")
	n.At, n.MaxAge = time.Now().UTC().Truncate(time.Millisecond), 400*time.Millisecond
	call := b.create(t, n)
	for {
		before := time.Now()
		_, err := b.db.Call(ctx, b.tenant.ID, b.user.ID, call.ID)
		after := time.Now()
		switch {
		case err == nil && before.After(call.ExpiresAt.Add(5*time.Millisecond)):
			t.Fatalf("visible %v after its end", before.Sub(call.ExpiresAt))
		case errors.Is(err, store.ErrNotFound) && after.Before(call.ExpiresAt.Add(-5*time.Millisecond)):
			t.Fatalf("gone %v before its end", call.ExpiresAt.Sub(after))
		case errors.Is(err, store.ErrNotFound):
			if due := b.countDue(t); due != 1 {
				t.Errorf("due: %d", due)
			}
			return
		case err != nil:
			t.Fatal(err)
		}
	}
}

// The pool hands a connection on: neither role nor tenant go with it.
func TestPoolCarriesNothingOn(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	one := openStore(t, b.url, 1)
	n := b.newCall(t, "020 123 4567")
	if _, _, _, err := one.CreateCall(context.Background(), n); err != nil {
		t.Fatal(err)
	}
	bad := n
	bad.DeviceID, bad.Key = uuid.New(), "other"
	if _, _, _, err := one.CreateCall(context.Background(), bad); err == nil {
		t.Fatal("expected a refusal, to see what a rollback leaves")
	}
	role, tenant, err := one.SessionState(context.Background())
	if err != nil || role != "none" || tenant != "" {
		t.Errorf("the connection goes on as role %q, tenant %q (%v)", role, tenant, err)
	}
}

// Errors come up without what was put in.
func TestErrorsTellNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	call := b.startCall(t, "020 123 4567")
	long := strings.Repeat("Jansen", 20)
	tooLong := b.newCall(t, "020 123 4567")
	tooLong.Name = "Jansen" + "Jansen"
	for range 4 {
		tooLong.Name += tooLong.Name
	}
	twice := b.newCall(t, "020 123 4567")
	twice.ChannelID = call.ChannelID
	badKey := b.newCall(t, "020 123 4567")
	badKey.Key = "020 1234567 Jansen"
	badUser := models.User{ID: uuid.New(), TenantID: &b.tenant.ID, Email: "JANSEN@acme.test", Role: models.RoleUser}
	sameMail := models.User{ID: uuid.New(), TenantID: &b.tenant.ID, Email: b.user.Email, Role: models.RoleUser}
	badDevice := models.Device{ID: uuid.New(), TenantID: b.tenant.ID, UserID: b.user.ID, Label: long, Endpoint: "Jansen 101"}
	twiceNamed := b.device
	twiceNamed.ID = uuid.New()
	errs := map[string]error{
		"name too long":     create(b, tooLong),
		"channel id twice":  create(b, twice),
		"malformed key":     create(b, badKey),
		"malformed e-mail":  b.db.CreateUser(ctx, badUser, entry),
		"e-mail twice":      b.db.CreateUser(ctx, sameMail, entry),
		"malformed device":  b.db.AddDevice(ctx, badDevice, entry),
		"label twice":       b.db.AddDevice(ctx, twiceNamed, entry),
		"rename too long":   second(b.db.NameCall(ctx, b.tenant.ID, b.user.ID, call.ID, tooLong.Name)),
		"NUL in a name":     second(b.db.NameCall(ctx, b.tenant.ID, b.user.ID, call.ID, "Jansen\x00")),
		"bad UTF-8 in name": second(b.db.NameCall(ctx, b.tenant.ID, b.user.ID, call.ID, "Jansen\xff")),
	}
	for name, err := range errs {
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if state(err) != "" {
			t.Errorf("%s: Postgres's own error goes up, with its detail", name)
		}
		for e := err; e != nil; e = errors.Unwrap(e) {
			text := strings.ToLower(fmt.Sprintf("%v %+v %s", e, e, e))
			for _, secret := range []string{"1234567", "jansen", "acme", "4567"} {
				if strings.Contains(text, secret) {
					t.Errorf("%s: an error tells %q: %v", name, secret, reflect.TypeOf(e))
				}
			}
		}
	}
	for name, code := range map[string]string{"e-mail twice": "email-taken", "label twice": "label-taken"} {
		if fault.Code(errs[name]) != code {
			t.Errorf("%s: %v, want %s", name, errs[name], code)
		}
	}
}

func create(b *bundle, n store.NewCall) error {
	_, _, _, err := b.db.CreateCall(context.Background(), n)
	return err
}
