package auth

import (
	"context"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// AuditSearch narrows the audit; AuditEntry is an entry of it with whom it names.
type (
	AuditSearch = store.AuditSearch
	AuditEntry  = store.AuditEntry
)

// AuditEntries gives at most page.Limit entries of the company's audit, newest
// first, and whether there are more. Of support it tells what was done and nothing
// of who did it. Errors: forbidden, period-invalid; not-found for an actor who is
// not of the company.
func (s *Service) AuditEntries(ctx context.Context, by Actor, page store.Page, search AuditSearch) (entries []AuditEntry, more bool, err error) {
	if err := mustBeAdmin(by); err != nil {
		return nil, false, err
	}
	if !search.From.IsZero() && !search.To.IsZero() && !search.From.Before(search.To) {
		return nil, false, fault.New(fault.Refused, "period-invalid", "The period ends before it begins.")
	}
	if search.ActorID != uuid.Nil {
		if _, err := s.DB.Person(ctx, store.ForTenant(by.TenantID), search.ActorID, models.Audit{}); err != nil {
			return nil, false, err
		}
	}
	entries, err = s.DB.AuditEntries(ctx, by.TenantID, page, search)
	if len(entries) > page.Limit {
		entries, more = entries[:page.Limit], true
	}
	for i := range entries {
		if entries[i].ActorKind == string(models.RoleSupport) {
			entries[i].ActorID, entries[i].Network = nil, nil
		}
	}
	return entries, more, err
}
