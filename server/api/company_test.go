package api_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/api"
	"clicktodial/server/testdb"
)

type companyPage struct {
	Items []api.CompanyCall `json:"items"`
	Next  *string           `json:"next"`
}

func (p companyPage) ids() (ids []uuid.UUID) {
	for _, c := range p.Items {
		ids = append(ids, c.ID)
	}
	return ids
}

func (r *replica) company(p person, query string) companyPage {
	r.t.Helper()
	return read[companyPage](r.t, r.do(ask{method: "GET", path: "/v1/admin/history" + query, token: p.Access}).ok(r.t, 200))
}

func (r *replica) findInCompany(p person, body map[string]any) companyPage {
	r.t.Helper()
	return read[companyPage](r.t, r.do(ask{method: "POST", path: "/v1/admin/history/search", token: p.Access, body: body}).ok(r.t, 200))
}

func TestCompanyHistoryPages(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	bert, stranger := r.colleague(t, anna, "bert@example.test"), r.person(t, "carl@other.test")
	if got := r.company(anna, ""); got.Items == nil || len(got.Items) != 0 || got.Next != nil {
		t.Errorf("an empty history: %+v", got)
	}
	r.past(t, stranger, number, "Jan", time.Now().Add(-time.Hour))
	at := time.Now().Add(-time.Hour)
	made := map[uuid.UUID]person{}
	for i := range 23 {
		if i%4 == 0 {
			at = at.Add(time.Second) // four share a millisecond
		}
		who := []person{anna, bert}[i%2]
		made[r.past(t, who, number, "", at)] = who
	}
	whole := r.company(anna, "")
	for _, call := range whole.Items {
		if who, ok := made[call.ID]; !ok || call.User.ID != who.user.ID || call.User.Email == nil || *call.User.Email != who.user.Email {
			t.Errorf("whose is it: %+v", call.User)
		}
	}
	if len(whole.Items) != len(made) || whole.Next != nil {
		t.Fatalf("%d calls", len(whole.Items))
	}
	for _, limit := range []int{1, 4, 5, 22, 23, 100} {
		var seen []uuid.UUID
		for query := fmt.Sprint("?limit=", limit); len(seen) <= len(made); {
			got := r.company(anna, query)
			seen = append(seen, got.ids()...)
			if got.Next == nil {
				break
			}
			query = fmt.Sprint("?limit=", limit, "&cursor=", *got.Next)
		}
		if !slices.Equal(seen, whole.ids()) {
			t.Errorf("pages of %d: %d calls, or another order", limit, len(seen))
		}
	}
	for _, query := range []string{"?limit=0", "?limit=101", "?cursor=x", "?cursor=" + strings.Repeat("A", 65), "?cursor=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"} {
		r.do(ask{method: "GET", path: "/v1/admin/history" + query, token: anna.Access}).problem(t, 400, "invalid-request")
	}
}

func TestCompanySearch(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{practice: "practice://?ring=1h"})
	bert := r.colleague(t, anna, "bert@example.test")
	now := time.Now().Truncate(time.Millisecond)
	jan := r.past(t, anna, "020 123 4567", "Jan van der Berg", now.Add(-4*time.Hour))
	ann := r.past(t, bert, "+49 30 901820", "Ann-Marie", now.Add(-3*time.Hour))
	inside := r.past(t, bert, "1234", "Front desk", now.Add(-2*time.Hour))
	busy := r.past(t, bert, "020 123 4567", "Jan", now.Add(-time.Hour))
	lost := r.past(t, anna, "030 765 4321", "", now.Add(-30*time.Minute))
	r.outcome(t, anna, busy, "disconnected", "calleeBusy")
	r.outcome(t, anna, lost, "failed", nil)
	up := r.dial(anna, map[string]any{"number": "020 123 9999"}).ID
	rfc := func(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
	for _, tt := range []struct {
		name string
		body map[string]any
		want []uuid.UUID
	}{
		{"all", map[string]any{}, []uuid.UUID{up, lost, busy, inside, ann, jan}},
		{"a number as text", map[string]any{"q": "020-1234567"}, []uuid.UUID{busy, jan}},
		{"last four as text", map[string]any{"q": "4567"}, []uuid.UUID{busy, jan}},
		{"a word as text", map[string]any{"q": "jan"}, []uuid.UUID{busy, jan}},
		{"text that is nothing", map[string]any{"q": "99999999999999999999"}, nil},
		{"a number", map[string]any{"number": "+31 20 123 4567"}, []uuid.UUID{busy, jan}},
		{"an extension", map[string]any{"number": "1234"}, []uuid.UUID{inside}},
		{"last four", map[string]any{"lastFour": "1820"}, []uuid.UUID{ann}},
		{"last four of none", map[string]any{"lastFour": "0000"}, nil},
		{"a name", map[string]any{"name": "BERG jan"}, []uuid.UUID{jan}},
		{"half a word", map[string]any{"name": "ja"}, nil},
		{"a user", map[string]any{"userId": bert.user.ID}, []uuid.UUID{busy, inside, ann}},
		{"an outcome", map[string]any{"outcome": "calleeBusy"}, []uuid.UUID{busy}},
		{"failed", map[string]any{"outcome": "failed"}, []uuid.UUID{lost}},
		{"hung up", map[string]any{"outcome": "hangUp"}, []uuid.UUID{inside, ann, jan}},
		{"an outcome that none had", map[string]any{"outcome": "callerFailure"}, nil},
		{"live", map[string]any{"outcome": "live"}, []uuid.UUID{up}},
		{"from", map[string]any{"from": rfc(now.Add(-2 * time.Hour))}, []uuid.UUID{up, lost, busy, inside}},
		{"to", map[string]any{"to": rfc(now.Add(-3 * time.Hour))}, []uuid.UUID{jan}},
		{"a user and a name", map[string]any{"userId": bert.user.ID, "name": "jan"}, []uuid.UUID{busy}},
		{"a number and an outcome", map[string]any{"number": "0201234567", "outcome": "hangUp"}, []uuid.UUID{jan}},
		{"last four and text", map[string]any{"q": "1820", "userId": anna.user.ID}, nil},
		{"live and a user", map[string]any{"outcome": "live", "userId": bert.user.ID}, nil},
		{"everything", map[string]any{
			"number": "0201234567", "lastFour": "4567", "name": "jan", "userId": bert.user.ID, "outcome": "calleeBusy", "from": rfc(now.Add(-2 * time.Hour)), "to": rfc(now),
		}, []uuid.UUID{busy}},
	} {
		if got := r.findInCompany(anna, tt.body); !slices.Equal(got.ids(), tt.want) || got.Items == nil {
			t.Errorf("%s: got %v, want %v", tt.name, got.ids(), tt.want)
		}
		tt.body["limit"] = 1
		var paged []uuid.UUID
		for len(paged) <= len(tt.want) {
			got := r.findInCompany(anna, tt.body)
			if paged = append(paged, got.ids()...); got.Next == nil {
				break
			}
			tt.body["cursor"] = *got.Next
		}
		if !slices.Equal(paged, tt.want) {
			t.Errorf("%s, one by one: got %v, want %v", tt.name, paged, tt.want)
		}
	}
	for _, bad := range []struct {
		name   string
		body   map[string]any
		status int
		code   string
	}{
		{"no number", map[string]any{"number": "abc"}, 422, "number-invalid"},
		{"three digits", map[string]any{"lastFour": "123"}, 400, "invalid-request"},
		{"an outcome of ours", map[string]any{"outcome": "lost"}, 400, "invalid-request"},
		{"a period that ends first", map[string]any{"from": rfc(now), "to": rfc(now)}, 422, "period-invalid"},
		{"a name with controls", map[string]any{"name": "a\u0000b"}, 422, "name-invalid"},
		{"text and a number", map[string]any{"q": "jan", "number": "0201234567"}, 400, "invalid-request"},
		{"nobody", map[string]any{"userId": uuid.New()}, 404, "not-found"},
		{"an unknown member", map[string]any{"tenantId": anna.tenant.ID}, 400, "invalid-request"},
		{"a long text", map[string]any{"q": strings.Repeat("x", 257)}, 400, "invalid-request"},
	} {
		r.do(ask{method: "POST", path: "/v1/admin/history/search", token: anna.Access, body: bad.body}).problem(t, bad.status, bad.code)
		bad.body["format"] = "csv"
		r.do(ask{method: "POST", path: "/v1/admin/history/export", token: anna.Access, body: bad.body}).problem(t, bad.status, bad.code)
	}
	r.silent(t, "1234567", "Berg", "berg", "Ann-Marie", "901820", "bert@")
}

// outcome gives an ended call another end, as its owner in the database could.
func (b *bundle) outcome(t *testing.T, p person, id uuid.UUID, status string, reason any) {
	t.Helper()
	testdb.AsOwner(t, b.dbURL, "UPDATE calls SET status = $1, reason = $2 WHERE id = $3 AND tenant_id = $4", status, reason, id, p.tenant.ID)
}

func TestCompanyCall(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	bert := r.colleague(t, anna, "bert@example.test")
	his := r.finished(bert, r.dial(bert, map[string]any{"number": "020 123 1111", "name": "Jan Jansen"}).ID)
	path := "/v1/admin/history/" + his.ID.String()
	got := read[api.CompanyCallDetail](t, r.do(ask{method: "GET", path: path, token: anna.Access}).ok(t, 200))
	if got.ID != his.ID || got.Number == nil || *got.Number != "+31201231111" || *got.Name != "Jan Jansen" || *got.User.Email != "bert@example.test" || got.Diagnosis == nil {
		t.Errorf("%+v", got)
	}
	var steps []string
	for i, s := range got.Timeline {
		steps = append(steps, s.Status)
		if i > 0 && s.At.Before(got.Timeline[i-1].At) {
			t.Errorf("step %d goes back in time", i)
		}
	}
	if !slices.Equal(steps, []string{"callingCaller", "callingCallee", "disconnected"}) || got.Timeline[2].Cause == nil || *got.Timeline[2].Cause != 17 {
		t.Errorf("%+v", got.Timeline)
	}
	private := r.finished(bert, r.dial(bert, map[string]any{"number": number, "name": "Jan Jansen", "private": true}).ID)
	hidden := r.do(ask{method: "GET", path: "/v1/admin/history/" + private.ID.String(), token: anna.Access}).ok(t, 200)
	if call := read[api.CompanyCallDetail](t, hidden); call.Number != nil || call.Name != nil || call.Display != nil || !call.Private || strings.Contains(string(hidden.body), "4567") {
		t.Errorf("a private call: %s", hidden.body)
	}
	testdb.AsOwner(t, r.dbURL, "UPDATE users SET deleted_at = now(), email = 'left-' || id || '@left.invalid', name = '' WHERE id = $1", bert.user.ID)
	left := read[api.CompanyCallDetail](t, r.do(ask{method: "GET", path: path, token: anna.Access}).ok(t, 200))
	if left.User.Email != nil || left.User.Name != nil || left.User.ID != bert.user.ID {
		t.Errorf("somebody who left: %+v", left.User)
	}
	testdb.AsOwner(t, r.dbURL, "UPDATE calls SET restricted = true WHERE id = $1", his.ID)
	r.do(ask{method: "GET", path: path, token: anna.Access}).problem(t, 404, "not-found")
	if found := r.findInCompany(anna, map[string]any{"q": "020 123 1111"}); len(found.Items) != 0 {
		t.Error("a restricted record is found")
	}
}

func (r *replica) export(p person, body map[string]any) answer {
	return r.do(ask{method: "POST", path: "/v1/admin/history/export", token: p.Access, body: body})
}

func TestCompanyExport(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	bert, stranger := r.colleague(t, anna, "bert@example.test"), r.person(t, "carl@other.test")
	r.past(t, stranger, number, "Stranger", time.Now().Add(-time.Hour))
	formula := r.past(t, bert, "020 123 4567", `=HYPERLINK("https://x.test","Jan, Ümit")`, time.Now().Add(-2*time.Hour))
	r.past(t, anna, "*21#", "@SUM(A1)", time.Now().Add(-3*time.Hour))
	private := r.finished(anna, r.dial(anna, map[string]any{"number": number, "private": true}).ID)

	got := r.export(anna, map[string]any{"format": "csv"}).ok(t, 200)
	if got.header.Get("Content-Type") != "text/csv; charset=utf-8" || got.header.Get("Content-Disposition") != `attachment; filename="history.csv"` {
		t.Errorf("%v", got.header)
	}
	text, marked := strings.CutPrefix(string(got.body), "\ufeff")
	if !marked || strings.Contains(text, "Stranger") || !strings.Contains(text, "\r\n") {
		t.Errorf("%q", text)
	}
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	check(t, err)
	if len(rows) != 4 || !slices.Equal(rows[0], strings.Split("id,time,user,device,number,name,status,reason,diagnosis,answered,connected,ended,seconds,expires,private", ",")) {
		t.Fatalf("%q", rows)
	}
	if one := rows[1]; one[0] != private.ID.String() || one[4] != "" || one[5] != "" || one[14] != "true" || one[12] == "" {
		t.Errorf("a private call: %q", one)
	}
	if one := rows[2]; one[0] != formula.String() || one[2] != "bert@example.test" || one[4] != "'+31201234567" || one[5] != `'=HYPERLINK("https://x.test","Jan, Ümit")` || one[7] != "hangUp" {
		t.Errorf("a formula: %q", one)
	}
	if one := rows[3]; one[4] != "*21#" || one[5] != "'@SUM(A1)" {
		t.Errorf("a star code: %q", one)
	}

	got = r.export(anna, map[string]any{"format": "json", "userId": bert.user.ID}).ok(t, 200)
	whole := read[struct {
		ExportedAt time.Time
		Calls      []map[string]any
		Count      int
	}](t, got)
	if whole.Count != 1 || len(whole.Calls) != 1 || whole.Calls[0]["number"] != "+31201234567" || whole.Calls[0]["private"] != false || whole.ExportedAt.IsZero() ||
		got.header.Get("Content-Disposition") != `attachment; filename="history.json"` || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %v", got.body, got.header)
	}
	if none := read[struct{ Calls []any }](t, r.export(anna, map[string]any{"format": "json", "name": "nobody"}).ok(t, 200)); none.Calls == nil || len(none.Calls) != 0 {
		t.Errorf("%+v", none)
	}
	r.export(anna, map[string]any{"format": "xml"}).problem(t, 400, "invalid-request")
	r.export(anna, map[string]any{}).problem(t, 400, "invalid-request")
	entries := testdb.Strings(t, r.dbURL, "SELECT actor_kind || ' ' || actor_id || ' ' || tenant_id || ': ' || reason FROM audit WHERE action = 'export' ORDER BY at")
	who := "admin " + anna.user.ID.String() + " " + anna.tenant.ID.String()
	if want := []string{who + ": history as csv, all calls", who + ": history as json, by user", who + ": history as json, by name"}; !slices.Equal(entries, want) {
		t.Errorf("audited: %q", entries)
	}
	r.silent(t, "1234567", "HYPERLINK", "bert@", "nobody")
}

// An export that is longer than what lies between server and client.
func TestCompanyExportIsLong(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.person(t, "anna@example.test")
	line := testdb.NewLine(t, b.dbURL)
	r := b.start(t, options{dbURL: line.URL, deaf: true})
	const size = 20_000 // some 17 MB
	fillCalls(t, b, anna, size)
	t.Run("ends records on the way", func(t *testing.T) { r.exportEndsRecords(t, anna, size) })
	t.Run("breaks off", func(t *testing.T) { r.exportBreaksOff(t, anna, line) })
	t.Run("without its client", func(t *testing.T) { r.exportClientLeaves(t, anna) })
	b.silent(t, "1234567")
}

// What ends while an export is under way is not in the rest of it.
func (r *replica) exportEndsRecords(t *testing.T, anna person, size int) {
	body := r.openExport(t, anna, "json")
	_, err := body.ReadString('\n') // it has begun: the first page was read
	check(t, err)
	testdb.AsOwner(t, r.dbURL, "UPDATE calls SET expires_at = date_trunc('milliseconds', now()) WHERE channel_id = ANY ($1)", []string{fmt.Sprint("f", size-1), fmt.Sprint("f", size-2), "f150"})
	var rest struct {
		Calls []struct{ ID uuid.UUID }
		Count int
	}
	check(t, json.NewDecoder(io.MultiReader(strings.NewReader(`{"calls":[`), body)).Decode(&rest))
	// f150 was read with the first page, and may have been sent before its end.
	if n := len(rest.Calls); n != size-2 && n != size-3 || rest.Count != n {
		t.Errorf("%d calls of %d, want all but two or three that ended on the way", n, size)
	}
	seen := map[uuid.UUID]bool{}
	for _, c := range rest.Calls {
		if seen[c.ID] {
			t.Errorf("%s is there twice", c.ID)
		}
		seen[c.ID] = true
	}
	for _, id := range testdb.Strings(t, r.dbURL, "SELECT id::text FROM calls WHERE channel_id = ANY ($1)", []string{fmt.Sprint("f", size-1), fmt.Sprint("f", size-2)}) {
		if seen[uuid.MustParse(id)] {
			t.Error("a record that ended before its page was read is there")
		}
	}
}

// When Postgres goes in the middle, no client takes the export for whole.
func (r *replica) exportBreaksOff(t *testing.T, anna person, line *testdb.Line) {
	for i, format := range []string{"csv", "json"} {
		body := r.openExport(t, anna, format)
		_, err := body.ReadString('\n')
		check(t, err)
		line.Cut()
		rest, err := io.ReadAll(body)
		line.Mend()
		if err == nil {
			t.Errorf("%s: it looks whole", format)
		}
		if format == "json" && json.Valid(append([]byte(`{"calls":[`), rest...)) || format == "csv" && !bytes.Contains(rest, []byte("THIS EXPORT WAS BROKEN OFF")) {
			t.Errorf("%s ends with %q", format, rest[max(0, len(rest)-200):])
		}
		eventually(t, "Postgres is back", func() bool {
			return r.do(ask{method: "GET", path: "/v1/admin/history", token: anna.Access}).status == 200
		})
		eventually(t, "the log has it", func() bool { return strings.Count(r.log.String(), "an answer was broken off") == i+1 })
	}
}

// Who goes away ends the export: nobody reads on for them.
func (r *replica) exportClientLeaves(t *testing.T, anna person) {
	before := runtime.NumGoroutine()
	ctx, leave := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+"/v1/admin/history/export", strings.NewReader(`{"format":"json"}`))
	check(t, err)
	req.Header.Set("Authorization", "Bearer "+anna.Access)
	req.Header.Set("Content-Type", "application/json")
	res, err := r.http.Do(req)
	check(t, err)
	defer res.Body.Close() //nolint:errcheck // the client leaves
	_, err = bufio.NewReader(res.Body).ReadString('\n')
	check(t, err)
	leave()
	logged := strings.Count(r.log.String(), "an answer was broken off")
	eventually(t, "nobody writes any more", func() bool { return runtime.NumGoroutine() <= before })
	if strings.Count(r.log.String(), "an answer was broken off") != logged {
		t.Error("a client that left is an error")
	}
}

// openExport begins an export and gives its body.
func (r *replica) openExport(t *testing.T, p person, format string) *bufio.Reader {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, r.url+"/v1/admin/history/export", strings.NewReader(`{"format":"`+format+`"}`))
	check(t, err)
	req.Header.Set("Authorization", "Bearer "+p.Access)
	req.Header.Set("Content-Type", "application/json")
	res, err := (&http.Client{Transport: r.http.Transport, Timeout: 6 * deadline}).Do(req)
	check(t, err)
	t.Cleanup(func() { res.Body.Close() }) //nolint:errcheck // the test is over
	if res.StatusCode != http.StatusOK {
		t.Fatalf("status %d", res.StatusCode)
	}
	return bufio.NewReaderSize(res.Body, 16)
}

// fillCalls enters ended calls of a user, the newest first, as f0, f1 …
func fillCalls(t *testing.T, b *bundle, p person, n int) {
	t.Helper()
	testdb.AsOwner(t, b.dbURL, `INSERT INTO calls (id, tenant_id, user_id, device_label, number, number_masked, last_four, status, rank, reason, diagnosis,
		replica_id, channel_id, created_at, ended_at, expires_at)
		SELECT md5('f' || i)::uuid, $1, $2, repeat('Desk ', 100), '+31201234567', '+31 20 123 4***', '4567', 'disconnected', 4, 'hangUp', 'hung-up',
		gen_random_uuid(), 'f' || i, date_trunc('milliseconds', now()) - i * interval '1 s', now(), date_trunc('milliseconds', now() + interval '1 day')
		FROM generate_series(0, $3 - 1) i`, p.tenant.ID, p.user.ID, n)
}

// A record that ends between two pages is not on the second, nor in itself.
func TestCompanyRecordEndsWhilePaging(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	fillCalls(t, r.bundle, anna, 250)
	page := r.company(anna, "?limit=100")
	id := testdb.Strings(t, r.dbURL, "SELECT id::text FROM calls WHERE channel_id = 'f150'")[0]
	r.do(ask{method: "GET", path: "/v1/admin/history/" + id, token: anna.Access}).ok(t, 200)
	testdb.AsOwner(t, r.dbURL, "UPDATE calls SET expires_at = date_trunc('milliseconds', now()) WHERE channel_id = 'f150'")
	next := r.company(anna, "?limit=100&cursor="+*page.Next)
	if len(next.Items) != 100 || slices.ContainsFunc(next.Items, func(c api.CompanyCall) bool { return c.ID.String() == id }) {
		t.Errorf("the second page has %d calls, or one that has ended", len(next.Items))
	}
	r.do(ask{method: "GET", path: "/v1/admin/history/" + id, token: anna.Access}).problem(t, 404, "not-found")
}

// Everything of another company is not there, whatever id of theirs is asked for,
// in a path or in a body.
func TestOtherCompanysIDs(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	theirs := r.person(t, "carl@other.test")
	his := r.past(t, theirs, "020 123 7777", "Klant Geheim", time.Now().Add(-time.Hour))
	grant := r.signInID(t, theirs)
	before := testdb.Strings(t, r.dbURL, footprint, theirs.tenant.ID)
	ids := map[string]uuid.UUID{"user": theirs.user.ID, "sign-in": grant, "call": his, "device": theirs.device.ID, "tenant": theirs.tenant.ID}
	tried := 0
	for name, rt := range routes {
		if rt.role != models.RoleAdmin || !strings.Contains(name, "{") {
			continue
		}
		for what, id := range ids {
			a := rt.ask(name, id.String(), anna.Access)
			a.path = strings.ReplaceAll(a.path, "{phone}", theirs.device.ID.String())
			if got := r.do(a); got.status != 404 {
				t.Errorf("%s with the id of their %s: %d %s", name, what, got.status, got.body)
			}
			tried++
			if own := rt.ask(name, anna.user.ID.String(), anna.Access); strings.Contains(name, "{phone}") { // my user, their phone
				own.path = strings.ReplaceAll(own.path, "{phone}", id.String())
				r.do(own).problem(t, 404, "not-found")
			}
		}
	}
	for _, id := range ids {
		r.export(anna, map[string]any{"format": "csv", "userId": id}).problem(t, 404, "not-found")
		r.do(ask{method: "POST", path: "/v1/admin/history/search", token: anna.Access, body: map[string]any{"userId": id}}).problem(t, 404, "not-found")
		click := map[string]any{"number": number, "deviceId": id}
		r.do(ask{method: "POST", path: "/v1/calls", token: anna.Access, key: uuid.NewString(), body: click}).problem(t, 422, "device-unknown")
	}
	cursor := *r.companyOf(t, theirs).Next // a place in their list is a time and no more
	for _, got := range []answer{
		r.do(ask{method: "GET", path: "/v1/admin/history?cursor=" + cursor, token: anna.Access}), r.do(ask{method: "GET", path: "/v1/admin/history", token: anna.Access}),
		r.do(ask{method: "POST", path: "/v1/admin/history/search", token: anna.Access, body: map[string]any{"number": "020 123 7777"}}),
		r.do(ask{method: "POST", path: "/v1/admin/history/search", token: anna.Access, body: map[string]any{"q": "geheim"}}),
		r.export(anna, map[string]any{"format": "json"}),
	} {
		if got.ok(t, 200); strings.Contains(string(got.body), "Geheim") || strings.Contains(string(got.body), his.String()) || strings.Contains(string(got.body), "carl@") {
			t.Errorf("it holds what is theirs: %s", got.body)
		}
	}
	if after := testdb.Strings(t, r.dbURL, footprint, theirs.tenant.ID); !slices.Equal(before, after) || len(before) < 3 || tried < 30 {
		t.Errorf("something was done to them: %v, before %v; %d tried", after, before, tried)
	}
}

// footprint is all that an admin could change of a company.
const footprint = `SELECT 'user ' || id || coalesce(disabled_at::text, '') || coalesce(password_hash, '') FROM users WHERE tenant_id = $1
	UNION ALL SELECT 'phone ' || id || label FROM devices WHERE tenant_id = $1
	UNION ALL SELECT 'sign-in ' || id || coalesce(revoked_at::text, '') FROM grants WHERE tenant_id = $1
	UNION ALL SELECT 'link ' || id FROM password_links WHERE tenant_id = $1
	UNION ALL SELECT 'call ' || id || coalesce(name, '') FROM calls WHERE tenant_id = $1 AND channel_id NOT LIKE 'more-%'`

// companyOf gives a page that has a next one.
func (r *replica) companyOf(t *testing.T, p person) companyPage {
	t.Helper()
	testdb.AsOwner(t, r.dbURL, `INSERT INTO calls (id, tenant_id, user_id, device_label, number, number_masked, status, rank, reason, diagnosis, replica_id, channel_id, created_at, ended_at, expires_at)
		VALUES (gen_random_uuid(), $1, $2, 'Desk', '+31201234567', '+31 20 123 4***', 'disconnected', 4, 'hangUp', 'hung-up', gen_random_uuid(), 'more-' || gen_random_uuid(), now(), now(), date_trunc('milliseconds', now() + interval '1 day'))`, p.tenant.ID, p.user.ID)
	return r.company(p, "?limit=1")
}
