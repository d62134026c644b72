package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/call"
)

// AuditActor is who acted.
type AuditActor struct {
	Kind string     `json:"kind" enum:"user,admin,support,operator,system" doc:"support and operator are the provider's, system is the server itself"`
	ID   *uuid.UUID `json:"id" doc:"a user of the company; null for the others"`
}

// AuditSubject is whom or what an act was done to.
type AuditSubject struct {
	Kind   string     `json:"kind" doc:"user, grant (a sign-in), device, tenant (the company), request, number (of a called party, never which); empty when it was nobody in particular"`
	ID     *uuid.UUID `json:"id"`
	UserID *uuid.UUID `json:"userId" doc:"the user, or whose the sign-in or phone is; null when that has gone"`
}

// AuditEntry is who did what to whom.
type AuditEntry struct {
	ID      uuid.UUID    `json:"id"`
	At      time.Time    `json:"at"`
	Action  string       `json:"action" doc:"kebab-case, for example sign-in-revoke"`
	Actor   AuditActor   `json:"actor"`
	Subject AuditSubject `json:"subject"`
	Reason  *string      `json:"reason"`
	Network *string      `json:"network" doc:"where it came from, as a /24 or /48; null after a while, and for all but the company's own people"`
}

type auditInput struct {
	Limit   int       `query:"limit" minimum:"1" maximum:"100" default:"50"`
	Cursor  string    `query:"cursor" maxLength:"64" doc:"next of the page before"`
	Action  string    `query:"action" maxLength:"50" pattern:"^[a-z]+(-[a-z]+)*$" doc:"exactly this one"`
	ActorID uuid.UUID `query:"actorId" doc:"what this user of the company did"`
	From    time.Time `query:"from"`
	To      time.Time `query:"to" doc:"not included"`
}

func (a *API) registerAudit(h huma.API) {
	op := operationFor(models.RoleAdmin, http.MethodGet, "/v1/admin/audit", "listAudit", "Who did what to the company's people and their data, newest first", 404, 422)
	op.Description += " Acts upon people only: nobody's calls, and no look at one's own."
	huma.Register(h, op, a.listAudit)
}

func (a *API) listAudit(ctx context.Context, in *auditInput) (*list[AuditEntry], error) {
	by := principalOf(ctx).Actor()
	page, err := call.ReadCursor(in.Cursor)
	if err != nil {
		return nil, err
	}
	page.Limit = in.Limit
	search := auth.AuditSearch{ActorID: in.ActorID, Action: in.Action, From: in.From.UTC(), To: in.To.UTC()}
	entries, more, err := a.Auth.AuditEntries(ctx, by, page, search)
	if err != nil {
		return nil, err
	}
	out := listOf(entries, wireAudit)
	if more {
		last := entries[len(entries)-1]
		out.Body.Next = text(call.WriteCursor(last.At, last.ID))
	}
	return out, nil
}

func wireAudit(e auth.AuditEntry) AuditEntry {
	return AuditEntry{
		ID: e.ID, At: e.At.UTC(), Action: e.Action, Actor: AuditActor{Kind: e.ActorKind, ID: e.ActorID},
		Subject: AuditSubject{Kind: e.SubjectKind, ID: e.SubjectID, UserID: e.UserID}, Reason: text(e.Reason), Network: e.Network,
	}
}
