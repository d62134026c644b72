package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"time"

	"clicktodial/server/testdb"
)

// day is a company's day: what its people, their admin and the provider's support
// do, and everything that may come to rest on the way.
type day struct {
	*installation
	server  *server
	admin   string // access tokens
	support string
	problem []string // bodies of answers that refused
	heads   []string // headers and URLs of all answers
	pages   []string // titles and URLs of pages
	told    []string // what those were told who may know
}

const (
	dayNumber   = "+31206547831" // rings, answers
	dayBusy     = "+31206541111"
	dayNobody   = "+31206540000"
	dayPremium  = "+31900" + "9876543"
	dayPrivate  = "+31206549264"
	dayErased   = "+31206548352"
	dayName     = "Zwaantje Kruidnagel"
	dayRenamed  = "Bartholomeus Zeepaardje"
	dayAddress  = "203.0.113.77"
	daySecret   = "correct horse battery staple 4711"
	dayReason   = "telefoon kwijtgeraakt"
	daySupport  = "sam.steun@provider.example"
	dayUserMail = "user@test.example"
)

// A whole day, and then every place where something could have stuck is searched
// for the numbers, names, e-mails, addresses and secrets that were used.
func TestScriptedDayLeavesNobody(t *testing.T) {
	t.Parallel()
	logs := []logTail{tailOf(t, "Postgres's log", "CTD_POSTGRES_LOG"), tailOf(t, "Redis's log", "CTD_REDIS_LOG")}
	d := beginDay(t)
	d.calls()
	d.mistakes()
	d.adminsWork()
	d.supportsWork()
	d.console()

	searched := needles{dayName, "Zwaantje", "Kruidnagel", dayRenamed, "Zeepaardje", dayAddress, daySecret,
		dayUserMail, "admin@test.example", daySupport, d.token, d.admin, d.support}
	for _, number := range []string{dayNumber, dayBusy, dayNobody, dayPremium, dayPrivate, dayErased, "+31201112233"} {
		searched = append(searched, numberSpellings(number)...)
	}
	sinks := append(d.tableSinks(), d.redisSink(d.prefix()))
	for _, l := range logs {
		sinks = append(sinks, l.read(t))
	}
	metrics, status := d.ask(http.MethodGet, "http://"+d.server.inside+"/metrics", "", "")
	if status != http.StatusOK || !strings.Contains(string(metrics), "ctd_http_request_seconds") {
		t.Errorf("metrics: %d", status)
	}
	sinks = append(sinks, sink{"the server's log", d.server.log.String()}, sink{"metrics", string(metrics)},
		sink{"problems", strings.Join(d.problem, "\n")}, sink{"headers and URLs", strings.Join(d.heads, "\n")},
		sink{"titles and links of pages", strings.Join(d.pages, "\n")})
	for _, hit := range searched.found(sinks) {
		t.Error(hit)
	}
	for _, s := range sinks {
		t.Logf("%s: %d bytes", s.name, len(s.content))
	}
	d.wantTold()
}

// The search sees what it is for: the same day's answers to those who may know.
func (d *day) wantTold() {
	d.t.Helper()
	audience := sink{"what those were told who may know", strings.Join(d.told, "\n")}
	for _, needle := range []string{dayNumber, spaced(dayNumber)[4:], dayName, dayRenamed, dayUserMail} {
		if hits := (needles{needle}).found([]sink{audience}); len(hits) != 1 {
			d.t.Errorf("nobody was told %q: the search proves little", needle)
		}
	}
	for _, s := range d.tableSinks() {
		if s.name == "table audit" && strings.Count(s.content, "\n") < 10 {
			d.t.Errorf("only %d lines of audit: the day was short", strings.Count(s.content, "\n"))
		}
	}
}

func beginDay(t *testing.T) *day {
	t.Helper()
	in := install(t)
	in.env = append(in.env, "TRUSTED_PROXIES=127.0.0.1", "PURGE_INTERVAL=1s")
	d := &day{installation: in}
	d.server = in.serve(in.database, "practice://?ring=20ms&callee=20ms&talk=200ms&unanswered=100ms")
	in.command("user", "create", "--role", "support", "--email", daySupport)
	for _, email := range []string{dayUserMail, "admin@test.example", daySupport} {
		in.password(email, daySecret)
	}
	in.signIn(d.server)
	d.admin, d.support = d.pair("admin@test.example"), d.pair(daySupport)
	return d
}

// pair signs an extension of the person in.
func (d *day) pair(email string) (access string) {
	d.t.Helper()
	mine := d.token
	defer func() { d.token = mine }()
	d.signInAs(d.server, email)
	return d.token
}

// as asks the API with a token, from an address behind a proxy, and sorts the
// answer: a refusal may name nobody, to whomever.
func (d *day) as(token, method, path, body string, want int) map[string]any {
	d.t.Helper()
	req, err := http.NewRequest(method, d.server.base+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("X-Forwarded-For", dayAddress)
	req.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) Chrome/142.0")
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if method == http.MethodPost && path == "/v1/calls" {
		req.Header.Set("Idempotency-Key", fmt.Sprint(time.Now().UnixNano()))
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		d.t.Fatal(err)
	}
	return d.sort(resp, method+" "+path, want)
}

func (d *day) sort(resp *http.Response, what string, want int) (answer map[string]any) {
	d.t.Helper()
	defer resp.Body.Close() //nolint:errcheck // read to its end
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		d.t.Fatal(err)
	}
	if resp.StatusCode != want {
		d.t.Errorf("%s: %d, want %d: %s", what, resp.StatusCode, want, body)
	}
	d.heads = append(d.heads, fmt.Sprint(resp.Header)) // Location among them
	switch {
	case strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html"):
		d.pages = append(d.pages, pageSink(string(body)))
		d.told = append(d.told, string(body))
	case resp.StatusCode >= 400:
		d.problem = append(d.problem, string(body))
	default:
		d.told = append(d.told, string(body))
	}
	_ = json.Unmarshal(body, &answer) // a page or a sheet is none
	return answer
}

// calls are those of a user: every kind of end, and what is refused.
func (d *day) calls() {
	d.t.Helper()
	click := func(number, more string, want int) string {
		d.t.Helper()
		answer := d.as(d.token, http.MethodPost, "/v1/calls", fmt.Sprintf(`{"number":%q%s}`, number, more), want)
		id, _ := answer["id"].(string)
		if want == http.StatusCreated {
			d.await(10*time.Second, "a call to end", func() bool {
				_, status := d.ask(http.MethodGet, d.server.base+"/v1/calls/"+id, "", "")
				return status == http.StatusOK && d.ended(id)
			})
		}
		return id
	}
	named := fmt.Sprintf(`,"name":%q`, dayName)
	first := click(dayNumber, named, http.StatusCreated)
	for _, number := range []string{dayBusy, dayNobody, dayErased} {
		click(number, named, http.StatusCreated)
	}
	click(dayPrivate, named+`,"private":true`, http.StatusCreated)
	click(dayPremium, named, http.StatusUnprocessableEntity)
	d.as(d.token, http.MethodPatch, "/v1/history/"+first, fmt.Sprintf(`{"name":%q}`, dayRenamed), http.StatusOK)
	d.as(d.token, http.MethodGet, "/v1/history", "", http.StatusOK)
	for _, q := range []string{dayNumber, "7831", dayName} {
		d.as(d.token, http.MethodPost, "/v1/history/search", fmt.Sprintf(`{"q":%q}`, q), http.StatusOK)
	}
	d.as(d.token, http.MethodPost, "/v1/numbers/check", fmt.Sprintf(`{"number":%q}`, dayPremium), http.StatusOK)
	d.as(d.token, http.MethodGet, "/v1/me", "", http.StatusOK)
	d.as(d.token, http.MethodGet, "/v1/me/sign-ins", "", http.StatusOK)
}

func (d *day) ended(id string) bool {
	body, _ := d.ask(http.MethodGet, d.server.base+"/v1/calls/"+id, "", "")
	var call wireCall
	return json.Unmarshal(body, &call) == nil && (call.Status == "disconnected" || call.Status == "failed")
}

// mistakes are requests that are refused with something personal in them.
func (d *day) mistakes() {
	d.t.Helper()
	for _, m := range []struct {
		method, path, body string
		want               int
	}{
		{http.MethodPost, "/v1/calls", `{"number":"` + dayNumber, 400},
		{http.MethodPost, "/v1/calls", `{"number":["` + dayNumber + `"]}`, 400},
		{http.MethodPost, "/v1/calls", `{"` + dayNumber + `":"` + dayName + `"}`, 400},
		{http.MethodPost, "/v1/calls", `{"number":"` + dayName + `"}`, 422},
		{http.MethodPost, "/v1/history/search", `{"q":"` + dayName + `","limit":"` + dayNumber + `"}`, 400},
		{http.MethodPost, "/v1/history/search", `{"q":"` + strings.Repeat(dayName, 40) + `"}`, 400},
		{http.MethodPatch, "/v1/history/00000000-0000-4000-8000-000000000000", `{"name":"` + dayName + `"}`, 404},
		{http.MethodPost, "/v1/admin/history/search", `{"number":"` + dayNumber + `"}`, 403},
		{http.MethodPost, "/v1/support/users/search", `{"email":"` + dayUserMail + `"}`, 403},
	} {
		d.as(d.token, m.method, m.path, m.body, m.want)
	}
	d.as("c2da_"+dayName, http.MethodGet, "/v1/me", "", http.StatusUnauthorized)
	form := url.Values{"grant_type": {"urn:clicktodial:pairing-code"}, "code": {dayNumber}, "client_id": {"extension"}, "device_name": {"test"}}
	resp, err := http.PostForm(d.server.base+"/oauth/token", form)
	if err != nil {
		d.t.Fatal(err)
	}
	d.sort(resp, "a wrong code", http.StatusBadRequest)
}

// supportsWork is a look, and a revocation.
func (d *day) supportsWork() {
	d.t.Helper()
	found := d.as(d.support, http.MethodPost, "/v1/support/users/search", fmt.Sprintf(`{"email":%q}`, dayUserMail), http.StatusOK)
	items, _ := found["items"].([]any)
	if len(items) != 1 {
		d.t.Fatalf("support found %d users", len(items))
	}
	user := items[0].(map[string]any)["id"].(string)
	for _, path := range []string{"/sign-ins", "/calls", "/refusals"} {
		answer := d.as(d.support, http.MethodGet, "/v1/support/users/"+user+path, "", http.StatusOK)
		told, _ := json.Marshal(answer) // of maps and texts
		hits := needles{dayName, dayRenamed, dayNumber, spaced(dayNumber), dayNumber[len(dayNumber)-4:]}.found([]sink{{"support's " + path, string(told)}})
		for _, hit := range hits {
			d.t.Error(hit)
		}
	}
	d.as(d.support, http.MethodPost, "/v1/support/users/"+user+"/revoke", fmt.Sprintf(`{"reason":%q}`, dayReason), http.StatusOK)
	d.as(d.token, http.MethodGet, "/v1/me", "", http.StatusUnauthorized)
}

// console is a person at the pages, without script.
func (d *day) console() {
	d.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		d.t.Fatal(err)
	}
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	var cookie string
	open := func(method, path string, form url.Values, want int) {
		d.t.Helper()
		req, err := http.NewRequest(method, d.server.base+path, strings.NewReader(form.Encode()))
		if err != nil {
			d.t.Fatal(err)
		}
		req.Header.Set("Sec-Fetch-Site", "same-origin")
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("X-Forwarded-For", dayAddress)
		if cookie != "" { // Secure: a jar keeps it for https only
			req.Header.Set("Cookie", cookie)
		}
		resp, err := client.Do(req)
		if err != nil {
			d.t.Fatal(err)
		}
		for _, c := range resp.Cookies() {
			cookie = c.Name + "=" + c.Value
		}
		resp.Header.Del("Set-Cookie") // the one place where a session's secret stands
		d.sort(resp, method+" "+path, want)
	}
	wrong := url.Values{"email": {"admin@test.example"}, "password": {dayName}}
	open(http.MethodPost, "/console/sign-in", wrong, http.StatusUnprocessableEntity)
	open(http.MethodPost, "/console/sign-in", url.Values{"email": {"admin@test.example"}, "password": {daySecret}}, http.StatusSeeOther)
	for _, path := range dayPages {
		open(http.MethodGet, path, nil, http.StatusOK)
	}
	open(http.MethodGet, "/console/people/"+dayName, nil, http.StatusNotFound)
	open(http.MethodPost, "/console/sign-out", nil, http.StatusSeeOther)
}

func (d *day) prefix() string {
	for _, pair := range d.env {
		if prefix, ok := strings.CutPrefix(pair, "REDIS_PREFIX="); ok {
			return prefix
		}
	}
	return testdb.Prefix()
}

var dayPages = []string{"/console/people", "/console/sign-ins", "/console/history", "/privacy"}

// adminsWork is the history, its export, retention, and a data subject's rights.
func (d *day) adminsWork() {
	d.t.Helper()
	ask := func(method, path, body string, want int) map[string]any {
		d.t.Helper()
		return d.as(d.admin, method, "/v1/admin"+path, body, want)
	}
	ask(http.MethodGet, "/history", "", http.StatusOK)
	for _, filter := range []string{`"number":"` + dayNumber + `"`, `"lastFour":"7831"`, `"name":"` + dayName + `"`, `"outcome":"hangUp"`} {
		ask(http.MethodPost, "/history/search", "{"+filter+"}", http.StatusOK)
		for _, format := range []string{"csv", "json"} {
			ask(http.MethodPost, "/history/export", `{"format":"`+format+`",`+filter+"}", http.StatusOK)
		}
	}
	ask(http.MethodPost, "/history/search", `{"number":"`+dayName+`"}`, http.StatusUnprocessableEntity)
	ask(http.MethodPost, "/settings/retention-preview", `{"days":30}`, http.StatusOK)
	ask(http.MethodPut, "/settings", `{"retentionDays":60,"confirm":true,"recording":{"reason":"quality","text":"Every tenth call is listened to."}}`, http.StatusOK)
	ask(http.MethodGet, "/retention", "", http.StatusOK)
	for _, path := range []string{"/find", "/export", "/restrict", "/object", "/object/lift", "/object", "/erase"} {
		ask(http.MethodPost, "/privacy"+path, `{"number":"`+dayErased+`"}`, http.StatusOK)
	}
	ask(http.MethodPost, "/privacy/correct", `{"number":"`+dayBusy+`","name":"`+dayRenamed+`"}`, http.StatusOK)
	ask(http.MethodPost, "/privacy/find", `{"number":"`+dayName+`"}`, http.StatusUnprocessableEntity)
	ask(http.MethodGet, "/privacy/requests", "", http.StatusOK)
	d.as(d.token, http.MethodGet, "/v1/me/export?format=json", "", http.StatusOK)
	d.as(d.token, http.MethodPost, "/v1/me/privacy-requests", `{"act":"access"}`, http.StatusCreated)
}
