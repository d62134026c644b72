package api_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/api"
)

func (r *replica) page(p person, query string) api.Page {
	r.t.Helper()
	return read[api.Page](r.t, r.do(ask{method: "GET", path: "/v1/history" + query, token: p.Access}).ok(r.t, 200))
}

func (r *replica) search(p person, body map[string]any) api.Page {
	r.t.Helper()
	return read[api.Page](r.t, r.do(ask{method: "POST", path: "/v1/history/search", token: p.Access, body: body}).ok(r.t, 200))
}

func ids(calls []api.Call) (ids []uuid.UUID) {
	for _, c := range calls {
		ids = append(ids, c.ID)
	}
	return ids
}

func TestHistoryPages(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	if got := r.page(anna, ""); got.Items == nil || len(got.Items) != 0 || got.Next != nil {
		t.Errorf("an empty history: %+v", got)
	}
	var made []uuid.UUID
	at := time.Now().Add(-time.Hour)
	for i := range 101 {
		if i%3 != 0 {
			at = at.Add(time.Second) // some in the same millisecond
		}
		made = append(made, r.past(t, anna, fmt.Sprintf("02012340%02d", i%100), "", at))
	}
	whole := slices.Concat(ids(r.page(anna, "?limit=100").Items), ids(r.page(anna, "?limit=100&cursor="+*r.page(anna, "?limit=100").Next).Items))
	t.Run("default is 50", func(t *testing.T) {
		if got := r.page(anna, ""); len(got.Items) != 50 || got.Next == nil {
			t.Errorf("%d", len(got.Items))
		}
	})
	t.Run("100 is the last full page but one", func(t *testing.T) {
		if len(whole) != 101 {
			t.Errorf("%d calls on two pages", len(whole))
		}
	})
	for _, limit := range []int{1, 7, 50, 100} {
		t.Run(fmt.Sprint("limit ", limit), func(t *testing.T) {
			var seen []uuid.UUID
			for query, pages := fmt.Sprint("?limit=", limit), 0; ; pages++ {
				got := r.page(anna, query)
				seen = append(seen, ids(got.Items)...)
				if got.Next == nil {
					break
				}
				if len(got.Items) != limit {
					t.Fatalf("page %d has %d", pages, len(got.Items))
				}
				query = fmt.Sprint("?limit=", limit, "&cursor=", *got.Next)
			}
			if !slices.Equal(seen, whole) {
				t.Errorf("%d calls in another order", len(seen))
			}
			for _, id := range made {
				if !slices.Contains(seen, id) {
					t.Fatalf("%s is missing", id)
				}
			}
		})
	}
	t.Run("stable while calls come", func(t *testing.T) {
		first := r.page(anna, "?limit=10")
		r.past(t, anna, "0201239999", "", time.Now())
		second := r.page(anna, "?limit=10&cursor="+*first.Next)
		if !slices.Equal(append(ids(first.Items), ids(second.Items)...), whole[:20]) {
			t.Error("the second page moved")
		}
	})
	t.Run("the same through search", func(t *testing.T) {
		first := r.search(anna, map[string]any{"limit": 100, "to": at.Add(time.Second).UTC().Format(time.RFC3339Nano)})
		second := r.search(anna, map[string]any{"limit": 100, "cursor": *first.Next})
		if !slices.Equal(append(ids(first.Items), ids(second.Items)...), whole) {
			t.Error("search pages otherwise")
		}
	})
}

func TestHistorySearch(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	bert := r.colleague(t, anna, "bert@example.test")
	now := time.Now().Truncate(time.Millisecond)
	jan := r.past(t, anna, "020 123 4567", "Jan van der Berg", now.Add(-3*time.Hour))
	ann := r.past(t, anna, "+49 30 901820", "Ann-Marie", now.Add(-2*time.Hour))
	inside := r.past(t, anna, "1234", "Front desk", now.Add(-time.Hour))
	r.past(t, bert, "020 123 4567", "Jan van der Berg", now)
	rfc := func(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }
	for _, tt := range []struct {
		name string
		body map[string]any
		want []uuid.UUID
	}{
		{"all", map[string]any{}, []uuid.UUID{inside, ann, jan}},
		{"empty text", map[string]any{"q": ""}, []uuid.UUID{inside, ann, jan}},
		{"international", map[string]any{"q": "+31201234567"}, []uuid.UUID{jan}},
		{"national", map[string]any{"q": "(020) 123-4567"}, []uuid.UUID{jan}},
		{"foreign", map[string]any{"q": "004930901820"}, []uuid.UUID{ann}},
		{"last four", map[string]any{"q": "4567"}, []uuid.UUID{jan}},
		{"last four of another", map[string]any{"q": "1820"}, []uuid.UUID{ann}},
		{"part of a number", map[string]any{"q": "567"}, nil},
		{"word", map[string]any{"q": "berg"}, []uuid.UUID{jan}},
		{"words in any order", map[string]any{"q": "BERG jan"}, []uuid.UUID{jan}},
		{"part of a word", map[string]any{"q": "ber"}, nil},
		{"pattern", map[string]any{"q": "%"}, nil},
		{"pattern within a word", map[string]any{"q": "b_rg"}, nil},
		{"quote", map[string]any{"q": "' OR true --"}, nil},
		{"blank", map[string]any{"q": "   "}, nil},
		{"no number at all", map[string]any{"q": "99999999999999999999"}, nil},
		{"from", map[string]any{"from": rfc(now.Add(-2*time.Hour - time.Minute))}, []uuid.UUID{inside, ann}},
		{"to", map[string]any{"to": rfc(now.Add(-2 * time.Hour))}, []uuid.UUID{jan}},
		{"from, to and word", map[string]any{"q": "front", "from": rfc(now.Add(-2 * time.Hour)), "to": rfc(now)}, []uuid.UUID{inside}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := ids(r.search(anna, tt.body).Items); !slices.Equal(got, tt.want) {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
	r.silent(t, "4567", "Berg", "berg", "Ann-Marie")
}

func TestHistoryChanges(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{practice: "practice://?ring=1h"})
	bert := r.colleague(t, anna, "bert@example.test")
	one := r.past(t, anna, number, "Jan", time.Now().Add(-2*time.Hour))
	two := r.past(t, anna, number, "Jan", time.Now().Add(-time.Hour))
	his := r.past(t, bert, number, "Jan", time.Now().Add(-time.Hour))
	rename := func(name string) answer {
		return r.do(ask{method: "PATCH", path: "/v1/history/" + one.String(), token: anna.Access, body: map[string]any{"name": name}})
	}
	if got := read[api.Call](t, rename("Piet").ok(t, 200)); *got.Name != "Piet" {
		t.Errorf("renamed to %q", *got.Name)
	}
	if got := read[api.Call](t, rename("").ok(t, 200)); got.Name != nil {
		t.Errorf("the name stays: %q", *got.Name)
	}
	rename(strings.Repeat("é", 80)).ok(t, 200)
	rename(strings.Repeat("é", 81)).problem(t, 422, "name-invalid")

	live := r.dial(anna, map[string]any{"number": number})
	r.sql(t, "ctd_operator", "UPDATE tenants SET users_may_delete = false WHERE id = $1", anna.tenant.ID)
	r.do(ask{method: "DELETE", path: "/v1/history/" + one.String(), token: anna.Access}).problem(t, 403, "delete-forbidden")
	r.do(ask{method: "DELETE", path: "/v1/history", token: anna.Access}).problem(t, 403, "delete-forbidden")
	if got := r.page(anna, ""); len(got.Items) != 3 {
		t.Errorf("%d calls", len(got.Items))
	}
	r.sql(t, "ctd_operator", "UPDATE tenants SET users_may_delete = true WHERE id = $1", anna.tenant.ID)
	r.do(ask{method: "DELETE", path: "/v1/history/" + one.String(), token: anna.Access}).ok(t, 204)
	r.do(ask{method: "DELETE", path: "/v1/history/" + one.String(), token: anna.Access}).problem(t, 404, "not-found")
	if got := ids(r.page(anna, "").Items); !slices.Equal(got, []uuid.UUID{live.ID, two}) {
		t.Errorf("left: %v", got)
	}
	r.do(ask{method: "DELETE", path: "/v1/history", token: anna.Access}).ok(t, 204)
	if got := ids(r.page(anna, "").Items); !slices.Equal(got, []uuid.UUID{live.ID}) {
		t.Errorf("left: %v", got)
	}
	if got := ids(r.page(bert, "").Items); !slices.Equal(got, []uuid.UUID{his}) {
		t.Errorf("a colleague has %v", got)
	}
	r.do(ask{method: "DELETE", path: "/v1/calls/" + live.ID.String(), token: anna.Access}).ok(t, 204)
	r.finished(anna, live.ID)
}

func TestPrivateCallKeepsNoName(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	c := r.dial(anna, map[string]any{"number": number, "name": "Jan", "private": true})
	r.finished(anna, c.ID)
	r.do(ask{method: "PATCH", path: "/v1/history/" + c.ID.String(), token: anna.Access, body: map[string]any{"name": "Piet"}}).problem(t, 409, "call-private")
	if got := r.search(anna, map[string]any{"q": "4567"}); len(got.Items) != 0 {
		t.Error("its number is found")
	}
}

func TestMe(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{practice: "practice://?ring=1h"})
	second := r.device(t, anna, "Mobile", "103")
	me := func() api.Me {
		return read[api.Me](t, r.do(ask{method: "GET", path: "/v1/me", token: anna.Access}).ok(t, 200))
	}
	got := me()
	if got.User.Email != "anna@example.test" || got.User.Role != "admin" || got.User.ID != anna.user.ID || got.Tenant.Name != "Acme" ||
		got.Tenant.Region != "NL" || got.HistoryDays != 90 || !got.MayDelete || got.SignIn.Label != "Test browser" || len(got.SignIn.SupportCode) != 6 ||
		got.Limits.CallsPerMinute < 1 || got.Limits.CallsAtOnce < 1 {
		t.Errorf("me: %+v", got)
	}
	want := []api.MeDevice{{ID: anna.device.ID, Label: "Desk", State: "idle", Default: true}, {ID: second.ID, Label: "Mobile", State: "idle"}}
	if !slices.Equal(got.Devices, want) {
		t.Errorf("devices %+v", got.Devices)
	}
	c := r.dial(anna, map[string]any{"number": number})
	eventually(t, "the phone rings", func() bool { return me().Devices[0].State == "ringing" })
	r.do(ask{method: "DELETE", path: "/v1/calls/" + c.ID.String(), token: anna.Access}).ok(t, 204)
	r.finished(anna, c.ID)
}

func TestNumbersCheck(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	for _, tt := range []struct{ number, class, verdict, code string }{
		{"020 123 4567", "fixed", "allowed", ""},
		{"06 12345678", "mobile", "allowed", ""},
		{"+1 212 555 0123", "fixed-or-mobile", "allowed", ""},
		{"0800 0432", "toll-free", "allowed", ""},
		{"0900 8844", "premium", "denied", "premium-number"},
		{"088 123 4567", "uan", "allowed", ""},
		{"085 123 4567", "voip", "allowed", ""},
		{"084 123 4567", "personal", "allowed", ""},
		{"101", "internal", "allowed", ""},
		{"1888", "short", "allowed", ""},
		{"112", "emergency", "denied", "emergency-number"},
		{"0112", "emergency", "denied", "emergency-number"},
		{"*21#", "star", "denied", "star-code"},
		{"+881 6 123 45678", "satellite", "allowed", ""},
		{"hello", "", "denied", "number-invalid"},
		{strings.Repeat("1", 30), "", "denied", "number-too-long"},
	} {
		t.Run(tt.number, func(t *testing.T) {
			got := read[api.NumberCheck](t, r.do(ask{method: "POST", path: "/v1/numbers/check", token: anna.Access,
				body: map[string]any{"number": tt.number}, header: map[string]string{"Accept-Language": "nl"}}).ok(t, 200))
			if value(got.Class) != tt.class || got.Verdict != tt.verdict || value(got.Code) != tt.code || (got.Sentence == nil) != (tt.code == "") {
				t.Errorf("%s %s %s %q", value(got.Class), got.Verdict, value(got.Code), value(got.Sentence))
			}
			if (got.Number == nil) != (tt.class == "") {
				t.Errorf("number %v", got.Number)
			}
		})
	}
	if n := r.count(t, "ctd_app", "refusals"); n != 0 {
		t.Errorf("a check was noted as a refusal")
	}
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
