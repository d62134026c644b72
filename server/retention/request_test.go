package retention_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/retention"
)

func contains(text, part string) bool { return strings.Contains(text, part) }

func TestMonthAfter(t *testing.T) {
	t.Parallel()
	for from, want := range map[string]string{
		"2026-01-31": "2026-02-28", "2028-01-31": "2028-02-29", "2028-01-29": "2028-02-29", "2026-01-29": "2026-02-28", "2026-01-28": "2026-02-28",
		"2026-03-31": "2026-04-30", "2026-04-30": "2026-05-30", "2026-12-31": "2027-01-31", "2026-02-28": "2026-03-28", "2026-08-31": "2026-09-30",
		"2026-10-24": "2026-11-24", // the clocks change between: not in UTC
	} {
		at, err := time.Parse(time.DateOnly, from)
		check(t, err)
		at = at.Add(13*time.Hour + 7*time.Millisecond)
		if got := retention.MonthAfter(at); got.Format(time.DateOnly) != want || got.Sub(got.Truncate(models.Day)) != at.Sub(at.Truncate(models.Day)) {
			t.Errorf("%s: %s, want %s", from, got, want)
		}
	}
}

func TestRequests(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	ctx, by := t.Context(), r.ours.by()
	mine := retention.Subject{User: r.ours.user.ID}
	filed, err := r.File(ctx, r.ours.self(), mine, models.ActErasure, time.Now().Add(-time.Hour))
	if err != nil || filed.User != mine.User || filed.DoneAt != nil || time.Since(filed.ReceivedAt) > time.Minute {
		t.Fatalf("a user dates back: %+v %v", filed, err)
	}
	if again, err := r.File(ctx, r.ours.self(), mine, models.ActErasure, time.Time{}); err != nil || again.ID != filed.ID {
		t.Errorf("asked twice: %+v %v", again, err)
	}
	if own, err := r.OwnRequests(ctx, r.ours.self()); err != nil || len(own) != 1 || own[0].ID != filed.ID {
		t.Errorf("%+v %v", own, err)
	}
	for name, s := range map[string]retention.Subject{"a colleague": {User: r.ours.admin.ID}, "a number": to(t, "101")} {
		if _, err := r.File(ctx, r.ours.self(), s, models.ActAccess, time.Time{}); fault.Code(err) != "forbidden" {
			t.Errorf("a user for %s: %v", name, err)
		}
	}
	if _, err := r.File(ctx, r.ours.self(), mine, models.ActObjection, time.Time{}); fault.Code(err) != "act-invalid" {
		t.Errorf("a user's objection: %v", err)
	}
	if _, err := r.File(ctx, by, to(t, "101"), models.ActDeparture, time.Time{}); fault.Code(err) != "act-invalid" {
		t.Errorf("a number leaves: %v", err)
	}
	yearAgo := time.Now().AddDate(-1, 0, 0)
	for name, row := range map[string]struct {
		at   time.Time
		code string
	}{
		"a year ago": {yearAgo.Add(time.Minute), ""}, "longer ago": {yearAgo.Add(-time.Minute), "received-invalid"}, "tomorrow": {time.Now().Add(time.Hour), "received-invalid"},
	} {
		got, err := r.File(ctx, by, to(t, "020 123 4567"), models.ActAccess, row.at)
		if fault.Code(err) != row.code || row.code == "" && (!got.Late(time.Now()) || got.Subject != models.SubjectNumber || got.User != uuid.Nil) {
			t.Errorf("received %s: %+v %v", name, got, err)
		}
	}
	open, more, err := r.Requests(ctx, by, true, retention.Place{}, 1)
	if err != nil || len(open) != 1 || !more || open[0].ID != filed.ID {
		t.Fatalf("%+v %v %v", open, more, err)
	}
	letter, more, err := r.Requests(ctx, by, true, open[0].Place(), 1)
	if err != nil || len(letter) != 1 || more {
		t.Fatalf("%+v %v %v", letter, more, err)
	}
	if rows, _, err := r.Requests(ctx, r.theirs.by(), false, retention.Place{}, 100); err != nil || len(rows) != 0 {
		t.Errorf("another company sees %d, %v", len(rows), err)
	}
	if _, _, err := r.Requests(ctx, r.ours.self(), false, retention.Place{}, 1); fault.Code(err) != "forbidden" {
		t.Errorf("a user lists: %v", err)
	}
	// An act completes the request that it names, or the user's oldest.
	if _, err := r.Erase(ctx, by, to(t, "020 123 4567"), letter[0].ID); fault.Code(err) != "request-mismatch" {
		t.Errorf("erased for one who asked for access: %v", err)
	}
	if _, err := r.Erase(ctx, r.theirs.by(), to(t, "020 123 4567"), filed.ID); fault.Code(err) != "request-mismatch" {
		t.Errorf("another company's request: %v", err)
	}
	done, err := r.Erase(ctx, by, mine, uuid.Nil)
	if err != nil || done.ID != filed.ID || done.Reference != filed.Reference || done.User != uuid.Nil || done.DoneAt == nil || done.Refused {
		t.Errorf("%+v %v", done, err)
	}
	if _, receipt := r.export(t, by, to(t, "020 123 4567"), retention.Wish{Format: retention.JSON, Request: letter[0].ID}); receipt.ID != letter[0].ID {
		t.Errorf("%+v", receipt)
	}
	// Refusing.
	no, err := r.File(ctx, r.ours.self(), mine, models.ActAccess, time.Time{})
	check(t, err)
	if _, err := r.Refuse(ctx, r.theirs.by(), no.ID); fault.Code(err) != "not-found" {
		t.Errorf("another company refuses: %v", err)
	}
	if got, err := r.Refuse(ctx, by, no.ID); err != nil || !got.Refused || got.User != uuid.Nil || got.DoneAt == nil {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := r.Refuse(ctx, by, no.ID); fault.Code(err) != "request-mismatch" {
		t.Errorf("refused twice: %v", err)
	}
	if got := r.value(t, "ctd_app", r.ours.id, "SELECT count(*) FROM privacy_requests WHERE done_at IS NULL OR user_id IS NOT NULL"); got != "0" {
		t.Errorf("%s receipts hold somebody", got)
	}
}
