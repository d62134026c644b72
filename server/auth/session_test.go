package auth

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/store"
)

func (b *bundle) wantSession(t *testing.T, what, cookie string, stage models.Stage) Session {
	t.Helper()
	s, err := b.FindSession(context.Background(), cookie)
	if stage == "" {
		wantCode(t, what, err, "unauthorized")
	} else if err != nil || s.Stage != stage {
		t.Errorf("%s: stage %q, %v, want %q", what, s.Stage, err, stage)
	}
	return s
}

func TestCookies(t *testing.T) {
	t.Parallel()
	b := desk(t)
	opened := b.open(t, " Anna@Example.TEST ")
	s := b.wantSession(t, "right", opened.Cookie, models.StageFull)
	if s.UserID != b.user.ID || s.TenantID != b.tenant.ID || s.Role != models.RoleAdmin || s.Email != "anna@example.test" || s.Name != "Anna" ||
		s.TenantName != "Acme" || s.HasFactor || s.MustFactor || !s.ExpiresAt.Equal(b.Now().Add(SessionLife)) {
		t.Errorf("session %+v", s)
	}
	other := b.open(t, b.user.Email)
	if other.Cookie == opened.Cookie || other.ID == opened.ID {
		t.Error("two sign-ins have one session")
	}
	tokens := b.signIn(t)
	for name, cookie := range map[string]string{
		"none": "", "noise": strings.Repeat("0", 43), "short": opened.Cookie[:42], "long": opened.Cookie + "0", "very long": strings.Repeat("0", 1<<20),
		"NUL": opened.Cookie[:42] + "\x00", "no UTF-8": opened.Cookie[:42] + "\xff", "an access token": tokens.Access,
		"swapped case": swapCase(opened.Cookie), "an id": opened.ID.String(), "SQL": "' OR 1=1 --",
	} {
		b.wantSession(t, name, cookie, "")
	}
}

func swapCase(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		if r >= 'A' && r <= 'Z' {
			return r - 'A' + 'a'
		}
		return r
	}, s)
}

// Half an hour without a look ends a session, and eight hours do in any case.
func TestSessionLimits(t *testing.T) {
	t.Parallel()
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		b := desk(t)
		s := b.open(t, b.user.Email)
		b.later(SessionIdle - time.Microsecond)
		b.wantSession(t, "the last moment", s.Cookie, models.StageFull) // counts as its use
		b.later(SessionIdle - time.Microsecond)
		b.wantSession(t, "and again", s.Cookie, models.StageFull)
		b.later(SessionIdle)
		b.wantSession(t, "half an hour", s.Cookie, "")
	})
	t.Run("uses of one minute are one", func(t *testing.T) {
		t.Parallel()
		b := desk(t)
		s := b.open(t, b.user.Email)
		b.later(time.Minute - time.Microsecond)
		b.wantSession(t, "within the minute", s.Cookie, models.StageFull)
		b.later(SessionIdle - time.Minute)
		b.wantSession(t, "just before half an hour", s.Cookie, models.StageFull)
	})
	t.Run("absolute", func(t *testing.T) {
		t.Parallel()
		b := desk(t)
		s := b.open(t, b.user.Email)
		for range 19 { // 25 minutes each: 7 h 55
			b.later(25 * time.Minute)
			b.wantSession(t, "in use", s.Cookie, models.StageFull)
		}
		b.later(5*time.Minute - time.Microsecond)
		b.wantSession(t, "the last moment", s.Cookie, models.StageFull)
		b.later(time.Microsecond)
		b.wantSession(t, "eight hours", s.Cookie, "")
	})
	for _, stage := range []models.Stage{models.StageFactor, models.StageEnrol} {
		t.Run("half, "+string(stage), func(t *testing.T) {
			t.Parallel()
			b := desk(t)
			s := b.session(t, b.user, stage)
			b.later(HalfSession - time.Microsecond)
			b.wantSession(t, "the last moment", s.Cookie, stage)
			b.later(time.Microsecond)
			b.wantSession(t, "ten minutes", s.Cookie, "")
		})
	}
}

// What ends a session besides time.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, row := range []struct {
		name string
		end  func(*bundle, *testing.T, Session) error
	}{
		{"signed out", func(b *bundle, _ *testing.T, s Session) error { return b.CloseSession(ctx, s) }},
		{"signed out from another browser", func(b *bundle, t *testing.T, s Session) error {
			return b.CloseBrowser(ctx, b.session(t, b.user, models.StageFull).Session, s.ID)
		}},
		{"the account was closed", func(b *bundle, t *testing.T, _ Session) error {
			by := b.newUser(t, &b.tenant, "boss@example.test", models.RoleAdmin)
			return b.SetDisabled(ctx, actorOf(by), b.user.ID, true)
		}},
		{"the contract ended", func(b *bundle, _ *testing.T, _ Session) error { _, err := b.EndTenant(ctx, b.tenant.ID); return err }},
		{"all sign-ins were revoked", func(b *bundle, t *testing.T, _ Session) error {
			return second(b.Revoke(ctx, actorOf(b.newUser(t, nil, "help@provider.test", models.RoleSupport)), Which{User: b.user.ID}, ""))
		}},
		{"an admin took the second factor away", func(b *bundle, t *testing.T, _ Session) error {
			return b.ResetFactor(ctx, actorOf(b.newUser(t, &b.tenant, "boss@example.test", models.RoleAdmin)), b.user.ID)
		}},
		{"the password was set by a link", func(b *bundle, t *testing.T, _ Session) error {
			link, err := b.NewLink(ctx, actorOf(b.newUser(t, &b.tenant, "boss@example.test", models.RoleAdmin)), b.user.ID, "en")
			if err != nil {
				return err
			}
			return second(b.UseLink(ctx, codeIn(t, link.URL), "another horse battery 8", here))
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := desk(t)
			s := b.open(t, b.user.Email)
			colleague := b.session(t, b.newUser(t, &b.tenant, "bert@example.test", models.RoleUser), models.StageFull)
			if err := row.end(b, t, s.Session); err != nil {
				t.Fatal(err)
			}
			b.wantSession(t, "afterwards", s.Cookie, "")
			if row.name != "the contract ended" {
				b.wantSession(t, "a colleague", colleague.Cookie, models.StageFull)
			}
		})
	}
}

func TestChangePassword(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	const fresh = "another horse battery 8"
	b := desk(t)
	s, other := b.open(t, b.user.Email), b.open(t, b.user.Email)
	half := b.session(t, b.user, models.StageFactor)
	for _, row := range []struct {
		name       string
		session    Session
		old, fresh string
		code       string
	}{
		{"a wrong one", s.Session, "wrong horse battery 7", fresh, "password-wrong"}, {"none", s.Session, "", fresh, "password-wrong"},
		{"too short", s.Session, passphrase, "short", "password-weak"}, {"common", s.Session, passphrase, "passwordpassword", "password-common"},
		{"one's own e-mail", s.Session, passphrase, "anna@example.test", "password-common"},
		{"a half session", half.Session, passphrase, fresh, "forbidden"},
	} {
		_, err := b.ChangePassword(ctx, row.session, row.old, row.fresh, here)
		wantCode(t, row.name, err, row.code)
	}
	b.wantSession(t, "refused", other.Cookie, models.StageFull)
	next, err := b.ChangePassword(ctx, s.Session, passphrase, fresh, here)
	if err != nil {
		t.Fatal(err)
	}
	b.wantSession(t, "the old cookie", s.Cookie, "")
	b.wantSession(t, "another browser", other.Cookie, "")
	b.wantSession(t, "the new cookie", next.Cookie, models.StageFull)
	if _, err := b.OpenSession(ctx, b.user.Email, fresh, here); err != nil {
		t.Errorf("the new password: %v", err)
	}
}

// What a session's person has to do first.
func TestStages(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	bert := b.newUser(t, &b.tenant, "bert@example.test", models.RoleUser)
	b.givePassword(t, bert.ID)
	staff := b.newUser(t, nil, "help@provider.test", models.RoleSupport)
	b.givePassword(t, staff.ID)
	if opened := b.open(t, staff.Email); opened.Stage != models.StageEnrol || !opened.MustFactor {
		t.Errorf("support signs in at %+v", opened.Session)
	}
	before := b.open(t, bert.Email)
	if before.Stage != models.StageFull {
		t.Errorf("a user signs in at %s", before.Stage)
	}
	if err := b.RequireFactor(ctx, actorOf(b.user), true); err != nil {
		t.Fatal(err)
	}
	b.wantSession(t, "required since", before.Cookie, models.StageEnrol)
	if opened := b.open(t, bert.Email); opened.Stage != models.StageEnrol || !opened.ExpiresAt.Equal(b.Now().Add(HalfSession)) {
		t.Errorf("required, a user signs in at %+v", opened.Session)
	}
	_, stranger := b.newTenant(t, "Other", "carl@other.test")
	b.givePassword(t, stranger.ID)
	if opened := b.open(t, stranger.Email); opened.Stage != models.StageFull {
		t.Errorf("another tenant's signs in at %s", opened.Stage)
	}
	if err := b.RequireFactor(ctx, actorOf(b.user), false); err != nil {
		t.Fatal(err)
	}
	b.wantSession(t, "no longer required", before.Cookie, models.StageFull)

	// A half session does nothing but go on.
	half := b.session(t, b.user, models.StageFactor).Session
	enrol := b.session(t, b.user, models.StageEnrol).Session
	for _, s := range []Session{half, enrol} {
		_, err := b.Browsers(ctx, s)
		wantCode(t, "Browsers", err, "forbidden")
		_, err = b.Notices(ctx, s)
		wantCode(t, "Notices", err, "forbidden")
		_, err = b.NewRecoveryCodes(ctx, s, "000000", here)
		wantCode(t, "NewRecoveryCodes", err, "forbidden")
		wantCode(t, "RemoveFactor", b.RemoveFactor(ctx, s, "000000", here), "forbidden")
	}
	_, err := b.BeginFactor(ctx, half)
	wantCode(t, "setting a factor up before showing it", err, "forbidden")
	_, _, err = b.ConfirmFactor(ctx, half, "000000", here)
	wantCode(t, "confirming before showing it", err, "forbidden")
	_, err = b.PassFactor(ctx, enrol, "000000", here)
	wantCode(t, "showing what is not set up", err, "forbidden")
}

func TestBrowsers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	first := b.open(t, b.user.Email)
	b.later(time.Second)
	s, err := b.OpenSession(ctx, b.user.Email, passphrase, elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	b.session(t, b.user, models.StageFactor)
	bert := b.session(t, b.newUser(t, &b.tenant, "bert@example.test", models.RoleUser), models.StageFull)
	list, err := b.Browsers(ctx, s.Session)
	if err != nil || len(list) != 2 || list[0].Name != "Firefox, Windows" || !list[0].Current || list[1].Name != "Chrome, Linux" || list[1].Current {
		t.Errorf("%+v, %v", list, err)
	}
	if err := b.CloseBrowser(ctx, s.Session, bert.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another's: %v", err)
	}
	b.wantSession(t, "another's", bert.Cookie, models.StageFull)
	if err := b.CloseBrowser(ctx, s.Session, first.ID); err != nil {
		t.Error(err)
	}
	if err := b.CloseBrowser(ctx, s.Session, first.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	if list, err := b.Browsers(ctx, s.Session); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
	for name, browser := range map[string]string{"": "Browser", "a\nb": "Browser", strings.Repeat("x", 81): "Browser", " Safari ": "Safari"} {
		if got := browserName(name); got != browser {
			t.Errorf("%q is shown as %q", name, got)
		}
	}
}
