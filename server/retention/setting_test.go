package retention_test

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/retention"
	"clicktodial/server/store"
)

func ptr[T any](v T) *T { return &v }

// What an admin may decide, what it does, and what the audit says of it.
func TestChoose(t *testing.T) {
	t.Parallel()
	c := newFirm(t)
	woken := 0
	c.chooser.Wake = func() { woken++ }
	keep := models.KeepLeaver
	quality := retention.Recording{Reason: "quality", Text: "To train our people, é"}
	steps := []struct {
		name   string
		choice retention.Choice
		want   retention.Chosen
		words  string // "": nothing was changed
	}{
		{"nothing", retention.Choice{}, retention.Chosen{RetentionDays: 90, UsersMayDelete: true, LeaverRecords: models.EraseLeaver}, ""},
		{"what is so already", retention.Choice{RetentionDays: ptr(90), UsersMayDelete: ptr(true), Recording: &retention.Recording{}},
			retention.Chosen{RetentionDays: 90, UsersMayDelete: true, LeaverRecords: models.EraseLeaver}, ""},
		{"all of it", retention.Choice{RetentionDays: ptr(365), UsersMayDelete: ptr(false), LeaverRecords: &keep, Recording: &quality},
			retention.Chosen{RetentionDays: 365, LeaverRecords: keep, Recording: &quality},
			"retention 90 to 365 days; users may not delete; records of leavers: keep; recording declared: quality"},
		{"other words", retention.Choice{Recording: &retention.Recording{Reason: "quality", Text: strings.Repeat("é", 500)}},
			retention.Chosen{RetentionDays: 365, LeaverRecords: keep, Recording: &retention.Recording{Reason: "quality", Text: strings.Repeat("é", 500)}},
			"recording declared: quality"},
		{"withdrawn", retention.Choice{Recording: &retention.Recording{}, RetentionDays: ptr(0)}, retention.Chosen{LeaverRecords: keep},
			"retention 365 to 0 days; recording withdrawn"},
	}
	for _, s := range steps {
		before := len(c.audit())
		c.check(c.chooser.Choose(t.Context(), c.by, s.choice))
		got, err := c.chooser.Settings(t.Context(), c.by)
		c.check(err)
		if rec := got.Recording; (rec == nil) != (s.want.Recording == nil) || rec != nil && *rec != *s.want.Recording {
			t.Errorf("%s: recording %v", s.name, rec)
		}
		got.Recording, s.want.Recording = nil, nil
		if got != s.want {
			t.Errorf("%s: %+v, want %+v", s.name, got, s.want)
		}
		entries := c.audit()
		if s.words == "" && len(entries) != before || s.words != "" && (len(entries) != before+1 || entries[before] != "admin settings-change "+s.words) {
			t.Errorf("%s: audit %q", s.name, entries[before:])
		}
	}
	if woken != 2 {
		t.Errorf("shortening was woken %d times", woken)
	}
	for name, bad := range map[string]retention.Choice{
		"-1 days": {RetentionDays: ptr(-1)}, "366 days": {RetentionDays: ptr(366)}, "leavers": {LeaverRecords: ptr(models.LeaverRecords("sell"))},
		"a reason of its own": {Recording: &retention.Recording{Reason: "fun", Text: "x"}}, "no text": {Recording: &retention.Recording{Reason: "quality", Text: "  "}},
		"501": {Recording: &retention.Recording{Reason: "quality", Text: strings.Repeat("é", 501)}}, "a line break": {Recording: &retention.Recording{Reason: "quality", Text: "a\nb"}},
		"no text at all": {Recording: &retention.Recording{Reason: "quality", Text: "\xff"}},
	} {
		if err := c.chooser.Choose(t.Context(), c.by, bad); fault.Code(err) != "setting-invalid" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Only an admin of the company, or the operator in its name.
func TestChooseIsForAdmins(t *testing.T) {
	t.Parallel()
	c := newFirm(t)
	ctx := t.Context()
	for name, by := range map[string]models.Actor{
		"a user": {Role: models.RoleUser, UserID: c.admin.ID, TenantID: c.tenant.ID}, "support": {Role: models.RoleSupport, UserID: uuid.New()},
		"an admin of nothing": {Role: models.RoleAdmin, UserID: c.admin.ID}, "the operator, of nobody": {Role: models.RoleOperator}, "nobody": {},
	} {
		_, err1 := c.chooser.Settings(ctx, by)
		_, err2 := c.chooser.Preview(ctx, by, 1)
		_, _, err3 := c.chooser.State(ctx, by)
		err4 := c.chooser.Choose(ctx, by, retention.Choice{RetentionDays: ptr(1), Confirm: true})
		for _, err := range []error{err1, err2, err3, err4} {
			if fault.Code(err) != "forbidden" {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	stranger := models.Actor{Role: models.RoleAdmin, UserID: c.admin.ID, TenantID: uuid.New()}
	if err := c.chooser.Choose(ctx, stranger, retention.Choice{RetentionDays: ptr(1), Confirm: true}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of a company that is not there: %v", err)
	}
	if err := c.chooser.Choose(ctx, models.Actor{Role: models.RoleOperator, TenantID: c.tenant.ID}, retention.Choice{RetentionDays: ptr(100)}); err != nil {
		t.Errorf("the operator: %v", err)
	}
}

// What holds for the company's records is no secret from its own people.
func TestRules(t *testing.T) {
	t.Parallel()
	c := newFirm(t)
	c.chooser.Ceiling = 30 * models.Day
	user := models.Actor{Role: models.RoleUser, UserID: uuid.New(), TenantID: c.tenant.ID}
	if got, err := c.chooser.Rules(t.Context(), user); err != nil || !got.UsersMayDelete {
		t.Errorf("before it was forbidden: %+v, %v", got, err)
	}
	c.check(c.chooser.Choose(t.Context(), c.by, retention.Choice{UsersMayDelete: ptr(false)}))
	for days, want := range map[int]time.Duration{7: 7 * models.Day, 365: 30 * models.Day, 0: 0} {
		c.check(c.chooser.Choose(t.Context(), c.by, retention.Choice{RetentionDays: ptr(days), Confirm: true}))
		for name, by := range map[string]models.Actor{"a user": user, "an admin": c.by} {
			if got, err := c.chooser.Rules(t.Context(), by); err != nil || got != (retention.Rules{RetentionDays: days, Effective: want}) {
				t.Errorf("%s at %d days: %+v, %v", name, days, got, err)
			}
		}
	}
	for name, by := range map[string]models.Actor{"support": {Role: models.RoleSupport, UserID: uuid.New()}, "nobody": {}} {
		if _, err := c.chooser.Rules(t.Context(), by); fault.Code(err) != "forbidden" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Shortening is confirmed when, and only when, a record ends earlier by it.
func TestChooseAsks(t *testing.T) {
	t.Parallel()
	c := newFirm(t)
	try := func(days int) error {
		return c.chooser.Choose(context.Background(), c.by, retention.Choice{RetentionDays: &days})
	}
	c.check(try(60)) // there is nothing yet
	c.call(20*24*time.Hour, false)
	c.call(time.Hour, false)
	err := try(10)
	f, ok := fault.Of(err)
	if !ok || f.Code != "confirmation-required" || f.Detail != "1 records would be gone at once and 1 more would end sooner. Confirm it to go on." {
		t.Fatalf("%v %v", err, f)
	}
	if got, err := c.chooser.Settings(t.Context(), c.by); err != nil || got.RetentionDays != 60 {
		t.Errorf("%+v, %v", got, err)
	}
	c.check(try(90))  // longer
	c.check(try(60))  // no record lives that long
	c.choose(0)       // confirmed
	c.check(try(365)) // longer again
	live := newFirm(t)
	live.call(time.Minute, true)
	if err := live.chooser.Choose(t.Context(), live.by, retention.Choice{RetentionDays: ptr(0)}); fault.Code(err) != "confirmation-required" {
		t.Errorf("a call that is up would go with its end: %v", err)
	}
}

// Above the ceiling our own list ends first.
func TestPreviewUnderTheCeiling(t *testing.T) {
	t.Parallel()
	c := newFirm(t)
	for days, beyond := range map[int]bool{0: false, 90: false, 91: true, 365: true} {
		p, err := c.chooser.Preview(t.Context(), c.by, days)
		if err != nil || p.BeyondCeiling() != beyond || p.Days != days || p.Ceiling != ninety || p.Effective != min(time.Duration(days)*models.Day, ninety) {
			t.Errorf("%d days: %+v, %v", days, p, err)
		}
	}
	if _, err := c.chooser.Preview(t.Context(), c.by, 366); fault.Code(err) != "setting-invalid" {
		t.Error(err)
	}
}

// audit gives the entries about the tenant's settings, oldest first.
func (c *firm) audit() (entries []string) {
	c.t.Helper()
	db, err := sql.Open("pgx", c.url)
	c.check(err)
	defer db.Close() //nolint:errcheck // one look
	tx, err := db.Begin()
	c.check(err)
	defer tx.Rollback() //nolint:errcheck // it read only
	_, err = tx.Exec("SELECT set_config('role', 'ctd_app', true), set_config('app.tenant_id', $1, true)", c.tenant.ID.String())
	c.check(err)
	rows, err := tx.Query("SELECT actor_kind || ' ' || action || ' ' || reason FROM audit WHERE tenant_id = $1 AND subject_id = $1 ORDER BY at, id", c.tenant.ID)
	c.check(err)
	defer rows.Close() //nolint:errcheck // read to its end
	for rows.Next() {
		var text string
		c.check(rows.Scan(&text))
		entries = append(entries, text)
	}
	c.check(rows.Err())
	return entries
}
