package api_test

import (
	"fmt"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/api"
	"clicktodial/server/testdb"
)

func TestStats(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	carl := r.person(t, "carl@other.test")
	stats := func(p person, query string) api.Stats {
		return read[api.Stats](t, r.do(ask{method: "GET", path: "/v1/admin/stats" + query, token: p.Access}).ok(t, 200))
	}
	withheld := func(name string, s api.Stats) {
		if !s.Withheld || s.Calls != nil || s.PerDay == nil || s.Outcomes == nil || len(s.PerDay)+len(s.Outcomes) != 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	withheld("nobody", stats(anna, ""))
	yesterday := time.Now().UTC().Truncate(models.Day).Add(-time.Hour)
	people := []person{anna}
	for i := range 3 {
		people = append(people, r.colleague(t, anna, fmt.Sprintf("p%d@example.test", i)))
	}
	for _, p := range people {
		r.past(t, p, number, "Jan", yesterday)
		r.past(t, p, number, "Jan", yesterday)
	}
	withheld("four people", stats(anna, ""))
	last := r.colleague(t, anna, "last@example.test")
	id := r.past(t, last, number, "Jan", yesterday)
	s := stats(anna, "")
	if s.Withheld || s.Days != 30 || s.Calls == nil || *s.Calls != 9 || len(s.PerDay) != 30 || !s.From.Equal(time.Now().UTC().Truncate(models.Day).AddDate(0, 0, -29)) {
		t.Fatalf("%+v", s)
	}
	for i, d := range s.PerDay {
		if shown := d.Calls != nil; shown != (i == 28) || shown && (*d.Calls != 9 || d.Day != yesterday.Format(time.DateOnly)) {
			t.Errorf("%s: %v", d.Day, d.Calls)
		}
	}
	for _, o := range s.Outcomes {
		if shown := o.Calls != nil; shown != (o.Outcome == "hangUp") || shown && *o.Calls != 9 {
			t.Errorf("%s: %v", o.Outcome, o.Calls)
		}
	}
	if week := stats(anna, "?days=7"); len(week.PerDay) != 7 || *week.Calls != 9 {
		t.Errorf("%+v", week)
	}
	withheld("today", stats(anna, "?days=1"))
	withheld("another company", stats(carl, ""))
	for _, bad := range []string{"0", "91", "-1", "x"} {
		r.do(ask{method: "GET", path: "/v1/admin/stats?days=" + bad, token: anna.Access}).problem(t, 400, "invalid-request")
	}
	r.do(ask{method: "GET", path: "/v1/admin/stats?days=8", token: anna.Access}).problem(t, 422, "stats-period-invalid")
	testdb.AsOwner(t, r.dbURL, "UPDATE calls SET restricted = true WHERE id = $1", id)
	withheld("the fifth is restricted", stats(anna, ""))
	testdb.AsOwner(t, r.dbURL, "UPDATE calls SET restricted = false, expires_at = date_trunc('milliseconds', now()) WHERE id = $1", id)
	withheld("the fifth record has ended", stats(anna, ""))
	r.past(t, last, number, "Jan", yesterday)
	if s := stats(anna, ""); s.Withheld {
		t.Error("withheld from five people")
	}
	r.sql(t, "ctd_operator", "UPDATE tenants SET retention_days = 0 WHERE id = $1", anna.tenant.ID)
	withheld("0 days", stats(anna, ""))
}
