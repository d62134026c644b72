package console_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"clicktodial/models"
)

// When a contract ends, its admin takes the data along by a link that works once,
// and can open nothing else.
func TestFarewell(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.auth.Grace = 90 * models.Day
	b.past(t, b.piet, "hangUp", wholeCall, "Bakery De Korst")
	b.past(t, b.olga, "hangUp", wholeCall, "Klant Geheim")
	before := b.as(t, b.anna)
	f, err := b.auth.EndTenant(context.Background(), b.acme.ID)
	check(t, err)
	if len(f.Links) != 1 {
		t.Fatalf("%d links", len(f.Links))
	}
	if to := before.get(t, "/console/people").to(t); !strings.HasPrefix(to, "/console/sign-in") {
		t.Errorf("the session of before is led to %s", to)
	}
	link, err := url.Parse(f.Links[0].URL)
	check(t, err)
	anna := b.nobody()
	if to := anna.get(t, link.RequestURI()).to(t); to != "/console/link" {
		t.Fatalf("the code stays in %s", to)
	}
	anna.get(t, "/console/link").wants(t, http.StatusOK, "Acme", `name="open"`)
	if to := anna.post(t, "/console/link", "open", "yes").to(t); to != "/console/farewell" {
		t.Fatalf("led to %s", to)
	}
	anna.get(t, "/console/farewell").wants(t, http.StatusOK, "Acme", "/console/farewell/export")
	for _, path := range []string{"/console", "/console/people", "/console/history", "/console/password"} {
		if to := anna.get(t, path).to(t); to != "/console/farewell" {
			t.Errorf("%s leads to %s", path, to)
		}
	}
	calls := anna.post(t, "/console/farewell/export", "format", "csv")
	calls.wants(t, http.StatusOK, "\ufeffid,time,user", "Bakery De Korst", "piet@example.test")
	calls.lacks(t, "Geheim")
	all := anna.post(t, "/console/farewell/export", "format", "json")
	var company struct {
		Company string
		People  []struct{ Email string }
		History struct{ Count int }
	}
	if err := json.Unmarshal([]byte(all.body), &company); err != nil || company.Company != "Acme" || len(company.People) != 2 || company.History.Count != 1 {
		t.Errorf("%v: %s", err, all.body)
	}
	again := b.nobody()
	again.get(t, link.RequestURI())
	again.get(t, "/console/link").wants(t, http.StatusUnprocessableEntity)
	if to := b.as(t, b.olga).get(t, "/console/farewell").to(t); to != "/console/history" && to != "/console/sign-ins" && to != "/console" {
		t.Errorf("who has not ended is led to %s", to)
	}
	b.nobody().post(t, "/console/farewell/export", "format", "csv").wants(t, http.StatusUnauthorized)
}
