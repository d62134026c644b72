// Package auth knows who is asking: users, sign-ins and their tokens. It is free
// of HTTP; package api puts the forms and headers of RFC 6749 around it.
//
// For now a sign-in begins with a pairing code. Tokens are opaque, hashed at
// rest, and rotated at every refresh with reuse detection (RFC 9700 4.14.2).
package auth

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/store"
)

// Lifetimes.
const (
	AccessLife   = 10 * time.Minute
	RefreshLife  = 30 * 24 * time.Hour // sliding
	SignInLife   = 90 * 24 * time.Hour // absolute
	PairingLife  = 5 * time.Minute
	ReplayWindow = 30 * time.Second
)

// Scopes of CAMARA ClickToDial.
const (
	ScopeCreate = "click-to-dial:calls:create"
	ScopeRead   = "click-to-dial:calls:read"
	ScopeDelete = "click-to-dial:calls:delete"
	AllScopes   = ScopeCreate + " " + ScopeRead + " " + ScopeDelete
)

// ExtensionClient is the client_id of the Chrome extension.
const ExtensionClient = "extension"

// Service signs people in and says who a token stands for.
type Service struct {
	DB    *store.DB
	Redis *live.Redis
	Keys  *Keys
	Now   func() time.Time
}

// Principal is who is asking.
type Principal struct {
	UserID      uuid.UUID
	TenantID    uuid.UUID // Nil for support staff
	GrantID     uuid.UUID // Nil for the command line
	Role        models.Role
	Email       string
	Name        string
	TenantName  string
	Region      string
	PBXID       uuid.UUID // Nil: the installation's own
	SignInLabel string
	SupportCode string
	Scopes      []string
	ExpiresAt   time.Time // of the token
}

// May says whether the token carries the scope.
func (p Principal) May(scope string) bool {
	for _, s := range p.Scopes {
		if s == scope {
			return true
		}
	}
	return false
}

// errUnauthorized is one answer for every token that is no use: it tells a thief
// nothing.
var errUnauthorized = fault.New(fault.Unauthorized, "unauthorized", "Please sign in again.")

// Authenticate says who an access token stands for, at this instant.
func (s *Service) Authenticate(ctx context.Context, token string) (Principal, error) {
	if !wellFormed(models.AccessToken, token) {
		return Principal{}, errUnauthorized
	}
	b, err := s.DB.FindBearer(ctx, models.AccessToken, hashToken(token))
	if errors.Is(err, store.ErrNotFound) {
		return Principal{}, errUnauthorized
	}
	if err != nil {
		return Principal{}, err
	}
	if !usable(b, s.Now()) {
		return Principal{}, errUnauthorized
	}
	return principal(b), nil
}

func usable(b store.Bearer, now time.Time) bool {
	return b.RevokedAt == nil && b.DisabledAt == nil && b.TenantStatus == models.TenantActive &&
		now.Before(b.TokenExpiresAt) && now.Before(b.GrantExpiresAt)
}

func principal(b store.Bearer) Principal {
	p := Principal{
		UserID: b.UserID, GrantID: b.GrantID, Role: b.Role, Email: b.Email, Name: b.UserName,
		TenantName: b.TenantName, Region: b.Region, SignInLabel: b.DeviceName, SupportCode: b.SupportCode,
		Scopes: strings.Fields(b.Scopes), ExpiresAt: b.TokenExpiresAt,
	}
	if b.TenantID != nil {
		p.TenantID = *b.TenantID
	}
	if b.PBXID != nil {
		p.PBXID = *b.PBXID
	}
	return p
}
