package auth

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"clicktodial/models"
)

const newPassphrase = "another horse battery 8"

// useLink sets a password without the work of one, as UseLink does it.
func (b *bundle) useLink(t *testing.T, code string) error {
	t.Helper()
	link, user, err := b.findLink(context.Background(), code)
	if err != nil {
		return err
	}
	_, row, err := b.newSession(user, stageAfterPassword(user), here)
	if err != nil {
		t.Fatal(err)
	}
	return b.DB.UseLink(context.Background(), link, row, cheapHash(), b.Now(), entry)
}

// An invitation and a reset, each on both sides of its life.
func TestLinkLife(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, row := range []struct {
		name string
		life time.Duration
		make func(*bundle, *testing.T) Link
	}{
		{"invitation", InvitationLife, func(b *bundle, t *testing.T) Link {
			p, link, err := b.AddPerson(ctx, actorOf(b.user), "new@example.test", "", models.RoleUser, "en")
			if err != nil || p.HasPassword {
				t.Fatal(p, err)
			}
			return link
		}},
		{"reset", ResetLife, func(b *bundle, t *testing.T) Link {
			u := b.newUser(t, &b.tenant, "new@example.test", models.RoleUser)
			b.givePassword(t, u.ID)
			link, err := b.NewLink(ctx, actorOf(b.user), u.ID, "en")
			if err != nil {
				t.Fatal(err)
			}
			return link
		}},
		{"invitation, again", InvitationLife, func(b *bundle, t *testing.T) Link {
			link, err := b.NewLink(ctx, actorOf(b.user), b.newUser(t, &b.tenant, "new@example.test", models.RoleUser).ID, "en")
			if err != nil {
				t.Fatal(err)
			}
			return link
		}},
	} {
		for _, late := range []bool{false, true} {
			name := row.name + ", the last moment"
			if late {
				name = row.name + ", too late"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				b := desk(t)
				link := row.make(b, t)
				code := codeIn(t, link.URL)
				if !strings.HasPrefix(link.URL, issuer+LinkPath+"?code=") || !isSecret(code) || !link.ExpiresAt.Equal(b.Now().Add(row.life)) || link.Mailed {
					t.Errorf("link %+v", link)
				}
				b.later(row.life - time.Microsecond)
				if late {
					b.later(time.Microsecond)
				}
				holder, err := b.FindLink(ctx, code)
				if late {
					wantCode(t, "found", err, "link-invalid")
					_, err := b.UseLink(ctx, code, newPassphrase, here)
					wantCode(t, "used", err, "link-invalid")
					return
				}
				if err != nil || holder.Email != "new@example.test" || holder.TenantName != "Acme" || string(holder.Kind) != strings.TrimSuffix(row.name, ", again") || !holder.ExpiresAt.Equal(link.ExpiresAt) {
					t.Errorf("for %+v, %v", holder, err)
				}
				wantCode(t, "used", b.useLink(t, code), "")
			})
		}
	}
}

// A link works once, whatever is looked at before, and takes the others with it.
func TestLinkOnce(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	admin := actorOf(b.user)
	p, first, err := b.AddPerson(ctx, admin, "New@Example.test", "Nina", models.RoleUser, "en")
	if err != nil {
		t.Fatal(err)
	}
	again, err := b.NewLink(ctx, admin, p.ID, "en")
	if err != nil {
		t.Fatal(err)
	}
	other, err := b.NewLink(ctx, admin, b.newUser(t, &b.tenant, "bert@example.test", models.RoleUser).ID, "en")
	if err != nil {
		t.Fatal(err)
	}
	code := codeIn(t, first.URL)
	for range 3 {
		if _, err := b.FindLink(ctx, code); err != nil {
			t.Fatalf("looking used it up: %v", err)
		}
	}
	for name, row := range map[string][2]string{"short": {"short", "password-weak"}, "common": {"passwordpassword", "password-common"}, "the e-mail": {"new@example.test", "password-common"}} {
		_, err := b.UseLink(ctx, code, row[0], here)
		wantCode(t, name, err, row[1])
	}
	opened, err := b.UseLink(ctx, code, newPassphrase, here)
	if err != nil || opened.Stage != models.StageFull || opened.Email != "new@example.test" {
		t.Fatalf("%+v, %v", opened.Session, err)
	}
	b.wantSession(t, "signed in with it", opened.Cookie, models.StageFull)
	for name, dead := range map[string]string{"the same": code, "another of the same person": codeIn(t, again.URL)} {
		_, err := b.FindLink(ctx, dead)
		wantCode(t, name, err, "link-invalid")
		_, err = b.UseLink(ctx, dead, newPassphrase, here)
		wantCode(t, name, err, "link-invalid")
	}
	if _, err := b.FindLink(ctx, codeIn(t, other.URL)); err != nil {
		t.Errorf("another person's: %v", err)
	}
	for name, garbage := range map[string]string{"none": "", "noise": strings.Repeat("0", 43), "NUL": "\x00", "a cookie": opened.Cookie, "long": strings.Repeat(code, 1000)} {
		_, err := b.FindLink(ctx, garbage)
		wantCode(t, name, err, "link-invalid")
	}
	if _, err := b.OpenSession(ctx, "new@example.test", newPassphrase, here); err != nil {
		t.Errorf("the password: %v", err)
	}
	notices, err := b.Notices(ctx, opened.Session)
	if err != nil || len(notices) != 2 || notices[0].Action != "password-link-create" || notices[0].By != "admin" {
		t.Errorf("its person is told %+v, %v", notices, err)
	}
}

// A link lets nobody past the second factor, nor into a closed account.
func TestLinkIsNoWayAround(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	admin := actorOf(b.user)
	bert := b.newUser(t, &b.tenant, "bert@example.test", models.RoleUser)
	b.givePassword(t, bert.ID)
	b.enrol(t, b.open(t, bert.Email).Session)
	link, err := b.NewLink(ctx, admin, bert.ID, "en")
	if err != nil {
		t.Fatal(err)
	}
	opened, err := b.UseLink(ctx, codeIn(t, link.URL), newPassphrase, here)
	if err != nil || opened.Stage != models.StageFactor {
		t.Errorf("%+v, %v", opened.Session, err)
	}
	b.wantSession(t, "with a factor", opened.Cookie, models.StageFactor)
	if link, err = b.NewLink(ctx, admin, bert.ID, "en"); err != nil {
		t.Fatal(err)
	}
	if err := b.SetDisabled(ctx, admin, bert.ID, true); err != nil {
		t.Fatal(err)
	}
	_, err = b.FindLink(ctx, codeIn(t, link.URL))
	wantCode(t, "of a closed account", err, "link-invalid")
	wantCode(t, "of a closed account", b.useLink(t, codeIn(t, link.URL)), "link-invalid")
	if err := b.SetDisabled(ctx, admin, bert.ID, false); err != nil {
		t.Fatal(err)
	}
	if _, err := b.FindLink(ctx, codeIn(t, link.URL)); err != nil {
		t.Errorf("opened again: %v", err)
	}
}

// Mail carries a link to its person; when it does not, it is shown.
func TestLinkIsMailed(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	var to LinkHolder
	var sent, lang string
	fails := false
	b.Mail = func(_ context.Context, holder LinkHolder, url, l string) error {
		to, sent, lang = holder, url, l
		if fails {
			return errors.New("no mail today")
		}
		return nil
	}
	p, link, err := b.AddPerson(ctx, actorOf(b.user), "new@example.test", "Nina", models.RoleUser, "nl")
	if err != nil || !link.Mailed || sent != link.URL || lang != "nl" || to.Email != "new@example.test" || to.Name != "Nina" || to.Kind != models.Invitation {
		t.Errorf("%+v went to %+v in %s, %v", link, to, lang, err)
	}
	fails = true
	if link, err = b.NewLink(ctx, actorOf(b.user), p.ID, "de"); err != nil || link.Mailed || sent != link.URL {
		t.Errorf("not mailed: %+v, %v", link, err)
	}
	if _, err := b.FindLink(ctx, codeIn(t, link.URL)); err != nil {
		t.Errorf("not mailed, and no use: %v", err)
	}
}
