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
}

// TableName names the table.
func (Audit) TableName() string { return "audit" }
