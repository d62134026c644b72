package auth

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"clicktodial/models"
	"clicktodial/server/fault"
)

// RFC 7662: only internal services that show their secret are told anything, and
// of a token that is no use, nothing but that.
func TestIntrospect(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	secret, err := b.NewClient(ctx, "billing")
	if err != nil || !strings.HasPrefix(secret, clientPrefix) {
		t.Fatal(err)
	}
	other, err := b.NewClient(ctx, "other")
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.NewClient(ctx, "billing")
	wantCode(t, "a client twice", err, "client-taken")
	for _, id := range []string{"", "Billing", "extension", "9", "a b", strings.Repeat("a", 41)} {
		_, err := b.NewClient(ctx, id)
		wantCode(t, "a client called "+id, err, "client-invalid")
	}
	tokens := b.bySelf(t)
	for _, row := range []struct{ name, client, secret string }{
		{"nobody", "", ""}, {"no secret", "billing", ""}, {"a wrong secret", "billing", clientPrefix + strings.Repeat("0", 43)},
		{"another's secret", "billing", other}, {"an unknown client", "nobody", secret}, {"the public client", ExtensionClient, ""},
		{"the public client, with a secret", ExtensionClient, secret}, {"a token as secret", "billing", tokens.Access},
		{"garbage", "\x00\xff", "\x00"}, {"a hash as secret", "billing", string(hashToken(secret))},
	} {
		t.Run(row.name, func(t *testing.T) {
			in, err := b.Introspect(ctx, row.client, row.secret, tokens.Access, here.Network)
			var refused *OAuthError
			if !errors.As(err, &refused) || refused.Code != "invalid_client" || fault.Code(err) != "client-unauthorized" || in != (Introspection{}) {
				t.Errorf("%+v, %v", in, err)
			}
		})
	}

	ask := func(t *testing.T, token string) Introspection {
		t.Helper()
		in, err := b.Introspect(ctx, "billing", secret, token, here.Network)
		if err != nil {
			t.Fatal(err)
		}
		return in
	}
	access, refresh := ask(t, tokens.Access), ask(t, tokens.Refresh)
	want := Introspection{
		Active: true, Scope: AllScopes, ClientID: ExtensionClient, TokenType: "Bearer", Exp: b.Now().Add(AccessLife).Unix(),
		Sub: b.user.ID.String(), Iss: issuer, Tenant: b.tenant.ID.String(), Role: "admin",
	}
	if access != want {
		t.Errorf("access %+v, want %+v", access, want)
	}
	want.TokenType, want.Exp = "", b.Now().Add(RefreshLife).Unix()
	if refresh != want {
		t.Errorf("refresh %+v, want %+v", refresh, want)
	}
	body, err := json.Marshal(access)
	if err != nil {
		t.Fatal(err)
	}
	for _, personal := range []string{"@", "Anna", "Acme", "Chromium"} {
		if strings.Contains(string(body), personal) {
			t.Errorf("it tells %q: %s", personal, body)
		}
	}

	narrow, err := b.Refresh(ctx, tokens.Refresh, ExtensionClient, ScopeRead)
	if err != nil {
		t.Fatal(err)
	}
	if in := ask(t, narrow.Access); in.Scope != ScopeRead {
		t.Errorf("a narrow token may %q", in.Scope)
	}
	revoked := b.bySelf(t)
	if _, err := b.Revoke(ctx, actorOf(b.user), Which{SignIn: b.grantOf(t, revoked.Access)}, ""); err != nil {
		t.Fatal(err)
	}
	unknown, err := newToken(models.AccessToken)
	if err != nil {
		t.Fatal(err)
	}
	for name, token := range map[string]string{
		"a refresh token that was used": tokens.Refresh, "revoked": revoked.Access, "revoked refresh": revoked.Refresh, "unknown": unknown,
		"garbage": "garbage", "none": "", "a cookie": strings.Repeat("0", 43), "the secret": secret,
	} {
		if in := ask(t, token); in != (Introspection{}) {
			t.Errorf("%s: %+v", name, in)
		}
	}
	b.later(AccessLife)
	if in := ask(t, narrow.Access); in != (Introspection{}) {
		t.Errorf("expired: %+v", in)
	}
	if !ask(t, narrow.Refresh).Active {
		t.Error("its refresh token went with it")
	}
	if body, err := json.Marshal(Introspection{}); err != nil || string(body) != `{"active":false}` {
		t.Errorf("no use: %s, %v", body, err)
	}
}

// Who guesses a service's secret is stopped, and the service itself is not when it
// asks often.
func TestIntrospectIsPaced(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	secret, err := b.NewClient(ctx, "billing")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * networkFailures {
		if _, err := b.Introspect(ctx, "billing", secret, "garbage", here.Network); err != nil {
			t.Fatal(err)
		}
	}
	for range networkFailures {
		_, err := b.Introspect(ctx, "billing", "x", "garbage", elsewhere.Network)
		wantCode(t, "a guess", err, "client-unauthorized")
	}
	_, err = b.Introspect(ctx, "billing", secret, "garbage", elsewhere.Network)
	wantCode(t, "after a hundred", err, "too-many-failures")
	if _, err := b.Introspect(ctx, "billing", secret, "garbage", here.Network); err != nil {
		t.Errorf("from another network: %v", err)
	}
}
