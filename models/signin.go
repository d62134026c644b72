package models

import (
	"time"

	"github.com/google/uuid"
)

// Grant is a sign-in: one extension or browser that may act for a user.
type Grant struct {
	ID            uuid.UUID
	TenantID      *uuid.UUID
	UserID        uuid.UUID
	ClientID      string
	DeviceName    string // as the browser named itself at sign-in
	SupportCode   string // six letters that the user can read out
	Scopes        string // space-separated, RFC 6749 3.3
	MadeBy        string // user, admin, operator: who made the pairing code
	CreatedAt     time.Time
	ExpiresAt     time.Time // absolute, 90 days
	LastUsedOn    *time.Time
	RevokedAt     *time.Time
	RevokedBy     *string
	RevokedReason *string
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
	ID        uuid.UUID
	TenantID  *uuid.UUID
	GrantID   uuid.UUID
	Kind      TokenKind
	Hash      []byte // SHA-256
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    *time.Time // refresh only: rotated
	Successor []byte     // sealed, 30 s
	Scopes    *string    // access only: narrower than the sign-in's; nil: the same
}

// PairingCode is a one-time code that signs an extension in.
type PairingCode struct {
	ID        uuid.UUID
	TenantID  *uuid.UUID
	UserID    uuid.UUID
	Hash      []byte // HMAC-SHA-256 under a key of SECRET_KEY
	MadeBy    string
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    *time.Time
}

// PasswordLink lets its holder set a password, once.
type PasswordLink struct {
	ID        uuid.UUID
	TenantID  *uuid.UUID
	UserID    uuid.UUID
	Kind      LinkKind
	Hash      []byte // HMAC-SHA-256 under a key of SECRET_KEY
	MadeBy    string
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    *time.Time
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
	ID        uuid.UUID
	TenantID  *uuid.UUID
	UserID    uuid.UUID
	Hash      []byte // HMAC-SHA-256 under a key of SECRET_KEY
	CreatedAt time.Time
	UsedAt    *time.Time
}

// Session is a person's browser at the console.
type Session struct {
	ID        uuid.UUID
	TenantID  *uuid.UUID
	UserID    uuid.UUID
	Hash      []byte // SHA-256
	Stage     Stage
	Browser   string // "Chrome, Linux"
	CreatedAt time.Time
	SeenAt    time.Time // to the minute
	ExpiresAt time.Time // absolute, 8 h
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
	ID          uuid.UUID
	TenantID    *uuid.UUID
	UserID      uuid.UUID
	Hash        []byte // SHA-256
	ClientID    string
	RedirectURI string `gorm:"column:redirect_uri"`
	Challenge   string // S256, RFC 7636 4.2
	Scopes      string
	DeviceName  string
	CreatedAt   time.Time
	ExpiresAt   time.Time
	UsedAt      *time.Time
	GrantID     *uuid.UUID // what it gave
}

// Revocation is an access token that was revoked and has not expired.
type Revocation struct {
	Hash      []byte `gorm:"primaryKey"`
	GrantID   uuid.UUID
	ExpiresAt time.Time
	CreatedAt time.Time
	Confirmed bool // Redis holds the tombstone
}

// OAuthClient is an internal service that may introspect (RFC 7662).
type OAuthClient struct {
	ID         string
	SecretHash []byte // SHA-256 of 256 random bits
	CreatedAt  time.Time
}

// TableName names the table.
func (OAuthClient) TableName() string { return "oauth_clients" }

// Audit is who did what to whom.
type Audit struct {
	ID          uuid.UUID
	TenantID    *uuid.UUID
	At          time.Time
	ActorKind   string
	ActorID     *uuid.UUID
	Action      string
	SubjectKind string
	SubjectID   *uuid.UUID
	Reason      string
	Network     *string // where it came from, as far as a /24 or /48; blanked after LOG_ANONYMISE_AFTER
}

// TableName names the table.
func (Audit) TableName() string { return "audit" }
