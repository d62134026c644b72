package console_test

import (
	"fmt"
	"html"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/testdb"
)

// past enters ended calls of a user, one a name, the newest first; all were made in
// the same millisecond.
func (b *bundle) past(t *testing.T, u models.User, reason, number string, names ...string) {
	t.Helper()
	for _, name := range names {
		testdb.AsOwner(t, b.url, `WITH made AS (
			INSERT INTO calls (id, tenant_id, user_id, device_label, sign_in_label, number, name, number_masked, last_four, status, rank, reason, diagnosis,
				replica_id, channel_id, created_at, caller_answered_at, connected_at, ended_at, expires_at)
			SELECT gen_random_uuid(), $1, $2, 'Desk', 'Chrome, Linux', $3, $4, '+31 20 123 4***', right($3, 4), 'disconnected', 4, $5, 'hung-up', gen_random_uuid(), gen_random_uuid()::text,
				at, at + interval '4 s', at + interval '10 s', at + interval '95 s', at + interval '12 days 12 hours'
			FROM (SELECT date_trunc('day', now()) AS at) x RETURNING *)
			, step AS (INSERT INTO call_events (tenant_id, call_id, rank, status, cause, at) SELECT tenant_id, id, 4, status, 16, ended_at FROM made)
			INSERT INTO call_words (tenant_id, call_id, word, created_at, expires_at) SELECT tenant_id, id, w, created_at, expires_at FROM made, unnest(regexp_split_to_array(lower(name), '\s+')) w`,
			*u.TenantID, u.ID, number, name, reason)
	}
}

var (
	callHref = regexp.MustCompile(`href="/console/history/calls/([0-9a-f-]{36})"`)
	nextHref = regexp.MustCompile(`rel="next" href="([^"]+)"`)
	called   = regexp.MustCompile(`<span class="called">([^<]*)</span>`)
	anyHref  = regexp.MustCompile(`(?:href|action|formaction)="([^"]*)"`)
)

// shown are the names on a page of the history.
func (a answer) shown() (names []string) {
	for _, m := range called.FindAllStringSubmatch(a.body, -1) {
		names = append(names, m[1])
	}
	return names
}

// plain is the answer with its text as it reads.
func (a answer) plain() answer {
	a.body = html.UnescapeString(a.body)
	return a
}

func TestHistory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	anna.get(t, "/console/history").wants(t, http.StatusOK, "Nobody has called yet", `href="/console/history" aria-current="page"`)
	b.past(t, b.piet, "hangUp", wholeCall, "Bakery De Korst")
	b.past(t, b.anna, "calleeBusy", "+4930901820", "Jan")
	b.past(t, b.olga, "hangUp", "+31207654321", "Klant Geheim")
	testdb.AsOwner(t, b.url, "UPDATE users SET deleted_at = now(), name = '', email = 'left@left.invalid' WHERE id = $1", b.piet.ID)
	a := anna.get(t, "/console/history").plain()
	a.wants(t, http.StatusOK, "+31 20 123 4567", "+49 30 901820", "Anna Smit", "Former user", "Answered", "Busy", "1 min 25 s", "CSV, for a spreadsheet")
	a.lacks(t, "Geheim", "7654321", "· left@", b.olga.Email)
	for _, m := range anyHref.FindAllStringSubmatch(a.body, -1) {
		if strings.Contains(m[1], "4567") && !strings.Contains(m[1], "/calls/") || strings.Contains(m[1], "Korst") || strings.Contains(m[1], "@") {
			t.Errorf("a link holds %s", m[1])
		}
	}
	title, _, _ := strings.Cut(a.body, "</title>")
	if !strings.HasSuffix(title, "<title>History · Click-to-Dial") {
		t.Errorf("the title is %s", title)
	}
	anna.get(t, "/console/history?after=x").wants(t, http.StatusNotFound)
	anna.get(t, "/console/history?lang=nl").wants(t, http.StatusOK, "Geschiedenis", "Opgenomen", "Vroegere gebruiker")
}

func TestHistoryPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	var want []string
	for i := range 120 { // all of one millisecond
		want = append(want, fmt.Sprintf("Nr%03d", i))
	}
	b.past(t, b.piet, "hangUp", wholeCall, want...)
	found := anna.post(t, "/console/history", "outcome", "hangUp").to(t)
	for _, path := range []string{"/console/history", found} {
		var got []string
		pages := 0
		for next := path; next != "" && pages < 5; pages++ {
			a := anna.get(t, next)
			a.wants(t, http.StatusOK)
			got = append(got, a.shown()...)
			if pages > 0 {
				a.wants(t, http.StatusOK, `href="`+path+`">First page`)
			}
			next = ""
			if m := nextHref.FindStringSubmatch(a.body); m != nil {
				if next = m[1]; !strings.HasPrefix(next, path+"?after=") {
					t.Errorf("the next page is %s", next)
				}
			}
		}
		slices.Sort(got)
		if !slices.Equal(got, want) || pages != 3 {
			t.Errorf("%s: %d calls on %d pages", path, len(got), pages)
		}
	}
}

func TestHistorySearch(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	b.past(t, b.piet, "hangUp", wholeCall, "Bakery De Korst", "Jan de Vries")
	b.past(t, b.anna, "calleeBusy", "+31207654321", "Jan")
	today := testdb.Strings(t, b.url, "SELECT to_char(now(), 'YYYY-MM-DD')")[0]
	yesterday := testdb.Strings(t, b.url, "SELECT to_char(now() - interval '1 day', 'YYYY-MM-DD')")[0]
	for _, c := range []struct {
		name   string
		fields []string
		want   []string
		says   string // among the filters
	}{
		{"a word", []string{"name", "  vries "}, []string{"Jan de Vries"}, `>vries</span>`},
		{"several words", []string{"name", "VRIES jan"}, []string{"Jan de Vries"}, `>VRIES jan</span>`},
		{"a number", []string{"number", "020-1234567"}, []string{"Bakery De Korst", "Jan de Vries"}, `>020-1234567</span>`},
		{"last four", []string{"number", " 4321 "}, []string{"Jan"}, `>4321</span>`},
		{"last four of none", []string{"number", "0000"}, nil, "No calls were found."},
		{"a person", []string{"user", b.piet.ID.String()}, []string{"Bakery De Korst", "Jan de Vries"}, `>piet@example.test</span>`},
		{"a person by e-mail", []string{"email", " ANNA@example.test"}, []string{"Jan"}, "Show all calls"},
		{"an outcome", []string{"outcome", "calleeBusy"}, []string{"Jan"}, `<span class="tag">Busy</span>`},
		{"what goes on", []string{"outcome", "live"}, nil, "Going on"},
		{"a day", []string{"from", today, "to", today}, []string{"Bakery De Korst", "Jan", "Jan de Vries"}, " – "},
		{"until the day before", []string{"to", yesterday}, nil, "until "},
		{"all together", []string{"from", yesterday, "to", today, "user", b.piet.ID.String(), "outcome", "hangUp", "number", "4567", "name", "jan"}, []string{"Jan de Vries"}, "Answered"},
	} {
		to := anna.post(t, "/console/history", c.fields...).to(t)
		if !regexp.MustCompile(`^/console/history/[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`).MatchString(to) {
			t.Fatalf("%s: it leads to %s", c.name, to)
		}
		a := anna.get(t, to)
		a.wants(t, http.StatusOK, c.says, "Change the search")
		got := a.shown()
		if slices.Sort(got); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, not %v", c.name, got, c.want)
		}
	}
	if to := anna.post(t, "/console/history", "from", "", "to", "", "user", "", "outcome", "", "number", " ", "name", "").to(t); to != "/console/history" {
		t.Errorf("nothing asked leads to %s", to)
	}
	for _, c := range []struct{ name, field, typed, want string }{
		{"no number", "number", "abc", "This is no telephone number."},
		{"three digits", "number", "123x", "telephone number"},
		{"no date", "from", "yesterday", "A date is a day"},
		{"nobody", "email", b.olga.Email, "Nobody in your company"},
		{"no e-mail", "email", "x", "Nobody in your company"},
		{"a name that is too long", "name", strings.Repeat("x", 81), "at most 80"},
		{"an outcome of ours", "outcome", "lost", "no such outcome"},
	} {
		anna.post(t, "/console/history", c.field, c.typed).wants(t, http.StatusUnprocessableEntity, c.want, `<details class="panel" open>`)
	}
	a := anna.post(t, "/console/history", "from", today, "to", yesterday, "name", "jan")
	a.wants(t, http.StatusUnprocessableEntity, "ends before it begins", `value="`+yesterday+`"`, `value="jan"`, `aria-invalid="true"`)
	a.lacks(t, "Vries")
	anna.post(t, "/console/history", "user", "x").wants(t, http.StatusNotFound)
	anna.post(t, "/console/history", "user", b.olga.ID.String()).wants(t, http.StatusNotFound)
	for _, sealed := range testdb.Strings(t, b.url, "SELECT encode(sealed, 'escape') FROM searches") {
		for _, secret := range []string{"vries", "4321", "1234567", "anna@", b.piet.ID.String()} {
			if strings.Contains(strings.ToLower(sealed), secret) {
				t.Errorf("a kept search tells %q", secret)
			}
		}
	}
	for _, secret := range []string{"vries", "Vries", "1234567", "anna@"} {
		if strings.Contains(b.log.String(), secret) {
			t.Errorf("the log tells %q", secret)
		}
	}
}

// In a company of more people than one can choose from, the person is typed.
func TestHistoryOfManyPeople(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	add := func(n int) {
		b.asApp(t, b.acme.ID, `INSERT INTO users (id, tenant_id, email, role, created_at)
			SELECT gen_random_uuid(), $1, 'p' || gen_random_uuid() || '@example.test', 'user', now() FROM generate_series(1, $2)`, b.acme.ID, n)
	}
	add(198) // and Anna and Piet
	a := anna.get(t, "/console/history")
	a.wants(t, http.StatusOK, `<select id="history-user"`)
	a.lacks(t, "history-email")
	add(1)
	a = anna.get(t, "/console/history")
	a.wants(t, http.StatusOK, `id="history-email"`)
	a.lacks(t, "history-user")
}

// A search is its person's own, and gone after its hour.
func TestSearchIDs(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.past(t, b.piet, "hangUp", wholeCall, "Bakery De Korst")
	ada := b.user(t, &b.acme.ID, "ada@example.test", models.RoleAdmin)
	anna := b.as(t, b.anna)
	to := anna.post(t, "/console/history", "name", "korst").to(t)
	id := strings.TrimPrefix(to, "/console/history/")
	anna.get(t, to).wants(t, http.StatusOK, "Bakery De Korst")
	gone := func(br *browser, id string) {
		t.Helper()
		for _, a := range []answer{
			br.get(t, "/console/history/"+id), br.post(t, "/console/history/export", "search", id, "format", "csv"),
		} {
			a.wants(t, http.StatusNotFound, "This search has ended", `href="/console/history"`)
			a.lacks(t, "korst", "Korst")
		}
	}
	gone(b.as(t, ada), id)
	gone(b.as(t, b.olga), id)
	for _, bad := range []string{uuid.NewString(), strings.ToUpper(id), "x", uuid.Nil.String()} {
		gone(anna, bad)
	}
	b.as(t, b.piet).get(t, to).wants(t, http.StatusNotFound)
	testdb.AsOwner(t, b.url, "UPDATE searches SET expires_at = now() + interval '2 s'")
	anna.get(t, to).wants(t, http.StatusOK, "Bakery De Korst")
	testdb.AsOwner(t, b.url, "UPDATE searches SET expires_at = now()")
	gone(anna, id)
	if n := testdb.Strings(t, b.url, "SELECT count(*)::text FROM audit WHERE action = 'export'"); n[0] != "0" {
		t.Errorf("%s exports", n[0])
	}
}

func TestCallPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.past(t, b.piet, "hangUp", wholeCall, "Bakery De Korst")
	b.past(t, b.olga, "hangUp", wholeCall, "Klant Geheim")
	anna := b.as(t, b.anna)
	path := callHref.FindStringSubmatch(anna.get(t, "/console/history").body)
	if path == nil {
		t.Fatal("no link to a call")
	}
	href := "/console/history/calls/" + path[1]
	a := anna.get(t, href).plain()
	a.wants(t, http.StatusOK, "<h1>+31 20 123 4567</h1>", "Bakery De Korst", "piet@example.test", "Desk", "Chrome, Linux", "The number was clicked.", "The call ended.",
		"Cause 16 (Q.850): hung up", "+ 1 min 35 s", "Answered", "1 min 25 s", " UTC, in 1", "<title>Call · Click-to-Dial")
	anna.get(t, href+"?lang=de").wants(t, http.StatusOK, "Endet am ", "Ursache 16")
	b.as(t, b.olga).get(t, href).wants(t, http.StatusNotFound)
	b.as(t, b.piet).get(t, href).wants(t, http.StatusNotFound)
	testdb.AsOwner(t, b.url, "UPDATE calls SET expires_at = date_trunc('milliseconds', now()) WHERE id = $1", path[1])
	anna.get(t, href).wants(t, http.StatusNotFound)
	if a := anna.get(t, "/console/history"); strings.Contains(a.body, "Korst") {
		t.Error("what has ended is in the list")
	}
}

func TestHistoryExport(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.past(t, b.piet, "hangUp", wholeCall, "=cmd|' /C calc'!A0")
	b.past(t, b.anna, "calleeBusy", "+31207654321", "Jan")
	b.past(t, b.olga, "hangUp", wholeCall, "Klant Geheim")
	anna := b.as(t, b.anna)
	all := anna.post(t, "/console/history/export", "search", "", "format", "csv")
	all.wants(t, http.StatusOK, "\ufeffid,time,user", `,'=cmd|' /C calc'!A0,`, "'+31207654321")
	all.lacks(t, "Geheim", "BROKEN OFF")
	if all.header.Get("Content-Disposition") != `attachment; filename="history.csv"` || all.header.Get("Cache-Control") != "no-store" || all.header.Get("Content-Type") != "text/csv; charset=utf-8" {
		t.Errorf("%v", all.header)
	}
	id := strings.TrimPrefix(anna.post(t, "/console/history", "number", "4321", "outcome", "calleeBusy").to(t), "/console/history/")
	some := anna.post(t, "/console/history/export", "search", id, "format", "json")
	some.wants(t, http.StatusOK, `"name":"Jan"`, `"count":1}`)
	some.lacks(t, "cmd")
	r := httptest.NewRequest(http.MethodPost, "/console/history/export", strings.NewReader("search=&format=csv"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "cross-site")
	anna.send(t, r).wants(t, http.StatusForbidden)
	entries := testdb.Strings(t, b.url, "SELECT actor_kind || ': ' || reason FROM audit WHERE action = 'export' ORDER BY at")
	if want := []string{"admin: history as csv, all calls", "admin: history as json, by outcome, last four digits"}; !slices.Equal(entries, want) {
		t.Errorf("audited: %q", entries)
	}
}

// No page and no action of an admin reaches into another company, whatever id of
// theirs stands in a path or in a field.
func TestOtherCompanysPages(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.past(t, b.olga, "hangUp", wholeCall, "Klant Geheim")
	tokens, signIn := b.device(t, b.olga, "Laptop")
	olga := b.as(t, b.olga)
	search := strings.TrimPrefix(olga.post(t, "/console/history", "name", "geheim").to(t), "/console/history/")
	testdb.AsOwner(t, b.url, "INSERT INTO devices (id, tenant_id, user_id, label, endpoint) SELECT gen_random_uuid(), id, $2, 'Desk', '101' FROM tenants WHERE id = $1", b.bolt.ID, b.olga.ID)
	one := func(query string) string { return testdb.Strings(t, b.url, query, b.bolt.ID)[0] }
	ids := map[string]string{
		"user": b.olga.ID.String(), "signIn": signIn.ID.String(), "phone": one("SELECT id::text FROM devices WHERE tenant_id = $1"),
		"call": one("SELECT id::text FROM calls WHERE tenant_id = $1"), "search": search, "browser": one("SELECT id::text FROM sessions WHERE tenant_id = $1"),
	}
	const footprint = `SELECT 'user ' || id || coalesce(disabled_at::text, '') || coalesce(password_hash, '') || coalesce(totp_confirmed_at::text, '') FROM users WHERE tenant_id = $1
		UNION ALL SELECT 'phone ' || id FROM devices WHERE tenant_id = $1 UNION ALL SELECT 'sign-in ' || id || coalesce(revoked_at::text, '') FROM grants WHERE tenant_id = $1
		UNION ALL SELECT 'link ' || id FROM password_links WHERE tenant_id = $1 UNION ALL SELECT 'code ' || id FROM pairing_codes WHERE tenant_id = $1
		UNION ALL SELECT 'session ' || id FROM sessions WHERE tenant_id = $1 UNION ALL SELECT 'call ' || id FROM calls WHERE tenant_id = $1
		UNION ALL SELECT 'search ' || id FROM searches WHERE tenant_id = $1 UNION ALL SELECT 'tenant ' || require_second_factor FROM tenants WHERE id = $1`
	before := testdb.Strings(t, b.url, footprint, b.bolt.ID)
	anna := b.as(t, b.anna)
	tried := 0
	for _, route := range b.app.GetRoutes(true) {
		if !strings.HasPrefix(route.Path, "/console/") || !strings.Contains(route.Path, ":") || strings.Contains(route.Path, "/support/") || route.Method == http.MethodHead {
			continue
		}
		for own := range 2 { // their ids all through; then my own person with their phone or sign-in
			path := route.Path
			if own == 1 {
				path = strings.ReplaceAll(path, ":user", b.piet.ID.String())
			}
			for name, id := range ids {
				path = strings.ReplaceAll(path, ":"+name, id)
			}
			if own == 1 && !strings.Contains(route.Path, ":user/") || own == 1 && strings.Count(route.Path, ":") < 2 {
				continue
			}
			a := anna.ask(t, route.Method, path, "label", "Desk", "endpoint", "101")
			if a.status != http.StatusNotFound || strings.Contains(a.body, "Geheim") || strings.Contains(a.body, b.olga.Email) {
				t.Errorf("%s %s: %d %s", route.Method, path, a.status, a.header.Get("Location"))
			}
			tried++
		}
	}
	anna.get(t, "/console/people?after="+ids["user"]).wants(t, http.StatusNotFound)
	anna.post(t, "/console/history/export", "search", search, "format", "csv").wants(t, http.StatusNotFound)
	anna.post(t, "/console/history", "user", ids["user"]).wants(t, http.StatusNotFound)
	for _, a := range []answer{anna.get(t, "/console/history"), anna.get(t, "/console/people"), anna.post(t, "/console/history/export", "search", "", "format", "json")} {
		a.wants(t, http.StatusOK)
		a.lacks(t, "Geheim", b.olga.Email)
	}
	if after := testdb.Strings(t, b.url, footprint, b.bolt.ID); !slices.Equal(before, after) || len(before) < 7 || tried < 16 {
		t.Errorf("something was done to them: %v, before %v; %d tried", after, before, tried)
	}
	b.wantAlive(t, tokens, true)
}

func TestStatsPage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	people := []models.User{b.anna, b.piet}
	for i := range 3 {
		people = append(people, b.user(t, &b.acme.ID, fmt.Sprintf("p%d@example.test", i), models.RoleUser))
	}
	for _, p := range people[:4] {
		b.past(t, p, "hangUp", wholeCall, "Jan", "Jan")
	}
	anna.get(t, "/console/history").wants(t, http.StatusOK, `href="/console/stats"`)
	a := anna.get(t, "/console/stats")
	a.wants(t, http.StatusOK, "There are no figures", `href="/console/stats?days=30" aria-current="page">30 days`)
	a.lacks(t, "By outcome")
	b.past(t, people[4], "hangUp", wholeCall, "Jan")
	b.past(t, people[4], "calleeBusy", wholeCall, "Jan")
	b.past(t, b.olga, "hangUp", wholeCall, "Jan")
	today := time.Now().UTC().Format("2 Jan 2006")
	for _, days := range []string{"", "?days=1", "?days=7", "?days=90"} {
		a := anna.get(t, "/console/stats"+days)
		a.wants(t, http.StatusOK, "<strong>10</strong>", today+`</p><p class="row-side">10</p>`)
		a.lacks(t, "Busy", "Answered") // from the sum and the one the other could be told
	}
	b.past(t, people[4], "hangUp", wholeCall, "Jan")
	testdb.AsOwner(t, b.url, "DELETE FROM calls WHERE outcome = 'calleeBusy'")
	anna.get(t, "/console/stats?lang=nl").wants(t, http.StatusOK, `<p>Opgenomen</p><p class="row-side">10</p>`)
	for _, bad := range []string{"2", "x", "-1"} {
		anna.get(t, "/console/stats?days="+bad).wants(t, http.StatusNotFound)
	}
}
