package retention_test

import (
	"database/sql"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/retention"
)

func (r *rights) leavers(t *testing.T, c company, records models.LeaverRecords) {
	t.Helper()
	r.value(t, "ctd_operator", uuid.Nil, "UPDATE tenants SET leaver_records = $1 WHERE id = $2 RETURNING 1", records, c.id)
}

func TestDepartWithRecords(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	ctx := t.Context()
	tokens := r.signIn(t, r.ours.user.Email)
	call, _ := r.past(t, r.ours.user, "020 123 4567", "Jan")
	r.past(t, r.ours.admin, "020 123 4567", "Jan")
	asked, err := r.File(ctx, r.ours.self(), retention.Subject{User: r.ours.user.ID}, models.ActErasure, time.Time{})
	check(t, err)
	receipt, err := r.Depart(ctx, r.ours.by(), r.ours.user.ID, uuid.Nil)
	if err != nil || receipt.Act != models.ActDeparture || receipt.Records != 1 || receipt.User != uuid.Nil || receipt.DoneAt == nil {
		t.Fatalf("%+v %v", receipt, err)
	}
	if _, err := r.auth.Authenticate(ctx, tokens.Access); fault.Code(err) != "unauthorized" {
		t.Errorf("the sign-in: %v", err)
	}
	for _, table := range []string{"users WHERE id = $1", "devices WHERE user_id = $1", "grants WHERE user_id = $1", "calls WHERE user_id = $1", "refusals WHERE user_id = $1", "privacy_requests WHERE user_id = $1"} {
		if got := r.value(t, "ctd_app", r.ours.id, "SELECT count(*) FROM "+table, r.ours.user.ID); got != "0" {
			t.Errorf("%s: %s", table, got)
		}
	}
	if r.remembers(t, call.ID.String()) {
		t.Error("Redis still knows of the call")
	}
	if got := r.calls(t, r.ours, "true"); got != "1" {
		t.Errorf("%s calls of the company are left", got)
	}
	if got := r.value(t, "ctd_app", r.ours.id, "SELECT (done_at IS NOT NULL AND NOT refused)::text FROM privacy_requests WHERE id = $1", asked.ID); got != "true" {
		t.Errorf("what they had asked for: %s", got)
	}
	if _, err := r.Depart(ctx, r.ours.by(), r.ours.user.ID, uuid.Nil); fault.Code(err) != "not-found" {
		t.Errorf("again: %v", err)
	}
	r.person(t, r.ours, r.ours.user.Email, models.RoleUser) // the e-mail is free
}

func TestDepartWithoutRecords(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	r.leavers(t, r.ours, models.KeepLeaver)
	ctx, user := t.Context(), r.ours.user
	tokens := r.signIn(t, user.Email)
	call, _ := r.past(t, user, "020 123 4567", "Jan")
	up, _ := r.click(t, user, "020 123 4567", "Jan", time.Minute) // is no hindrance
	check(t, r.DB.SetPassword(ctx, user.ID, "argon2", time.Now(), note))
	if receipt, err := r.Depart(ctx, r.ours.by(), user.ID, uuid.Nil); err != nil || receipt.Records != 0 {
		t.Fatalf("%+v %v", receipt, err)
	}
	if _, err := r.auth.Authenticate(ctx, tokens.Access); fault.Code(err) != "unauthorized" {
		t.Errorf("the sign-in: %v", err)
	}
	got := r.value(t, "ctd_operator", uuid.Nil, `SELECT concat_ws('|', email, name, password_hash, password_set_by, disabled_at IS NOT NULL, deleted_at IS NOT NULL) FROM users WHERE id = $1`, user.ID)
	if got != "gone-"+user.ID.String()+"@invalid||t|t" {
		t.Errorf("the row: %s", got)
	}
	got = r.value(t, "ctd_app", r.ours.id, "SELECT string_agg(concat_ws('|', number, name, device_label, sign_in_label, device_id, grant_id), ',') FROM calls WHERE user_id = $1", user.ID)
	if got != "+31201234567|Jan||,+31201234567|Jan||" {
		t.Errorf("the calls: %s", got)
	}
	if got := r.value(t, "ctd_app", r.ours.id, "SELECT count(*) || max(device_name) FROM grants WHERE user_id = $1", user.ID); got != "1-" {
		t.Errorf("the sign-in's label: %s", got)
	}
	if got := r.value(t, "ctd_app", r.ours.id, "SELECT count(*) FROM devices WHERE user_id = $1", user.ID); got != "0" {
		t.Errorf("%s phones", got)
	}
	people, _, err := r.auth.People(ctx, r.ours.by(), "", 100)
	if err != nil || len(people) != 1 || people[0].ID != r.ours.admin.ID {
		t.Errorf("people %+v %v", people, err)
	}
	for what, err := range map[string]error{
		"shown": second(r.auth.Person(ctx, r.ours.by(), user.ID)), "opened again": r.auth.SetDisabled(ctx, r.ours.by(), user.ID, false),
		"found":  second(r.Find(ctx, r.ours.by(), retention.Subject{User: user.ID})),
		"erased": second(r.Erase(ctx, r.ours.by(), retention.Subject{User: user.ID}, uuid.Nil)),
		"again":  second(r.Depart(ctx, r.ours.by(), user.ID, uuid.Nil)),
	} {
		if fault.Code(err) != "not-found" {
			t.Errorf("%s: %v", what, err)
		}
	}
	r.end(t, up) // is not lost
	if got := r.calls(t, r.ours, "id IN ($1, $2) AND rank = 4", call.ID, up.ID); got != "2" {
		t.Errorf("%s calls have ended", got)
	}
	r.person(t, r.ours, user.Email, models.RoleUser) // the e-mail is free
}

// A record whose call is up is not deleted with its user: the account is closed at
// once, and the rest can be asked again.
func TestDepartWhileSpeaking(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	ctx, user := t.Context(), r.ours.user
	tokens := r.signIn(t, user.Email)
	up, key := r.click(t, user, "020 123 4567", "Jan", time.Minute)
	if _, err := r.Depart(ctx, r.ours.by(), user.ID, uuid.Nil); fault.Code(err) != "call-live" {
		t.Fatalf("%v", err)
	}
	if _, err := r.auth.Authenticate(ctx, tokens.Access); fault.Code(err) != "unauthorized" {
		t.Errorf("the sign-in: %v", err)
	}
	key.Key, key.ChannelID = uuid.NewString(), "test-"+uuid.NewString()
	if _, _, _, err := r.DB.CreateCall(ctx, key); fault.Code(err) != "account-ended" {
		t.Errorf("a new click: %v", err)
	}
	r.end(t, up)
	if receipt, err := r.Depart(ctx, r.ours.by(), user.ID, uuid.Nil); err != nil || receipt.Records != 1 {
		t.Errorf("%+v %v", receipt, err)
	}
}

func TestWhoMayDepart(t *testing.T) {
	t.Parallel()
	r := newRights(t)
	ctx := t.Context()
	for name, row := range map[string]struct {
		by   models.Actor
		user uuid.UUID
		code string
	}{
		"oneself": {r.ours.by(), r.ours.admin.ID, "oneself"}, "a user": {r.ours.self(), r.ours.admin.ID, "forbidden"},
		"another company's": {r.theirs.by(), r.ours.user.ID, "not-found"}, "nobody": {r.ours.by(), uuid.New(), "not-found"},
		"the last admin": {r.ours.operator(), r.ours.admin.ID, "last-admin"},
	} {
		if _, err := r.Depart(ctx, row.by, row.user, uuid.Nil); fault.Code(err) != row.code {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := r.value(t, "ctd_operator", uuid.Nil, "SELECT count(*) FROM users WHERE disabled_at IS NOT NULL"); got != "0" {
		t.Errorf("%s accounts are closed", got)
	}
	// Two admins who delete each other: one is left.
	other := r.person(t, r.ours, "chef@ours.test", models.RoleAdmin)
	var work sync.WaitGroup
	errs := make([]error, 2)
	release := r.holdAdmins(t, r.ours)
	work.Go(func() { _, errs[0] = r.Depart(ctx, r.ours.by(), other.ID, uuid.Nil) })
	work.Go(func() {
		by := models.Actor{Role: models.RoleAdmin, UserID: other.ID, TenantID: r.ours.id}
		_, errs[1] = r.Depart(ctx, by, r.ours.admin.ID, uuid.Nil)
	})
	release()
	work.Wait()
	if (errs[0] == nil) == (errs[1] == nil) {
		t.Errorf("%v", errors.Join(errs...))
	}
	if got := r.value(t, "ctd_app", r.ours.id, "SELECT count(*) FROM users WHERE role = 'admin' AND disabled_at IS NULL"); got != "1" {
		t.Errorf("%s admins are left", got)
	}
}

// holdAdmins locks the company's admins until release, which waits for two others
// that want to.
func (r *rights) holdAdmins(t *testing.T, c company) (release func()) {
	t.Helper()
	db, err := sql.Open("pgx", r.url)
	check(t, err)
	t.Cleanup(func() { db.Close() }) //nolint:errcheck // over
	tx, err := db.Begin()
	check(t, err)
	_, err = tx.Exec("SELECT set_config('role', 'ctd_operator', true)")
	check(t, err)
	_, err = tx.Exec("SELECT FROM users WHERE tenant_id = $1 AND role = 'admin' FOR UPDATE", c.id)
	check(t, err)
	return func() {
		t.Helper()
		for end := time.Now().Add(deadline); ; {
			var waiting int
			check(t, db.QueryRow("SELECT count(DISTINCT l.pid) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE NOT l.granted AND a.datname = current_database()").Scan(&waiting))
			if waiting == 2 {
				break
			}
			if time.Now().After(end) {
				t.Errorf("%d wait for the admins", waiting)
				break
			}
		}
		check(t, tx.Rollback())
	}
}

func second[T any](_ T, err error) error { return err }
