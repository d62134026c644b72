package retention_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/retention"
)

type exported struct {
	Export struct {
		Subject    string
		Restricted bool
	}
	Subject struct {
		Number    string
		DoNotDial bool
	}
	Profile struct{ Email, Name string }
	Calls   []map[string]any
	Phones  []struct{ Label string }
	SignIns []struct{ DeviceName string } `json:"signIns"`
	Audit   []struct {
		Action string
		Self   bool
	}
	Requests                            []struct{ Reference string }
	Refusals, Sessions, Pairings, Links []map[string]any
	End                                 struct {
		Complete  bool
		Calls     int
		Reference string
	}
}

func parse(t *testing.T, text string) (e exported) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &e); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return e
}

func TestExportOfAUser(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	ctx, self := t.Context(), retention.Subject{User: r.ours.user.ID}
	tokens := r.signIn(t, r.ours.user.Email)
	_, err := r.auth.NewLink(ctx, r.ours.by(), self.User, "en")
	check(t, err)
	call, _ := r.past(t, r.ours.user, "020 123 4567", "Jan Jansen")
	r.past(t, r.ours.admin, "020 765 4321", "A colleague's")
	check(t, r.DB.Refuse(ctx, models.Refusal{ID: uuid.Must(uuid.NewV7()), TenantID: r.ours.id, UserID: self.User, Code: "star-code", SupportCode: "ABCDEF", At: time.Now()}))
	filed, err := r.File(ctx, r.ours.self(), self, models.ActAccess, time.Time{})
	check(t, err)
	text, receipt := r.export(t, r.ours.self(), self, retention.Wish{Format: retention.JSON})
	e := parse(t, text)
	if e.Export.Subject != "user" || e.Profile.Email != r.ours.user.Email || e.Profile.Name != "Anna Smit" || len(e.Phones) != 1 || len(e.SignIns) != 1 ||
		len(e.Refusals) != 1 || len(e.Pairings) != 1 || len(e.Links) != 1 || len(e.Requests) != 1 || e.Requests[0].Reference != filed.Reference || !e.End.Complete || e.End.Calls != 1 {
		t.Errorf("%s", text)
	}
	if len(e.Calls) != 1 || e.Calls[0]["number"] != "+31201234567" || e.Calls[0]["id"] != call.ID.String() || e.Calls[0]["durationSeconds"] != 60.0 {
		t.Errorf("calls %v", e.Calls)
	}
	if steps, ok := e.Calls[0]["timeline"].([]any); !ok || len(steps) == 0 {
		t.Errorf("timeline %v", e.Calls[0]["timeline"])
	}
	if len(e.Audit) == 0 || !slices.ContainsFunc(e.Audit, func(a struct {
		Action string
		Self   bool
	}) bool {
		return a.Action == "export" && a.Self
	}) {
		t.Errorf("audit %+v", e.Audit)
	}
	if receipt.ID != filed.ID || e.End.Reference != filed.Reference {
		t.Errorf("the request is not completed: %+v", receipt)
	}
	if _, again := r.export(t, r.ours.self(), self, retention.Wish{Format: retention.JSON}); again.ID != uuid.Nil {
		t.Errorf("a receipt for what nobody asked: %+v", again)
	}
	for _, secret := range []string{tokens.Access, tokens.Refresh, "hash", "argon2", "7654321"} {
		if contains(text, secret) {
			t.Errorf("it holds %q", secret)
		}
	}
	for name, by := range map[string]models.Actor{
		"a colleague": {Role: models.RoleUser, UserID: r.ours.admin.ID, TenantID: r.ours.id}, "support": {Role: models.RoleSupport, UserID: uuid.New()},
		"one's id elsewhere": {Role: models.RoleUser, UserID: self.User, TenantID: uuid.Nil},
	} {
		if _, err := r.Export(ctx, by, self, retention.Wish{}); fault.Code(err) != "forbidden" {
			t.Errorf("by %s: %v", name, err)
		}
	}
	if _, err := r.Export(ctx, r.theirs.by(), self, retention.Wish{}); fault.Code(err) != "not-found" {
		t.Errorf("by another company: %v", err)
	}
	if text, _ := r.export(t, r.theirs.by(), to(t, "020 123 4567"), retention.Wish{Format: retention.JSON}); len(parse(t, text).Calls) != 0 {
		t.Errorf("another company's number: %s", text)
	}
}

// Whoever was called is told of the calls, and nothing of who called.
func TestExportOfANumber(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	r.past(t, r.ours.user, "020 123 4567", "Jan Jansen")
	text, receipt := r.export(t, r.ours.by(), to(t, "020 123 4567"), retention.Wish{Format: retention.JSON})
	e := parse(t, text)
	if len(e.Calls) != 1 || e.Subject.Number != "+31201234567" || e.Calls[0]["name"] != "Jan Jansen" || e.Calls[0]["direction"] != "outbound" || receipt.Records != 1 || receipt.DoneAt == nil {
		t.Errorf("%s %+v", text, receipt)
	}
	csv, _ := r.export(t, r.ours.by(), to(t, "020 123 4567"), retention.Wish{Format: retention.CSV})
	for _, secret := range []string{"Anna", "anna@", r.ours.user.ID.String(), "desk", "device", "signIn", "admin"} {
		if contains(text, secret) || contains(csv, secret) {
			t.Errorf("it tells %q of a colleague:\n%s\n%s", secret, text, csv)
		}
	}
}

func TestExportMasked(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	r.past(t, r.ours.user, "020 123 4567", "Jan Jansen")
	for _, s := range []retention.Subject{{User: r.ours.user.ID}, to(t, "020 123 4567")} {
		for _, format := range []retention.Format{retention.JSON, retention.CSV} {
			text, receipt := r.export(t, r.ours.operator(), s, retention.Wish{Format: format})
			for _, secret := range []string{"1234567", "123 4567", "Jansen", "Smit", "anna@"} {
				if contains(text, secret) {
					t.Errorf("%s shows %q: %s", format, secret, text)
				}
			}
			if !contains(text, "123 4***") || receipt.ID != uuid.Nil {
				t.Errorf("%s: %s %+v", format, text, receipt)
			}
		}
	}
	text, receipt := r.export(t, r.ours.operator(), to(t, "020 123 4567"), retention.Wish{Format: retention.JSON, Reveal: "ticket 7"})
	if !contains(text, "+31201234567") || !contains(text, "Jan Jansen") || receipt.ID == uuid.Nil {
		t.Errorf("revealed: %s %+v", text, receipt)
	}
	if got := r.value(t, "ctd_app", r.ours.id, "SELECT string_agg(reason, ',') FROM audit WHERE action = 'reveal' AND actor_kind = 'operator'"); got != "ticket 7" {
		t.Errorf("audited %q", got)
	}
}

func TestCSV(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	names := []string{`=HYPERLINK("x")`, "-1+1", "@SUM(A1)", `says "hi", and goes`, "+49 me"}
	for _, name := range names {
		r.past(t, r.ours.user, "020 123 4567", name)
	}
	text, _ := r.export(t, r.ours.by(), retention.Subject{User: r.ours.user.ID}, retention.Wish{Format: retention.CSV})
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	check(t, err)
	if strings.Count(text, "\n") != strings.Count(text, "\r\n") {
		t.Error("lines do not end with CR LF (RFC 4180 2.1)")
	}
	column := func(name string) int { return slices.Index(rows[0], name) }
	var found []string
	sections := map[string]bool{}
	for _, row := range rows[1:] {
		sections[row[0]] = true
		for _, cell := range row {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Errorf("a cell is a formula: %q", cell)
			}
		}
		if row[0] == "calls" {
			found = append(found, strings.TrimPrefix(row[column("name")], "'"))
			if row[column("number")] != "'+31201234567" || row[column("device")] == "" {
				t.Errorf("%q", row)
			}
		}
	}
	slices.Sort(found)
	slices.Sort(names)
	if !slices.Equal(found, names) {
		t.Errorf("names %q", found)
	}
	for _, section := range []string{"export", "profile", "phones", "calls", "timeline", "audit", "end"} {
		if !sections[section] {
			t.Errorf("no %s", section)
		}
	}
}

// meter counts what is written, and the most that is in use meanwhile.
type meter struct {
	written, lines int
	most           uint64
	fail           int // the page at which the reader goes away; 0: never
	pages          int
}

func (m *meter) Write(p []byte) (int, error) {
	m.written += len(p)
	m.lines += bytes.Count(p, []byte("\n"))
	return len(p), nil
}

var errGone = errors.New("the reader has gone")

func (m *meter) flush() error {
	var now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&now)
	m.most = max(m.most, now.HeapAlloc)
	if m.pages++; m.pages == m.fail {
		return errGone
	}
	return nil
}

// Not in parallel: the heap is everybody's.
func TestExportStreams(t *testing.T) {
	r := newRights(t)
	const records = 20_000
	r.bulk(t, r.ours, records, "+31201234567")
	for _, format := range []retention.Format{retention.JSON, retention.CSV} {
		e, err := r.Export(t.Context(), r.ours.by(), to(t, "020 123 4567"), retention.Wish{Format: format})
		check(t, err)
		var before runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		m := &meter{}
		receipt, err := e.Write(t.Context(), m, m.flush)
		if err != nil || receipt.Records != records || m.lines < records || m.pages < records/retention.ExportPage {
			t.Fatalf("%s: %+v %+v %v", format, receipt, m, err)
		}
		const bound = 8 << 20 // all rows at once would be more than twice that
		if grown := int64(m.most) - int64(before.HeapAlloc); grown > bound {
			t.Errorf("%s: the heap grew by %d bytes over %d records", format, grown, records)
		}
	}
	e, err := r.Export(t.Context(), r.ours.by(), to(t, "020 123 4567"), retention.Wish{Format: retention.JSON})
	check(t, err)
	m := &meter{fail: 3}
	if _, err := e.Write(t.Context(), m, m.flush); !errors.Is(err, errGone) || m.pages > 4 {
		t.Errorf("it reads on for one who has gone: %+v %v", m, err)
	}
}

// An export that breaks off is not taken for whole, and is no answer.
func TestExportBreaksOff(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	r.bulk(t, r.ours, 3*retention.ExportPage, "+31201234567")
	for _, format := range []retention.Format{retention.JSON, retention.CSV} {
		e, err := r.Export(t.Context(), r.ours.by(), to(t, "020 123 4567"), retention.Wish{Format: format})
		check(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		var out bytes.Buffer
		pages := 0
		_, err = e.Write(ctx, &out, func() error {
			if pages++; pages == 2 {
				cancel()
			}
			return nil
		})
		if err == nil || pages > 3 {
			t.Fatalf("%s: %d pages, %v", format, pages, err)
		}
		if format == retention.JSON && json.Valid(out.Bytes()) {
			t.Error("a whole object")
		}
		if format == retention.CSV && !strings.HasSuffix(out.String(), "end,,,,,,,,,,,,complete,false: the export broke off\r\n") {
			t.Errorf("it ends with %q", out.String()[max(0, out.Len()-200):])
		}
	}
	if got := r.value(t, "ctd_app", r.ours.id, "SELECT count(*) FROM privacy_requests"); got != "0" {
		t.Errorf("%s receipts", got)
	}
}
