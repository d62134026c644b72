package call

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/secret"
	"clicktodial/server/testdb"
)

func (b *bundle) company(t *testing.T) *Company {
	t.Helper()
	keys, err := secret.NewKeys([][]byte{bytes.Repeat([]byte{7}, 32)})
	if err != nil {
		t.Fatal(err)
	}
	return &Company{DB: b.db, Index: live.NewTTLIndex(b.openRedis(t, b.redis)), Keys: keys, Now: b.now}
}

func codeOf(err error) string {
	if f, ok := fault.Of(err); ok {
		return f.Code
	}
	return ""
}

// Whoever calls it: the service itself lets in admins, and nobody else.
func TestCompanyIsForAdmins(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.company(t)
	id := uuid.New()
	for name, by := range map[string]models.Actor{
		"nobody": {}, "a user": {Role: models.RoleUser, UserID: b.user.ID, TenantID: b.tenant.ID}, "support": {Role: models.RoleSupport, UserID: b.user.ID},
		"an admin of nothing": {Role: models.RoleAdmin, UserID: b.user.ID}, "support in a tenant": {Role: models.RoleSupport, TenantID: b.tenant.ID},
		"the operator": {Role: models.RoleOperator, TenantID: b.tenant.ID},
	} {
		_, list := c.List(t.Context(), by, Page{Limit: 1}, CompanySearch{})
		_, _, get := c.Get(t.Context(), by, id)
		_, read := c.Read(t.Context(), by, Asked{})
		_, save := c.SaveSearch(t.Context(), by, []byte("x"))
		_, find := c.FindSearch(t.Context(), by, id)
		_, export := c.Export(t.Context(), by, CompanySearch{}, CSV)
		for what, err := range map[string]error{"List": list, "Get": get, "Read": read, "SaveSearch": save, "FindSearch": find, "Export": export} {
			if codeOf(err) != "forbidden" {
				t.Errorf("%s by %s: %v", what, name, err)
			}
		}
	}
	admin := models.Actor{Role: models.RoleAdmin, UserID: b.user.ID, TenantID: b.tenant.ID}
	if _, _, err := c.Get(t.Context(), admin, id); codeOf(err) != "not-found" {
		t.Errorf("an id of nothing: %v", err)
	}
	if l, err := c.List(t.Context(), admin, Page{Limit: 1}, CompanySearch{}); err != nil || l.More || len(l.Calls) != 0 {
		t.Errorf("%+v, %v", l, err)
	}
}

// What Postgres still gave ends by the clock of whoever passes it on: a page that
// took long, or an export whose reader is slow.
func TestCompanyCallEndsOnTheWay(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.company(t)
	admin := models.Actor{Role: models.RoleAdmin, UserID: b.user.ID, TenantID: b.tenant.ID}
	testdb.AsOwner(t, b.url, `INSERT INTO calls (id, tenant_id, user_id, device_label, number, number_masked, status, rank, reason, diagnosis, replica_id, channel_id, created_at, ended_at, expires_at)
		SELECT gen_random_uuid(), $1, $2, 'Desk', '+31201234567', '+31 20 123 4***', 'disconnected', 4, 'hangUp', 'hung-up', gen_random_uuid(), gen_random_uuid()::text, now(), now(), date_trunc('milliseconds', now() + i * interval '1 hour')
		FROM generate_series(1, 2) i`, b.tenant.ID, b.user.ID)
	for _, row := range []struct {
		name  string
		ahead time.Duration
		want  int
	}{{"now", 0, 2}, {"in 59 minutes", 59 * time.Minute, 2}, {"in an hour", time.Hour + time.Second, 1}, {"in two", 2*time.Hour + time.Second, 0}} {
		c.Now = func() time.Time { return time.Now().Add(row.ahead) }
		l, err := c.List(t.Context(), admin, Page{Limit: 10}, CompanySearch{})
		if err != nil || len(l.Calls) != row.want {
			t.Errorf("%s: %d calls, %v", row.name, len(l.Calls), err)
		}
		export, err := c.Export(t.Context(), admin, CompanySearch{}, CSV)
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		if err := export.Write(t.Context(), &out); err != nil || strings.Count(out.String(), "\r\n") != row.want+1 {
			t.Errorf("%s: %q, %v", row.name, out.String(), err)
		}
	}
	// The reader takes the first row, and then an hour.
	c.Now = time.Now
	export, err := c.Export(t.Context(), admin, CompanySearch{}, JSON)
	if err != nil {
		t.Fatal(err)
	}
	slow := &slowReader{after: 2, then: func() { c.Now = func() time.Time { return time.Now().Add(3 * time.Hour) } }}
	if err := export.Write(t.Context(), slow); err != nil || !strings.HasSuffix(slow.text.String(), "],\"count\":1}\n") {
		t.Errorf("%q, %v", slow.text.String(), err)
	}
}

// slowReader lets time go by after some writes.
type slowReader struct {
	text  strings.Builder
	after int
	then  func()
}

func (s *slowReader) Write(p []byte) (int, error) {
	if s.after--; s.after == 0 {
		s.then()
	}
	return s.text.Write(p)
}

func TestCursor(t *testing.T) {
	t.Parallel()
	at, id := time.Date(2026, 11, 23, 12, 0, 0, 123456000, time.UTC), uuid.New()
	page, err := ReadCursor(WriteCursor(at, id))
	if err != nil || !page.At.Equal(at) || page.ID != id {
		t.Errorf("%+v, %v", page, err)
	}
	for _, bad := range []string{"x", "====", WriteCursor(at, id)[1:], WriteCursor(at, id) + "A", WriteCursor(time.Unix(0, 0), id), strings.Repeat("/", 32)} {
		if _, err := ReadCursor(bad); codeOf(err) != "invalid-request" {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// A person has two exports of the history under way, and no third; one that ends
// makes room, however it ends.
func TestTwoExportsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	c := b.company(t)
	admin := models.Actor{Role: models.RoleAdmin, UserID: b.user.ID, TenantID: b.tenant.ID}
	another := models.Actor{Role: models.RoleAdmin, UserID: uuid.New(), TenantID: b.tenant.ID}
	export := func(by models.Actor) *Export {
		t.Helper()
		e, err := c.Export(t.Context(), by, CompanySearch{}, CSV)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	refused := func() {
		t.Helper()
		if _, err := c.Export(t.Context(), admin, CompanySearch{}, CSV); codeOf(err) != "exports-running" {
			t.Errorf("a third: %v", err)
		}
	}
	one, two := export(admin), export(admin)
	refused()
	export(another)
	if err := one.Write(t.Context(), io.Discard); err != nil {
		t.Fatal(err)
	}
	one.End() // the second time it makes no room
	three := export(admin)
	refused()
	two.End()
	three.End()
	export(admin)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 3 {
		if _, err := c.Export(ctx, another, CompanySearch{}, CSV); codeOf(err) == "exports-running" || err == nil {
			t.Errorf("a caller who went away: %v", err)
		}
	}
}
