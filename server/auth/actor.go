package auth

import (
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
)

// Actor is somebody who asks for something to be done to sign-ins and people.
// Every method that takes one checks its role, and each id against its tenant.
type Actor struct {
	Role     models.Role
	UserID   uuid.UUID
	TenantID uuid.UUID // Nil for support
}

// Actor is the person of the session.
func (s Session) Actor() Actor { return Actor{s.Role, s.UserID, s.TenantID} }

// Actor is the person behind the token.
func (p Principal) Actor() Actor { return Actor{p.Role, p.UserID, p.TenantID} }

func (a Actor) audit() audit.Actor { return audit.Actor{Kind: string(a.Role), ID: a.UserID} }

func (a Actor) isAdmin() bool   { return a.Role == models.RoleAdmin && a.TenantID != uuid.Nil }
func (a Actor) isSupport() bool { return a.Role == models.RoleSupport && a.TenantID == uuid.Nil }

var errForbidden = fault.New(fault.Forbidden, "forbidden", "You are not allowed to do this.")
