package console_test

import (
	"net/http"
	"testing"

	"clicktodial/models"
	"clicktodial/server/retention"
	"clicktodial/server/testdb"
)

const myData = "/console/my-data"

func TestMyData(t *testing.T) {
	t.Parallel()
	b := setup(t)
	piet, anna, olga := b.as(t, b.piet), b.as(t, b.anna), b.as(t, b.olga)
	b.past(t, b.piet, "hangUp", wholeCall, "Bakery De Korst", "Jansen")
	b.past(t, b.anna, "hangUp", wholeCall, "Mill De Korrel")
	b.past(t, b.olga, "hangUp", wholeCall, "Elsewhere")
	for _, c := range []struct {
		who             *browser
		calls, own, not string
	}{
		{piet, "2", "Jansen", "Mill De Korrel"}, {anna, "1", "Mill De Korrel", "Jansen"}, {olga, "1", "Elsewhere", "Jansen"},
	} {
		page := c.who.get(t, myData)
		page.plain().wants(t, http.StatusOK, "<title>My data · Click-to-Dial</title>", "<dt>Call records</dt><dd>"+c.calls+"</dd>", "gone 90 days after",
			`<a href="/console/my-data" aria-current="page">My data</a>`, "Nothing is open.")
		for _, format := range []string{"json", "csv"} {
			a := c.who.post(t, myData+"/export", "format", format, "user", b.anna.ID.String())
			a.wants(t, http.StatusOK, c.own, wholeCall)
			a.lacks(t, c.not)
			if got := a.header.Get("Content-Disposition"); got != `attachment; filename="export.`+format+`"` {
				t.Errorf("the file is %s", got)
			}
		}
	}
	b.as(t, b.sam).get(t, "/console/sign-ins").lacks(t, myData)
	for range 2 {
		_, err := b.rights.Export(t.Context(), actorOf(b.piet), retention.Subject{User: b.piet.ID}, retention.Wish{})
		check(t, err)
	}
	third := piet.post(t, myData+"/export", "format", "json")
	third.wants(t, http.StatusTooManyRequests, `id="export-error"`, "Two exports of yours")
	if third.header.Get("Retry-After") == "" {
		t.Error("it does not say when to come again")
	}
}

// What people ask for themselves their admin answers, and then it stands no more on
// their page.
func TestMyRequests(t *testing.T) {
	t.Parallel()
	b := setup(t)
	piet, anna := b.as(t, b.piet), b.as(t, b.anna)
	if to := piet.post(t, myData+"/requests", "act", "restriction").to(t); to != myData+"?done=asked" {
		t.Errorf("it leads to %s", to)
	}
	page := piet.get(t, myData+"?done=asked")
	page.wants(t, http.StatusOK, "Your request is noted.", "Restriction <code>", "due in ")
	piet.post(t, myData+"/requests", "act", "restriction", "user", b.anna.ID.String()).to(t) // it is open already
	piet.post(t, myData+"/requests", "act", "access").to(t)
	for _, act := range []string{"objection", "sell", ""} {
		piet.post(t, myData+"/requests", "act", act).wants(t, http.StatusUnprocessableEntity, `id="file-error"`, `name="act" aria-invalid="true"`, `<details class="panel" open>`)
	}
	of := testdb.Strings(t, b.url, "SELECT act || ' ' || user_id FROM privacy_requests WHERE done_at IS NULL ORDER BY act")
	if len(of) != 2 || of[0] != "access "+b.piet.ID.String() || of[1] != "restriction "+b.piet.ID.String() {
		t.Errorf("open are %v", of)
	}
	ref := reference.FindStringSubmatch(page.body)[1]
	anna.get(t, "/console/privacy-requests").wants(t, http.StatusOK, ref, " · "+b.piet.Email)
	anna.get(t, myData).lacks(t, ref)
	b.as(t, b.olga).get(t, "/console/privacy-requests").lacks(t, ref)
	anna.post(t, anna.subjectOf(t, "user", b.piet.ID.String())+"/restrict").to(t)
	page = piet.get(t, myData)
	page.wants(t, http.StatusOK, "<dt>Restricted</dt><dd>Yes</dd>", `value="restriction-lifted"`)
	page.lacks(t, ref, `value="restriction"`)
	piet.post(t, myData+"/export", "format", "json").wants(t, http.StatusOK, `"reference"`)
	piet.get(t, myData).wants(t, http.StatusOK, "Nothing is open.")
}

func TestClearMyHistory(t *testing.T) {
	t.Parallel()
	b := setup(t)
	piet, anna := b.as(t, b.piet), b.as(t, b.anna)
	b.past(t, b.piet, "hangUp", wholeCall, "Bakery De Korst")
	b.past(t, b.anna, "hangUp", wholeCall, "Jan")
	b.live(t, b.piet)
	left := func(want string) {
		t.Helper()
		if got := testdb.Strings(t, b.url, "SELECT string_agg(name, ' ' ORDER BY name) FROM calls"); got[0] != want {
			t.Errorf("left are %s, not %s", got[0], want)
		}
	}
	page := piet.get(t, myData)
	page.wants(t, http.StatusOK, "Your company does not let its people delete", "Ask for erasure")
	page.lacks(t, myData+"/clear")
	piet.post(t, myData+"/clear", "checked", "yes").wants(t, http.StatusForbidden, "Your company does not let its people delete")
	left("Bakery De Korst Jan Live")
	piet.post(t, myData+"/requests", "act", string(models.ActErasure)).to(t)
	page = piet.get(t, myData)
	page.wants(t, http.StatusOK, "You have asked your administrators", "Erasure <code>")
	page.lacks(t, "Ask for erasure")

	anna.post(t, "/console/retention/settings", "may_delete", "yes").to(t)
	piet.get(t, myData).wants(t, http.StatusOK, myData+"/clear", "Yes, delete all of them")
	piet.post(t, myData+"/clear").wants(t, http.StatusUnprocessableEntity, "Tick the box", `name="checked" aria-invalid="true"`)
	left("Bakery De Korst Jan Live")
	if to := piet.post(t, myData+"/clear", "checked", "yes").to(t); to != myData+"?done=history-cleared" {
		t.Errorf("it leads to %s", to)
	}
	left("Jan Live")
	piet.get(t, myData).wants(t, http.StatusOK, "<dt>Call records</dt><dd>1 (1 going on)</dd>")
}
