package call

import (
	"context"
	"errors"
	"time"

	"clicktodial/models"
	"clicktodial/server/pbx"
)

// A replica that has not beaten for deadAfter is dead; with the look every
// adoptEvery its calls are adopted within 15 s.
const (
	beatEvery  = 2 * time.Second
	deadAfter  = 8 * time.Second
	adoptEvery = 2 * time.Second
)

func (s *Service) beat(ctx context.Context) {
	for {
		if err := s.DB.Beat(ctx, s.Replica); err != nil && ctx.Err() == nil {
			s.Log.Warn("no heartbeat", "error", err)
		}
		if !pause(ctx, beatEvery) {
			return
		}
	}
}

// adoptOrphans takes over the calls of dead replicas, whose PBX answers us.
func (s *Service) adoptOrphans(ctx context.Context) {
	for {
		calls, err := s.DB.Orphans(ctx, deadAfter)
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("no look for orphans", "error", err)
		}
		for _, call := range calls {
			s.adopt(ctx, call)
		}
		if !pause(ctx, adoptEvery) {
			return
		}
	}
}

func (s *Service) adopt(ctx context.Context, call models.FollowedCall) {
	line, err := s.Lines.line(ctx, idOf(call.PBXID))
	if err != nil || line.Up() != nil {
		return // another replica may reach it; else we ask when it is back
	}
	ours, err := s.DB.Claim(ctx, call.ID, call.ReplicaID, s.Replica)
	if err != nil || !ours {
		return
	}
	call.ReplicaID = s.Replica
	s.Log.Info("adopting a call", "call_id", call.ID)
	s.background(func(ctx context.Context) {
		for !s.adoptOne(ctx, line, call) {
			if !pause(ctx, time.Second) {
				return
			}
		}
	})
}

// adoptOne asks the PBX about a call: found, it is followed from where it
// stands; not found, it has failed, and nothing is guessed. False when the PBX
// did not answer.
func (s *Service) adoptOne(ctx context.Context, line pbx.Adapter, call models.FollowedCall) bool {
	s.track(call)
	limited, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	snapshot, err := line.Adopt(limited, call.ChannelID)
	switch {
	case errors.Is(err, pbx.ErrGone):
		s.handle(ctx, pbx.Event{ChannelID: call.ChannelID, Kind: pbx.Ended, End: pbx.End{Kind: pbx.EndLost}, At: s.Now()})
		return true
	case err != nil:
		return false
	}
	s.handle(ctx, pbx.Event{ChannelID: call.ChannelID, Kind: snapshot.Kind, At: s.Now()})
	if call.HangUpWhy != nil {
		s.background(func(ctx context.Context) { s.hangUpUntilGone(ctx, line, call.ChannelID) })
	}
	return true
}
