package api_test

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/api"
	"clicktodial/server/audit"
	"clicktodial/server/live"
	"clicktodial/server/retention"
	"clicktodial/server/store"
)

// The settings over the wire: what is absent stays, and shortening is confirmed.
func TestSettingsOverHTTP(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	put := func(body any) answer {
		return r.do(ask{method: "PUT", path: "/v1/admin/settings", token: anna.Access, body: body})
	}
	get := func() api.Settings {
		return read[api.Settings](t, r.do(ask{method: "GET", path: "/v1/admin/settings", token: anna.Access}).ok(t, 200))
	}
	usual := api.Settings{RetentionDays: 90, UsersMayDelete: true, LeaverRecords: "erase"}
	if got := get(); got != usual {
		t.Errorf("%+v", got)
	}
	if got := read[api.Settings](t, put(map[string]any{"requireSecondFactor": false}).ok(t, 200)); got != usual {
		t.Errorf("%+v", got)
	}
	got := read[api.Settings](t, put(map[string]any{
		"retentionDays": 365, "usersMayDelete": false, "leaverRecords": "keep", "recording": map[string]any{"reason": "training", "text": "Wij leren ervan."},
	}).ok(t, 200))
	if rec := got.Recording; rec == nil || *rec != (api.Recording{Reason: "training", Text: "Wij leren ervan."}) || got.RetentionDays != 365 || got.UsersMayDelete || got.LeaverRecords != "keep" {
		t.Errorf("%+v", got)
	}
	put(map[string]any{"recording": map[string]any{"reason": "none"}}).ok(t, 200)
	if got := get(); got.Recording != nil || got.RetentionDays != 365 {
		t.Errorf("%+v", got)
	}
	for _, bad := range []any{
		map[string]any{"retentionDays": 366}, map[string]any{"retentionDays": -1}, map[string]any{"retentionDays": "90"}, map[string]any{"retentionDays": 1.5},
		map[string]any{"leaverRecords": "sell"}, map[string]any{"recording": map[string]any{"reason": "fun"}}, map[string]any{"days": 9}, `{"recording":null}`,
	} {
		put(bad).problem(t, 400, "invalid-request")
	}
	put(map[string]any{"recording": map[string]any{"reason": "quality"}}).problem(t, 422, "setting-invalid")
	put(map[string]any{"recording": map[string]any{"reason": "quality", "text": strings.Repeat("x", 501)}}).problem(t, 422, "setting-invalid")

	r.past(t, anna, number, "Jan", time.Now().Add(-8*models.Day))
	r.past(t, anna, number, "Jan", time.Now().Add(-time.Hour))
	p := read[api.Preview](t, r.do(ask{method: "POST", path: "/v1/admin/settings/retention-preview", token: anna.Access, body: map[string]any{"days": 7}}).ok(t, 200))
	if p.EndsNow != 1 || p.EndsEarlier != 1 || p.Live != 0 || p.More || p.Note != nil || p.EffectiveDays != 7 || p.CeilingDays != 90 || p.LastEndAfter == nil {
		t.Errorf("%+v", p)
	}
	p = read[api.Preview](t, r.do(ask{method: "POST", path: "/v1/admin/settings/retention-preview", token: anna.Access, body: map[string]any{"days": 91}}).ok(t, 200))
	if p.Note == nil || *p.Note != "own-list-ends-at-ceiling" || p.EffectiveDays != 90 || p.EndsNow+p.EndsEarlier != 0 {
		t.Errorf("%+v", p)
	}
	refused := put(map[string]any{"retentionDays": 7}).problem(t, 422, "confirmation-required")
	if refused.Detail != "1 records would be gone at once and 1 more would end sooner. Confirm it to go on." {
		t.Errorf("%s", refused.Detail)
	}
	dutch := ask{method: "PUT", path: "/v1/admin/settings", token: anna.Access, body: map[string]any{"retentionDays": 7}, header: map[string]string{"Accept-Language": "nl"}}
	if d := r.do(dutch).problem(t, 422, "confirmation-required").Detail; !strings.Contains(d, "1 gegevens zouden meteen verdwijnen en 1 andere") {
		t.Errorf("%s", d)
	}
	put(map[string]any{"retentionDays": 7, "confirm": true}).ok(t, 200)
	now := read[api.Retention](t, r.do(ask{method: "GET", path: "/v1/admin/retention", token: anna.Access}).ok(t, 200))
	if now.Days != 7 || now.EffectiveDays != 7 || now.CeilingDays != 90 || now.Shortening != nil {
		t.Errorf("%+v", now)
	}
	if n := r.count(t, "ctd_operator", "audit WHERE action = 'settings-change' AND reason LIKE '%Wij leren%'"); n != 0 {
		t.Error("the audit holds the company's words")
	}
}

// A call may be recorded when the company has declared why, and only then.
func TestRecordingOverHTTP(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	click := map[string]any{"number": number, "recordingEnabled": true}
	start := ask{method: "POST", path: "/v1/calls", token: anna.Access, key: "once", body: click}
	if p := r.do(start).problem(t, 422, "recording-reason-missing"); p.SupportCode == "" {
		t.Error("the refusal was not noted")
	}
	if n := r.count(t, "ctd_follow", "calls"); n != 0 {
		t.Errorf("%d calls", n)
	}
	if made := r.dial(anna, map[string]any{"number": number}); made.RecordingEnabled {
		t.Error("recorded without being asked")
	}
	reason, text := "quality", "To get better."
	entry := audit.Entry(audit.System, "test", audit.Subject{Tenant: anna.tenant.ID}, "")
	check(t, r.db.ChangeSettings(t.Context(), anna.tenant.ID, store.SettingsChange{RecordingReason: &reason, RecordingText: text}, entry))
	made := read[api.Call](t, r.do(start).ok(t, 201))
	if !made.RecordingEnabled || !r.finished(anna, made.ID).RecordingEnabled {
		t.Errorf("%+v", made)
	}
	if again := read[api.Call](t, r.do(start).ok(t, 200)); again.ID != made.ID || !again.RecordingEnabled {
		t.Errorf("%+v", again)
	}
	other := start
	other.body = map[string]any{"number": number}
	r.do(other).problem(t, 422, "idempotency-key-reused")
	reason = ""
	check(t, r.db.ChangeSettings(t.Context(), anna.tenant.ID, store.SettingsChange{RecordingReason: &reason}, entry))
	start.key = "twice"
	r.do(start).problem(t, 422, "recording-reason-missing")
	other.key, other.body = "thrice", `{"number":"`+number+`","recordingEnabled":"yes"}`
	r.do(other).problem(t, 400, "invalid-request")
}

// What clients are told of a record's end follows its shortening.
func TestExpiresAtFollows(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{})
	id := r.past(t, anna, number, "Jan", time.Now().Add(-time.Hour))
	path := "/v1/calls/" + id.String()
	before := read[api.Call](t, r.do(ask{method: "GET", path: path, token: anna.Access}).ok(t, 200))
	if n := r.sql(t, "ctd_operator", "UPDATE tenants SET retention_days = 7 WHERE id = $1", anna.tenant.ID); n != 1 {
		t.Fatal("no tenant")
	}
	job := &retention.RestampJob{DB: r.db, Index: live.NewTTLIndex(r.redis), Ceiling: 90 * models.Day, Log: slog.New(slog.DiscardHandler)}
	check(t, job.Once(t.Context()))
	after := read[api.Call](t, r.do(ask{method: "GET", path: path, token: anna.Access}).ok(t, 200))
	if !before.ExpiresAt.Equal(before.CreatedAt.Add(90*models.Day)) || !after.ExpiresAt.Equal(before.CreatedAt.Add(7*models.Day)) {
		t.Errorf("%v, then %v", before.ExpiresAt, after.ExpiresAt)
	}
	s := read[api.Retention](t, r.do(ask{method: "GET", path: "/v1/admin/retention", token: anna.Access}).ok(t, 200)).Shortening
	if s == nil || s.ToDays != 7 || s.Total != 1 || s.Done != 1 || s.Changed != 1 || s.FinishedAt == nil {
		t.Errorf("%+v", s)
	}
}

// The proof is the company's own oldest record, and the head of the one chain.
func TestRetentionProof(t *testing.T) {
	t.Parallel()
	r, anna := up(t, options{deaf: true})
	carl := r.person(t, "carl@other.test")
	proof := func(p person) api.Proof {
		return read[api.Retention](t, r.do(ask{method: "GET", path: "/v1/admin/retention", token: p.Access}).ok(t, 200)).Proof
	}
	if p := proof(anna); p != (api.Proof{}) {
		t.Errorf("before there was anything: %+v", p)
	}
	at := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	r.past(t, anna, number, "Jan", at)
	r.past(t, anna, number, "Jan", at.Add(time.Minute))
	r.past(t, carl, number, "Jan", at.Add(-time.Hour))
	_, err := (&retention.PurgeJob{DB: r.db, Interval: time.Minute, Log: slog.New(slog.DiscardHandler)}).Once(t.Context())
	check(t, err)
	chain, err := retention.Verify(t.Context(), r.db, retention.Look{})
	check(t, err)
	p := proof(anna)
	if p.OldestRecord == nil || !p.OldestRecord.Equal(at) || p.LastPurge == nil || time.Since(*p.LastPurge) > time.Minute {
		t.Errorf("%+v", p)
	}
	if head := chain.Heads[0]; p.ChainHead == nil || p.ChainHead.Hash != head.Hash || p.ChainHead.N != head.N || !p.ChainHead.At.Equal(head.At) {
		t.Errorf("%+v, not %+v", p.ChainHead, head)
	}
	if p := proof(carl); !p.OldestRecord.Equal(at.Add(-time.Hour)) {
		t.Errorf("another company's: %+v", p)
	}
}
