package auth

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/secret"
	"clicktodial/server/store"
)

var errRefresh = fault.New(fault.Refused, "refresh-token-invalid", "This sign-in has ended. Please sign in again.")

// errScope is a request for more than the sign-in has (RFC 6749 6).
var errScope = fault.New(fault.Refused, "scope-invalid", "This is more than the sign-in may do.")

// Refresh turns a refresh token into the next pair. The token is used up: who
// presents it again within 30 s gets the same pair (an extension's worker can die
// between answer and storage); later, the whole sign-in ends, for one of the two
// who hold it is a thief. scope may narrow what the access token can do; "" is
// all that the sign-in may. Errors: refresh-token-invalid, as Stopped when the
// sign-in was ended by somebody; scope-invalid.
func (s *Service) Refresh(ctx context.Context, token, client, scope string) (Tokens, error) {
	if !wellFormed(models.RefreshToken, token) {
		return Tokens{}, errRefresh
	}
	key, err := bearerKey(token)
	if err != nil {
		return Tokens{}, err
	}
	var answer Tokens
	now := s.Now().UTC()
	ended, err := s.DB.Rotate(ctx, hashToken(token), now, func(b store.Bearer) (*store.Issue, []byte, string, error) {
		if b.ClientID != client {
			return nil, nil, "", errRefresh
		}
		if end := endOf(b.RevokedAt, b.RevokedBy, b.RevokedReason); end != nil {
			return nil, nil, "", &Stopped{errRefresh, *end}
		}
		if !usable(b, now) {
			return nil, nil, "", errRefresh
		}
		if b.UsedAt != nil {
			var reason string
			answer, reason, err = s.replayed(b, key, now)
			return nil, nil, reason, err
		}
		scopes, err := narrow(scope, b.Scopes)
		if err != nil {
			return nil, nil, "", err
		}
		issue, sealed, err := s.rotate(&answer, b, scopes, key, now)
		return issue, sealed, "", err
	})
	s.spread(ctx, ended.Tokens)
	if errors.Is(err, store.ErrNotFound) {
		return Tokens{}, errRefresh
	}
	if err != nil {
		return Tokens{}, err
	}
	return answer, nil
}

// narrow gives the scopes that were asked for, in the order of those there are.
func narrow(asked, have string) (string, error) {
	if asked == "" {
		return have, nil
	}
	var out []string
	wanted := strings.Fields(asked)
	if len(wanted) == 0 {
		return "", errScope
	}
	for _, scope := range strings.Fields(have) {
		if slices.Contains(wanted, scope) {
			out = append(out, scope)
		}
	}
	for _, scope := range wanted {
		if !slices.Contains(out, scope) {
			return "", errScope
		}
	}
	return strings.Join(out, " "), nil
}

func (s *Service) replayed(b store.Bearer, key []byte, now time.Time) (Tokens, string, error) {
	const reuse = "a used refresh token came back"
	if now.Sub(*b.UsedAt) > ReplayWindow || b.Successor == nil {
		return Tokens{}, reuse, errRefresh
	}
	plain, err := secret.Open(key, b.Successor)
	if err != nil {
		return Tokens{}, reuse, errRefresh
	}
	var t Tokens
	if err := json.Unmarshal(plain, &t); err != nil {
		return Tokens{}, "", err
	}
	t.ExpiresIn = max(b.UsedAt.Add(AccessLife).Sub(now), time.Second)
	return t, "", nil
}

func (s *Service) rotate(answer *Tokens, b store.Bearer, scopes string, key []byte, now time.Time) (*store.Issue, []byte, error) {
	grant := models.Grant{ID: b.GrantID, TenantID: b.TenantID, Scopes: scopes, ExpiresAt: b.GrantExpiresAt}
	tokens, issue, err := s.newPair(grant, now)
	if err != nil {
		return nil, nil, err
	}
	if scopes != b.Scopes {
		issue.Access.Scopes = &scopes
	}
	plain, err := json.Marshal(tokens)
	if err != nil {
		return nil, nil, err
	}
	sealed, err := secret.Seal(key, plain)
	if err != nil {
		return nil, nil, err
	}
	*answer = tokens
	return &issue, sealed, nil
}

// SignOut ends the sign-in that the token, of either kind, belongs to. A token
// that is none of ours, or not the client's, is no error (RFC 7009 2.2); client ""
// asks for none in particular.
func (s *Service) SignOut(ctx context.Context, token, client string) error {
	kind := models.AccessToken
	if wellFormed(models.RefreshToken, token) {
		kind = models.RefreshToken
	} else if !wellFormed(kind, token) {
		return nil
	}
	b, err := s.DB.FindBearer(ctx, kind, hashToken(token))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if client != "" && client != b.ClientID {
		return errClient
	}
	subject := audit.Subject{Kind: "grant", ID: b.GrantID}
	if b.TenantID != nil {
		subject.Tenant = *b.TenantID
	}
	entry := audit.Entry(audit.Actor{Kind: string(b.Role), ID: b.UserID}, "sign-out", subject, "")
	gone, err := s.DB.Revoke(ctx, store.SignInDesk, store.Which{Grant: b.GrantID}, string(models.RoleUser), "signed out", s.Now().UTC(), entry)
	if err == nil {
		s.spread(ctx, gone.Tokens)
	}
	return err
}
