package call

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/phone"
	"clicktodial/server/store"
)

// Page is a place in a history; Search narrows one.
type (
	Page   = store.Page
	Search = store.Search
)

// Get gives one call of the user.
func (s *Service) Get(ctx context.Context, caller Caller, id uuid.UUID) (models.Call, error) {
	call, err := s.DB.Call(ctx, caller.TenantID, caller.UserID, id)
	return s.shownOne(ctx, call, err)
}

// Live gives the user's calls that are up, oldest first.
func (s *Service) Live(ctx context.Context, caller Caller) ([]models.Call, error) {
	calls, err := s.DB.LiveCalls(ctx, caller.TenantID, caller.UserID)
	if err != nil {
		return nil, err
	}
	return s.shown(ctx, calls), nil
}

// History gives a page of the user's calls, newest first, and whether there are
// more.
func (s *Service) History(ctx context.Context, caller Caller, page Page, search Search) (calls []models.Call, more bool, err error) {
	return s.shownPage(ctx, caller, page, search)
}

// Rename gives the person behind a call's number another name.
func (s *Service) Rename(ctx context.Context, caller Caller, id uuid.UUID, name phone.Name) (models.Call, error) {
	call, err := s.DB.NameCall(ctx, caller.TenantID, caller.UserID, id, name)
	return s.shownOne(ctx, call, err)
}

// Delete removes one call from the history, if the tenant lets its users do so.
// Errors: delete-forbidden, call-live, not-found.
func (s *Service) Delete(ctx context.Context, caller Caller, id uuid.UUID) error {
	if err := s.mayDelete(ctx, caller); err != nil {
		return err
	}
	call, err := s.Get(ctx, caller, id)
	if err != nil {
		return err
	}
	err = s.DB.DeleteCall(ctx, caller.TenantID, caller.UserID, id)
	if errors.Is(err, store.ErrNotFound) && !call.Status.Ended() {
		return fault.New(fault.Conflict, "call-live", "This call is still up; hang up first.")
	}
	if err == nil {
		_ = s.Index.Forget(ctx, live.Entry{User: caller.UserID, Call: id, Expires: call.ExpiresAt}) // the TTL does it too
	}
	return err
}

// Clear removes all ended calls of the user, if the tenant lets its users do so.
func (s *Service) Clear(ctx context.Context, caller Caller) error {
	if err := s.mayDelete(ctx, caller); err != nil {
		return err
	}
	_, err := s.DB.DeleteCalls(ctx, caller.TenantID, caller.UserID)
	return err
}

func (s *Service) mayDelete(ctx context.Context, caller Caller) error {
	may, err := s.DB.MayDelete(ctx, caller.TenantID)
	if err == nil && !may {
		return fault.New(fault.Forbidden, "delete-forbidden", "Your company does not let its people delete from their history.")
	}
	return err
}

// Device is a phone of the user, with what it is doing.
type Device struct {
	models.Device
	State string
}

// Setup is what surrounds a user's calls.
type Setup struct {
	Tenant  models.Tenant // its settings
	Devices []Device      // the user's, the one that rings by default first
}

// Me gives the user's phones and the tenant's settings.
func (s *Service) Me(ctx context.Context, caller Caller) (Setup, error) {
	tenant, err := s.DB.TenantSettings(ctx, caller.TenantID)
	if err != nil {
		return Setup{}, err
	}
	rows, err := s.DB.Devices(ctx, caller.TenantID, caller.UserID)
	if err != nil {
		return Setup{}, err
	}
	endpoints := make([]string, 0, len(rows))
	for _, d := range rows {
		endpoints = append(endpoints, d.Endpoint)
	}
	states := s.DeviceStates(ctx, caller.PBXID, endpoints)
	devices := make([]Device, 0, len(rows))
	for _, d := range rows {
		devices = append(devices, Device{Device: d, State: string(states[d.Endpoint])})
	}
	return Setup{tenant, devices}, nil
}

// Ask gives the verdict on a number, without calling it.
func (s *Service) Ask(ctx context.Context, caller Caller, number phone.Number) (models.Verdict, error) {
	return s.Check(ctx, models.Question{TenantID: caller.TenantID, UserID: caller.UserID, Number: number, Region: caller.Region})
}

// Subscribe begins to listen for the steps of the user's calls.
func (s *Service) Subscribe(ctx context.Context, caller Caller) *live.Subscription {
	return s.Fanout.Subscribe(ctx, caller.UserID)
}
