package models

import (
	"time"

	"github.com/google/uuid"
)

// Grant is a sign-in: one extension or browser that may act for a user.
type Grant struct {
	ID            uuid.UUID  `privacy:"sign-in"`
	TenantID      *uuid.UUID `privacy:"-"`
	UserID        uuid.UUID  `privacy:"sign-in"`
	ClientID      string     `privacy:"sign-in"`
	DeviceName    string     `privacy:"sign-in"` // as the browser named itself at sign-in
	SupportCode   string     `privacy:"sign-in"` // six letters that the user can read out
	Scopes        string     `privacy:"sign-in"` // space-separated, RFC 6749 3.3
	MadeBy        string     `privacy:"sign-in"` // user, admin, operator: who made the pairing code
	CreatedAt     time.Time  `privacy:"sign-in"`
	ExpiresAt     time.Time  `privacy:"sign-in"` // absolute, 90 days
	LastUsedOn    *time.Time `privacy:"sign-in"`
	RevokedAt     *time.Time `privacy:"sign-in"`
	RevokedBy     *string    `privacy:"sign-in"`
	RevokedReason *string    `privacy:"sign-in"`
}

// TokenKind tells access from refresh tokens.
type TokenKind string

// The kinds of token.
const (
	AccessToken  TokenKind = "access"
	RefreshToken TokenKind = "refresh"
)

// Token is the hash of a token that was given out; the token is not kept.
type Token struct {
	ID        uuid.UUID  `privacy:"token"`
	TenantID  *uuid.UUID `privacy:"-"`
	GrantID   uuid.UUID  `privacy:"token"`
	Kind      TokenKind  `privacy:"token"`
	Hash      []byte     `privacy:"token"` // SHA-256
	CreatedAt time.Time  `privacy:"token"`
	ExpiresAt time.Time  `privacy:"token"`
	UsedAt    *time.Time `privacy:"token"` // refresh only: rotated
	Successor []byte     `privacy:"token"` // sealed, 30 s
	Scopes    *string    `privacy:"token"` // access only: narrower than the sign-in's; nil: the same
}

// PairingCode is a one-time code that signs an extension in.
type PairingCode struct {
	ID        uuid.UUID  `privacy:"token"`
	TenantID  *uuid.UUID `privacy:"-"`
	UserID    uuid.UUID  `privacy:"token"`
	Hash      []byte     `privacy:"token"` // HMAC-SHA-256 under a key of SECRET_KEY
	MadeBy    string     `privacy:"token"`
	CreatedAt time.Time  `privacy:"token"`
	ExpiresAt time.Time  `privacy:"token"`
	UsedAt    *time.Time `privacy:"token"`
}

// PasswordLink lets its holder set a password, once.
type PasswordLink struct {
	ID        uuid.UUID  `privacy:"token"`
	TenantID  *uuid.UUID `privacy:"-"`
	UserID    uuid.UUID  `privacy:"token"`
	Kind      LinkKind   `privacy:"token"`
	Hash      []byte     `privacy:"token"` // HMAC-SHA-256 under a key of SECRET_KEY
	MadeBy    string     `privacy:"token"`
	CreatedAt time.Time  `privacy:"token"`
	ExpiresAt time.Time  `privacy:"token"`
	UsedAt    *time.Time `privacy:"token"`
}

// LinkKind is what a password link is for.
type LinkKind string

// The kinds of link.
const (
	Invitation LinkKind = "invitation" // to a new user
	Reset      LinkKind = "reset"      // for one who forgot
	Export     LinkKind = "export"     // for an admin whose company's contract has ended: no password, a session
)

// RecoveryCode works once, instead of a second factor.
type RecoveryCode struct {
	ID        uuid.UUID  `privacy:"credential"`
	TenantID  *uuid.UUID `privacy:"-"`
	UserID    uuid.UUID  `privacy:"credential"`
	Hash      []byte     `privacy:"credential"` // HMAC-SHA-256 under a key of SECRET_KEY
	CreatedAt time.Time  `privacy:"credential"`
	UsedAt    *time.Time `privacy:"credential"`
}

// Session is a person's browser at the console.
type Session struct {
	ID        uuid.UUID  `privacy:"session"`
	TenantID  *uuid.UUID `privacy:"-"`
	UserID    uuid.UUID  `privacy:"session"`
	Hash      []byte     `privacy:"session"` // SHA-256
	Stage     Stage      `privacy:"session"`
	Browser   string     `privacy:"session"` // "Chrome, Linux"
	CreatedAt time.Time  `privacy:"session"`
	SeenAt    time.Time  `privacy:"session"` // to the minute
	ExpiresAt time.Time  `privacy:"session"` // absolute, 8 h
}

// Stage is what a session's person still has to show.
type Stage string

// The stages of a session; all but the last let nobody do anything else.
const (
	StageFactor Stage = "factor" // the second factor
	StageEnrol  Stage = "enrol"  // set one up: it is required
	StageFull   Stage = "full"
	StageExport Stage = "export" // the contract has ended: take the data along, and nothing else
)

// AuthorizationCode is what the browser carries to the client (RFC 6749 4.1.2).
type AuthorizationCode struct {
	ID          uuid.UUID  `privacy:"token"`
	TenantID    *uuid.UUID `privacy:"-"`
	UserID      uuid.UUID  `privacy:"token"`
	Hash        []byte     `privacy:"token"` // SHA-256
	ClientID    string     `privacy:"token"`
	RedirectURI string     `gorm:"column:redirect_uri" privacy:"token"`
	Challenge   string     `privacy:"token"` // S256, RFC 7636 4.2
	Scopes      string     `privacy:"token"`
	DeviceName  string     `privacy:"token"`
	CreatedAt   time.Time  `privacy:"token"`
	ExpiresAt   time.Time  `privacy:"token"`
	UsedAt      *time.Time `privacy:"token"`
	GrantID     *uuid.UUID `privacy:"token"` // what it gave
}

// Revocation is an access token that was revoked and has not expired.
type Revocation struct {
	Hash      []byte    `gorm:"primaryKey" privacy:"token"`
	GrantID   uuid.UUID `privacy:"token"`
	ExpiresAt time.Time `privacy:"token"`
	CreatedAt time.Time `privacy:"token"`
	Confirmed bool      `privacy:"token"` // Redis holds the tombstone
}

// OAuthClient is an internal service that may introspect (RFC 7662).
type OAuthClient struct {
	ID         string    `privacy:"-"`
	SecretHash []byte    `privacy:"-"` // SHA-256 of 256 random bits
	CreatedAt  time.Time `privacy:"-"`
}

// TableName names the table.
func (OAuthClient) TableName() string { return "oauth_clients" }

// Audit is who did what to whom.
type Audit struct {
	ID          uuid.UUID  `privacy:"audit"`
	TenantID    *uuid.UUID `privacy:"-"`
	At          time.Time  `privacy:"audit"`
	ActorKind   string     `privacy:"audit"`
	ActorID     *uuid.UUID `privacy:"audit"`
	Action      string     `privacy:"audit"`
	SubjectKind string     `privacy:"audit"`
	SubjectID   *uuid.UUID `privacy:"audit"`
	Reason      string     `privacy:"audit"`
	Network     *string    `privacy:"network"` // where it came from, as far as a /24 or /48; blanked after LOG_ANONYMISE_AFTER
}

// TableName names the table.
func (Audit) TableName() string { return "audit" }
