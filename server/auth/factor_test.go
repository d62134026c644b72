package auth

import (
	"bytes"
	"context"
	"encoding/base32"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"clicktodial/models"
	"clicktodial/server/fault"
)

// app is an authenticator on a telephone.
type app struct{ secret string }

// at is the code that it shows at a time.
func (a app) at(t *testing.T, when time.Time) string {
	t.Helper()
	code, err := totp.GenerateCode(a.secret, when)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// enrol sets a second factor up, and gives the app, the recovery codes and the
// session that follows. The clock then stands in the middle of an unused step.
func (b *bundle) enrol(t *testing.T, session Session) (app, []string, Opened) {
	t.Helper()
	e, err := b.BeginFactor(context.Background(), session)
	if err != nil {
		t.Fatal(err)
	}
	phone := app{e.Secret}
	recovery, opened, err := b.ConfirmFactor(context.Background(), session, phone.at(t, b.Now()), here)
	if err != nil {
		t.Fatal(err)
	}
	b.nextStep()
	return phone, recovery, opened
}

// nextStep moves the clock to the middle of the third step from now: neither its
// neighbours nor theirs have been used.
func (b *bundle) nextStep() {
	step := b.Now().Truncate(stepSeconds * time.Second)
	b.later(step.Add(3*stepSeconds*time.Second + stepSeconds*time.Second/2).Sub(b.Now()))
}

func TestEnrolment(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	s := b.open(t, b.user.Email)
	_, err := b.PendingFactor(ctx, s.Session)
	wantCode(t, "pending, and none begun", err, "forbidden")
	_, _, err = b.ConfirmFactor(ctx, s.Session, "000000", here)
	wantCode(t, "confirmed, and none begun", err, "forbidden")
	first, err := b.BeginFactor(ctx, s.Session)
	if err != nil {
		t.Fatal(err)
	}
	e, err := b.BeginFactor(ctx, s.Session) // begun again: the first is void
	if err != nil || e.Secret == first.Secret {
		t.Fatal("a secret came twice", err)
	}
	if raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(e.Secret); err != nil || len(raw) != 20 { // RFC 4226 4, R6
		t.Errorf("a secret of %d bytes, %v", len(raw), err)
	}
	if !strings.HasPrefix(e.URI, "otpauth://totp/") || !strings.Contains(e.URI, e.Secret) || !bytes.HasPrefix(e.PNG, []byte("\x89PNG")) {
		t.Errorf("%s, %d bytes of picture", e.URI, len(e.PNG))
	}
	again, err := b.PendingFactor(ctx, s.Session)
	if err != nil || again.Secret != e.Secret || again.URI != e.URI {
		t.Errorf("shown again: %+v, %v", again, err)
	}
	for name, code := range map[string]string{"the first secret's": app{first.Secret}.at(t, b.Now()), "wrong": "12345a", "none": "", "short": "12345", "the secret": e.Secret} {
		_, _, err := b.ConfirmFactor(ctx, s.Session, code, here)
		wantCode(t, name, err, "factor-refused")
	}
	if found := b.wantSession(t, "not yet", s.Cookie, models.StageFull); found.HasFactor {
		t.Error("an unconfirmed one counts")
	}
	recovery, opened, err := b.ConfirmFactor(ctx, s.Session, " "+app{e.Secret}.at(t, b.Now())[:3]+" "+app{e.Secret}.at(t, b.Now())[3:], here)
	if err != nil || len(recovery) != recoveryCodes {
		t.Fatal(recovery, err)
	}
	b.wantSession(t, "the old cookie", s.Cookie, "")
	if found := b.wantSession(t, "the new cookie", opened.Cookie, models.StageFull); !found.HasFactor || !opened.HasFactor {
		t.Error("it does not count")
	}
	_, err = b.BeginFactor(ctx, opened.Session)
	wantCode(t, "a second one", err, "forbidden")
	_, err = b.PendingFactor(ctx, opened.Session)
	wantCode(t, "to see it again", err, "forbidden")
	_, err = b.BeginFactor(ctx, s.Session) // by whoever held an old session
	wantCode(t, "a second one from an old session", err, "forbidden")
	if fresh := b.open(t, b.user.Email); fresh.Stage != models.StageFactor {
		t.Errorf("the next sign-in is at %s", fresh.Stage)
	}
}

// A code works once, in its own half minute or one beside it, RFC 6238 5.2.
func TestFactorCodes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	const step = stepSeconds * time.Second
	for _, row := range []struct {
		name  string
		shift []time.Duration // of the codes that are shown in turn
		ok    []bool
	}{
		{"this step", []time.Duration{0}, []bool{true}}, {"the step before", []time.Duration{-step}, []bool{true}}, {"the step after", []time.Duration{step}, []bool{true}},
		{"two steps before", []time.Duration{-2 * step}, []bool{false}}, {"two steps after", []time.Duration{2 * step}, []bool{false}},
		{"twice", []time.Duration{0, 0}, []bool{true, false}}, {"one that is older than the last", []time.Duration{0, -step}, []bool{true, false}},
		{"one after the other", []time.Duration{-step, 0, step}, []bool{true, true, true}}, {"the future, then now", []time.Duration{step, 0}, []bool{true, false}},
		{"wrong, then right", []time.Duration{time.Hour, 0}, []bool{false, true}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := desk(t)
			phone, _, _ := b.enrol(t, b.open(t, b.user.Email).Session)
			for i, shift := range row.shift {
				half := b.open(t, b.user.Email)
				full, err := b.PassFactor(ctx, half.Session, phone.at(t, b.Now().Add(shift)), here)
				if !row.ok[i] {
					wantCode(t, "refused", err, "factor-refused")
					b.wantSession(t, "it stays where it was", half.Cookie, models.StageFactor)
					continue
				}
				if err != nil {
					t.Fatal(err)
				}
				if full.Cookie == half.Cookie || full.ID == half.ID || !full.ExpiresAt.Equal(b.Now().Add(SessionLife)) {
					t.Errorf("the session goes on as %+v", full.Session)
				}
				b.wantSession(t, "the old cookie", half.Cookie, "")
				b.wantSession(t, "the new cookie", full.Cookie, models.StageFull)
			}
		})
	}
}

// Of those who show one code at once, one passes.
func TestFactorCodeAtOnce(t *testing.T) {
	t.Parallel()
	b := desk(t)
	phone, recovery, _ := b.enrol(t, b.open(t, b.user.Email).Session)
	for _, name := range []string{"of the app", "of recovery"} {
		code := recovery[0]
		if name == "of the app" {
			code = phone.at(t, b.Now())
		}
		halves := make([]Opened, 8)
		for i := range halves {
			halves[i] = b.open(t, b.user.Email)
		}
		var all sync.WaitGroup
		var mu sync.Mutex
		passed := 0
		for _, half := range halves {
			all.Go(func() {
				_, err := b.PassFactor(context.Background(), half.Session, code, here)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					passed++
				} else if fault.Code(err) != "factor-refused" {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if passed != 1 {
			t.Errorf("%s: %d passed with one code", name, passed)
		}
		b.later(time.Hour) // the failures are forgotten, in the keys of another window
		b.Redis = nil
	}
}

func TestRecoveryCodes(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	phone, first, opened := b.enrol(t, b.open(t, b.user.Email).Session)
	pass := func(code string) error {
		return second(b.PassFactor(ctx, b.open(t, b.user.Email).Session, code, here))
	}
	wantCode(t, "as it was shown", pass(first[0]), "")
	wantCode(t, "twice", pass(first[0]), "factor-refused")
	wantCode(t, "as people type it", pass(" "+strings.ToLower(strings.ReplaceAll(first[1], "-", " "))), "")
	wantCode(t, "a wrong one", pass("BCDFG-HJKLM"), "factor-refused")
	bert := b.newUser(t, &b.tenant, "bert@example.test", models.RoleUser)
	b.givePassword(t, bert.ID)
	_, theirs, _ := b.enrol(t, b.open(t, bert.Email).Session)
	wantCode(t, "another's", pass(theirs[0]), "factor-refused")

	_, err := b.NewRecoveryCodes(ctx, opened.Session, "000000", here)
	wantCode(t, "new ones without the factor", err, "factor-refused")
	next, err := b.NewRecoveryCodes(ctx, opened.Session, phone.at(t, b.Now()), here)
	if err != nil || len(next) != recoveryCodes {
		t.Fatal(next, err)
	}
	wantCode(t, "an old one, replaced", pass(first[2]), "factor-refused")
	wantCode(t, "a new one", pass(next[0]), "")
	if _, err := b.OpenSession(ctx, bert.Email, passphrase, here); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "another's, after ours were replaced", second(b.PassFactor(ctx, b.open(t, bert.Email).Session, theirs[0], here)), "")
	seen := map[string]bool{}
	for _, code := range append(first, next...) {
		if len(code) != recoveryChars+1 || code[recoveryChars/2] != '-' || seen[code] {
			t.Errorf("a recovery code %q", code)
		}
		seen[code] = true
	}
}

// Guessing codes stops after ten, for the account and not for others.
func TestFactorIsPaced(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	phone, recovery, _ := b.enrol(t, b.open(t, b.user.Email).Session)
	half := b.open(t, b.user.Email)
	for range accountFailures {
		_, err := b.PassFactor(ctx, half.Session, "00000x", here)
		wantCode(t, "a guess", err, "factor-refused")
	}
	_, err := b.PassFactor(ctx, half.Session, phone.at(t, b.Now()), here)
	wantCode(t, "the right one", err, "too-many-failures")
	_, err = b.PassFactor(ctx, half.Session, recovery[0], here)
	wantCode(t, "a recovery code", err, "too-many-failures")
	_, err = b.PassFactor(ctx, half.Session, phone.at(t, b.Now()), elsewhere)
	wantCode(t, "from another network, and it was not used up", err, "")
}

func TestRemoveFactor(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	bert := b.newUser(t, &b.tenant, "bert@example.test", models.RoleUser)
	b.givePassword(t, bert.ID)
	phone, recovery, opened := b.enrol(t, b.open(t, bert.Email).Session)
	wantCode(t, "without it", b.RemoveFactor(ctx, opened.Session, "000000", here), "factor-refused")
	if err := b.RequireFactor(ctx, actorOf(b.user), true); err != nil {
		t.Fatal(err)
	}
	required := b.wantSession(t, "required", opened.Cookie, models.StageFull)
	wantCode(t, "required", b.RemoveFactor(ctx, required, phone.at(t, b.Now()), here), "factor-required")
	if err := b.RequireFactor(ctx, actorOf(b.user), false); err != nil {
		t.Fatal(err)
	}
	wantCode(t, "one's own", b.RemoveFactor(ctx, b.wantSession(t, "left free", opened.Cookie, models.StageFull), phone.at(t, b.Now()), here), "")
	if s := b.open(t, bert.Email); s.Stage != models.StageFull || s.HasFactor {
		t.Errorf("afterwards %+v", s.Session)
	}

	b.nextStep()
	phone, recovery2, opened := b.enrol(t, b.open(t, bert.Email).Session)
	half := b.open(t, bert.Email)
	wantCode(t, "an old recovery code", second(b.PassFactor(ctx, half.Session, recovery[0], here)), "factor-refused")
	wantCode(t, "by an admin, of oneself", b.ResetFactor(ctx, actorOf(b.user), b.user.ID), "oneself")
	wantCode(t, "by an admin", b.ResetFactor(ctx, actorOf(b.user), bert.ID), "")
	b.wantSession(t, "it ends the sessions", opened.Cookie, "")
	b.wantSession(t, "and the half ones", half.Cookie, "")
	_, err := b.PassFactor(ctx, half.Session, recovery2[0], here)
	wantCode(t, "and the codes", err, "forbidden")
	if s := b.open(t, bert.Email); s.Stage != models.StageFull {
		t.Errorf("afterwards at %s", s.Stage)
	}
	notices, err := b.Notices(ctx, b.open(t, bert.Email).Session)
	if err != nil || len(notices) == 0 || notices[0].Action != "second-factor-reset" || notices[0].By != "admin" {
		t.Errorf("its person is told %+v, %v", notices, err)
	}
	_ = phone
}
