package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/phone"
	"clicktodial/server/store"
)

// A tenant rings its own phones and shows its own numbers, whoever asks.
func TestDeviceMustBeTheTenants(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	own := number(t, "020 123 4567")
	globs, ids := models.Texts{"acme-*", "2??", "101"}, models.Texts{own.E164()}
	if err := b.db.SetTenant(ctx, b.tenant.ID, store.TenantChange{EndpointGlobs: &globs, CallerIDs: &ids}, entry); err != nil {
		t.Fatal(err)
	}
	rows := []struct {
		endpoint string
		callerID phone.Number
		allowed  bool
	}{
		{"acme-1", phone.Number{}, true},
		{"acme-", phone.Number{}, true},
		{"acme", phone.Number{}, false},
		{"xacme-1", phone.Number{}, false},
		{"other-1", phone.Number{}, false},
		{"201", phone.Number{}, true},
		{"20", phone.Number{}, false},
		{"2011", phone.Number{}, false},
		{"ACME-1", phone.Number{}, false},
		{"202", own, true},
		{"203", number(t, "020 123 4568"), false},
	}
	for _, row := range rows {
		device := models.Device{
			ID: uuid.New(), TenantID: b.tenant.ID, UserID: b.user.ID, Label: row.endpoint, Endpoint: row.endpoint,
			CallerID: row.callerID, CreatedAt: b.at,
		}
		err := b.db.AddDevice(ctx, device, entry)
		if want := map[bool]string{true: "", false: "device-not-allowed"}[row.allowed]; fault.Code(err) != want || (err == nil) != row.allowed {
			t.Errorf("%s with %v: %v, want %q", row.endpoint, row.callerID, err, want)
		}
	}
	// A change of the tenant that leaves a phone outside is refused, whole.
	for name, change := range map[string]store.TenantChange{
		"endpoints":  {EndpointGlobs: &models.Texts{"acme-*"}},
		"caller ids": {CallerIDs: &models.Texts{"+31201234999"}},
	} {
		if err := b.db.SetTenant(ctx, b.tenant.ID, change, entry); fault.Code(err) != "device-not-allowed" {
			t.Errorf("%s that leave a phone outside: %v", name, err)
		}
	}
	if err := b.db.SetTenant(ctx, b.tenant.ID, store.TenantChange{CallerIDs: &models.Texts{}}, entry); err != nil {
		t.Errorf("no caller ids means any: %v", err)
	}
}

func TestMalformedGlobs(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	for _, glob := range []string{"", "a.b", "a|b", "(", "a\n", "[a]", "a b", "^a", "a$", strings.Repeat("a", 41), `\d`} {
		change := store.TenantChange{EndpointGlobs: &models.Texts{"*", glob}}
		if err := b.db.SetTenant(context.Background(), b.tenant.ID, change, entry); fault.Code(err) != "endpoints-malformed" {
			t.Errorf("%q: %v", glob, err)
		}
	}
}

// A glob of stars must not cost Postgres its time: the pattern is the operator's,
// the endpoint a customer's.
func TestGlobOfStars(t *testing.T) {
	t.Parallel()
	b := newBundle(t)
	change := store.TenantChange{EndpointGlobs: &models.Texts{"101", strings.Repeat("*a", 19) + "b"}}
	if err := b.db.SetTenant(context.Background(), b.tenant.ID, change, entry); err != nil {
		t.Fatal(err)
	}
	device := models.Device{
		ID: uuid.New(), TenantID: b.tenant.ID, UserID: b.user.ID, Label: "a", Endpoint: strings.Repeat("a", 40), CreatedAt: b.at,
	}
	if err := b.db.AddDevice(context.Background(), device, entry); fault.Code(err) != "device-not-allowed" {
		t.Errorf("got %v", err)
	}
}

func TestSetTenant(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	other, _, _ := b.newTenant(t, "Other")
	name, days := "Acme BV", 30
	if err := b.db.SetTenant(ctx, b.tenant.ID, store.TenantChange{Name: &name, RetentionDays: &days}, entry); err != nil {
		t.Fatal(err)
	}
	got, err := b.db.Tenant(ctx, b.tenant.ID)
	if err != nil || got.Name != name || got.RetentionDays != days || got.Region != "NL" || len(got.EndpointGlobs) != 1 {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err := b.db.Tenant(ctx, other.ID); err != nil || got.Name != "Other" || got.RetentionDays != 90 {
		t.Errorf("the other tenant: %+v, %v", got, err)
	}
	for _, days := range []int{-1, 366} {
		if err := b.db.SetTenant(ctx, b.tenant.ID, store.TenantChange{RetentionDays: &days}, entry); err == nil {
			t.Errorf("%d days were accepted", days)
		}
	}
	if err := b.db.SetTenant(ctx, uuid.New(), store.TenantChange{Name: &name}, entry); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown tenant: %v", err)
	}
	if err := b.db.SetTenant(ctx, b.tenant.ID, store.TenantChange{}, entry); fault.Code(err) != "nothing-to-change" {
		t.Errorf("no change: %v", err)
	}
}

func TestEndTenant(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	b.newGrant(t, b.user)
	_, stranger, _ := b.newTenant(t, "Other")
	b.newGrant(t, stranger)
	if _, err := b.db.EndTenant(ctx, b.tenant.ID, b.at, 90*models.Day, entry); err != nil {
		t.Fatal(err)
	}
	for user, ended := range map[uuid.UUID]bool{b.user.ID: true, stranger.ID: false} {
		grants, err := b.db.SignIns(ctx, store.CommandLine, user)
		if err != nil || len(grants) != 1 || (grants[0].RevokedAt != nil) != ended {
			t.Errorf("sign-ins: %v, %v, want ended %v", grants, err, ended)
		}
	}
	if _, err := b.db.EndTenant(ctx, b.tenant.ID, b.at, 90*models.Day, entry); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a second end: %v", err)
	}
}

func TestUsers(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := newBundle(t)
	support := models.User{ID: uuid.New(), Email: "support@example.test", Role: models.RoleSupport, CreatedAt: b.at}
	if err := b.db.CreateUser(ctx, support, entry); err != nil {
		t.Fatal(err)
	}
	nowhere := uuid.New()
	rows := []struct {
		name string
		user models.User
		code string // "" for any error
	}{
		{"unknown tenant", models.User{TenantID: &nowhere, Email: "a@example.test", Role: models.RoleUser}, "tenant-unknown"},
		{"taken", models.User{Email: "support@example.test", Role: models.RoleSupport}, "email-taken"},
		{"support with a tenant", models.User{TenantID: &b.tenant.ID, Email: "b@example.test", Role: models.RoleSupport}, ""},
		{"user without a tenant", models.User{Email: "c@example.test", Role: models.RoleUser}, ""},
		{"upper case", models.User{TenantID: &b.tenant.ID, Email: "D@example.test", Role: models.RoleUser}, ""},
	}
	for _, row := range rows {
		row.user.ID, row.user.CreatedAt = uuid.New(), b.at
		if err := b.db.CreateUser(ctx, row.user, entry); err == nil || row.code != "" && fault.Code(err) != row.code {
			t.Errorf("%s: %v, want %q", row.name, err, row.code)
		}
	}
	if err := b.db.SetPassword(ctx, support.ID, "$argon2id$…", b.at, entry); err != nil {
		t.Error(err)
	}
	if err := b.db.SetPassword(ctx, uuid.New(), "$argon2id$…", b.at, entry); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nobody's password: %v", err)
	}
	if got, err := b.db.FindUser(ctx, "support@example.test"); err != nil || got.ID != support.ID || got.TenantID != nil || got.PasswordHash == nil {
		t.Errorf("FindUser: %v, %v", got.ID, err)
	}
	if _, err := b.db.FindUser(ctx, "nobody@example.test"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nobody: %v", err)
	}
}
