package auth

import (
	"context"
	"testing"
	"time"

	"clicktodial/models"
)

// farewell ends the bundle's contract and gives the code of its admin's link.
func (b *bundle) farewell(t *testing.T) (Farewell, string) {
	t.Helper()
	f, err := b.EndTenant(context.Background(), b.tenant.ID)
	if err != nil || len(f.Links) != 1 || f.Links[0].AdminID != b.user.ID {
		t.Fatalf("%+v %v", f, err)
	}
	return f, codeIn(t, f.Links[0].URL)
}

// An admin of an ended contract gets one session that can only export, by a link
// that works once, within 14 days.
func TestFarewell(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	b.Grace = 90 * models.Day
	b.newUser(t, &b.tenant, "piet@example.test", models.RoleUser)
	ended := b.Now()
	f, code := b.farewell(t)
	if !f.ExportUntil.Equal(ended.Add(ExportLife)) || !f.WipeAt.Equal(ended.Add(b.Grace)) {
		t.Errorf("%+v", f)
	}
	if holder, err := b.FindLink(ctx, code); err != nil || holder.Kind != models.Export || holder.TenantName != "Acme" {
		t.Errorf("%+v %v", holder, err)
	}
	_, err := b.UseLink(ctx, code, newPassphrase, here)
	wantCode(t, "a password by it", err, "link-invalid")
	opened, err := b.UseExportLink(ctx, code, here)
	if err != nil || opened.Stage != models.StageExport || !opened.ExpiresAt.Equal(f.ExportUntil) {
		t.Fatalf("%+v %v", opened.Session, err)
	}
	_, err = b.UseExportLink(ctx, code, here)
	wantCode(t, "again", err, "link-invalid")
	_, err = b.OpenSession(ctx, b.user.Email, passphrase, here)
	wantCode(t, "signing in as before", err, "sign-in-refused")
	if err := opened.mustBeFull(); err == nil {
		t.Error("the session may do what a full one may")
	}
	b.later(10 * 24 * time.Hour) // idle, which ends any other
	if s, err := b.FindSession(ctx, opened.Cookie); err != nil || s.Stage != models.StageExport {
		t.Errorf("after 10 days: %v", err)
	}
	b.later(4*24*time.Hour - time.Microsecond)
	if _, err := b.FindSession(ctx, opened.Cookie); err != nil {
		t.Errorf("the last moment: %v", err)
	}
	b.later(time.Microsecond)
	_, err = b.FindSession(ctx, opened.Cookie)
	wantCode(t, "after 14 days", err, "unauthorized")
	if again, err := b.Farewell(ctx, b.tenant.ID); err != nil || len(again.Links) != 0 {
		t.Errorf("links after 14 days: %d %v", len(again.Links), err)
	}
}

func TestFarewellLinks(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, row := range []struct {
		name  string
		until time.Duration // how long the link works
		grace time.Duration
	}{
		{"14 days", ExportLife, 90 * models.Day},
		{"until the data goes", 3 * models.Day, 3 * models.Day},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := desk(t)
			b.Grace = row.grace
			_, code := b.farewell(t)
			b.later(row.until - time.Microsecond)
			if _, err := b.FindLink(ctx, code); err != nil {
				t.Errorf("the last moment: %v", err)
			}
			b.later(time.Microsecond)
			_, err := b.UseExportLink(ctx, code, here)
			wantCode(t, "too late", err, "link-invalid")
		})
	}
	b := desk(t)
	b.Grace = 90 * models.Day
	_, err := b.Farewell(ctx, b.tenant.ID)
	wantCode(t, "of a contract that runs", err, "not-found")
	_, lost := b.farewell(t)
	again, err := b.Farewell(ctx, b.tenant.ID)
	if err != nil || len(again.Links) != 1 || codeIn(t, again.Links[0].URL) == lost {
		t.Fatalf("made anew: %+v %v", again, err)
	}
	if _, err := b.EndTenant(ctx, b.tenant.ID); err == nil {
		t.Error("ended twice")
	}
	b.asOwner(t, "UPDATE users SET role = 'user' WHERE id = $1", b.user.ID)
	_, err = b.UseExportLink(ctx, lost, here)
	wantCode(t, "of one who is no admin any more", err, "link-invalid")
}
