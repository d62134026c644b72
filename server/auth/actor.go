package auth

import (
	"clicktodial/models"
	"clicktodial/server/fault"
)

// Actor is somebody who asks for something to be done to sign-ins and people.
// Every method that takes one checks its role, and each id against its tenant.
type Actor = models.Actor

// Actor is the person of the session.
func (s Session) Actor() Actor { return Actor{Role: s.Role, UserID: s.UserID, TenantID: s.TenantID} }

// Actor is the person behind the token.
func (p Principal) Actor() Actor { return Actor{Role: p.Role, UserID: p.UserID, TenantID: p.TenantID} }

var errForbidden = fault.New(fault.Forbidden, "forbidden", "You are not allowed to do this.")
