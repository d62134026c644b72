package call

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"sync"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/pbx"
	"clicktodial/server/phone"
	"clicktodial/server/store"
)

// Caller is who clicks.
type Caller struct {
	TenantID uuid.UUID
	UserID   uuid.UUID
	GrantID  uuid.UUID // Nil: the command line
	Region   string
	PBXID    uuid.UUID // Nil: the installation's own
}

// Click is what was clicked.
type Click struct {
	Number   phone.Number
	Name     phone.Name
	DeviceID uuid.UUID // Nil: the user's first phone
	Private  bool
	Record   bool   // the PBX is asked to record
	Confirm  string // the token of a second gesture
	Key      string // Idempotency-Key
}

var keyForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// Start makes the call of a click, or finds the one that the same click has made
// before (replayed). A refusal or an unavailable PBX before the commit leaves no
// trace of a call; a failure after it is a call that has failed.
func (s *Service) Start(ctx context.Context, caller Caller, click Click) (call models.Call, replayed bool, err error) {
	if !keyForm.MatchString(click.Key) {
		return call, false, fault.New(fault.Malformed, "invalid-request",
			"The Idempotency-Key header is 1 to 64 letters, digits, - or _.")
	}
	started := s.Now()
	prints, err := s.fingerprints(ctx, caller, click, started)
	if err != nil {
		return call, false, err
	}
	barred, err := store.DoNotDialHashes(s.Keys, caller.TenantID, click.Number)
	if err != nil {
		return call, false, err
	}
	n := store.NewCall{
		TenantID: caller.TenantID, UserID: caller.UserID, DeviceID: click.DeviceID, GrantID: caller.GrantID,
		Number: click.Number, Name: click.Name, Private: click.Private, Record: click.Record,
		Key: click.Key, Fingerprints: prints, Barred: barred, At: started.UTC().Truncate(time.Millisecond), MaxAge: s.MaxAge,
		ReplicaID: s.Replica, ChannelID: newChannelID(),
	}
	line, refused := s.precheck(ctx, caller, click, &n)
	if refused != nil {
		// A repeated click gets its call even when a new one would be refused.
		call, err = s.DB.Replay(ctx, n)
		if err == nil || !errors.Is(err, store.ErrNotFound) {
			return call, err == nil, err
		}
		return call, false, s.Refuse(ctx, caller, refused)
	}
	call, dial, replayed, err := s.DB.CreateCall(ctx, n)
	if err != nil || replayed {
		return call, replayed, s.Refuse(ctx, caller, err)
	}
	if id := idOf(call.PBXID); id != caller.PBXID {
		// The tenant was given another PBX since the caller was looked up. The row
		// decides: whoever hangs up or adopts goes by it.
		if line, err = s.Lines.line(ctx, id); err != nil {
			s.handle(ctx, pbx.Event{ChannelID: call.ChannelID, Kind: pbx.Ended, End: pbx.End{Kind: pbx.EndUnreached}, At: s.Now()})
			call, err = s.DB.Call(ctx, call.TenantID, call.UserID, call.ID)
			return call, false, err
		}
	}
	return s.dispatch(ctx, line, call, dial), false, nil
}

// precheck asks everything that can be asked before there is a row: policy and
// line. It fills in the limits.
func (s *Service) precheck(ctx context.Context, caller Caller, click Click, n *store.NewCall) (pbx.Adapter, error) {
	verdict, err := s.Check(ctx, models.Question{
		TenantID: caller.TenantID, UserID: caller.UserID, Number: click.Number, Region: caller.Region, Confirm: click.Confirm,
	})
	if err != nil {
		return nil, fmt.Errorf("asking the dial policy: %w", err)
	}
	switch verdict.Ruling {
	case models.Allowed:
	case models.MustConfirm:
		return nil, fault.New(fault.Refused, "confirmation-required", verdict.Detail)
	default:
		return nil, fault.New(fault.Refused, verdict.Code, verdict.Detail)
	}
	n.Limits = store.Limits{AtOnce: verdict.AtOnce, PerWindow: verdict.PerWindow, Window: verdict.Window}
	line, err := s.Lines.line(ctx, caller.PBXID)
	if err != nil {
		return nil, err
	}
	if err := line.Up(); err != nil {
		return nil, err
	}
	if prober, ok := line.(pbx.Prober); ok {
		return line, prober.Probe(pbx.Originate{Number: click.Number, Region: caller.Region})
	}
	return line, nil
}

// Refuse notes a refused click for support, and passes the refusal on.
func (s *Service) Refuse(ctx context.Context, caller Caller, err error) error {
	f, ok := fault.Of(err)
	if !ok || (f.Kind != fault.Refused && f.Kind != fault.TooMany && f.Code != "pbx-unavailable") {
		return err
	}
	row := models.Refusal{
		ID: uuid.Must(uuid.NewV7()), TenantID: caller.TenantID, UserID: caller.UserID,
		Code: f.Code, SupportCode: supportCode(), At: s.Now().UTC(),
	}
	if caller.GrantID != uuid.Nil {
		row.GrantID = &caller.GrantID
	}
	if err := s.DB.Refuse(ctx, row); err != nil {
		s.Log.Warn("a refusal was not noted", "error", err)
		return f
	}
	told := *f
	told.SupportCode = row.SupportCode
	return &told
}

func supportCode() string {
	const letters = "ABCDEFGHJKLMNPQRSTUVWXYZ"
	raw := make([]byte, 6)
	_, _ = rand.Read(raw) // never fails (crypto/rand, Go 1.24)
	for i, b := range raw {
		raw[i] = letters[int(b)%len(letters)]
	}
	return string(raw)
}

// newChannelID is unguessable: events of other systems' calls reach us too, and
// must not be taken for ours.
func newChannelID() string {
	raw := make([]byte, 16)
	_, _ = rand.Read(raw) // never fails (crypto/rand, Go 1.24)
	return "ctd-" + hex.EncodeToString(raw)
}

// dispatch writes to the PBX, once, and waits a moment for its answer. The client
// may go away; the call does not.
func (s *Service) dispatch(ctx context.Context, line pbx.Adapter, call models.Call, dial store.Dial) models.Call {
	s.track(follow(call))
	req := pbx.Originate{
		ChannelID: call.ChannelID, Endpoint: dial.Endpoint, Number: call.Number, Region: dial.Region,
		Context: dial.DialplanContext, ShownName: call.Name, CallerID: dial.CallerID, Withheld: dial.Withheld, Record: call.RecordingEnabled,
		RingTimeout: time.Duration(dial.RingSeconds) * time.Second,
	}
	failed := make(chan bool, 1)
	if !s.background(func(ctx context.Context) {
		s.index(ctx, call)
		failed <- !s.originate(ctx, line, call, req)
	}) {
		return call
	}
	// How long a client waits for the PBX to take the request; the call goes on
	// without it.
	limit := time.NewTimer(s.timing.answerLimit)
	defer limit.Stop()
	select {
	case bad := <-failed:
		if bad {
			if now, err := s.DB.Call(ctx, call.TenantID, call.UserID, call.ID); err == nil {
				return now
			}
		}
	case <-limit.C:
	case <-ctx.Done():
	}
	return call
}

func (s *Service) index(ctx context.Context, call models.Call) {
	// Redis may be down: the index is repaired on reading, and Postgres is the truth.
	_ = s.Index.Add(ctx, live.Entry{User: call.UserID, Call: call.ID, Expires: call.ExpiresAt})
}

// originate writes to the PBX and deals with its answer; false when the call has
// failed by it.
func (s *Service) originate(ctx context.Context, line pbx.Adapter, call models.Call, req pbx.Originate) bool {
	// Nothing is sent to the PBX later than this after the click.
	limited, cancel := context.WithTimeout(ctx, s.sendable(call.CreatedAt))
	defer cancel()
	err := line.Originate(limited, req)
	switch {
	case err == nil:
		s.background(func(ctx context.Context) { s.dispatched(ctx, line, call) })
		return true
	case errors.Is(err, pbx.ErrDoubt):
		s.Log.Warn("not known whether the PBX took a call", "call_id", call.ID)
		s.background(func(ctx context.Context) { s.settleDoubt(ctx, line, call) })
		return true
	default:
		s.Log.Warn("the PBX did not take a call", "call_id", call.ID, "error", err)
		kind := pbx.EndRefused
		if fault.Code(err) == "pbx-unavailable" {
			kind = pbx.EndUnreached
		}
		s.handle(ctx, pbx.Event{ChannelID: call.ChannelID, Kind: pbx.Ended, End: pbx.End{Kind: kind}, At: s.Now()})
		return false
	}
}

// sendable is how long a call of that time may still be sent to the PBX.
func (s *Service) sendable(created time.Time) time.Duration {
	return created.Add(s.timing.dispatchLimit).Sub(s.Now())
}

// acks are the PBX's yeses that are still to be noted. While one statement is on
// its way to Postgres the next ones gather, and go together.
type acks struct {
	mu      sync.Mutex
	waiting []ack
	writing bool
}

type ack struct {
	line pbx.Adapter
	call models.Call
}

// add says whether the caller is to write: somebody else does it otherwise.
func (a *acks) add(one ack) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.waiting = append(a.waiting, one)
	first := !a.writing
	a.writing = true
	return first
}

// take gives what has gathered; when nothing has, the writing is over.
func (a *acks) take() []ack {
	a.mu.Lock()
	defer a.mu.Unlock()
	taken := a.waiting
	a.waiting, a.writing = nil, len(taken) > 0
	return taken
}

// dispatched notes the PBX's yes, and obeys a hang-up that came meanwhile.
func (s *Service) dispatched(ctx context.Context, line pbx.Adapter, call models.Call) {
	if !s.acks.add(ack{line, call}) {
		return
	}
	for taken := s.acks.take(); len(taken) > 0; taken = s.acks.take() {
		ids := make([]uuid.UUID, len(taken))
		for i, one := range taken {
			ids[i] = one.call.ID
		}
		hangUps, err := s.DB.MarkDispatched(ctx, ids)
		if err != nil {
			s.Log.Warn("dispatches were not noted", "calls", len(ids), "error", err)
		}
		for _, one := range taken {
			if _, asked := hangUps[one.call.ID]; asked {
				s.background(func(ctx context.Context) { s.hangUpUntilGone(ctx, one.line, follow(one.call)) })
			}
		}
	}
}

// settleDoubt asks the PBX, as soon as it answers again, whether it has the call;
// nothing is sent a second time.
func (s *Service) settleDoubt(ctx context.Context, line pbx.Adapter, call models.Call) {
	if err := s.DB.MarkDoubt(ctx, call.ID); err != nil {
		s.Log.Warn("a doubt was not noted", "call_id", call.ID, "error", err)
	}
	doubtful := follow(call)
	doubtful.Dispatch = models.InDoubt
	for pause(ctx, s.timing.again) {
		if line.Up() != nil {
			continue
		}
		if s.adoptOne(ctx, line, doubtful) {
			return
		}
	}
}

// follow is what may be known of a call while following it.
func follow(c models.Call) models.FollowedCall {
	return models.FollowedCall{
		ID: c.ID, TenantID: c.TenantID, UserID: c.UserID, Private: c.Private, DeleteAtEnd: c.DeleteAtEnd,
		Status: c.Status, Rank: c.Rank, Dispatch: c.Dispatch, ReplicaID: c.ReplicaID, PBXID: c.PBXID,
		ChannelID: c.ChannelID, CreatedAt: c.CreatedAt, ExpiresAt: c.ExpiresAt,
	}
}

// dailyKeys remembers the keys of today and yesterday.
type dailyKeys struct {
	mu   sync.Mutex
	keys map[string][]byte
}

// fingerprints are HMACs of a click under the keys of today and yesterday, so
// that a repeated key can be told from another click without keeping the click.
func (s *Service) fingerprints(ctx context.Context, caller Caller, click Click, at time.Time) (prints [2][]byte, err error) {
	for i := range prints {
		key, err := s.dailyKey(ctx, caller.TenantID, at.Add(-time.Duration(i)*models.Day))
		if err != nil {
			return prints, err
		}
		m := hmac.New(sha256.New, key)
		fmt.Fprintf(m, "%s\n%q\n%s\n%t", click.Number.Reveal(), click.Name.Reveal(), click.DeviceID, click.Private)
		if click.Record { // nothing of a click without it: its prints stay what they were
			fmt.Fprint(m, "\nrecord")
		}
		prints[i] = m.Sum(nil)
	}
	return prints, nil
}

func (s *Service) dailyKey(ctx context.Context, tenant uuid.UUID, at time.Time) ([]byte, error) {
	day := at.UTC().Format(time.DateOnly)
	s.keys.mu.Lock()
	key, ok := s.keys.keys[day]
	s.keys.mu.Unlock()
	if ok {
		return key, nil
	}
	key, err := s.DB.DailyKey(ctx, tenant, at)
	if err != nil {
		return nil, err
	}
	s.keys.mu.Lock()
	defer s.keys.mu.Unlock()
	if s.keys.keys == nil {
		s.keys.keys = map[string][]byte{}
	}
	s.keys.keys[day] = key
	// Older ones are to be destroyed. Not "all": two clicks that both found none
	// would take each other's away for ever.
	yesterday := s.Now().UTC().Add(-models.Day).Format(time.DateOnly)
	maps.DeleteFunc(s.keys.keys, func(day string, _ []byte) bool { return day < yesterday })
	return key, nil
}
