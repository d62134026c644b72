package store_test

import (
	"database/sql"
	"testing"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/store"
)

// The history's own tables, asked without any condition on the tenant, as by a
// query in which it was forgotten: nothing of another company comes, and nothing
// of it can be changed.
func TestForgottenTenant(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	mine := b.past(t, "020 123 4567", "Jan", 0)
	other, stranger, _ := b.newTenant(t, "Other")
	n := b.newCall(t, "020 123 4567")
	n.TenantID, n.UserID = other.ID, stranger.ID
	theirs := b.create(t, n)
	b.advance(t, theirs, ended)
	for _, who := range []models.User{b.user, stranger} {
		err := b.db.SaveSearch(t.Context(), models.SavedSearch{ID: uuid.New(), TenantID: *who.TenantID, UserID: who.ID, Sealed: []byte("x"), CreatedAt: b.at, ExpiresAt: b.at.Add(1e12)})
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, query := range map[string]string{
		"calls": "SELECT tenant_id FROM calls", "a call by its id": "SELECT tenant_id FROM calls WHERE id = '" + theirs.ID.String() + "' OR true",
		"words": "SELECT tenant_id FROM call_words WHERE word IN ('jan', 'jansen')", "events": "SELECT tenant_id FROM call_events", "searches": "SELECT tenant_id FROM searches",
		"the page": `SELECT s.tenant_id FROM (SELECT c.*, row_number() OVER (ORDER BY c.created_at DESC) AS place FROM calls c LIMIT 5000) s LEFT JOIN users u ON u.id = s.user_id`,
		"by word":  "SELECT c.tenant_id FROM call_words w CROSS JOIN LATERAL (SELECT * FROM calls WHERE id = w.call_id OFFSET 0) c",
		"people":   "SELECT u.tenant_id FROM users u FULL JOIN calls c ON true",
	} {
		b.as(t, "ctd_app", b.tenant.ID, func(tx *sql.Tx) {
			rows, err := tx.Query(query)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			defer rows.Close() //nolint:errcheck // read to its end
			n := 0
			for rows.Next() {
				var tenant uuid.UUID
				if err := rows.Scan(&tenant); err != nil || tenant != b.tenant.ID {
					t.Errorf("%s: a row of %s, %v", name, tenant, err)
				}
				n++
			}
			if n == 0 || rows.Err() != nil {
				t.Errorf("%s: %d rows prove nothing, %v", name, n, rows.Err())
			}
		})
	}
	b.as(t, "ctd_app", b.tenant.ID, func(tx *sql.Tx) {
		for _, change := range []struct{ name, sql string }{{"renamed", "UPDATE calls SET name = 'x'"}, {"deleted", "DELETE FROM calls"}} {
			res, err := tx.Exec(change.sql)
			if err != nil {
				t.Fatal(err)
			}
			if n, _ := res.RowsAffected(); n != 1 {
				t.Errorf("%d calls %s, of which only %s is ours", n, change.name, mine.ID)
			}
		}
	})
	if _, err := b.db.Call(t.Context(), other.ID, stranger.ID, theirs.ID); err != nil {
		t.Error(err)
	}
	// And with the tenant, but another's ids.
	if _, _, err := b.db.CompanyCall(t.Context(), b.tenant.ID, theirs.ID); err == nil {
		t.Error("a call of another company")
	}
	l, err := b.db.CompanyHistory(t.Context(), b.tenant.ID, store.Page{Limit: 10}, store.CompanySearch{UserID: stranger.ID}, models.Audit{})
	if err != nil || len(l.Calls) != 0 {
		t.Errorf("%+v, %v", l, err)
	}
}
