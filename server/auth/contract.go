package auth

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/store"
)

// ExportLife is how long after a contract's end its admins may take the data along.
const ExportLife = 14 * 24 * time.Hour

// Farewell is what the end of a contract leaves to its admins.
type Farewell struct {
	ExportUntil time.Time
	WipeAt      time.Time // when all data goes
	Links       []FarewellLink
}

// FarewellLink opens, once, a console session that can only export.
type FarewellLink struct {
	AdminID uuid.UUID
	Link
}

// EndTenant ends a contract: its people are signed out, everywhere, at once. Each
// of its admins gets a link with which to take the data along. Errors: not-found,
// also for one that has ended before.
func (s *Service) EndTenant(ctx context.Context, tenant uuid.UUID) (Farewell, error) {
	entry := audit.Entry(audit.Operator, "tenant-end", audit.Subject{Kind: "tenant", ID: tenant, Tenant: tenant}, "")
	gone, err := s.DB.EndTenant(ctx, tenant, s.Now().UTC(), s.Grace, entry)
	if err != nil {
		return Farewell{}, err
	}
	s.spread(ctx, gone.Tokens)
	return s.Farewell(ctx, tenant)
}

// Farewell makes the links of an ended contract anew, for one that was lost; those
// of before go on working, once each. There is none after ExportLife. Errors:
// not-found.
func (s *Service) Farewell(ctx context.Context, tenant uuid.UUID) (f Farewell, err error) {
	contract, err := s.DB.EndedContract(ctx, tenant)
	if err != nil {
		return f, err
	}
	f.WipeAt, f.ExportUntil = contract.WipeAt, exportUntil(contract.EndedAt, contract.WipeAt)
	if !s.Now().Before(f.ExportUntil) {
		return f, nil
	}
	for _, admin := range contract.Admins {
		link, err := s.farewellLink(ctx, admin, contract.Name, f.ExportUntil)
		if err != nil {
			return f, err
		}
		f.Links = append(f.Links, FarewellLink{admin.ID, link})
	}
	return f, nil
}

func exportUntil(ended, wipe time.Time) time.Time {
	until := ended.Add(ExportLife)
	if wipe.Before(until) {
		until = wipe
	}
	return until
}

func (s *Service) farewellLink(ctx context.Context, admin models.User, company string, until time.Time) (Link, error) {
	link, row, err := s.newLink(models.Export, admin.ID, *admin.TenantID, "operator")
	if err != nil {
		return Link{}, err
	}
	link.ExpiresAt, row.ExpiresAt = until, until
	subject := audit.Subject{Kind: "user", ID: admin.ID, Tenant: *admin.TenantID}
	if err := s.DB.CreateLink(ctx, store.CommandLine, row, audit.Entry(audit.Operator, "export-link-create", subject, "")); err != nil {
		return Link{}, err
	}
	return s.deliver(ctx, link, LinkHolder{models.Export, admin.Email, admin.Name, company, until}, "en"), nil
}

// UseExportLink opens the session of a link of that kind: see models.StageExport.
// Errors: link-invalid.
func (s *Service) UseExportLink(ctx context.Context, code string, v Visitor) (Opened, error) {
	link, user, err := s.findLink(ctx, code)
	if err != nil {
		return Opened{}, err
	}
	if link.Kind != models.Export {
		return Opened{}, errLink
	}
	opened, row, err := s.newSession(user, models.StageExport, v)
	if err != nil {
		return Opened{}, err
	}
	opened.ExpiresAt, row.ExpiresAt = link.ExpiresAt, link.ExpiresAt
	entry := audit.Entry(audit.By(opened.Actor()), "export-link-use", opened.subject(), "")
	err = s.DB.UseExportLink(ctx, link, row, s.Now().UTC(), entry)
	if errors.Is(err, store.ErrNotFound) {
		err = errLink
	}
	return opened, err
}
