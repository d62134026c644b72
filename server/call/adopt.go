package call

import (
	"context"
	"errors"
	"sync"
	"time"

	"clicktodial/models"
	"clicktodial/server/pbx"
)

// A replica that has not beaten for deadAfter is dead; with the look every
// adoptEvery its calls are adopted within 15 s.

// pulse is our own heartbeat as we see it. When Postgres was away nobody could
// beat, and nobody is dead for it: we judge the others only once they have had as
// long as we had to beat again.
type pulse struct {
	mu     sync.Mutex
	last   time.Time
	steady time.Time // from then on we may judge
}

func (p *pulse) beaten(now time.Time, deadAfter time.Duration, first bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !first && now.Sub(p.last) > deadAfter/2 {
		p.steady = now.Add(deadAfter)
	}
	p.last = now
}

func (p *pulse) mayJudge(now time.Time, deadAfter time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Sub(p.last) <= deadAfter/2 && !now.Before(p.steady)
}

// beatOnce is the first beat: who has just come is as good a judge as any.
func (s *Service) beatOnce(ctx context.Context) {
	if err := s.DB.Beat(ctx, s.Replica); err != nil {
		s.Log.Warn("no heartbeat yet", "error", err)
		return
	}
	s.pulse.beaten(time.Now(), s.timing.deadAfter, true)
}

func (s *Service) beat(ctx context.Context) {
	for pause(ctx, s.timing.beatEvery) {
		err := s.DB.Beat(ctx, s.Replica)
		if err == nil {
			s.pulse.beaten(time.Now(), s.timing.deadAfter, false)
		} else if ctx.Err() == nil {
			s.Log.Warn("no heartbeat", "error", err)
		}
	}
}

// adoptOrphans takes over the calls of dead replicas, whose PBX answers us.
func (s *Service) adoptOrphans(ctx context.Context) {
	for {
		s.obeyHangUps(ctx)
		if s.pulse.mayJudge(time.Now(), s.timing.deadAfter) {
			s.lookForOrphans(ctx)
		}
		if !pause(ctx, s.timing.adoptEvery) {
			return
		}
	}
}

func (s *Service) lookForOrphans(ctx context.Context) {
	calls, err := s.DB.Orphans(ctx, s.timing.deadAfter)
	if err != nil && ctx.Err() == nil {
		s.Log.Warn("no look for orphans", "error", err)
	}
	for _, call := range calls {
		s.adopt(ctx, call)
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
			if !pause(ctx, s.timing.again) {
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
	case errors.Is(err, pbx.ErrGone) && call.Dispatch == models.Dispatching && s.sendable(call.CreatedAt) > 0:
		return false // whoever made it may be slow, not dead, and send it yet
	case errors.Is(err, pbx.ErrGone):
		s.handle(ctx, pbx.Event{ChannelID: call.ChannelID, Kind: pbx.Ended, End: pbx.End{Kind: pbx.EndLost}, At: s.Now()})
		return true
	case err != nil:
		return false
	}
	s.handle(ctx, pbx.Event{ChannelID: call.ChannelID, Kind: snapshot.Kind, At: s.Now()})
	if call.HangUpWhy != nil {
		s.background(func(ctx context.Context) { s.hangUpUntilGone(ctx, line, call) })
	}
	return true
}
