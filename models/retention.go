package models

import (
	"time"

	"github.com/google/uuid"
)

// Restamp is the shortening of a tenant's records, under way or done.
type Restamp struct {
	TenantID   uuid.UUID `gorm:"primaryKey"`
	KeptMS     int64     `gorm:"column:kept_ms"` // what it is shortened to; 0: until a call's end
	StartedAt  time.Time
	Total      int64 // records there were at its start
	Done       int64 // of which were looked at
	Changed    int64 // of which now end earlier
	AfterAt    *time.Time
	AfterID    *uuid.UUID
	FinishedAt *time.Time
}

// Lease lets one replica at a time do a job. Postgres's clock decides.
type Lease struct {
	Name      string `gorm:"primaryKey"`
	Holder    *uuid.UUID
	Term      int64
	Until     time.Time
	NextAt    time.Time
	StartedAt *time.Time // of the run under way
	Calls     int64      // what it has deleted so far
	Others    int64
}

// EvidenceKind is what left evidence.
type EvidenceKind string

// The kinds of evidence.
const (
	EvidencePurge    EvidenceKind = "purge"    // one run of the purge job
	EvidenceErasure  EvidenceKind = "erasure"  // records of one person, on request
	EvidenceContract EvidenceKind = "contract" // all data of an ended contract: its certificate
	EvidenceRestore  EvidenceKind = "restore"  // restore-check
)

// Evidence is what the deletion of records leaves: no person, and the hash of
// the entry before.
type Evidence struct {
	N           int64 `gorm:"primaryKey;autoIncrement:false"`
	Kind        EvidenceKind
	TenantID    *uuid.UUID // of an ended contract
	StartedAt   time.Time
	At          time.Time
	Calls       int64
	Others      int64
	Interrupted bool       // the run was left behind by one that died
	Oldest      *time.Time // when the oldest record left was made
	Previous    []byte
	Hash        []byte // SHA-256
}

// TableName names the table.
func (Evidence) TableName() string { return "evidence" }
