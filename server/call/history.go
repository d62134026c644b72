package call

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/phone"
	"clicktodial/server/secret"
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
	note, err := store.RecordNote(s.Keys, store.NoteCall, caller.TenantID, id.String(), time.Time{})
	if err != nil {
		return err
	}
	gone, err := s.DB.DeleteCall(ctx, caller.TenantID, caller.UserID, id, note)
	if errors.Is(err, store.ErrNotFound) && !call.Status.Ended() {
		return store.ErrCallLive
	}
	if err == nil {
		s.forget(ctx, []store.Erased{gone})
	}
	return err
}

// forget takes erased records out of Redis; their TTL does it too.
func (s *Service) forget(ctx context.Context, gone []store.Erased) {
	entries := make([]live.Entry, len(gone))
	for i, e := range gone {
		entries[i] = live.Entry(e)
	}
	_ = s.Index.Forget(ctx, entries...)
}

// Clear removes all ended calls of the user, if the tenant lets its users do so.
func (s *Service) Clear(ctx context.Context, caller Caller) error {
	if err := s.mayDelete(ctx, caller); err != nil {
		return err
	}
	e := store.Erasure{Subject: store.Subject{Tenant: caller.TenantID, User: caller.UserID}, Before: s.Now().UTC()}
	var err error
	if e.Note, err = store.ErasureNote(s.Keys, e.Subject, e.Before); err != nil {
		return err
	}
	_, err = s.DB.Erase(ctx, e, func(gone []store.Erased) { s.forget(ctx, gone) })
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
	verdict, err := s.Check(ctx, models.Question{TenantID: caller.TenantID, UserID: caller.UserID, Number: number, Region: caller.Region})
	if err != nil || verdict.Ruling == models.Denied {
		return verdict, err
	}
	return AskList(ctx, s.DB, s.Keys, caller.TenantID, number, verdict)
}

// AskList denies a number that is on the tenant's do-not-dial list, whatever the
// verdict was. A click asks again with the user's row locked.
func AskList(ctx context.Context, db *store.DB, keys *secret.Keys, tenant uuid.UUID, number phone.Number, verdict models.Verdict) (models.Verdict, error) {
	hashes, err := store.DoNotDialHashes(keys, tenant, number)
	if err != nil {
		return verdict, err
	}
	listed, err := db.DoNotDial(ctx, tenant, hashes)
	if listed {
		verdict = models.Verdict{Ruling: models.Denied, Code: store.ErrDoNotDial.Code, Detail: store.ErrDoNotDial.Detail}
	}
	return verdict, err
}

// Subscribe begins to listen for the steps of the user's calls.
func (s *Service) Subscribe(ctx context.Context, caller Caller) *live.Subscription {
	return s.Fanout.Subscribe(ctx, caller.UserID)
}
