package console_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/testdb"
)

var reference = regexp.MustCompile(`<code>([A-Z]{8})</code>`)

// subjectOf is the page of what is held about somebody.
func (br *browser) subjectOf(t *testing.T, field, value string) string {
	t.Helper()
	to := br.post(t, "/console/privacy-requests/find", field, value).to(t)
	if !regexp.MustCompile(`^/console/privacy-requests/subject/[0-9a-f-]{36}$`).MatchString(to) {
		t.Fatalf("it leads to %s", to)
	}
	return to
}

func TestRequestOfACalledParty(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna, olga := b.as(t, b.anna), b.as(t, b.olga)
	b.past(t, b.piet, "hangUp", wholeCall, "Bakery De Korst")
	b.past(t, b.olga, "hangUp", wholeCall, "Elsewhere")
	page := anna.subjectOf(t, "number", "020-1234567")
	anna.get(t, page).plain().wants(t, http.StatusOK, "+31 20 123 4567", "<dt>Call records</dt><dd>1</dd>", "I have checked who is asking")
	for _, path := range []string{page, strings.Replace(page, "/subject/", "/receipt/", 1)} {
		olga.get(t, path).wants(t, http.StatusNotFound)
	}
	olga.post(t, page+"/erase", "checked", "yes").wants(t, http.StatusNotFound)
	letter := time.Now().UTC().AddDate(0, 0, -40).Format(time.DateOnly)
	again := anna.post(t, page+"/file", "act", "erasure", "received", letter).to(t)
	anna.get(t, "/console/privacy-requests").wants(t, http.StatusOK, "Overdue", " · somebody who was called")
	open := testdb.Strings(t, b.url, "SELECT id::text FROM privacy_requests WHERE done_at IS NULL")
	anna.get(t, strings.TrimSuffix(again, "?done=filed")).wants(t, http.StatusOK, `<option value="`+open[0]+`">`)
	anna.post(t, page+"/file", "act", "departure").wants(t, http.StatusUnprocessableEntity, `id="file-error"`)
	anna.post(t, page+"/correct", "name", "Jan").to(t)
	anna.post(t, page+"/restrict").to(t)
	anna.get(t, page).wants(t, http.StatusOK, "<dt>Restricted</dt><dd>Yes</dd>", "/restrict-lift")
	anna.post(t, page+"/object").to(t)
	anna.get(t, page).wants(t, http.StatusOK, "/object-lift")
	anna.post(t, page+"/object-lift").to(t)
	anna.post(t, page+"/object-lift").wants(t, http.StatusConflict, `role="alert"`)
	for _, format := range []string{"json", "csv"} {
		a := anna.post(t, page+"/export", "format", format)
		a.wants(t, http.StatusOK, wholeCall, "Jan")
		a.lacks(t, "Elsewhere")
	}
	anna.post(t, page+"/erase", "request", open[0]).wants(t, http.StatusUnprocessableEntity, "Tick the box", `name="checked" aria-invalid="true"`)
	anna.post(t, page+"/sell").wants(t, http.StatusNotFound)
	receipt := anna.post(t, page+"/erase", "request", open[0], "checked", "yes").to(t)
	a := anna.get(t, receipt)
	a.wants(t, http.StatusOK, "Erasure", "<dt>Call records</dt><dd>1</dd>")
	a.lacks(t, "4567", "Jan")
	if ref := reference.FindStringSubmatch(a.body); ref == nil {
		t.Error("no reference is shown")
	} else {
		anna.get(t, "/console/privacy-requests").wants(t, http.StatusOK, ref[1], "Nobody waits")
	}
	if left := testdb.Strings(t, b.url, "SELECT name FROM calls"); len(left) != 1 || left[0] != "Elsewhere" {
		t.Errorf("left are %v", left)
	}
	if strings.Contains(b.log.String(), "1234567") {
		t.Error("a number is in the log")
	}
}

func TestRequestOfAUser(t *testing.T) {
	t.Parallel()
	b := setup(t)
	anna := b.as(t, b.anna)
	for _, bad := range [][]string{{}, {"number", wholeCall, "user", b.piet.ID.String()}, {"number", "abc"}} {
		anna.post(t, "/console/privacy-requests/find", bad...).wants(t, http.StatusUnprocessableEntity, `name="number" aria-invalid="true"`)
	}
	anna.post(t, "/console/privacy-requests/find", "number", "abc").wants(t, http.StatusUnprocessableEntity, "Type all of it, with the area code.")
	anna.post(t, "/console/history", "number", "abc").wants(t, http.StatusUnprocessableEntity, "Type the whole number, or its last four digits.")
	for _, id := range []string{"x", b.olga.ID.String(), uuid.NewString()} {
		anna.post(t, "/console/privacy-requests/find", "user", id).wants(t, http.StatusNotFound)
	}
	page := anna.subjectOf(t, "user", b.piet.ID.String())
	anna.get(t, page).wants(t, http.StatusOK, "piet@example.test", "<dt>Sign-ins</dt>")
	anna.post(t, page+"/correct", "name", "Piet Bos", "email", "x").wants(t, http.StatusUnprocessableEntity, `name="email" aria-invalid="true"`)
	anna.post(t, page+"/correct", "name", "Piet Bos", "email", "piet@example.test").to(t)
	anna.get(t, page).wants(t, http.StatusOK, "<h1>Piet Bos</h1>")
	anna.post(t, page+"/object").wants(t, http.StatusUnprocessableEntity)
	anna.post(t, page+"/file", "act", "access").to(t)
	id := testdb.Strings(t, b.url, "SELECT id::text FROM privacy_requests WHERE done_at IS NULL")[0]
	b.as(t, b.olga).post(t, "/console/privacy-requests/"+id+"/refuse").wants(t, http.StatusNotFound)
	if to := anna.post(t, "/console/privacy-requests/"+id+"/refuse").to(t); to != "/console/privacy-requests?done=request-refused" {
		t.Errorf("it leads to %s", to)
	}
	anna.get(t, "/console/privacy-requests").wants(t, http.StatusOK, "Refused", "Nobody waits")
}
