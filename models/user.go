package models

import (
	"time"

	"github.com/google/uuid"

	"clicktodial/server/phone"
)

// User is a person: of a tenant, or, with role support, of the provider.
type User struct {
	ID           uuid.UUID  `privacy:"account"`
	TenantID     *uuid.UUID `privacy:"account"` // nil for support
	Email        string     `privacy:"email"`   // case-folded; unique in the installation
	Name         string     `privacy:"person-name"`
	Role         Role       `privacy:"account"`
	PasswordHash *string    `privacy:"credential"`
	CreatedAt    time.Time  `privacy:"account"`
	DisabledAt   *time.Time `privacy:"account"`
	DeletedAt    *time.Time `gorm:"<-:update" privacy:"account"` // left; the row holds no person any more and goes after 90 days

	PasswordSetAt   *time.Time `privacy:"credential"`
	PasswordSetBy   *string    `privacy:"credential"`                           // user, admin, operator
	TOTPSecret      []byte     `gorm:"column:totp_secret" privacy:"credential"` // sealed under SECRET_KEY
	TOTPConfirmedAt *time.Time `gorm:"column:totp_confirmed_at" privacy:"credential"`
	TOTPLastStep    int64      `gorm:"column:totp_last_step" privacy:"credential"` // the newest 30 s step that was used
}

// Device is a phone of a user.
type Device struct {
	ID        uuid.UUID    `privacy:"phone"`
	TenantID  uuid.UUID    `privacy:"-"`
	UserID    uuid.UUID    `privacy:"phone"`
	Label     string       `privacy:"phone"`
	Endpoint  string       `privacy:"phone"`                         // the PBX's name for it
	CallerID  phone.Number `gorm:"column:caller_id" privacy:"phone"` // what the callee sees; zero: the PBX decides
	Withheld  bool         `privacy:"phone"`                         // the callee sees no number
	CreatedAt time.Time    `privacy:"phone"`
}
