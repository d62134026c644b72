// Package audit makes the entries that say who did what to whom. An entry holds
// ids and words of our own only; package store writes it in the same transaction
// as the change that it tells of.
package audit

import (
	"github.com/google/uuid"

	"clicktodial/models"
)

// Actor is who acts.
type Actor struct {
	Kind string    // user, admin, support, operator, system
	ID   uuid.UUID // Nil for operator and system
}

// By is the actor who asks.
func By(a models.Actor) Actor { return Actor{Kind: string(a.Role), ID: a.UserID} }

// Operator is whoever runs the command line.
var Operator = Actor{Kind: "operator"}

// System is the server itself.
var System = Actor{Kind: "system"}

// Subject is whom or what an act is done to.
type Subject struct {
	Kind   string // tenant, user, device, grant …
	ID     uuid.UUID
	Tenant uuid.UUID // Nil for provider staff
}

// Entry makes an entry; action is kebab-case, reason may be "".
func Entry(by Actor, action string, to Subject, reason string) models.Audit {
	return models.Audit{
		TenantID: maybe(to.Tenant), ActorKind: by.Kind, ActorID: maybe(by.ID),
		Action: action, SubjectKind: to.Kind, SubjectID: maybe(to.ID), Reason: reason,
	}
}

func maybe(id uuid.UUID) *uuid.UUID {
	if id == uuid.Nil {
		return nil
	}
	return &id
}
