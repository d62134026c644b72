package models

import (
	"time"

	"github.com/google/uuid"
)

// DoNotDial is a number that nobody of the tenant may call, by its keyed hash.
type DoNotDial struct {
	TenantID  uuid.UUID `privacy:"-"`
	Hash      []byte    `privacy:"objection"` // HMAC-SHA-256 of tenant and number under a key of SECRET_KEY
	CreatedAt time.Time `privacy:"objection"`
}

// TableName names the table.
func (DoNotDial) TableName() string { return "do_not_dial" }

// SubjectKind is what a data subject is known by.
type SubjectKind string

// The kinds of subject.
const (
	SubjectUser   SubjectKind = "user"
	SubjectNumber SubjectKind = "number" // a called party
)

// Restriction is a subject whose records are kept and shown to nobody (GDPR art. 18).
type Restriction struct {
	TenantID  uuid.UUID   `privacy:"-"`
	Subject   SubjectKind `privacy:"restriction"`
	Hash      []byte      `privacy:"restriction"` // HMAC-SHA-256 under a key of SECRET_KEY
	CreatedAt time.Time   `privacy:"restriction"`
}

// PrivacyAct is what a data subject asks for (GDPR art. 15 to 21).
type PrivacyAct string

// The acts.
const (
	ActAccess            PrivacyAct = "access"             // art. 15, 20
	ActCorrection        PrivacyAct = "correction"         // art. 16
	ActErasure           PrivacyAct = "erasure"            // art. 17
	ActRestriction       PrivacyAct = "restriction"        // art. 18
	ActRestrictionLifted PrivacyAct = "restriction-lifted" // art. 18(3)
	ActObjection         PrivacyAct = "objection"          // art. 21: the do-not-dial list
	ActObjectionLifted   PrivacyAct = "objection-lifted"
	ActDeparture         PrivacyAct = "departure" // a user who left
)

// PrivacyRequest is a request and, once it is done, its receipt: then it holds no
// person.
type PrivacyRequest struct {
	ID         uuid.UUID   `privacy:"request"`
	TenantID   uuid.UUID   `privacy:"-"`
	Reference  string      `privacy:"request"` // eight letters, for letters and e-mails
	Act        PrivacyAct  `privacy:"request"`
	Subject    SubjectKind `privacy:"request"`
	UserID     *uuid.UUID  `privacy:"request"` // who asked, while it is open
	ReceivedAt time.Time   `privacy:"request"`
	DueAt      time.Time   `privacy:"request"` // one month later (GDPR art. 12(3))
	DoneAt     *time.Time  `privacy:"request"`
	Refused    bool        `privacy:"request"`
	Records    int64       `privacy:"request"`
}

// SavedSearch is what an admin has asked the history for; a URL holds its id only.
type SavedSearch struct {
	ID        uuid.UUID `privacy:"search"` // version 4: not to be guessed
	TenantID  uuid.UUID `privacy:"-"`
	UserID    uuid.UUID `privacy:"search"`
	Sealed    []byte    `privacy:"search"` // under SECRET_KEY
	CreatedAt time.Time `privacy:"search"`
	ExpiresAt time.Time `privacy:"search"`
}

// TableName names the table.
func (SavedSearch) TableName() string { return "searches" }

// LedgerCounter counts erasures and revocations.
type LedgerCounter struct {
	One          bool       `gorm:"primaryKey" privacy:"-"`
	N            int64      `privacy:"-"`
	Installation uuid.UUID  `privacy:"-"` // whose ledger it is
	RestoredAt   *time.Time `privacy:"-"` // the database was found to be restored, and restore-check is not through
}

// TableName names the table.
func (LedgerCounter) TableName() string { return "ledger_counter" }

// LedgerLine waits to be written to the ledger outside the database.
type LedgerLine struct {
	N    int64  `gorm:"primaryKey;autoIncrement:false" privacy:"ledger"`
	Line string `privacy:"ledger"`
}

// TableName names the table.
func (LedgerLine) TableName() string { return "ledger_outbox" }
