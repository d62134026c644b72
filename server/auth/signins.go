package auth

import (
	"context"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// SignIn is one extension or browser that may act for a user.
type SignIn struct {
	ID            uuid.UUID
	ClientID      string
	DeviceName    string
	SupportCode   string
	MadeBy        string // user, admin, operator: who made the pairing code, or the user who consented
	CreatedAt     time.Time
	LastUsedOn    *time.Time // a day
	ExpiresAt     time.Time  // at the latest
	Alive         bool       // it can still be used
	RevokedAt     *time.Time
	RevokedBy     *string // support, admin, user, operator, system
	RevokedReason *string
}

// SignIns gives a user's sign-ins, newest first: one's own, or, for an admin and
// for support, another's. Errors: not-found.
func (s *Service) SignIns(ctx context.Context, by Actor, user uuid.UUID) ([]SignIn, error) {
	as, err := s.mayKnow(ctx, by, user)
	if err != nil {
		return nil, err
	}
	rows, err := s.DB.SignIns(ctx, as, user)
	return signInsOf(rows), err
}

func signInsOf(rows []store.SignIn) []SignIn {
	list := make([]SignIn, 0, len(rows))
	for _, row := range rows {
		list = append(list, SignIn{
			ID: row.ID, ClientID: row.ClientID, DeviceName: row.DeviceName, SupportCode: row.SupportCode, MadeBy: row.MadeBy,
			CreatedAt: row.CreatedAt, LastUsedOn: row.LastUsedOn, ExpiresAt: row.ExpiresAt, Alive: row.Alive,
			RevokedAt: row.RevokedAt, RevokedBy: row.RevokedBy, RevokedReason: row.RevokedReason,
		})
	}
	return list
}

// mayKnow says in whose name the actor may ask about a user. A look by support is
// audited.
func (s *Service) mayKnow(ctx context.Context, by Actor, user uuid.UUID) (store.Asker, error) {
	switch {
	case by.UserID == user && by.TenantID != uuid.Nil:
		return store.ForTenant(by.TenantID), nil
	case by.UserID == user:
		return store.Support, nil
	case by.IsAdmin():
		as := store.ForTenant(by.TenantID)
		_, err := s.DB.Person(ctx, as, user, models.Audit{})
		return as, err
	case by.IsSupport():
		_, err := s.DB.Person(ctx, store.Support, user, look(by, "support-look", user, uuid.Nil))
		return store.Support, err
	}
	return store.Asker{}, store.ErrNotFound
}

func look(a Actor, action string, user, tenant uuid.UUID) models.Audit {
	return audit.Entry(audit.By(a), action, audit.Subject{Kind: "user", ID: user, Tenant: tenant}, "")
}

// Which says which sign-ins; exactly one field is set.
type Which struct{ SignIn, User, Tenant uuid.UUID }

// LongestReason bounds why something was done, in characters.
const LongestReason = 200

// Revoke ends sign-ins, everywhere, at once: one, all of a user (with their
// console sessions), or all of a tenant. Users end their own, admins those of
// their tenant, support everybody's. When it returns, no replica takes the tokens
// any more. Errors: not-found, forbidden, reason-invalid.
func (s *Service) Revoke(ctx context.Context, by Actor, which Which, reason string) (ended int, err error) {
	as, within, err := mayRevoke(by, which)
	if err != nil {
		return 0, err
	}
	if reason, err = cleanReason(reason); err != nil {
		return 0, err
	}
	if which.User != uuid.Nil {
		if _, err := s.mayKnow(ctx, by, which.User); err != nil {
			return 0, err
		}
	}
	if which.Tenant != uuid.Nil && by.IsSupport() {
		if err := s.DB.KnowTenant(ctx, which.Tenant); err != nil {
			return 0, err
		}
	}
	subject := audit.Subject{Kind: "grant", ID: which.SignIn, Tenant: by.TenantID}
	switch {
	case which.User != uuid.Nil:
		subject.Kind, subject.ID = "user", which.User
	case which.Tenant != uuid.Nil:
		subject = audit.Subject{Kind: "tenant", ID: which.Tenant, Tenant: which.Tenant}
	}
	entry := audit.Entry(audit.By(by), "sign-in-revoke", subject, reason)
	gone, err := s.DB.Revoke(ctx, as, within, string(by.Role), reason, s.Now().UTC(), entry)
	if err != nil {
		return 0, err
	}
	s.spread(ctx, gone.Tokens)
	return gone.SignIns, nil
}

// mayRevoke narrows what is asked for to what the actor may end.
func mayRevoke(a Actor, which Which) (store.Asker, store.Which, error) {
	within := store.Which{Grant: which.SignIn, User: which.User, Tenant: which.Tenant}
	if within == (store.Which{}) {
		return store.Asker{}, within, store.ErrNotFound
	}
	switch {
	case a.IsSupport():
		return store.Support, within, nil
	case a.IsAdmin():
		if which.Tenant != uuid.Nil && which.Tenant != a.TenantID {
			return store.Asker{}, within, store.ErrNotFound
		}
		within.Tenant = a.TenantID
		return store.SignInDesk, within, nil
	case a.Role == models.RoleUser && which.Tenant == uuid.Nil:
		if which.User != uuid.Nil && which.User != a.UserID {
			return store.Asker{}, within, store.ErrNotFound
		}
		within.User, within.Tenant = a.UserID, a.TenantID
		return store.SignInDesk, within, nil
	}
	return store.Asker{}, within, errForbidden
}

// RevokeByOperator ends sign-ins from the command line.
func (s *Service) RevokeByOperator(ctx context.Context, which Which, subject audit.Subject, reason string) (ended int, err error) {
	if reason, err = cleanReason(reason); err != nil {
		return 0, err
	}
	within := store.Which{Grant: which.SignIn, User: which.User, Tenant: which.Tenant}
	entry := audit.Entry(audit.Operator, "sign-in-revoke", subject, reason)
	gone, err := s.DB.Revoke(ctx, store.CommandLine, within, "operator", reason, s.Now().UTC(), entry)
	if err != nil {
		return 0, err
	}
	s.spread(ctx, gone.Tokens)
	return gone.SignIns, nil
}

func cleanReason(reason string) (string, error) {
	bad := !utf8.ValidString(reason) || utf8.RuneCountInString(reason) > LongestReason
	for _, r := range reason {
		bad = bad || !unicode.IsPrint(r)
	}
	if bad {
		return "", fault.New(fault.Refused, "reason-invalid", "A reason is at most 200 printable characters.")
	}
	return reason, nil
}
