package api_test

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/api"
)

// admin posts to a route of the admin's.
func (r *replica) admin(by person, path string, body map[string]any) answer {
	r.t.Helper()
	return r.do(ask{method: "POST", path: "/v1/admin/privacy" + path, token: by.Access, body: body})
}

// A called party's request, from search to receipt, by letter.
func TestRequestOfANumber(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	stranger := r.person(t, "carl@other.test")
	click := ask{method: "POST", path: "/v1/calls", token: anna.Access, key: "first-click", body: map[string]any{"number": number, "name": "Jan"}}
	first := read[api.Call](t, r.do(click).ok(t, 201))
	eventually(t, "it has ended", func() bool {
		return read[api.Call](t, r.do(ask{method: "GET", path: "/v1/calls/" + first.ID.String(), token: anna.Access})).EndedAt != nil
	})
	theirs := r.past(t, stranger, number, "Jan", time.Now().Add(-time.Hour))
	letter := time.Now().UTC().AddDate(0, 0, -40).Truncate(time.Second)
	filed := read[api.Receipt](t, r.admin(anna, "/requests", map[string]any{"number": "020-1234567", "act": "erasure", "receivedAt": letter}).ok(t, 201))
	if !filed.ReceivedAt.Equal(letter) || !filed.Late || filed.DoneAt != nil || filed.UserID != nil || filed.Subject != "number" {
		t.Errorf("%+v", filed)
	}
	found := read[api.SubjectFound](t, r.admin(anna, "/find", map[string]any{"number": "020 123 45 67"}).ok(t, 200))
	if found.Records != 1 || found.Oldest == nil || found.Newest == nil {
		t.Errorf("%+v", found)
	}
	if got := read[api.Receipt](t, r.admin(anna, "/correct", map[string]any{"number": number, "name": "Piet"}).ok(t, 200)); got.Records != 1 || got.DoneAt == nil {
		t.Errorf("%+v", got)
	}
	if page := r.do(ask{method: "POST", path: "/v1/history/search", token: anna.Access, body: map[string]any{"q": "piet"}}); !strings.Contains(string(page.body), first.ID.String()) {
		t.Errorf("not found under its new name: %s", page.body)
	}
	done := read[api.Receipt](t, r.admin(anna, "/erase", map[string]any{"number": "+31 20 1234567", "requestId": filed.ID}).ok(t, 200))
	if done.ID != filed.ID || done.Reference != filed.Reference || done.Records != 1 || done.DoneAt == nil || done.Late {
		t.Errorf("%+v", done)
	}
	r.admin(anna, "/erase", map[string]any{"number": number, "requestId": filed.ID}).problem(t, 409, "request-mismatch")
	r.do(click).problem(t, 410, "call-gone")
	r.do(ask{method: "GET", path: "/v1/calls/" + first.ID.String(), token: anna.Access}).problem(t, 404, "not-found")
	r.do(ask{method: "GET", path: "/v1/calls/" + theirs.String(), token: stranger.Access}).ok(t, 200)
	// Objecting.
	r.admin(anna, "/object", map[string]any{"number": number}).ok(t, 200)
	click.key = "second-click"
	if p := r.do(click).problem(t, 422, "do-not-dial"); len(p.SupportCode) != 6 {
		t.Errorf("%+v", p)
	}
	check := ask{method: "POST", path: "/v1/numbers/check", token: anna.Access, body: map[string]any{"number": number + " ext. 9"}}
	if got := read[api.NumberCheck](t, r.do(check).ok(t, 200)); got.Verdict != "denied" || got.Code == nil || *got.Code != "do-not-dial" || got.Sentence == nil {
		t.Errorf("%+v", got)
	}
	check.token, click.token = stranger.Access, stranger.Access
	if got := read[api.NumberCheck](t, r.do(check).ok(t, 200)); got.Verdict != "allowed" {
		t.Errorf("elsewhere: %+v", got)
	}
	r.do(click).ok(t, 201)
	// All of it can be paged through, and names nobody.
	var all []api.Receipt
	for cursor := ""; ; {
		page := read[struct {
			Items []api.Receipt
			Next  *string
		}](t, r.do(ask{method: "GET", path: "/v1/admin/privacy/requests?limit=1&cursor=" + cursor, token: anna.Access}).ok(t, 200))
		all = append(all, page.Items...)
		if page.Next == nil {
			break
		}
		cursor = *page.Next
	}
	if len(all) != 3 || all[2].ID != filed.ID {
		t.Errorf("%+v", all)
	}
	if body := r.do(ask{method: "GET", path: "/v1/admin/privacy/requests", token: stranger.Access}).ok(t, 200).body; strings.Contains(string(body), filed.Reference) {
		t.Errorf("another company sees it: %s", body)
	}
	if strings.Contains(r.log.String(), "1234567") {
		t.Error("a number is in the log")
	}
}

func TestPrivacyBodies(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	for _, path := range []string{"/find", "/export", "/erase", "/object", "/object/lift", "/restrict", "/restrict/lift", "/correct"} {
		r.admin(anna, path, map[string]any{}).problem(t, 400, "invalid-request")
		r.admin(anna, path, map[string]any{"number": number, "userId": anna.user.ID}).problem(t, 400, "invalid-request")
		r.admin(anna, path, map[string]any{"number": "hello"}).problem(t, 422, "number-invalid")
		r.admin(anna, path, map[string]any{"number": strings.Repeat("1", 257)}).problem(t, 400, "invalid-request")
		r.admin(anna, path, map[string]any{"number": number, "more": 1}).problem(t, 400, "invalid-request")
	}
	r.admin(anna, "/object", map[string]any{"userId": anna.user.ID}).problem(t, 422, "act-invalid")
	r.admin(anna, "/object/lift", map[string]any{"number": number}).problem(t, 409, "not-on-list")
	r.admin(anna, "/correct", map[string]any{"number": number}).problem(t, 400, "invalid-request")
	r.admin(anna, "/export", map[string]any{"number": number, "format": "xml"}).problem(t, 400, "invalid-request")
	r.admin(anna, "/requests", map[string]any{"number": number, "act": "access", "receivedAt": time.Now().Add(time.Hour)}).problem(t, 422, "received-invalid")
	r.admin(anna, "/requests", map[string]any{"number": number, "act": "departure"}).problem(t, 422, "act-invalid")
	r.admin(anna, "/requests/"+uuid.NewString()+"/refuse", nil).problem(t, 404, "not-found")
	r.do(ask{method: "GET", path: "/v1/me/export?format=xml", token: anna.Access}).problem(t, 400, "invalid-request")
	r.do(ask{method: "POST", path: "/v1/me/privacy-requests", token: anna.Access, body: map[string]any{"act": "objection"}}).problem(t, 400, "invalid-request")
	own := read[api.Receipt](t, r.do(ask{method: "POST", path: "/v1/me/privacy-requests", token: anna.Access, body: map[string]any{"act": "restriction"}}).ok(t, 201))
	if body := r.do(ask{method: "GET", path: "/v1/me/privacy-requests", token: anna.Access}).ok(t, 200).body; !strings.Contains(string(body), own.Reference) {
		t.Errorf("%s", body)
	}
	if got := read[api.Receipt](t, r.admin(anna, "/requests/"+own.ID.String()+"/refuse", nil).ok(t, 200)); !got.Refused || got.UserID != nil {
		t.Errorf("%+v", got)
	}
	if body := r.do(ask{method: "GET", path: "/v1/me/privacy-requests", token: anna.Access}).ok(t, 200).body; strings.Contains(string(body), own.Reference) {
		t.Errorf("it is closed: %s", body)
	}
}

func TestChangeAndDeleteUser(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	bert := r.colleague(t, anna, "bert@example.test")
	path := "/v1/admin/users/" + bert.user.ID.String()
	patch := func(body map[string]any) answer {
		return r.do(ask{method: "PATCH", path: path, token: anna.Access, body: body})
	}
	patch(map[string]any{}).problem(t, 400, "invalid-request")
	patch(map[string]any{"email": anna.user.Email}).problem(t, 409, "email-taken")
	patch(map[string]any{"email": "no mail"}).problem(t, 422, "email-invalid")
	patch(map[string]any{"name": "a\u0000b"}).problem(t, 422, "name-invalid")
	if p := read[api.Person](t, patch(map[string]any{"email": "Bert.Bos@Example.test", "name": "Bert Bos"}).ok(t, 200)); p.Email != "bert.bos@example.test" || p.Name != "Bert Bos" || p.DisabledAt != nil {
		t.Errorf("%+v", p)
	}
	r.do(ask{method: "GET", path: "/v1/me", token: bert.Access}).ok(t, 200)
	r.past(t, bert, number, "Jan", time.Now().Add(-time.Hour))
	r.do(ask{method: "DELETE", path: "/v1/admin/users/" + anna.user.ID.String(), token: anna.Access}).problem(t, 409, "oneself")
	gone := read[api.Receipt](t, r.do(ask{method: "DELETE", path: path, token: anna.Access}).ok(t, 200))
	if gone.Act != "departure" || gone.Records != 1 || gone.UserID != nil || gone.DoneAt == nil {
		t.Errorf("%+v", gone)
	}
	r.do(ask{method: "GET", path: "/v1/me", token: bert.Access}).problem(t, 401, "unauthorized")
	r.do(ask{method: "GET", path: path, token: anna.Access}).problem(t, 404, "not-found")
	if body := r.do(ask{method: "GET", path: "/v1/admin/users", token: anna.Access}).ok(t, 200).body; strings.Contains(string(body), "bert") {
		t.Errorf("%s", body)
	}
}

func TestExportMe(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	r.past(t, anna, number, "=Jan", time.Now().Add(-time.Hour))
	for format, kind := range map[string]string{"json": "application/json", "csv": "text/csv; charset=utf-8; header=present"} {
		got := r.do(ask{method: "GET", path: "/v1/me/export?format=" + format, token: anna.Access}).ok(t, 200)
		for name, want := range map[string]string{
			"Content-Type": kind, "Cache-Control": "no-store", "Content-Disposition": `attachment; filename="export.` + format + `"`,
		} {
			if value := got.header.Get(name); value != want {
				t.Errorf("%s: %s %q, want %q", format, name, value, want)
			}
		}
		if format == "csv" {
			if rows, err := csv.NewReader(strings.NewReader(string(got.body))).ReadAll(); err != nil || len(rows) < 10 || !strings.Contains(string(got.body), "'=Jan") {
				t.Errorf("%v %s", err, got.body)
			}
			continue
		}
		var e struct {
			Calls []struct{ Number, Name string }
			End   struct{ Complete bool }
		}
		if err := json.Unmarshal(got.body, &e); err != nil || len(e.Calls) != 1 || e.Calls[0].Number != number || e.Calls[0].Name != "=Jan" || !e.End.Complete {
			t.Errorf("%v %s", err, got.body)
		}
	}
	if n := r.sql(t, "ctd_operator", "SELECT FROM audit WHERE action = 'export' AND actor_id = $1 AND subject_id = $1", anna.user.ID); n != 2 {
		t.Errorf("%d exports are audited", n)
	}
}

// A reader that stalls holds its export, of which there are two at most; when it
// goes, so does the export. The request's deadline ends none.
func TestExportsOfSlowReaders(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	r.bulk(t, anna, 20_000)
	ask := func() *http.Response {
		req, err := http.NewRequest(http.MethodGet, r.url+"/v1/me/export", nil)
		check(t, err)
		req.Header.Set("Authorization", "Bearer "+anna.Access)
		res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
		check(t, err)
		return res
	}
	first, second := ask(), ask()
	if first.StatusCode != 200 || second.StatusCode != 200 {
		t.Fatal(first.Status, second.Status)
	}
	refused := ask()
	if refused.StatusCode != 429 || refused.Header.Get("Retry-After") == "" {
		t.Errorf("a third: %s", refused.Status)
	}
	_ = refused.Body.Close()
	whole, err := io.ReadAll(first.Body)
	if err != nil || !json.Valid(whole) || strings.Count(string(whole), `"direction"`) != 20_000 {
		t.Errorf("%d bytes, %v", len(whole), err)
	}
	_ = second.Body.Close() // it goes away in the middle
	eventually(t, "both have ended", func() bool {
		a, b := ask(), ask()
		defer a.Body.Close() //nolint:errcheck // only the status matters
		defer b.Body.Close() //nolint:errcheck // only the status matters
		return a.StatusCode == 200 && b.StatusCode == 200
	})
	if strings.Contains(r.log.String(), "broken off") { // a reader who leaves is no fault of ours
		t.Error(r.log.String())
	}
}

// bulk enters ended calls of a person.
func (b *bundle) bulk(t *testing.T, p person, n int) {
	t.Helper()
	b.sql(t, "ctd_app", fmt.Sprintf(`WITH t AS (SELECT set_config('app.tenant_id', '%s', true))
		INSERT INTO calls (id, tenant_id, user_id, device_label, number, name, number_masked, last_four, status, rank, reason, diagnosis,
		dispatch, replica_id, channel_id, created_at, ended_at, expires_at)
		SELECT gen_random_uuid(), t.set_config::uuid, '%s', 'Desk', '%s', 'Jan Jansen ' || i, 'masked', '4567', 'disconnected', 4, 'hangUp', 'hung-up', 'dispatched', gen_random_uuid(),
		'bulk-' || i, date_trunc('milliseconds', now()) - i * interval '1 second', now() - i * interval '1 second', date_trunc('milliseconds', now()) + interval '1 day'
		FROM t, generate_series(1, %d) i`, p.tenant.ID, p.user.ID, number, n))
}
