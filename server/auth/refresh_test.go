package auth

import (
	"context"
	"errors"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/secret"
)

// The window in which a used refresh token gives its successor again, on both of
// its sides, and with the successor used meanwhile.
func TestReplayEdges(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for _, row := range []struct {
		name     string
		between  func(*testing.T, *bundle, Tokens) // after the first rotation
		ends     bool
		expiring time.Duration
	}{
		{"at once", func(*testing.T, *bundle, Tokens) {}, false, AccessLife},
		{"at 30 s", func(_ *testing.T, b *bundle, _ Tokens) { b.later(ReplayWindow) }, false, AccessLife - ReplayWindow},
		{"a microsecond later", func(_ *testing.T, b *bundle, _ Tokens) { b.later(ReplayWindow + time.Microsecond) }, true, 0},
		{"its successor was used", func(t *testing.T, b *bundle, next Tokens) { b.refresh(t, next.Refresh) }, false, AccessLife},
		{"its successor was used, and the window is over", func(t *testing.T, b *bundle, next Tokens) {
			b.later(ReplayWindow)
			b.refresh(t, next.Refresh)
			b.later(time.Microsecond)
		}, true, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			first := b.signIn(t)
			next := b.refresh(t, first.Refresh)
			row.between(t, b, next)
			again, err := b.Refresh(ctx, first.Refresh, ExtensionClient, "")
			if row.ends {
				wantCode(t, "the replay", err, "refresh-token-invalid")
				b.wantAlive(t, next.Access, false)
				_, err = b.Refresh(ctx, next.Refresh, ExtensionClient, "")
				wantCode(t, "its successor", err, "refresh-token-invalid")
				return
			}
			if err != nil || again.Access != next.Access || again.Refresh != next.Refresh || again.ExpiresIn != row.expiring {
				t.Errorf("another pair, or of another life: %v, %v", again.ExpiresIn, err)
			}
			b.wantAlive(t, next.Access, true)
			b.refresh(t, next.Refresh)
		})
	}
}

// The process died between the rotation and the answer: another one gives the
// same successor, and one under another SECRET_KEY does too, for the answer is
// sealed under the token.
func TestAnswerOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	b := setup(t)
	first := b.signIn(t)
	lost := b.refresh(t, first.Refresh)
	other := b.replica(t, b.DB, nil)
	var err error
	if other.Keys, err = secret.NewKeys([][]byte{make([]byte, 32)}); err != nil {
		t.Fatal(err)
	}
	again, err := other.Refresh(context.Background(), first.Refresh, ExtensionClient, "")
	if err != nil || again.Access != lost.Access || again.Refresh != lost.Refresh {
		t.Errorf("another pair, %v", err)
	}
	b.wantAlive(t, again.Access, true)
}

// Whose sign-in was ended is told by whom, why and when, as long as it lasts; and
// asking again and again is no guessing.
func TestStopped(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := desk(t)
	admin := b.newUser(t, &b.tenant, "admin@example.test", models.RoleAdmin)
	user := b.newUser(t, &b.tenant, "user@example.test", models.RoleUser)
	staff := b.newUser(t, nil, "help@provider.test", models.RoleSupport)
	for _, row := range []struct {
		name string
		end  func(Which) error
		by   string
	}{
		{"oneself", func(w Which) error { return second(b.Revoke(ctx, actorOf(user), w, "lost laptop")) }, "user"},
		{"the admin", func(w Which) error { return second(b.Revoke(ctx, actorOf(admin), w, "lost laptop")) }, "admin"},
		{"support", func(w Which) error { return second(b.Revoke(ctx, actorOf(staff), w, "lost laptop")) }, "support"},
		{"the operator", func(w Which) error {
			return second(b.RevokeByOperator(ctx, w, audit.Subject{Kind: "grant", ID: w.SignIn}, "lost laptop"))
		}, "support"},
	} {
		t.Run(row.name, func(t *testing.T) {
			tokens := b.signInAs(t, user)
			if err := row.end(Which{SignIn: b.grantOf(t, tokens.Access)}); err != nil {
				t.Fatal(err)
			}
			form := with(with(with(codeForm(""), "code"), "grant_type", GrantRefresh), "refresh_token", tokens.Refresh)
			for range networkFailures + 1 {
				_, err := b.Exchange(ctx, form, elsewhere.Network)
				var refused *OAuthError
				if !errors.As(err, &refused) || refused.Code != "invalid_grant" || fault.Code(err) != "refresh-token-invalid" {
					t.Fatalf("got %v", err)
				}
				if e := refused.End; e == nil || e.By != row.by || e.Reason != "lost laptop" || !e.At.Equal(b.Now()) {
					t.Fatalf("it ended %+v", e)
				}
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }
