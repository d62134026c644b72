package models

import (
	"time"

	"github.com/google/uuid"
)

// Tenant is a customer company.
type Tenant struct {
	ID              uuid.UUID
	Name            string
	Region          string // ISO 3166 alpha-2: how its people write numbers
	Status          TenantStatus
	RetentionDays   int // 0 to 365; HISTORY_MAX_AGE is the ceiling over it
	RingSeconds     int // how long the own phone rings, 5 to 120
	UsersMayDelete  bool
	EndpointGlobs   Texts      // which endpoints its devices may be; * and ?
	CallerIDs       Texts      `gorm:"column:caller_ids"` // E.164; empty: any
	PBXID           *uuid.UUID `gorm:"column:pbx_id"`     // nil: PBX_URL
	DialplanContext string     // "": the connection's own
	CreatedAt       time.Time
	EndedAt         *time.Time

	RequireSecondFactor bool

	KeptMS          int64         `gorm:"column:kept_ms;default:31536000000"` // no record of it is kept longer: what shortening has reached
	LeaverRecords   LeaverRecords `gorm:"default:erase"`
	RecordingReason *string       // nil: no call may be recorded
	RecordingText   *string       // in the tenant's own words
	WipeAt          *time.Time    // of an ended contract: when all its data goes
	WipedCalls      int64         // of which have gone already
	WipedOthers     int64
}

// LeaverRecords is what becomes of the calls of a user who leaves.
type LeaverRecords string

// The choices.
const (
	EraseLeaver LeaverRecords = "erase"
	KeepLeaver  LeaverRecords = "keep" // until their time, without the person's name
)

// RecordingReasons are those that a tenant can declare, before a call may carry
// the flag that asks the PBX to record.
var RecordingReasons = []string{"agreement-proof", "quality", "training", "legal-duty", "complaints", "safety"}

// TenantStatus is whether the contract runs.
type TenantStatus string

// The statuses of a tenant.
const (
	TenantActive TenantStatus = "active"
	TenantEnded  TenantStatus = "ended"
)

// PBXConnection is a line to a PBX; the operator's, never a tenant's.
type PBXConnection struct {
	ID        uuid.UUID
	SealedURL []byte `gorm:"column:sealed_url"` // under SECRET_KEY
	CreatedAt time.Time
}

// TableName names the table.
func (PBXConnection) TableName() string { return "pbx_connections" }
