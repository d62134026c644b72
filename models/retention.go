package models

import (
	"time"

	"github.com/google/uuid"
)

// Restamp is the shortening of a tenant's records, under way or done.
type Restamp struct {
	TenantID   uuid.UUID  `gorm:"primaryKey" privacy:"-"`
	KeptMS     int64      `gorm:"column:kept_ms" privacy:"-"` // what it is shortened to; 0: until a call's end
	StartedAt  time.Time  `privacy:"-"`
	Total      int64      `privacy:"-"` // records there were at its start
	Done       int64      `privacy:"-"` // of which were looked at
	Changed    int64      `privacy:"-"` // of which now end earlier
	AfterAt    *time.Time `privacy:"-"`
	AfterID    *uuid.UUID `privacy:"-"`
	FinishedAt *time.Time `privacy:"-"`
}

// Lease lets one replica at a time do a job. Postgres's clock decides.
type Lease struct {
	Name      string     `gorm:"primaryKey" privacy:"-"`
	Holder    *uuid.UUID `privacy:"-"`
	Term      int64      `privacy:"-"`
	Until     time.Time  `privacy:"-"`
	NextAt    time.Time  `privacy:"-"`
	StartedAt *time.Time `privacy:"-"` // of the run under way
	Calls     int64      `privacy:"-"` // what it has deleted so far
	Others    int64      `privacy:"-"`
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
	N           int64        `gorm:"primaryKey;autoIncrement:false" privacy:"-"`
	Kind        EvidenceKind `privacy:"-"`
	TenantID    *uuid.UUID   `privacy:"-"` // of an ended contract
	StartedAt   time.Time    `privacy:"-"`
	At          time.Time    `privacy:"-"`
	Calls       int64        `privacy:"-"`
	Others      int64        `privacy:"-"`
	Interrupted bool         `privacy:"-"` // the run was left behind by one that died
	Oldest      *time.Time   `privacy:"-"` // when the oldest record left was made
	Previous    []byte       `privacy:"-"`
	Hash        []byte       `privacy:"-"` // SHA-256
}

// TableName names the table.
func (Evidence) TableName() string { return "evidence" }
