package models

import (
	"time"

	"github.com/google/uuid"

	"clicktodial/server/phone"
)

// Call is one click; the rows of a user are their dial history.
type Call struct {
	ID           uuid.UUID // version 7: ordered by time
	TenantID     uuid.UUID
	UserID       uuid.UUID
	DeviceID     *uuid.UUID
	DeviceLabel  string // as it was at the click
	GrantID      *uuid.UUID
	SignInLabel  string
	Number       phone.Number // zero only in a private call that has ended
	Name         phone.Name
	NumberMasked *string
	LastFour     *string
	Private      bool
	DeleteAtEnd  bool // retention of 0 days: the row goes when the call ends
	Status       Status
	Rank         int // Status.Rank; an UPDATE only ever raises it
	Reason       *Reason
	Diagnosis    *Diagnosis
	Dispatch     Dispatch
	HangUpWhy    *HangUpWhy
	ReplicaID    uuid.UUID  // who follows it
	PBXID        *uuid.UUID `gorm:"column:pbx_id"`
	ChannelID    string     // the PBX channel id, made by us

	Restricted       bool    // GDPR art. 18: kept, and shown to nobody
	RecordingEnabled bool    // the PBX was asked to record
	Outcome          *string `gorm:"->"` // Postgres makes it: the reason, or "failed", of a call that has ended

	CreatedAt        time.Time
	CallerAnsweredAt *time.Time
	ConnectedAt      *time.Time
	EndedAt          *time.Time
	ExpiresAt        time.Time // whole milliseconds; from then on it exists for nobody
}

// CallWord is a word of a call's name, lower-case, by which it is found.
type CallWord struct {
	TenantID  uuid.UUID
	CallID    uuid.UUID
	Word      string
	CreatedAt time.Time // the call's
	ExpiresAt time.Time // the call's
}

// FollowedCall is what package call may know of a call while following it: no
// number, no name. Its columns are those granted to ctd_follow.
type FollowedCall struct {
	ID               uuid.UUID
	TenantID         uuid.UUID
	UserID           uuid.UUID
	Private          bool
	DeleteAtEnd      bool
	Status           Status
	Rank             int
	Reason           *Reason
	Diagnosis        *Diagnosis
	Dispatch         Dispatch
	HangUpWhy        *HangUpWhy
	ReplicaID        uuid.UUID
	PBXID            *uuid.UUID `gorm:"column:pbx_id"`
	ChannelID        string
	CreatedAt        time.Time
	CallerAnsweredAt *time.Time
	ConnectedAt      *time.Time
	EndedAt          *time.Time
	ExpiresAt        time.Time
}

// TableName names the table.
func (FollowedCall) TableName() string { return "calls" }

// Dispatch is how far a call's request to the PBX has come.
type Dispatch string

// The dispatch states.
const (
	Dispatching Dispatch = "dispatching" // committed; the PBX may not know of it
	Dispatched  Dispatch = "dispatched"  // the PBX acknowledged it
	InDoubt     Dispatch = "doubt"       // written to the PBX, no answer
	Refused     Dispatch = "refused"     // the PBX said no, or was not reached
)

// HangUpWhy is who asked for a call's end, when it was us.
type HangUpWhy string

// Why we hang up.
const (
	HangUpClient    HangUpWhy = "client"    // the user
	HangUpLimit     HangUpWhy = "limit"     // the longest call
	HangUpRetention HangUpWhy = "retention" // its record is about to end
	HangUpRevoked   HangUpWhy = "revoked"   // its sign-in was revoked
)

// CallEvent is a step in a call's timeline.
type CallEvent struct {
	TenantID uuid.UUID
	CallID   uuid.UUID
	Rank     int
	Status   Status
	Cause    int // Q.850; 0 says nothing
	At       time.Time
}

// Refusal is a click that was refused: without the number. After
// LOG_ANONYMISE_AFTER user, sign-in and support code are NULL: no query of a
// person finds it any more.
type Refusal struct {
	ID          uuid.UUID
	TenantID    uuid.UUID
	UserID      uuid.UUID
	GrantID     *uuid.UUID
	Code        string
	SupportCode string
	At          time.Time
}

// Idempotency ties a client's key to the one call it made.
type Idempotency struct {
	TenantID    uuid.UUID
	UserID      uuid.UUID
	Key         string
	Fingerprint []byte // HMAC of the request under a daily key; nil once erased
	CallID      *uuid.UUID
	ExpiresAt   time.Time
}

// TableName names the table.
func (Idempotency) TableName() string { return "idempotency" }

// DailyKey is a key that is destroyed after 48 hours.
type DailyKey struct {
	Day time.Time
	Key []byte
}

// Replica is a running server, for adoption after a crash.
type Replica struct {
	ID        uuid.UUID
	StartedAt time.Time
	BeatAt    time.Time
}

// MaskedCall is what support may know of a living call: never its number or name.
// Its columns are those granted to ctd_support.
type MaskedCall struct {
	ID               uuid.UUID
	TenantID         uuid.UUID
	UserID           uuid.UUID
	DeviceLabel      string
	SignInLabel      string
	NumberMasked     *string // nil: a private call that has ended
	Private          bool
	Status           Status
	Rank             int
	Reason           *Reason
	Diagnosis        *Diagnosis
	CreatedAt        time.Time
	CallerAnsweredAt *time.Time
	ConnectedAt      *time.Time
	EndedAt          *time.Time
	ExpiresAt        time.Time
}

// TableName names the table.
func (MaskedCall) TableName() string { return "calls" }
