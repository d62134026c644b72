package auth

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

func TestPairing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := setup(t)
	code := b.pair(t)
	tokens, err := b.Redeem(ctx, code, ExtensionClient, "  Chromium on Linux ")
	if err != nil {
		t.Fatal(err)
	}
	if tokens.ExpiresIn != AccessLife {
		t.Errorf("expires in %v", tokens.ExpiresIn)
	}
	p, err := b.Authenticate(ctx, tokens.Access)
	if err != nil {
		t.Fatal(err)
	}
	if p.UserID != b.user.ID || p.TenantID != b.tenant.ID || p.Role != models.RoleAdmin ||
		p.Region != "NL" || !p.ExpiresAt.Equal(b.Now().Add(AccessLife)) {
		t.Errorf("principal %+v", p)
	}
	if who, err := b.Profile(ctx, p); err != nil || who.SignInLabel != "Chromium on Linux" || who.TenantName != "Acme" || len(who.SupportCode) != 6 {
		t.Errorf("profile %+v, %v", who, err)
	}
	if !slices.Equal(p.Scopes, strings.Fields(AllScopes)) || !p.May(ScopeCreate) || p.May("click-to-dial") || p.May("") {
		t.Errorf("scopes %v", p.Scopes)
	}
	_, err = b.Redeem(ctx, code, ExtensionClient, "Chromium")
	if fault.Code(err) != "pairing-code-invalid" {
		t.Errorf("a second time: %v", err)
	}
	if _, _, err := b.Pair(ctx, "nobody@example.test", audit.Operator); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("nobody's code: %v", err)
	}
	if _, _, err := b.Pair(ctx, "Anna@Example.TEST", audit.Operator); err != nil {
		t.Errorf("the e-mail in capitals: %v", err)
	}
}

func TestPairingCodeAsTyped(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows := map[string]func(string) string{
		"lower case":       strings.ToLower,
		"with a dash":      func(c string) string { return c[:4] + "-" + c[4:] },
		"with spaces":      func(c string) string { return " " + c[:2] + "  " + c[2:] + " " },
		"all of it":        func(c string) string { return strings.ToLower(c[:3]) + " - " + c[3:] },
		"as it was shown":  func(c string) string { return c },
		"spaced as a mark": func(c string) string { return strings.Join(strings.Split(c, ""), " ") },
	}
	for name, typed := range rows {
		if _, err := b.Redeem(context.Background(), typed(b.pair(t)), ExtensionClient, "Chromium"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// One answer for every code that is no use.
func TestPairingRefusals(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	rows := []struct {
		name string
		with func(t *testing.T, b *bundle, code string) string
		ok   bool
	}{
		{"the last moment", func(_ *testing.T, b *bundle, c string) string { b.later(PairingLife - time.Microsecond); return c }, true},
		{"too late", func(_ *testing.T, b *bundle, c string) string { b.later(PairingLife); return c }, false},
		{"disabled user", func(t *testing.T, b *bundle, c string) string {
			b.asOwner(t, "UPDATE users SET disabled_at = now()")
			return c
		}, false},
		{"ended tenant", func(t *testing.T, b *bundle, c string) string {
			if _, err := b.DB.EndTenant(ctx, b.tenant.ID, b.Now(), 90*models.Day, entry); err != nil {
				t.Fatal(err)
			}
			return c
		}, false},
		{"another code", func(*testing.T, *bundle, string) string { return "BCDFGHJK" }, false},
		{"empty", func(*testing.T, *bundle, string) string { return "" }, false},
		{"short", func(_ *testing.T, _ *bundle, c string) string { return c[:7] }, false},
		{"long", func(_ *testing.T, _ *bundle, c string) string { return c + "B" }, false},
		{"very long", func(_ *testing.T, _ *bundle, c string) string { return strings.Repeat(c, 100000) }, false},
		{"garbage", func(*testing.T, *bundle, string) string { return "\x00\xff'; --" }, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			tokens, err := b.Redeem(ctx, row.with(t, b, b.pair(t)), ExtensionClient, "Chromium")
			if row.ok != (err == nil) || !row.ok && (fault.Code(err) != "pairing-code-invalid" || tokens != Tokens{}) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestRedeemArguments(t *testing.T) {
	t.Parallel()
	b := setup(t)
	rows := []struct{ name, client, device, code string }{
		{"unknown client", "other", "Chromium", "client-unknown"},
		{"no client", "", "Chromium", "client-unknown"},
		{"no device", ExtensionClient, "", "device-name-invalid"},
		{"blank device", ExtensionClient, "  ", "device-name-invalid"},
		{"long device", ExtensionClient, strings.Repeat("é", 81), "device-name-invalid"},
		{"control character", ExtensionClient, "a\nb", "device-name-invalid"},
		{"NUL", ExtensionClient, "a\x00b", "device-name-invalid"},
		{"bad UTF-8", ExtensionClient, "a\xffb", "device-name-invalid"},
		{"direction override", ExtensionClient, "a\u202eb", "device-name-invalid"},
		{"as long as it may be", ExtensionClient, strings.Repeat("é", 80), ""},
	}
	for _, row := range rows {
		code := b.pair(t)
		_, err := b.Redeem(context.Background(), code, row.client, row.device)
		if fault.Code(err) != row.code || (err == nil) != (row.code == "") {
			t.Errorf("%s: %v, want %q", row.name, err, row.code)
		}
		if row.code == "" {
			continue
		}
		if _, err := b.Redeem(context.Background(), code, ExtensionClient, "Chromium"); err != nil {
			t.Errorf("%s used the code up: %v", row.name, err)
		}
	}
}

func TestFiftyRedeemAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	code := b.pair(t)
	var mu sync.Mutex
	var all sync.WaitGroup
	won := 0
	for range 50 {
		all.Go(func() {
			_, err := b.Redeem(context.Background(), code, ExtensionClient, "Chromium")
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			} else if fault.Code(err) != "pairing-code-invalid" {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if grants, err := b.DB.SignIns(context.Background(), store.CommandLine, b.user.ID); won != 1 || err != nil || len(grants) != 1 {
		t.Errorf("%d signed in with one code, %d sign-ins (%v)", won, len(grants), err)
	}
}

// When an access token stops working.
func TestAccessToken(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	revoke := func(t *testing.T, b *bundle, which store.Which) {
		gone, err := b.DB.Revoke(ctx, store.CommandLine, which, "operator", "lost laptop", b.Now(), entry)
		if err != nil || gone.SignIns != 1 {
			t.Errorf("revoked %d, %v", gone.SignIns, err)
		}
	}
	rows := []struct {
		name  string
		with  func(*testing.T, *bundle)
		alive bool
	}{
		{"new", func(*testing.T, *bundle) {}, true},
		{"the last moment", func(_ *testing.T, b *bundle) { b.later(AccessLife - time.Microsecond) }, true},
		{"expired", func(_ *testing.T, b *bundle) { b.later(AccessLife) }, false},
		{"disabled user", func(t *testing.T, b *bundle) { b.asOwner(t, "UPDATE users SET disabled_at = now()") }, false},
		{"ended tenant", func(t *testing.T, b *bundle) {
			if _, err := b.DB.EndTenant(ctx, b.tenant.ID, b.Now(), 90*models.Day, entry); err != nil {
				t.Fatal(err)
			}
		}, false},
		{"revoked", func(t *testing.T, b *bundle) {
			grants, err := b.DB.SignIns(ctx, store.CommandLine, b.user.ID)
			if err != nil {
				t.Fatal(err)
			}
			revoke(t, b, store.Which{Grant: grants[0].ID})
		}, false},
		{"revoked by user", func(t *testing.T, b *bundle) { revoke(t, b, store.Which{User: b.user.ID}) }, false},
		{"revoked by tenant", func(t *testing.T, b *bundle) { revoke(t, b, store.Which{Tenant: b.tenant.ID}) }, false},
		{"revoked by itself", func(t *testing.T, b *bundle) {
			grants, err := b.DB.SignIns(ctx, store.CommandLine, b.user.ID)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := b.DB.Revoke(ctx, store.SignInDesk, store.Which{Grant: grants[0].ID}, "user", "", b.Now(), entry); err != nil {
				t.Error(err)
			}
		}, false},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			tokens := b.signIn(t)
			row.with(t, b)
			b.wantAlive(t, tokens.Access, row.alive)
			if strings.HasPrefix(row.name, "expired") {
				b.refresh(t, tokens.Refresh)
				return
			}
			if _, err := b.Refresh(ctx, tokens.Refresh, ExtensionClient, ""); (err == nil) != row.alive {
				t.Errorf("its refresh token: %v", err)
			}
		})
	}
}

func TestWrongTokens(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := setup(t)
	tokens := b.signIn(t)
	unknown, err := newToken(models.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range []string{"", "x", unknown, tokens.Refresh, tokens.Access + "x", " " + tokens.Access, strings.ToLower(tokens.Access)} {
		if _, err := b.Authenticate(ctx, token); fault.Code(err) != "unauthorized" {
			t.Errorf("%d characters: %v", len(token), err)
		}
	}
	for _, token := range []string{"", tokens.Access, tokens.Refresh[:53]} {
		if _, err := b.Refresh(ctx, token, ExtensionClient, ""); fault.Code(err) != "refresh-token-invalid" {
			t.Errorf("%d characters: %v", len(token), err)
		}
	}
	if _, err := b.Refresh(ctx, tokens.Refresh, "other", ""); fault.Code(err) != "refresh-token-invalid" {
		t.Errorf("another client: %v", err)
	}
	b.wantAlive(t, tokens.Access, true)
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.signIn(t)
	second := b.refresh(t, first.Refresh)
	if second.Access == first.Access || second.Refresh == first.Refresh || second.ExpiresIn != AccessLife {
		t.Error("the pair is not a new one")
	}
	b.wantAlive(t, first.Access, true) // to its own end
	b.wantAlive(t, second.Access, true)
	b.later(RefreshLife - time.Microsecond)
	third := b.refresh(t, second.Refresh) // sliding
	b.later(RefreshLife - time.Microsecond)
	fourth := b.refresh(t, third.Refresh)
	b.later(RefreshLife)
	if _, err := b.Refresh(context.Background(), fourth.Refresh, ExtensionClient, ""); fault.Code(err) != "refresh-token-invalid" {
		t.Errorf("after 90 days: %v", err)
	}
}

// The last tokens of a sign-in end with it.
func TestSignInEnds(t *testing.T) {
	t.Parallel()
	b := setup(t)
	tokens := b.signIn(t)
	for range 3 {
		b.later(29 * 24 * time.Hour)
		tokens = b.refresh(t, tokens.Refresh)
	}
	b.later(3*24*time.Hour - time.Minute)
	tokens = b.refresh(t, tokens.Refresh)
	if tokens.ExpiresIn != time.Minute {
		t.Errorf("a minute before its end a token lives %v", tokens.ExpiresIn)
	}
	b.wantAlive(t, tokens.Access, true)
	b.later(time.Minute)
	b.wantAlive(t, tokens.Access, false)
}

// The answer got lost: the same token again within 30 s gives the same pair.
func TestReplayWithinTheWindow(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.signIn(t)
	second := b.refresh(t, first.Refresh)
	b.later(ReplayWindow)
	again := b.refresh(t, first.Refresh)
	if again.Access != second.Access || again.Refresh != second.Refresh {
		t.Error("the replay gave another pair")
	}
	if again.ExpiresIn != AccessLife-ReplayWindow {
		t.Errorf("and says that it lives %v", again.ExpiresIn)
	}
	b.wantAlive(t, second.Access, true)
	b.refresh(t, second.Refresh)
}

// One of two who hold the same token is a thief.
func TestReplayOutsideTheWindow(t *testing.T) {
	t.Parallel()
	rows := map[string]func(*testing.T, *bundle){
		"late":                  func(_ *testing.T, b *bundle) { b.later(ReplayWindow + time.Microsecond) },
		"the answer was erased": func(t *testing.T, b *bundle) { erase(t, b) },
	}
	for name, then := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			other := b.signIn(t)
			first := b.signIn(t)
			second := b.refresh(t, first.Refresh)
			then(t, b)
			if _, err := b.Refresh(context.Background(), first.Refresh, ExtensionClient, ""); fault.Code(err) != "refresh-token-invalid" {
				t.Errorf("got %v", err)
			}
			b.wantAlive(t, first.Access, false)
			b.wantAlive(t, second.Access, false)
			if _, err := b.Refresh(context.Background(), second.Refresh, ExtensionClient, ""); fault.Code(err) != "refresh-token-invalid" {
				t.Errorf("the successor: %v", err)
			}
			b.wantAlive(t, other.Access, true)
			if grants, err := b.DB.SignIns(context.Background(), store.CommandLine, b.user.ID); err != nil || grants[0].RevokedBy == nil || *grants[0].RevokedBy != "system" {
				t.Errorf("the sign-in: %v", err)
			}
			if !strings.Contains(b.dump(t), "token-reuse") {
				t.Error("the audit says nothing of it")
			}
		})
	}
}

func erase(t *testing.T, b *bundle) {
	t.Helper()
	if err := b.DB.EraseSuccessors(context.Background(), b.Now().Add(time.Microsecond)); err != nil {
		t.Fatal(err)
	}
}

func TestEraseSuccessors(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.signIn(t)
	second := b.refresh(t, first.Refresh)
	if err := b.DB.EraseSuccessors(context.Background(), b.Now()); err != nil {
		t.Fatal(err)
	}
	if again := b.refresh(t, first.Refresh); again != second {
		t.Error("a successor was erased before its time")
	}
}

// All at once with one token: one rotation, one pair.
func TestConcurrentRefresh(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.signIn(t)
	answers := make([]Tokens, 20)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() {
			tokens, err := b.Refresh(context.Background(), first.Refresh, ExtensionClient, "")
			if err != nil {
				t.Error(err)
			}
			answers[i] = tokens
		})
	}
	all.Wait()
	for _, a := range answers {
		if a.Access != answers[0].Access || a.Refresh != answers[0].Refresh {
			t.Fatal("one token had two successors")
		}
	}
	b.wantAlive(t, answers[0].Access, true)
}

// Nothing is issued once a sign-in was revoked, however close the two come.
func TestRefreshAgainstRevoke(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for range 20 {
		tokens := b.signIn(t)
		var both sync.WaitGroup
		var next Tokens
		both.Go(func() { next, _ = b.Refresh(context.Background(), tokens.Refresh, ExtensionClient, "") })
		both.Go(func() {
			if _, err := b.DB.Revoke(context.Background(), store.CommandLine, store.Which{User: b.user.ID}, "user", "", b.Now(), entry); err != nil {
				t.Error(err)
			}
		})
		both.Wait()
		b.wantAlive(t, tokens.Access, false)
		if next.Access != "" {
			b.wantAlive(t, next.Access, false)
		}
	}
}

// A dump of the database signs nobody in.
func TestDumpHoldsNothingUsable(t *testing.T) {
	t.Parallel()
	b := setup(t)
	unused, code := b.pair(t), b.pair(t)
	first, err := b.Redeem(context.Background(), code, ExtensionClient, "Chromium")
	if err != nil {
		t.Fatal(err)
	}
	second := b.refresh(t, first.Refresh)
	dump := b.dump(t)
	if !strings.Contains(dump, "Chromium") || !strings.Contains(dump, hex.EncodeToString(hashToken(first.Access))) {
		t.Fatal("the dump is not whole: the test proves little")
	}
	for name, secret := range map[string]string{
		"an unused code": unused, "a used code": code, "access": first.Access, "refresh": first.Refresh,
		"the successor's access": second.Access, "the successor's refresh": second.Refresh,
	} {
		for how, text := range map[string]string{"plain": secret, "in hex": hex.EncodeToString([]byte(secret)), "without its prefix": secret[5:]} {
			if len(text) > 6 && strings.Contains(dump, text) {
				t.Errorf("%s is in it, %s", name, how)
			}
		}
	}
	if strings.Contains(dump, unused) {
		t.Error("an unused code is in it")
	}
}

// Support staff have no tenant and sign in all the same.
func TestSupportSignsIn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.asOwner(t, "UPDATE users SET tenant_id = NULL, role = 'support'")
	b.user.TenantID = nil
	tokens := b.signIn(t)
	p, err := b.Authenticate(context.Background(), b.refresh(t, tokens.Refresh).Access)
	if err != nil || p.Role != models.RoleSupport || p.TenantID != [16]byte{} {
		t.Errorf("principal %+v, %v", p, err)
	}
}
