package retention_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/phone"
	"clicktodial/server/retention"
	"clicktodial/server/store"
)

// act is one of the acts that take a subject and give a receipt.
type act struct {
	name  string
	what  models.PrivacyAct
	users bool // it is for users too
	do    func(context.Context, models.Actor, retention.Subject, uuid.UUID) (retention.Receipt, error)
}

func (r *rights) acts() []act {
	name := "Piet"
	return []act{
		{"correct", models.ActCorrection, true, func(ctx context.Context, by models.Actor, s retention.Subject, request uuid.UUID) (retention.Receipt, error) {
			return r.Correct(ctx, by, s, request, retention.Correction{Name: &name})
		}},
		{"restrict", models.ActRestriction, true, r.Restrict},
		{"lift the restriction", models.ActRestrictionLifted, true, r.LiftRestriction},
		{"object", models.ActObjection, false, r.Object},
		{"lift the objection", models.ActObjectionLifted, false, r.LiftObjection},
		{"erase", models.ActErasure, true, r.Erase},
	}
}

func TestWhoMayAct(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	r.past(t, r.ours.user, "020 123 4567", "Jan Jansen")
	support := models.Actor{Role: models.RoleSupport, UserID: uuid.New()}
	for _, a := range r.acts() {
		for _, s := range []retention.Subject{to(t, "020 123 4567"), {User: r.ours.user.ID}} {
			for who, by := range map[string]models.Actor{
				"the user": r.ours.self(), "support": support, "nobody": {}, "an operator for nobody": {Role: models.RoleOperator},
				"an admin of nothing": {Role: models.RoleAdmin, UserID: uuid.New()},
			} {
				if _, err := a.do(t.Context(), by, s, uuid.Nil); fault.Code(err) != "forbidden" {
					t.Errorf("%s by %s: %v", a.name, who, err)
				}
			}
		}
		for name, s := range map[string]retention.Subject{"nobody": {}, "both": {User: r.ours.user.ID, Number: number(t, "101")}} {
			if _, err := a.do(t.Context(), r.ours.by(), s, uuid.Nil); fault.Code(err) != "invalid-request" {
				t.Errorf("%s of %s: %v", a.name, name, err)
			}
		}
		if _, err := a.do(t.Context(), r.theirs.by(), retention.Subject{User: r.ours.user.ID}, uuid.Nil); fault.Code(err) != "not-found" {
			t.Errorf("%s of another company's user: %v", a.name, err)
		}
		if _, err := a.do(t.Context(), models.Actor{Role: models.RoleOperator, TenantID: uuid.New()}, to(t, "101"), uuid.Nil); fault.Code(err) != "not-found" {
			t.Errorf("%s in the name of no company: %v", a.name, err)
		}
	}
	if got := r.calls(t, r.ours, "NOT private"); got != "1" {
		t.Errorf("%s records are left", got)
	}
	if _, err := r.Find(t.Context(), support, to(t, "101")); fault.Code(err) != "forbidden" {
		t.Errorf("found by support: %v", err)
	}
	if f, err := r.Find(t.Context(), r.theirs.by(), to(t, "020 123 4567")); err != nil || f.Records != 0 {
		t.Errorf("another company's number: %+v %v", f, err)
	}
}

// Each spelling is the same number; each act of it is of this company alone.
func TestActsOfANumber(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	ctx := t.Context()
	mine, key := r.past(t, r.ours.user, "020 123 4567", "Jan Jansen")
	r.past(t, r.ours.admin, "+31 20 123 4567 ext. 12", "Jan Jansen")
	r.past(t, r.ours.user, "020 123 4568", "Kees")
	r.past(t, r.ours.user, "030 123 4567", "Same four digits")
	r.past(t, r.theirs.user, "020 123 4567", "Jan Jansen")
	for _, spelling := range []string{"020-1234567", "0031 20 123 45 67", "tel:+31201234567", "+31 (0)20 1234567"} {
		s, err := r.Read(ctx, r.ours.by(), spelling, uuid.Nil)
		check(t, err)
		f, err := r.Find(ctx, r.ours.by(), s)
		if err != nil || f.Records != 2 || f.Restricted || f.DoNotDial || f.Oldest == nil || f.SignIns != 0 {
			t.Errorf("%s: %+v %v", spelling, f, err)
		}
	}
	if got := r.value(t, "ctd_app", r.ours.id, "SELECT count(*) || ' ' || max(subject_kind) || ' ' || coalesce(max(subject_id::text), 'nobody') FROM audit WHERE action = 'subject-find'"); got != "4 number nobody" {
		t.Errorf("looks: %s", got)
	}
	if f, err := r.Find(ctx, r.ours.by(), to(t, "020 123 4567 ext. 12")); err != nil || f.Records != 1 {
		t.Errorf("one extension: %+v %v", f, err)
	}
	for _, a := range r.acts() {
		want := map[string]int64{"correct": 2, "restrict": 2, "lift the restriction": 2, "erase": 2}[a.name]
		got, err := a.do(ctx, r.ours.by(), to(t, "+31201234567"), uuid.Nil)
		if err != nil || got.Records != want || got.Act != a.what || got.Subject != models.SubjectNumber || got.User != uuid.Nil || got.DoneAt == nil || len(got.Reference) != 8 {
			t.Errorf("%s: %+v %v", a.name, got, err)
		}
		switch a.name {
		case "correct":
			if got := r.value(t, "ctd_app", r.ours.id, "SELECT string_agg(DISTINCT name, ',') FROM calls WHERE last_four = '4567' AND number LIKE '+3120%'"); got != "Piet" {
				t.Errorf("named %q", got)
			}
			if got := r.value(t, "ctd_app", r.ours.id, "SELECT string_agg(DISTINCT word, ',' ORDER BY word) FROM call_words"); got != "digits,four,kees,piet,same" {
				t.Errorf("found under %q", got)
			}
		case "restrict":
			r.hidden(t, mine, true)
		case "lift the restriction":
			r.hidden(t, mine, false)
		}
	}
	if got := r.calls(t, r.ours, "true"); got != "2" {
		t.Errorf("%s of ours are left, want the 2 others", got)
	}
	if got := r.value(t, "ctd_app", r.theirs.id, "SELECT count(*) FROM calls"); got != "1" {
		t.Errorf("%s of theirs are left", got)
	}
	if _, err := r.DB.Replay(ctx, key); fault.Code(err) != "call-gone" {
		t.Errorf("the erased click again: %v", err)
	}
	if got := r.value(t, "ctd_app", r.ours.id, "SELECT count(*) FROM idempotency WHERE fingerprint IS NULL"); got != "2" {
		t.Errorf("%s fingerprints are cleared", got)
	}
	if got := r.value(t, "ctd_app", r.ours.id, "SELECT count(*) FROM privacy_requests WHERE act <> 'access' AND user_id IS NULL AND done_at IS NOT NULL"); got != "6" {
		t.Errorf("%s receipts", got)
	}
}

// Each act leaves one entry, which names no number.
func TestActsAreAudited(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	r.past(t, r.ours.user, "020 123 4567", "Jan Jansen")
	for _, a := range r.acts() {
		_, err := a.do(t.Context(), r.ours.by(), to(t, "020 123 4567"), uuid.Nil)
		check(t, err)
	}
	_, err := r.Depart(t.Context(), r.ours.by(), r.ours.user.ID, uuid.Nil)
	check(t, err)
	got := r.value(t, "ctd_app", r.ours.id, `SELECT string_agg(action || ' ' || subject_kind, ', ' ORDER BY action) FROM audit WHERE actor_id = $1 AND reason NOT LIKE '%4567%'`, r.ours.admin.ID)
	want := "sign-in-revoke user, subject-correct number, subject-erase number, subject-object number, subject-object-lift number, " +
		"subject-restrict number, subject-restrict-lift number, user-delete user, user-disable user"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// hidden checks that nobody sees a call, or that everybody does who may.
func (r *rights) hidden(t *testing.T, call models.Call, want bool) {
	t.Helper()
	ctx := t.Context()
	_, err := r.DB.Call(ctx, call.TenantID, call.UserID, call.ID)
	if hidden := fault.Code(err) == "not-found"; hidden != want {
		t.Errorf("GET: hidden %v, want %v: %v", hidden, want, err)
	}
	for name, search := range map[string]store.Search{"list": {}, "search": {Number: call.Number}, "words": {Words: "piet"}} {
		rows, err := r.DB.History(ctx, call.TenantID, call.UserID, store.Page{Limit: 100}, search)
		check(t, err)
		seen := false
		for _, row := range rows {
			seen = seen || row.ID == call.ID
		}
		if seen == want {
			t.Errorf("%s: seen %v", name, seen)
		}
	}
	rows, err := r.DB.MaskedCalls(ctx, call.TenantID, call.UserID, models.Audit{})
	check(t, err)
	seen := false
	for _, row := range rows {
		seen = seen || row.ID == call.ID
	}
	if seen == want {
		t.Errorf("support: seen %v", seen)
	}
	out, _ := r.export(t, r.ours.by(), retention.Subject{User: call.UserID}, retention.Wish{Format: retention.JSON})
	if !contains(out, call.ID.String()) {
		t.Error("the export for the subject leaves it out")
	}
	if f, err := r.Find(ctx, r.ours.by(), retention.Subject{Number: call.Number}); err != nil || f.Restricted != want || f.Records == 0 {
		t.Errorf("found %+v %v", f, err)
	}
}

// All counts of a user stand beside each other, and whether they are restricted.
func TestFindAUser(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	ctx, self := t.Context(), retention.Subject{User: r.ours.user.ID}
	r.signIn(t, r.ours.user.Email)
	ended, _ := r.past(t, r.ours.user, "020 123 4567", "Jan")
	up, _ := r.click(t, r.ours.user, "020 765 4321", "Kees", time.Minute)
	r.past(t, r.ours.admin, "020 123 4567", "Jan")
	_, err := r.Restrict(ctx, r.ours.by(), self, uuid.Nil)
	check(t, err)
	for name, by := range map[string]models.Actor{"themselves": r.ours.self(), "an admin": r.ours.by()} {
		f, err := r.Find(ctx, by, self)
		check(t, err)
		if f.Oldest == nil || !f.Oldest.Equal(ended.CreatedAt) || f.Newest == nil || !f.Newest.Equal(up.CreatedAt) {
			t.Errorf("%s: from %v to %v", name, f.Oldest, f.Newest)
		}
		f.Oldest, f.Newest = nil, nil
		if want := (retention.Found{Records: 2, Live: 1, Restricted: true, SignIns: 1, Phones: 1}); f != want {
			t.Errorf("%s: %+v, want %+v", name, f, want)
		}
	}
	if text, _ := r.export(t, r.ours.self(), self, retention.Wish{Format: retention.JSON}); !parse(t, text).Export.Restricted {
		t.Errorf("the export does not say that they are restricted: %s", text)
	}
}

func TestEraseAUser(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	ctx := t.Context()
	fanout := live.NewFanout(r.redis)
	defer fanout.Close() //nolint:errcheck // over
	gone, key := r.past(t, r.ours.user, "020 123 4567", "Jan")
	theirs, _ := r.past(t, r.ours.admin, "020 123 4567", "Jan")
	up, upKey := r.click(t, r.ours.user, "020 765 4321", "Kees", time.Minute)
	if !r.remembers(t, gone.ID.String()) {
		t.Fatal("the index holds nothing")
	}
	_, early := r.past(t, r.ours.user, "020 765 4322", "") // gone before, as at 0 days: its click is still known
	r.value(t, "ctd_app", r.ours.id, "DELETE FROM calls WHERE last_four = '4322' RETURNING id::text")
	receipt, err := r.Erase(ctx, r.ours.operator(), retention.Subject{User: r.ours.user.ID}, uuid.Nil)
	if err != nil || receipt.Records != 2 {
		t.Fatalf("%+v %v", receipt, err)
	}
	if got := r.calls(t, r.ours, "id = $1", gone.ID); got != "0" {
		t.Error("it is still there")
	}
	if r.remembers(t, gone.ID.String()) {
		t.Error("Redis still knows of it")
	}
	if got := r.calls(t, r.ours, "id = $1 AND private AND delete_at_end", up.ID); got != "1" {
		t.Error("the call that is up does not take its record along")
	}
	r.end(t, up)
	if got := r.calls(t, r.ours, "true"); got != "1" || r.calls(t, r.ours, "id = $1", theirs.ID) != "1" {
		t.Errorf("%s calls are left, want a colleague's", got)
	}
	for _, n := range []store.NewCall{key, upKey, early} {
		if _, err := r.DB.Replay(ctx, n); fault.Code(err) != "call-gone" {
			t.Errorf("the click again: %v", err)
		}
	}
	if got := r.value(t, "ctd_app", r.ours.id, "SELECT count(fingerprint) || ' of ' || count(*) FROM idempotency"); got != "1 of 4" {
		t.Errorf("%s fingerprints are left, want a colleague's", got)
	}
	if _, err := r.auth.Person(ctx, r.ours.by(), r.ours.user.ID); err != nil {
		t.Errorf("the account: %v", err)
	}
}

// A batch is 1000: one more takes a second one, and both are forgotten.
func TestEraseInBatches(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	r.bulk(t, r.ours, 1001, "+31201234567")
	receipt, err := r.Erase(t.Context(), r.ours.by(), to(t, "020 123 4567"), uuid.Nil)
	if err != nil || receipt.Records != 1001 || r.calls(t, r.ours, "true") != "0" {
		t.Fatalf("%+v %v", receipt, err)
	}
	if _, err := r.Erase(t.Context(), r.ours.by(), to(t, "020 123 4567"), uuid.Nil); err != nil {
		t.Errorf("nothing to erase: %v", err)
	}
}

// bulk enters ended calls of a company's user.
func (r *rights) bulk(t *testing.T, c company, n int, to string) {
	t.Helper()
	r.value(t, "ctd_app", c.id, `WITH made AS (INSERT INTO calls (id, tenant_id, user_id, device_label, number, name, number_masked, last_four, status, rank, reason, diagnosis,
		dispatch, replica_id, channel_id, created_at, ended_at, expires_at)
		SELECT gen_random_uuid(), $1, $2, 'Desk', $3, 'Jan Jansen ' || i, 'masked', '4567', 'disconnected', 4, 'hangUp', 'hung-up', 'dispatched', gen_random_uuid(), 'bulk-' || i,
		date_trunc('milliseconds', now()) - i * interval '1 second', now() - i * interval '1 second', date_trunc('milliseconds', now()) + interval '1 day'
		FROM generate_series(1, $4::int) i RETURNING 1) SELECT count(*) FROM made`, c.id, c.user.ID, to, n)
}

// A record that both parties had restricted is shown when both were lifted.
func TestRestrictionsOverlap(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	ctx, by := t.Context(), r.ours.by()
	call, _ := r.past(t, r.ours.user, "020 123 4567 ext. 12", "Piet")
	user, line := retention.Subject{User: r.ours.user.ID}, to(t, "020 123 4567")
	for _, s := range []retention.Subject{user, line} {
		_, err := r.Restrict(ctx, by, s, uuid.Nil)
		check(t, err)
	}
	if l, err := r.Lists(ctx, by); err != nil || l.Restricted != 2 {
		t.Errorf("%+v %v", l, err)
	}
	later, _ := r.click(t, r.ours.user, "020 123 4567", "New", -time.Second)
	if got := r.calls(t, r.ours, "id = $1", later.ID); got != "1" {
		t.Error("a new call is hidden")
	}
	restricted := func() string {
		return r.value(t, "ctd_app", r.ours.id, "SELECT count(*) FROM calls WHERE id = $1", call.ID)
	}
	got, err := r.LiftRestriction(ctx, by, user, uuid.Nil)
	if err != nil || got.Records != 0 || restricted() != "0" {
		t.Errorf("the number's is lifted with the user's: %+v %v", got, err)
	}
	if got, err = r.LiftRestriction(ctx, by, line, uuid.Nil); err != nil || got.Records != 1 || restricted() != "1" {
		t.Errorf("%+v %v", got, err)
	}
	if _, err := r.LiftRestriction(ctx, by, line, uuid.Nil); fault.Code(err) != "not-restricted" {
		t.Errorf("lifted twice: %v", err)
	}
}

func TestCorrectAUser(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	ctx, by, s := t.Context(), r.ours.by(), retention.Subject{User: r.ours.user.ID}
	tokens := r.signIn(t, r.ours.user.Email)
	email := func(text string) retention.Correction { return retention.Correction{Email: &text} }
	for text, code := range map[string]string{"admin@theirs.test": "email-taken", "ADMIN@theirs.test": "email-taken", "no mail": "email-invalid"} {
		if _, err := r.Correct(ctx, by, s, uuid.Nil, email(text)); fault.Code(err) != code {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := r.Correct(ctx, by, s, uuid.Nil, retention.Correction{}); fault.Code(err) != "invalid-request" {
		t.Errorf("nothing: %v", err)
	}
	if _, err := r.Correct(ctx, by, to(t, "101"), uuid.Nil, email("a@b.test")); fault.Code(err) != "invalid-request" {
		t.Errorf("a number's e-mail: %v", err)
	}
	link, err := r.auth.NewLink(ctx, by, r.ours.user.ID, "en")
	check(t, err)
	if _, err := r.Correct(ctx, by, s, uuid.Nil, email(" Anna.Smit@Ours.test ")); err != nil {
		t.Fatal(err)
	}
	if p, err := r.auth.Person(ctx, by, s.User); err != nil || p.Email != "anna.smit@ours.test" || p.Name != "Anna Smit" {
		t.Errorf("%+v %v", p, err)
	}
	if _, err := r.auth.Authenticate(ctx, tokens.Access); err != nil {
		t.Errorf("the sign-in: %v", err)
	}
	if open := r.value(t, "ctd_auth", uuid.Nil, "SELECT count(*) FROM password_links WHERE used_at IS NULL AND user_id = $1", s.User); open != "0" || link.URL == "" {
		t.Errorf("%s links to the old e-mail still work", open)
	}
	if got := r.value(t, "ctd_app", r.ours.id, "SELECT count(*) FROM audit WHERE action = 'user-change' AND subject_id = $1", s.User); got != "1" {
		t.Errorf("%s audited", got)
	}
}

// An objection is known in every spelling, with or without extension, also under
// an older key of SECRET_KEY; extensions of the PBX can object too.
func TestObjectionsOfAllKinds(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	ctx, by := t.Context(), r.ours.by()
	for _, text := range []string{"020 123 4567 ext. 3", "102"} {
		_, err := r.Object(ctx, by, to(t, text), uuid.Nil)
		check(t, err)
		_, err = r.Object(ctx, by, to(t, text), uuid.Nil) // again does no harm
		check(t, err)
	}
	listed := func(c company, text string) bool {
		hashes, err := store.DoNotDialHashes(r.keys, c.id, number(t, text))
		check(t, err)
		ok, err := r.DB.DoNotDial(ctx, c.id, hashes)
		check(t, err)
		return ok
	}
	for text, want := range map[string]bool{"+31201234567": true, "020 123 4567 ext. 99": true, "102": true, "103": false, "020 123 4568": false} {
		if listed(r.ours, text) != want {
			t.Errorf("%s: listed %v", text, !want)
		}
		if listed(r.theirs, text) {
			t.Errorf("%s: listed elsewhere", text)
		}
	}
	_, err := r.Erase(ctx, by, to(t, "020 123 4567"), uuid.Nil)
	check(t, err)
	if !listed(r.ours, "020 123 4567") {
		t.Error("the erasure took the objection along")
	}
	if _, err := r.Object(ctx, by, retention.Subject{User: r.ours.user.ID}, uuid.Nil); fault.Code(err) != "act-invalid" {
		t.Errorf("a user objects: %v", err)
	}
	_, err = r.LiftObjection(ctx, by, to(t, "020 123 4567"), uuid.Nil)
	check(t, err)
	if _, err := r.LiftObjection(ctx, by, to(t, "020 123 4567"), uuid.Nil); fault.Code(err) != "not-on-list" || listed(r.ours, "020 123 4567") {
		t.Errorf("lifted twice: %v", err)
	}
}

// A number that has become invalid is still found as it is stored.
func TestReadStoredNumber(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	const withdrawn = "+31999999999999"
	if _, err := phone.Parse(withdrawn, "NL"); err == nil {
		t.Fatal("it has become valid: take another that is not")
	}
	s, err := r.Read(t.Context(), r.ours.by(), "+31 999999999999", uuid.Nil)
	if err != nil || s.Number.Reveal() != withdrawn {
		t.Errorf("%v %v", s.Number, err)
	}
	for _, bad := range []string{"abc", "+31 12", "020 123 456"} {
		if _, err := r.Read(t.Context(), r.ours.by(), bad, uuid.Nil); fault.Code(err) != "number-invalid" {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, err := r.Read(t.Context(), r.ours.by(), "", uuid.Nil); fault.Code(err) != "invalid-request" {
		t.Error(fmt.Sprint("nobody: ", err))
	}
}
