package call

import (
	"context"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/pbx"
	"clicktodial/server/store"
)

// How long to wait for Postgres between two tries; the first, doubled up to the last.
const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

// handleShard saves events in order. While Postgres is away it tells each as it
// comes, keeps them and tries again: an event is not lost as long as we live, and
// if we die the PBX is asked by whoever adopts the call.
func (s *Service) handleShard(ctx context.Context, events <-chan pbx.Event) {
	var waiting []pbx.Event
	wait := firstRetry
	for {
		var retry <-chan time.Time
		if len(waiting) > 0 {
			retry = time.After(wait)
		}
		select {
		case ev := <-events:
			if len(waiting) == 0 && s.surpassed(ev) {
				continue
			}
			if len(waiting) > 0 || !s.save(ctx, ev) {
				waiting = append(waiting, ev)
				s.tellUnsaved(ctx, ev)
			}
		case <-retry:
			wait = min(2*wait, lastRetry)
			for len(waiting) > 0 && s.save(ctx, waiting[0]) {
				waiting, wait = waiting[1:], firstRetry
			}
		case <-ctx.Done():
			return
		}
	}
}

// handle is the same for an event that we found out by ourselves.
func (s *Service) handle(ctx context.Context, ev pbx.Event) {
	if s.save(ctx, ev) {
		return
	}
	s.tellUnsaved(ctx, ev)
	for wait := firstRetry; pause(ctx, wait); wait = min(2*wait, lastRetry) {
		if s.save(ctx, ev) {
			return
		}
	}
}

// save writes what an event means, and tells of it; false when Postgres is away.
func (s *Service) save(ctx context.Context, ev pbx.Event) bool {
	call, changed, err := s.DB.Advance(ctx, ev.ChannelID, func(c models.FollowedCall) (store.Step, bool) {
		return Next(c, ev)
	})
	switch {
	case err == nil:
		s.settle(ctx, ev, call, changed)
		return true
	case ctx.Err() != nil:
		return false
	case fault.Code(err) == "postgres-unavailable":
		s.Log.Warn("a call's step waits for the database", "kind", ev.Kind, "error", err)
		return false
	default:
		// No waiting mends this, and other calls' events come after it.
		s.Log.Error("the database refused a call's step", "kind", ev.Kind, "error", err)
		return true
	}
}

// surpassed says whether a call that we follow is known to be as far as the event
// already: Postgres need not be asked, the state only moves forward. Not for an
// event that was told before it could be saved: it is known by that very telling.
func (s *Service) surpassed(ev pbx.Event) bool {
	call, tracked := s.trackedCall(ev.ChannelID)
	if !tracked || ev.Kind == pbx.Ended {
		return false
	}
	_, further := Next(call, ev)
	return !further
}

// settle does what follows a written step.
func (s *Service) settle(ctx context.Context, ev pbx.Event, call models.FollowedCall, changed bool) {
	if changed {
		s.announce(ctx, call)
	}
	gone := call.ID == uuid.Nil // ended before, perhaps by another replica
	if ev.Kind != pbx.Ended && !call.Status.Ended() && !gone {
		if changed {
			s.track(call)
		}
		return
	}
	known, tracked := s.trackedCall(ev.ChannelID)
	s.untrack(ev.ChannelID)
	if tracked {
		if line, err := s.Lines.line(ctx, idOf(known.PBXID)); err == nil {
			line.Forget(ev.ChannelID)
		}
	}
	if changed && call.DeleteAtEnd {
		_ = s.Index.Remove(ctx, live.Entry{User: call.UserID, Call: call.ID, Expires: call.ExpiresAt}) // the TTL does it too
	}
}

// announce tells the sockets of the call's user, on every replica.
func (s *Service) announce(ctx context.Context, call models.FollowedCall) {
	err := s.Fanout.Publish(ctx, call.UserID, live.Event{
		CallID: call.ID, Status: call.Status, Reason: call.Reason, Diagnosis: call.Diagnosis,
		CreatedAt: call.CreatedAt, CallerAnsweredAt: call.CallerAnsweredAt, ConnectedAt: call.ConnectedAt,
		EndedAt: call.EndedAt, ExpiresAt: call.ExpiresAt, Gone: call.DeleteAtEnd && call.Status.Ended(),
	})
	if err != nil {
		s.Log.Debug("a step reached this replica's sockets only", "call_id", call.ID)
	}
}

// tellUnsaved tells a step that Postgres does not have yet, from memory.
func (s *Service) tellUnsaved(ctx context.Context, ev pbx.Event) {
	call, ok := s.trackedCall(ev.ChannelID)
	if !ok {
		return
	}
	step, ok := Next(call, ev)
	if !ok {
		return
	}
	call = step.Applied(call)
	s.track(call)
	s.announce(ctx, call)
}

func idOf(id *uuid.UUID) uuid.UUID {
	if id == nil {
		return uuid.Nil
	}
	return *id
}
