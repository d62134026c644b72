package models

import (
	"time"

	"github.com/google/uuid"

	"clicktodial/server/phone"
)

// Call is one click; the rows of a user are their dial history.
type Call struct {
	ID           uuid.UUID    `privacy:"call"` // version 7: ordered by time
	TenantID     uuid.UUID    `privacy:"-"`
	UserID       uuid.UUID    `privacy:"call"`
	DeviceID     *uuid.UUID   `privacy:"call"`
	DeviceLabel  string       `privacy:"call"` // as it was at the click
	GrantID      *uuid.UUID   `privacy:"call"`
	SignInLabel  string       `privacy:"call"`
	Number       phone.Number `privacy:"number"` // zero only in a private call that has ended
	Name         phone.Name   `privacy:"called-name"`
	NumberMasked *string      `privacy:"number"`
	LastFour     *string      `privacy:"number"`
	Private      bool         `privacy:"call"`
	DeleteAtEnd  bool         `privacy:"call"` // retention of 0 days: the row goes when the call ends
	Status       Status       `privacy:"call"`
	Rank         int          `privacy:"signalling"` // Status.Rank; an UPDATE only ever raises it
	Reason       *Reason      `privacy:"call"`
	Diagnosis    *Diagnosis   `privacy:"call"`
	Dispatch     Dispatch     `privacy:"signalling"`
	HangUpWhy    *HangUpWhy   `privacy:"call"`
	ReplicaID    uuid.UUID    `privacy:"signalling"` // who follows it
	PBXID        *uuid.UUID   `gorm:"column:pbx_id" privacy:"signalling"`
	ChannelID    string       `privacy:"signalling"` // the PBX channel id, made by us

	Restricted       bool    `privacy:"call"`           // GDPR art. 18: kept, and shown to nobody
	RecordingEnabled bool    `privacy:"call"`           // the PBX was asked to record
	Outcome          *string `gorm:"->" privacy:"call"` // Postgres makes it: the reason, or "failed", of a call that has ended

	CreatedAt        time.Time  `privacy:"call"`
	CallerAnsweredAt *time.Time `privacy:"call"`
	ConnectedAt      *time.Time `privacy:"call"`
	EndedAt          *time.Time `privacy:"call"`
	ExpiresAt        time.Time  `privacy:"call"` // whole milliseconds; from then on it exists for nobody
}

// Display gives the whole number for people. Its form was found when the record
// was made.
func (c Call) Display() string {
	if c.NumberMasked == nil {
		return c.Number.Display()
	}
	return c.Number.DisplayAs(*c.NumberMasked)
}

// CallWord is a word of a call's name, lower-case, by which it is found.
type CallWord struct {
	TenantID  uuid.UUID `privacy:"-"`
	CallID    uuid.UUID `privacy:"called-name"`
	Word      string    `privacy:"called-name"`
	CreatedAt time.Time `privacy:"called-name"` // the call's
	ExpiresAt time.Time `privacy:"called-name"` // the call's
}

// FollowedCall is what package call may know of a call while following it: no
// number, no name. Its columns are those granted to ctd_follow.
type FollowedCall struct {
	ID               uuid.UUID  `privacy:"call"`
	TenantID         uuid.UUID  `privacy:"-"`
	UserID           uuid.UUID  `privacy:"call"`
	Private          bool       `privacy:"call"`
	DeleteAtEnd      bool       `privacy:"call"`
	Status           Status     `privacy:"call"`
	Rank             int        `privacy:"signalling"`
	Reason           *Reason    `privacy:"call"`
	Diagnosis        *Diagnosis `privacy:"call"`
	Dispatch         Dispatch   `privacy:"signalling"`
	HangUpWhy        *HangUpWhy `privacy:"call"`
	ReplicaID        uuid.UUID  `privacy:"signalling"`
	PBXID            *uuid.UUID `gorm:"column:pbx_id" privacy:"signalling"`
	ChannelID        string     `privacy:"signalling"`
	CreatedAt        time.Time  `privacy:"call"`
	CallerAnsweredAt *time.Time `privacy:"call"`
	ConnectedAt      *time.Time `privacy:"call"`
	EndedAt          *time.Time `privacy:"call"`
	ExpiresAt        time.Time  `privacy:"call"`
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
	TenantID uuid.UUID `privacy:"-"`
	CallID   uuid.UUID `privacy:"signalling"`
	Rank     int       `privacy:"signalling"`
	Status   Status    `privacy:"signalling"`
	Cause    int       `privacy:"signalling"` // Q.850; 0 says nothing
	At       time.Time `privacy:"signalling"`
}

// Refusal is a click that was refused: without the number. It goes after
// LOG_ANONYMISE_AFTER.
type Refusal struct {
	ID          uuid.UUID  `privacy:"refusal"`
	TenantID    uuid.UUID  `privacy:"-"`
	UserID      uuid.UUID  `privacy:"refusal"`
	GrantID     *uuid.UUID `privacy:"refusal"`
	Code        string     `privacy:"refusal"`
	SupportCode string     `privacy:"refusal"`
	At          time.Time  `privacy:"refusal"`
}

// Idempotency ties a client's key to the one call it made.
type Idempotency struct {
	TenantID    uuid.UUID  `privacy:"-"`
	UserID      uuid.UUID  `privacy:"repeat"`
	Key         string     `privacy:"repeat"`
	Fingerprint []byte     `privacy:"repeat"` // HMAC of the request under a daily key; nil once erased
	CallID      *uuid.UUID `privacy:"repeat"`
	ExpiresAt   time.Time  `privacy:"repeat"`
}

// TableName names the table.
func (Idempotency) TableName() string { return "idempotency" }

// DailyKey is a key that is destroyed after 48 hours.
type DailyKey struct {
	Day time.Time `privacy:"-"`
	Key []byte    `privacy:"-"`
}

// Replica is a running server, for adoption after a crash.
type Replica struct {
	ID        uuid.UUID `privacy:"-"`
	StartedAt time.Time `privacy:"-"`
	BeatAt    time.Time `privacy:"-"`
}

// MaskedCall is what support may know of a living call: never its number or name.
// Its columns are those granted to ctd_support.
type MaskedCall struct {
	ID               uuid.UUID  `privacy:"call"`
	TenantID         uuid.UUID  `privacy:"-"`
	UserID           uuid.UUID  `privacy:"call"`
	DeviceLabel      string     `privacy:"call"`
	SignInLabel      string     `privacy:"call"`
	NumberMasked     *string    `privacy:"number"` // nil: a private call that has ended
	Private          bool       `privacy:"call"`
	Status           Status     `privacy:"call"`
	Rank             int        `privacy:"signalling"`
	Reason           *Reason    `privacy:"call"`
	Diagnosis        *Diagnosis `privacy:"call"`
	CreatedAt        time.Time  `privacy:"call"`
	CallerAnsweredAt *time.Time `privacy:"call"`
	ConnectedAt      *time.Time `privacy:"call"`
	EndedAt          *time.Time `privacy:"call"`
	ExpiresAt        time.Time  `privacy:"call"`
}

// TableName names the table.
func (MaskedCall) TableName() string { return "calls" }
