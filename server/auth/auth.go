// Package auth knows who is asking: users, passwords, sign-ins and their tokens,
// the OAuth authorization server, console sessions. It is free of HTTP: package
// api puts the endpoints of RFC 6749 around it, package console the pages.
//
// Tokens are opaque, hashed at rest, and rotated at every refresh with reuse
// detection (RFC 9700 4.14.2). A revocation takes effect at the next request on
// every replica (watch.go).
package auth

import (
	"context"
	"log/slog"

	"time"

	"github.com/google/uuid"

	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/secret"
	"clicktodial/server/store"
)

// Lifetimes.
const (
	AccessLife     = 10 * time.Minute
	RefreshLife    = 30 * 24 * time.Hour // sliding
	SignInLife     = 90 * 24 * time.Hour // absolute
	PairingLife    = 5 * time.Minute
	CodeLife       = time.Minute
	ReplayWindow   = 30 * time.Second
	SessionLife    = 8 * time.Hour
	SessionIdle    = 30 * time.Minute
	HalfSession    = 10 * time.Minute // between the password and the second factor
	InvitationLife = 7 * 24 * time.Hour
	ResetLife      = 24 * time.Hour
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

// Service signs people in and says who a token stands for. DB, Keys and Now are
// needed; without Redis or Cache everything is asked of Postgres.
type Service struct {
	DB        *store.DB
	Redis     *live.Redis      // counts failures
	Cache     *live.TokenCache // nil: none
	Keys      *secret.Keys
	PublicURL string        // the issuer
	Mail      Mailer        // nil: links are shown instead
	Grace     time.Duration // CONTRACT_GRACE: how long an ended contract's data is kept
	Now       func() time.Time
	Log       *slog.Logger
	// OnEnded is told of sign-ins that were ended, by whichever replica; perhaps
	// more than once.
	OnEnded func(ctx context.Context, grants []uuid.UUID)

	watch    watch
	uses     uses
	failures failures
	hashing  hashing
}

// Mailer sends a link to its person.
type Mailer func(ctx context.Context, to LinkHolder, url, lang string) error

// errUnauthorized is one answer for every token that is no use: it tells a thief
// nothing.
var errUnauthorized = fault.New(fault.Unauthorized, "unauthorized", "Please sign in again.")
