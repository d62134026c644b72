package models

import "github.com/google/uuid"

// Actor is somebody who asks for something to be done to people and their data.
// A service that takes one checks its role, and each id against its tenant.
type Actor struct {
	Role     Role
	UserID   uuid.UUID // Nil for the operator
	TenantID uuid.UUID // Nil for support; of the operator: in whose name
}

// IsAdmin says whether it is an admin, who may act in their own tenant only.
func (a Actor) IsAdmin() bool { return a.Role == RoleAdmin && a.TenantID != uuid.Nil }

// IsSupport says whether it is the provider's support.
func (a Actor) IsSupport() bool { return a.Role == RoleSupport && a.TenantID == uuid.Nil }

// IsOperator says whether it is the command line.
func (a Actor) IsOperator() bool { return a.Role == RoleOperator }
