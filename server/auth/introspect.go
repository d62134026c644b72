package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/netip"
	"regexp"
	"strings"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// Introspection is what an internal service is told of a token (RFC 7662 2.2):
// ids and times. Of a token that is no use it is told that, and nothing else.
type Introspection struct {
	Active    bool   `json:"active"`
	Scope     string `json:"scope,omitempty"`
	ClientID  string `json:"client_id,omitempty"`
	TokenType string `json:"token_type,omitempty"`
	Exp       int64  `json:"exp,omitempty"` // seconds since 1970
	Sub       string `json:"sub,omitempty"`
	Iss       string `json:"iss,omitempty"`
	Tenant    string `json:"tenant,omitempty"`
	Role      string `json:"role,omitempty"`
}

// errClientAuth is a client that has not shown its secret (RFC 6749 5.2).
var errClientAuth = &OAuthError{Code: "invalid_client", Fault: fault.New(fault.Unauthorized, "client-unauthorized", "This is for internal services that show their secret.")}

// Introspect tells an internal service about a token of either kind. Errors: an
// *OAuthError.
func (s *Service) Introspect(ctx context.Context, client, secret, token string, network netip.Prefix) (in Introspection, err error) {
	wrong := func(err error) bool { return errors.Is(err, errClientAuth.Fault) }
	err = s.attempt(ctx, s.networkBuckets("client", network), wrong, func() error { return s.checkClient(ctx, client, secret) })
	if err != nil {
		return in, oauthClientError(err)
	}
	kind := models.AccessToken
	if wellFormed(models.RefreshToken, token) {
		kind = models.RefreshToken
	} else if !wellFormed(kind, token) {
		return in, nil
	}
	// Asked of Postgres, not of the cache: it is rare, and has to be right.
	b, err := s.DB.FindBearer(ctx, kind, hashToken(token))
	if errors.Is(err, store.ErrNotFound) {
		return in, nil
	}
	if err != nil {
		return in, err
	}
	if !usable(b, s.Now()) || b.UsedAt != nil {
		return in, nil
	}
	p := principal(b)
	in = Introspection{
		Active: true, Scope: b.Scopes, ClientID: b.ClientID, Exp: p.ExpiresAt.Unix(), Sub: b.UserID.String(), Iss: s.PublicURL, Role: string(b.Role),
	}
	if kind == models.AccessToken {
		in.TokenType = "Bearer"
	}
	if b.TenantID != nil {
		in.Tenant = b.TenantID.String()
	}
	return in, nil
}

func oauthClientError(err error) error {
	if errors.Is(err, errClientAuth.Fault) {
		return errClientAuth
	}
	return oauthError(err)
}

func (s *Service) checkClient(ctx context.Context, id, secret string) error {
	if !clientForm.MatchString(id) || !strings.HasPrefix(secret, clientPrefix) {
		return errClientAuth.Fault
	}
	client, err := s.DB.FindClient(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return errClientAuth.Fault
	}
	if err != nil {
		return err
	}
	if subtle.ConstantTimeCompare(client.SecretHash, hashToken(secret)) != 1 {
		return errClientAuth.Fault
	}
	return nil
}

const clientPrefix = "c2ds_"

var clientForm = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

// NewClient makes an internal service's secret, for the command line: it is shown
// once. Errors: client-invalid, client-taken.
func (s *Service) NewClient(ctx context.Context, id string) (secret string, err error) {
	if !clientForm.MatchString(id) || id == ExtensionClient {
		return "", fault.New(fault.Refused, "client-invalid", "A client's id is 1 to 40 small letters, digits and -, and begins with a letter.")
	}
	random, err := newSecret()
	if err != nil {
		return "", err
	}
	secret = clientPrefix + random
	row := models.OAuthClient{ID: id, SecretHash: hashToken(secret), CreatedAt: s.Now().UTC()}
	return secret, s.DB.CreateClient(ctx, row, audit.Entry(audit.Operator, "client-create", audit.Subject{Kind: "client"}, ""))
}
