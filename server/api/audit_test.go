package api_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/api"
	"clicktodial/server/testdb"
)

type auditPage struct {
	Items []api.AuditEntry `json:"items"`
	Next  *string          `json:"next"`
}

// audit gives a page of it to an admin.
func (r *replica) audit(p person, query url.Values) auditPage {
	r.t.Helper()
	return read[auditPage](r.t, r.do(ask{method: "GET", path: "/v1/admin/audit?" + query.Encode(), token: p.Access}).ok(r.t, 200))
}

func (p auditPage) of(action string) (entries []api.AuditEntry) {
	for _, e := range p.Items {
		if e.Action == action {
			entries = append(entries, e)
		}
	}
	return entries
}

// staff is somebody of the provider's support, and their token.
func (r *replica) staff(t *testing.T) (models.User, string) {
	t.Helper()
	u := models.User{ID: uuid.New(), Email: "help@provider.test", Role: models.RoleSupport, CreatedAt: time.Now()}
	check(t, r.db.CreateUser(t.Context(), u, entry))
	return u, r.signIn(t, u.Email).Access
}

// What was done to a company's people, by whomever, its admins see, and those of no
// other company. Of support they learn what it did, never who did it.
func TestAudit(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true, proxies: []string{"127.0.0.1"}})
	bert, carl := r.colleague(t, anna, "bert@example.test"), r.person(t, "carl@other.test")
	sam, token := r.staff(t)
	grant := r.signInID(t, bert)
	behind := map[string]string{"X-Forwarded-For": "203.0.113.77"}
	post := func(path, token string, body any) {
		r.do(ask{method: "POST", path: path, token: token, body: body, header: behind})
	}
	post("/v1/support/users/search", token, map[string]any{"email": bert.user.Email})
	post("/v1/support/users/search", token, map[string]any{"email": "nobody@example.test"})
	r.do(ask{method: "GET", path: "/v1/support/users/" + bert.user.ID.String() + "/sign-ins", token: token, header: behind}).ok(t, 200)
	post("/v1/support/sign-ins/"+grant.String()+"/revoke", token, map[string]any{"reason": "lost laptop"})
	post("/v1/admin/users/"+bert.user.ID.String()+"/password-link", anna.Access, nil)
	got := r.audit(anna, nil)
	for _, want := range []struct {
		action, by, subject string
		id                  uuid.UUID
		actor               *uuid.UUID
		reason, network     string
	}{
		{"support-search", "support", "user", bert.user.ID, nil, "", ""},
		{"support-look", "support", "user", bert.user.ID, nil, "", ""},
		{"sign-in-revoke", "support", "grant", grant, nil, "lost laptop", ""},
		{"password-link-create", "admin", "user", bert.user.ID, &anna.user.ID, "invitation", "203.0.113.0/24"},
	} {
		found := got.of(want.action)
		if len(found) != 1 {
			t.Errorf("%s stands there %d times", want.action, len(found))
			continue
		}
		e := found[0]
		if e.Actor.Kind != want.by || fmt.Sprint(e.Actor.ID) != fmt.Sprint(want.actor) || e.Subject.Kind != want.subject || e.Subject.ID == nil || *e.Subject.ID != want.id ||
			e.Subject.UserID == nil || *e.Subject.UserID != bert.user.ID || orEmpty(e.Reason) != want.reason || orEmpty(e.Network) != want.network || time.Since(e.At) > time.Minute {
			t.Errorf("%s: %+v", want.action, e)
		}
	}
	whole := string(r.do(ask{method: "GET", path: "/v1/admin/audit", token: anna.Access}).body)
	for _, secret := range []string{sam.ID.String(), sam.Email, bert.user.Email, carl.user.ID.String(), "203.0.113.77"} {
		if strings.Contains(whole, secret) {
			t.Errorf("the audit tells %s", secret)
		}
	}
	if other := r.audit(carl, nil); len(other.of("support-search"))+len(other.of("sign-in-revoke"))+len(other.of("password-link-create")) > 0 || len(other.of("pairing-code-create")) != 1 {
		t.Errorf("another company's admin sees %+v", other)
	}
	testdb.AsOwner(t, r.dbURL, "UPDATE audit SET network = NULL, at = at - interval '15 days'")
	if e := r.audit(anna, nil).of("password-link-create"); len(e) != 1 || e[0].Network != nil {
		t.Errorf("made anonymous: %+v", e)
	}
}

func orEmpty(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func TestAuditPagesAndFilters(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	bert, carl := r.colleague(t, anna, "bert@example.test"), r.person(t, "carl@other.test")
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	testdb.AsOwner(t, r.dbURL, "DELETE FROM audit")
	for i := range 23 { // four of a moment
		who := []person{anna, bert}[i%2]
		testdb.AsOwner(t, r.dbURL, "INSERT INTO audit (id, tenant_id, at, actor_kind, actor_id, action) VALUES (gen_random_uuid(), $1, $2, 'user', $3, $4)",
			anna.tenant.ID, at.Add(time.Duration(i/4)*time.Hour), who.user.ID, []string{"export", "user-change", "reveal"}[i%3])
	}
	testdb.AsOwner(t, r.dbURL, "INSERT INTO audit (id, tenant_id, at, actor_kind, actor_id, action) VALUES (gen_random_uuid(), $1, $2, 'user', $3, 'export')", carl.tenant.ID, at, carl.user.ID)
	through := func(filter url.Values, limit int) (entries []api.AuditEntry) {
		query := url.Values{"limit": {fmt.Sprint(limit)}}
		for name, value := range filter {
			query[name] = value
		}
		for len(entries) <= 23 {
			got := r.audit(anna, query)
			entries = append(entries, got.Items...)
			if got.Next == nil {
				break
			}
			query.Set("cursor", *got.Next)
		}
		return entries
	}
	late := url.Values{"from": {at.Add(2 * time.Hour).Format(time.RFC3339)}}
	for _, tt := range []struct {
		name   string
		filter url.Values
		fits   func(i int) bool
	}{
		{"all", nil, func(int) bool { return true }},
		{"an action", url.Values{"action": {"reveal"}}, func(i int) bool { return i%3 == 2 }},
		{"an action of nobody", url.Values{"action": {"no-such-act"}}, func(int) bool { return false }},
		{"an actor", url.Values{"actorId": {bert.user.ID.String()}}, func(i int) bool { return i%2 == 1 }},
		{"from", late, func(i int) bool { return i/4 >= 2 }},
		{"to", url.Values{"to": late["from"]}, func(i int) bool { return i/4 < 2 }},
		{"all of it", url.Values{"action": {"export"}, "actorId": {anna.user.ID.String()}, "from": late["from"], "to": {at.Add(5 * time.Hour).Format(time.RFC3339)}},
			func(i int) bool { return i%3 == 0 && i%2 == 0 && i/4 >= 2 && i/4 < 5 }},
	} {
		want := 0
		for i := range 23 {
			if tt.fits(i) {
				want++
			}
		}
		whole := through(tt.filter, 100)
		if len(whole) != want || !slices.IsSortedFunc(whole, func(a, b api.AuditEntry) int { return b.At.Compare(a.At) }) {
			t.Errorf("%s: %d entries, want %d, or another order", tt.name, len(whole), want)
		}
		for _, limit := range []int{1, 4, 5, 22, 23} {
			same := func(a, b api.AuditEntry) bool { return a.ID == b.ID }
			if !slices.EqualFunc(through(tt.filter, limit), whole, same) {
				t.Errorf("%s: pages of %d are others", tt.name, limit)
			}
		}
	}
	for _, bad := range []string{"limit=0", "limit=101", "cursor=x", "cursor=" + strings.Repeat("A", 32), "cursor=" + strings.Repeat("A", 65), "action=Export", "action=a'b", "action=" + strings.Repeat("a", 51),
		"actorId=x", "from=yesterday", "to=2026-03-02"} {
		r.do(ask{method: "GET", path: "/v1/admin/audit?" + bad, token: anna.Access}).problem(t, 400, "invalid-request")
	}
	for _, foreign := range []uuid.UUID{carl.user.ID, uuid.New()} {
		r.do(ask{method: "GET", path: "/v1/admin/audit?actorId=" + foreign.String(), token: anna.Access}).problem(t, 404, "not-found")
	}
	same := at.Format(time.RFC3339)
	r.do(ask{method: "GET", path: "/v1/admin/audit?from=" + same + "&to=" + same, token: anna.Access}).problem(t, 422, "period-invalid")
}
