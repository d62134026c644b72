package call

import (
	"context"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/live"
	"clicktodial/server/pbx"
	"clicktodial/server/store"
)

const (
	firstRetry = 50 * time.Millisecond
	lastRetry  = 2 * time.Second
)

func (s *Service) handleShard(ctx context.Context, events <-chan pbx.Event) {
	for {
		select {
		case ev := <-events:
			s.handle(ctx, ev)
		case <-ctx.Done():
			return
		}
	}
}

// handle writes what an event means, and tells of it. While Postgres is away it
// tells what it knows and tries again: an event is not lost as long as we live,
// and if we die the PBX is asked by whoever adopts the call.
func (s *Service) handle(ctx context.Context, ev pbx.Event) {
	told := false
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		call, changed, err := s.DB.Advance(ctx, ev.ChannelID, func(c models.FollowedCall) (store.Step, bool) {
			return Next(c, ev)
		})
		if err == nil {
			s.settle(ctx, ev, call, changed)
			return
		}
		if !told {
			told = true
			s.Log.Warn("a call's step waits for the database", "error", err)
			s.tellUnsaved(ctx, ev)
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

// settle does what follows a written step.
func (s *Service) settle(ctx context.Context, ev pbx.Event, call models.FollowedCall, changed bool) {
	if changed {
		s.announce(ctx, call)
	}
	if ev.Kind != pbx.Ended && !call.Status.Ended() {
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
		_ = s.Index.Remove(ctx, call.UserID, call.ID, call.ExpiresAt) // the TTL does it too
	}
}

// announce tells the sockets of the call's user, on every replica.
func (s *Service) announce(ctx context.Context, call models.FollowedCall) {
	err := s.Fanout.Publish(ctx, call.UserID, live.Event{
		CallID: call.ID, Status: call.Status, Reason: call.Reason, Diagnosis: call.Diagnosis,
		CreatedAt: call.CreatedAt, CallerAnsweredAt: call.CallerAnsweredAt, ConnectedAt: call.ConnectedAt,
		EndedAt: call.EndedAt, ExpiresAt: call.ExpiresAt,
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
