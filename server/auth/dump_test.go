package auth

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"maps"
	"strings"
	"testing"

	"clicktodial/models"
)

// A dump of the database after every kind of sign-in, used and still to be used,
// lets nobody in: it holds none of what was given out, however it is written.
func TestDumpOfEverySignIn(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	staff := b.newUser(t, nil, "help@provider.test", models.RoleSupport)
	b.givePassword(t, staff.ID)
	secrets := map[string]string{"the password": passphrase}
	add := func(name, secret string) {
		if len(secret) < 6 {
			t.Fatalf("%s is %q", name, secret)
		}
		secrets[name] = secret
	}
	tokensOf := func(name string, tokens Tokens) {
		add(name+", access", tokens.Access)
		add(name+", refresh", tokens.Refresh)
	}

	opened := b.open(t, b.user.Email)
	add("a cookie", opened.Cookie)
	code := b.consent(t, opened.Session, with(request(), "state", "the state of the client"))
	add("a used code", code)
	add("the verifier", verifier)
	add("the state", "the state of the client")
	first, err := b.Exchange(ctx, codeForm(code), here.Network)
	if err != nil {
		t.Fatal(err)
	}
	tokensOf("by a code", first)
	second := b.refresh(t, first.Refresh)
	tokensOf("refreshed", second)
	narrow, err := b.Refresh(ctx, second.Refresh, ExtensionClient, ScopeRead)
	if err != nil {
		t.Fatal(err)
	}
	tokensOf("narrowed", narrow)
	add("an unused code", b.consent(t, opened.Session, request()))
	add("an unused pairing code", b.pair(t))
	used := b.pair(t)
	add("a used pairing code", used)
	paired, err := b.Redeem(ctx, used, ExtensionClient, "Chromium by pairing")
	if err != nil {
		t.Fatal(err)
	}
	tokensOf("paired", paired)
	pairing, _, err := b.PairPerson(ctx, actorOf(b.user), b.user.ID)
	if err != nil {
		t.Fatal(err)
	}
	add("a pairing code of one's own", pairing)

	pending, err := b.BeginFactor(ctx, b.open(t, staff.Email).Session)
	if err != nil {
		t.Fatal(err)
	}
	add("a second factor that is being set up", pending.Secret)
	e, err := b.BeginFactor(ctx, opened.Session)
	if err != nil {
		t.Fatal(err)
	}
	add("a second factor", e.Secret)
	recovery, full, err := b.ConfirmFactor(ctx, opened.Session, app{e.Secret}.at(t, b.Now()), here)
	if err != nil {
		t.Fatal(err)
	}
	add("the cookie after it", full.Cookie)
	for i, code := range recovery {
		add("a recovery code, as shown "+string(rune('0'+i)), code)
		add("a recovery code "+string(rune('0'+i)), strings.ReplaceAll(code, "-", ""))
	}
	half := b.open(t, b.user.Email)
	add("a half cookie", half.Cookie)
	if _, err := b.PassFactor(ctx, half.Session, recovery[0], here); err != nil {
		t.Fatal(err)
	}
	_, invitation, err := b.AddPerson(ctx, actorOf(b.user), "new@example.test", "", models.RoleUser, "en")
	if err != nil {
		t.Fatal(err)
	}
	add("an invitation", codeIn(t, invitation.URL))
	if err := b.useLink(t, codeIn(t, invitation.URL)); err != nil {
		t.Fatal(err)
	}
	reset, err := b.NewLink(ctx, actorOf(b.user), b.user.ID, "en")
	if err != nil {
		t.Fatal(err)
	}
	add("a reset", codeIn(t, reset.URL))
	client, err := b.NewClient(ctx, "billing")
	if err != nil {
		t.Fatal(err)
	}
	add("a client's secret", client)
	if _, err := b.Revoke(ctx, actorOf(b.user), Which{SignIn: b.grantOf(t, paired.Access)}, ""); err != nil {
		t.Fatal(err)
	}
	_, err = b.OpenSession(ctx, b.user.Email, "a mistyped horse battery", here)
	wantCode(t, "a mistyped password", err, "sign-in-refused")
	add("a mistyped password", "a mistyped horse battery")

	dump := b.dump(t)
	for _, there := range []string{"Chromium by pairing", "argon2id", "billing", hex.EncodeToString(hashToken(first.Access)), hex.EncodeToString(hashToken(full.Cookie))} {
		if !strings.Contains(dump, there) {
			t.Fatalf("no %q: the dump is not whole and proves little", there)
		}
	}
	lower := strings.ToLower(dump)
	for name, secret := range secrets {
		for how, text := range written(secret) {
			if len(text) >= 6 && strings.Contains(lower, strings.ToLower(text)) {
				t.Errorf("%s is in it, %s", name, how)
			}
		}
	}
}

// written are the ways in which a secret could stand in a dump.
func written(secret string) map[string]string {
	forms := map[string]string{
		"plain": secret, "in hex": hex.EncodeToString([]byte(secret)), "in base64": base64.RawStdEncoding.EncodeToString([]byte(secret)),
	}
	for _, prefix := range []string{accessPrefix, refreshPrefix, clientPrefix} {
		if rest, ok := strings.CutPrefix(secret, prefix); ok {
			forms["without its prefix"] = rest
		}
	}
	if raw, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(secret); err == nil {
		maps.Copy(forms, map[string]string{"as bytes": hex.EncodeToString(raw)})
	}
	return forms
}
