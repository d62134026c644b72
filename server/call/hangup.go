package call

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/pbx"
	"clicktodial/server/store"
)

const (
	hangUpRetry = 100 * time.Millisecond
	// A record is ended by hanging up this long before its expiry.
	expiryMargin = time.Second
)

// HangUp ends a call of the user, at any moment of it, whichever replica follows
// it. Errors: store.ErrNotFound, call-ended, postgres-unavailable. The call has
// ended when its status says so.
func (s *Service) HangUp(ctx context.Context, caller Caller, id uuid.UUID) error {
	call, err := s.DB.AskHangUp(ctx, caller.TenantID, caller.UserID, id)
	if err != nil {
		return err
	}
	line, err := s.Lines.line(ctx, idOf(call.PBXID))
	if err != nil {
		return err
	}
	s.background(func(ctx context.Context) { s.hangUpUntilGone(ctx, line, follow(call)) })
	return nil
}

// hangUpUntilGone asks the PBX until the call has ended. "No such channel" can
// mean that the PBX has not been told of it yet, so it is asked again for a while;
// and a line that is down may come back. A channel that the PBX does not know for
// goneAfter, when nobody may send it any more, is gone, and its end was missed.
// One task a call and replica does it.
func (s *Service) hangUpUntilGone(ctx context.Context, line pbx.Adapter, call models.FollowedCall) {
	if !s.beginHangUp(call.ChannelID) {
		return
	}
	defer s.endHangUp(call.ChannelID)
	var missing time.Duration
	channel := call.ChannelID
	for {
		err := line.Hangup(ctx, channel)
		wait := hangUpRetry
		switch {
		case errors.Is(err, pbx.ErrGone):
			missing += wait
		case err != nil:
			wait = s.timing.again // the line is down
		default:
			missing, wait = 0, s.timing.again // its end is on its way
		}
		if !pause(ctx, wait) || s.hasEnded(ctx, channel) {
			return
		}
		if missing >= s.timing.goneAfter && s.sendable(call.CreatedAt) <= 0 {
			s.handle(ctx, pbx.Event{ChannelID: channel, Kind: pbx.Ended, End: pbx.End{Kind: pbx.EndLost}, At: s.Now()})
			return
		}
	}
}

func (s *Service) beginHangUp(channel string) (first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first = !s.hanging[channel]
	s.hanging[channel] = true
	return first
}

func (s *Service) endHangUp(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.hanging, channel)
}

// obeyHangUps ends calls that we follow and that another replica was asked to
// end, should it have died over it.
func (s *Service) obeyHangUps(ctx context.Context) {
	calls, err := s.DB.HangUpsAsked(ctx, s.Replica)
	if err != nil && ctx.Err() == nil {
		s.Log.Warn("no look for hang-ups", "error", err)
	}
	for _, call := range calls {
		if line, err := s.Lines.line(ctx, idOf(call.PBXID)); err == nil {
			s.background(func(ctx context.Context) { s.hangUpUntilGone(ctx, line, call) })
		}
	}
}

// EndRevoked ends the calls of sign-ins that were ended, as far as they only ring
// their own phone: what two people speak on goes on.
func (s *Service) EndRevoked(ctx context.Context, grants []uuid.UUID) {
	calls, err := s.DB.HangUpRevoked(ctx, s.Replica, grants)
	if err != nil {
		s.Log.Warn("calls of an ended sign-in may go on ringing", "error", err)
		return
	}
	for _, call := range calls {
		line, err := s.Lines.line(ctx, idOf(call.PBXID))
		if err != nil {
			s.Log.Warn("no line to hang up on", "call_id", call.ID, "error", err)
			continue
		}
		s.background(func(ctx context.Context) { s.hangUpUntilGone(ctx, line, call) })
	}
}

func (s *Service) hasEnded(ctx context.Context, channel string) bool {
	call, _, err := s.DB.Advance(ctx, channel, func(models.FollowedCall) (store.Step, bool) { return store.Step{}, false })
	return err == nil && call.ID == uuid.Nil
}

// endOverdue hangs up what lasts too long, or is about to outlive its record.
func (s *Service) endOverdue(ctx context.Context) {
	asked := map[string]bool{}
	for pause(ctx, time.Second/4) {
		now := s.Now()
		for _, call := range s.trackedCalls() {
			why, due := overdue(call, now)
			if !due || asked[call.ChannelID] {
				continue
			}
			asked[call.ChannelID] = true
			s.background(func(ctx context.Context) { s.end(ctx, call, why) })
		}
		for channel := range asked {
			if _, still := s.trackedCall(channel); !still {
				delete(asked, channel)
			}
		}
	}
}

func overdue(call models.FollowedCall, now time.Time) (models.HangUpWhy, bool) {
	switch {
	case !now.Before(call.CreatedAt.Add(models.LongestCall - expiryMargin)): // its record may have been shortened to that
		return models.HangUpLimit, true
	case !now.Before(call.ExpiresAt.Add(-expiryMargin)):
		return models.HangUpRetention, true
	}
	return "", false
}

// end hangs up a call that we follow, for a reason of ours.
func (s *Service) end(ctx context.Context, call models.FollowedCall, why models.HangUpWhy) {
	if err := s.DB.AskHangUpBy(ctx, call.ID, why); err != nil {
		s.Log.Warn("a hang-up was not noted", "call_id", call.ID, "error", err)
	}
	line, err := s.Lines.line(ctx, idOf(call.PBXID))
	if err != nil {
		s.Log.Warn("no line to hang up on", "call_id", call.ID, "error", err)
		return
	}
	s.hangUpUntilGone(ctx, line, call)
}
