package retention

import (
	"context"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// hangUpLimit is how long a departure waits for calls that the end of the sign-ins
// hangs up: those that only ring their own phone.
const hangUpLimit = 3 * time.Second

// Depart deletes a user who leaves. Their account is closed and their sign-ins end
// at once, whatever comes next. Then, as the tenant has chosen, all is erased, or
// their calls stay until their time without the person. Errors: forbidden,
// not-found, oneself, last-admin, request-mismatch; call-live: they are still
// speaking, and a record whose call is up cannot be erased with its user; the
// account is closed then, and the same can be asked again.
func (p *Privacy) Depart(ctx context.Context, by models.Actor, user, request uuid.UUID) (Receipt, error) {
	ctx, cancel := lasting(ctx)
	defer cancel()
	s := Subject{User: user}
	if by.UserID == user && user != uuid.Nil {
		return Receipt{}, fault.New(fault.Conflict, "oneself", "You cannot do this to your own account.")
	}
	act, err := p.begin(ctx, by, s, models.ActDeparture, request, "user-delete")
	if err != nil {
		return Receipt{}, err
	}
	closed := audit.Entry(audit.By(by), "user-disable", s.audited(by.TenantID), "")
	records, err := p.DB.BeginDeparture(ctx, by.TenantID, by.UserID, user, p.Now().UTC(), closed)
	if err != nil {
		return Receipt{}, err
	}
	if err := p.EndSignIns(ctx, by, user); err != nil {
		return Receipt{}, err
	}
	if records == models.KeepLeaver {
		return p.blank(ctx, act)
	}
	if err := p.awaitCalls(ctx, act.Subject); err != nil {
		return Receipt{}, err
	}
	return p.deleteUser(ctx, act)
}

// awaitCalls gives calls that are being hung up the time to end.
func (p *Privacy) awaitCalls(ctx context.Context, s store.Subject) error {
	limit := time.NewTimer(hangUpLimit)
	defer limit.Stop()
	look := time.NewTicker(hangUpLimit / 30)
	defer look.Stop()
	for {
		up, err := p.DB.CallsUp(ctx, s.Tenant, s.User)
		if err != nil || up == 0 {
			return err
		}
		select {
		case <-look.C:
		case <-limit.C:
			return store.ErrCallLive
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (p *Privacy) deleteUser(ctx context.Context, act store.Act) (Receipt, error) {
	erased, err := p.erase(ctx, act.Subject, models.Audit{})
	if err != nil {
		return Receipt{}, err
	}
	now := p.Now().UTC() // calls that have ended while we erased are older
	act.Receipt.DoneAt = &now
	note, err := store.RecordNote(p.Keys, store.NoteUser, act.Subject.Tenant, act.Subject.User.String(), time.Time{})
	if err != nil {
		return Receipt{}, err
	}
	receipt, rest, err := p.DB.DeleteUser(ctx, act, erased, note)
	p.forget(ctx, rest)
	return p.end(receipt, err)
}

func (p *Privacy) blank(ctx context.Context, act store.Act) (Receipt, error) {
	note, err := store.RecordNote(p.Keys, store.NoteLeaver, act.Subject.Tenant, act.Subject.User.String(), time.Time{})
	if err != nil {
		return Receipt{}, err
	}
	if _, err := p.DB.ForgetCaller(ctx, act.Subject); err != nil {
		return Receipt{}, err
	}
	return p.end(p.DB.BlankUser(ctx, act, note))
}
