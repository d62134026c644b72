package console_test

import (
	"net/http"
	"strings"
	"testing"

	"clicktodial/server/testdb"
)

func TestRetention(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	b.call(t, b.piet)
	b.call(t, b.olga)
	days := func() string {
		return strings.Join(testdb.Strings(t, b.url, "SELECT retention_days::text FROM tenants ORDER BY name"), " ")
	}
	anna.get(t, "/console/retention").wants(t, http.StatusOK, "Proof that records go", "purge verify", `value="90"`, `href="/console/retention" aria-current="page"`)
	anna.post(t, "/console/retention/preview", "days", "30").wants(t, http.StatusOK, "From 90 days to 30 days", "<dt>End earlier</dt><dd>1</dd>", "<dt>Gone at once</dt><dd>0</dd>")
	anna.post(t, "/console/retention", "days", "30").wants(t, http.StatusOK, "What will go, and when") // nothing was confirmed
	if got := days(); got != "90 90" {
		t.Errorf("looking has changed the days: %s", got)
	}
	for _, bad := range []string{"", "-1", "366", "x"} {
		for _, path := range []string{"/preview", ""} {
			anna.post(t, "/console/retention"+path, "days", bad, "confirm", "yes").wants(t, http.StatusUnprocessableEntity, "0 to 365 days", `name="days" aria-invalid="true"`)
		}
	}
	if to := anna.post(t, "/console/retention", "days", "30", "confirm", "yes").to(t); to != "/console/retention?done=retention" {
		t.Errorf("it leads to %s", to)
	}
	if got := days(); got != "30 90" {
		t.Errorf("the days are %s", got)
	}
	anna.get(t, "/console/retention?done=retention").wants(t, http.StatusOK, `value="30"`, "are going")
	anna.post(t, "/console/retention/preview", "days", "365").wants(t, http.StatusOK, "new calls only", "Our own list ends at 90 days; your PBX’s call records follow your 365 days.")
}

func TestSettingsOfRecords(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	for _, fields := range [][]string{{"may_delete", "no"}, {"leavers", "keep"}, {"recording", "quality", "text", "To learn"}} {
		if to := anna.post(t, "/console/retention/settings", fields...).to(t); to != "/console/retention?done=settings" {
			t.Errorf("%v leads to %s", fields, to)
		}
	}
	anna.get(t, "/console/retention").wants(t, http.StatusOK, "may not delete", `value="keep" checked`, `value="quality" selected`, `value="To learn"`, "must be told")
	for _, fields := range [][]string{{"leavers", "sell"}, {"recording", "because", "text", "x"}, {"recording", "quality", "text", " "}} {
		anna.post(t, "/console/retention/settings", fields...).wants(t, http.StatusUnprocessableEntity, `role="alert"`)
	}
	anna.post(t, "/console/retention/settings", "recording", "").to(t)
	anna.get(t, "/console/retention").lacks(t, "To learn")
}

// How far shortening has come is on the page while it goes on, after a restart too,
// and how it ended; on no other company's.
func TestShorteningOnThePage(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna, olga := b.as(t, b.anna), b.as(t, b.olga)
	anna.get(t, "/console/retention").lacks(t, "Shorten")
	testdb.AsOwner(t, b.url, "INSERT INTO restamps (tenant_id, kept_ms, total, done, changed) VALUES ($1, 1, 5000000, 1250000, 7)", *b.anna.TenantID)
	anna.get(t, "/console/retention").wants(t, http.StatusOK, `role="status"`, "Shortening: 1,250,000 of 5,000,000 records were looked at.")
	testdb.AsOwner(t, b.url, "UPDATE restamps SET done = total, changed = 4000000, finished_at = now()")
	anna.get(t, "/console/retention").wants(t, http.StatusOK, "Shortened: 4,000,000 records end earlier (just now).")
	olga.get(t, "/console/retention").lacks(t, "Shorten")
}
