package models

import (
	"time"

	"github.com/google/uuid"

	"clicktodial/server/phone"
)

// User is a person: of a tenant, or, with role support, of the provider.
type User struct {
	ID           uuid.UUID
	TenantID     *uuid.UUID // nil for support
	Email        string     // case-folded; unique in the installation
	Name         string
	Role         Role
	PasswordHash *string
	CreatedAt    time.Time
	DisabledAt   *time.Time
	DeletedAt    *time.Time `gorm:"<-:update"` // left; the row holds no person any more and goes after 90 days

	PasswordSetAt   *time.Time
	PasswordSetBy   *string    // user, admin, operator
	TOTPSecret      []byte     `gorm:"column:totp_secret"` // sealed under SECRET_KEY
	TOTPConfirmedAt *time.Time `gorm:"column:totp_confirmed_at"`
	TOTPLastStep    int64      `gorm:"column:totp_last_step"` // the newest 30 s step that was used
}

// Device is a phone of a user.
type Device struct {
	ID        uuid.UUID
	TenantID  uuid.UUID
	UserID    uuid.UUID
	Label     string
	Endpoint  string       // the PBX's name for it
	CallerID  phone.Number `gorm:"column:caller_id"` // what the callee sees; zero: the PBX decides
	Withheld  bool         // the callee sees no number
	CreatedAt time.Time
}
