// Package call starts, follows and ends calls.
//
// A phone must not ring twice: the row of a call is committed before the PBX is
// written to, the PBX is written to once, and the channel id is ours, so that
// after any crash the PBX can be asked what became of it. Events of the PBX only
// ever move a call forward (state.go). Each replica follows the calls that it
// dispatched; the calls of a dead one are adopted by another (adopt.go).
package call

import (
	"context"
	"errors"
	"hash/fnv"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/live"
	"clicktodial/server/pbx"
	"clicktodial/server/secret"
	"clicktodial/server/store"
)

// Check is the verdict of package policy.
type Check func(context.Context, models.Question) (models.Verdict, error)

// Parts is what a Service is made of; all of it is needed.
type Parts struct {
	DB     *store.DB
	Index  *live.TTLIndex
	Fanout *live.Fanout
	Lines  *Lines
	Check  Check
	Keys   *secret.Keys  // for the do-not-dial list, and what is told of erasures
	MaxAge time.Duration // HISTORY_MAX_AGE
	Now    func() time.Time
	Log    *slog.Logger
}

// Service is one replica's part in the calls.
type Service struct {
	Parts
	Replica uuid.UUID

	timing timing
	keys   dailyKeys
	pulse  pulse
	acks   acks
	shards [shardCount]chan pbx.Event
	work   sync.WaitGroup // what goes on after a request was answered

	mu      sync.Mutex
	tracked map[string]models.FollowedCall // by channel id: the calls this replica follows
	hanging map[string]bool                // by channel id: those whose end we are asking for
	stopped bool                           // nothing new may begin in the background
	stop    context.CancelFunc
	ctx     context.Context // ends with Run; bounds the work in the background
}

// timing is how often and how long; tests have less patience.
type timing struct {
	beatEvery, deadAfter, adoptEvery time.Duration // adopt.go
	dispatchLimit, answerLimit       time.Duration // start.go
	goneAfter                        time.Duration // hangup.go
	again                            time.Duration // before the PBX is asked the same again
}

var usual = timing{
	beatEvery: 2 * time.Second, deadAfter: 8 * time.Second, adoptEvery: 2 * time.Second,
	dispatchLimit: 10 * time.Second, answerLimit: time.Second,
	goneAfter: 5 * time.Second, again: time.Second,
}

// Events of one call go through one of the shards, in order; calls do not wait
// for each other's commits.
const (
	shardCount = 16
	shardDepth = 4096
)

// New makes a service. Without a policy check, and the keys to the do-not-dial
// list, there is none.
func New(parts Parts) (*Service, error) {
	if parts.Check == nil || parts.Keys == nil || parts.DB == nil || parts.Lines == nil || parts.Now == nil || parts.Log == nil {
		return nil, errors.New("a call service needs a database, PBX lines, a policy check, keys, a clock and a log")
	}
	s := &Service{
		Parts: parts, Replica: uuid.Must(uuid.NewV7()), timing: usual, tracked: map[string]models.FollowedCall{}, hanging: map[string]bool{},
	}
	s.ctx, s.stop = context.WithCancel(context.Background())
	for i := range s.shards {
		s.shards[i] = make(chan pbx.Event, shardDepth)
	}
	return s, nil
}

// Run follows calls until ctx ends, then leaves them to the other replicas. It
// keeps the replica's heartbeat, adopts the calls of dead replicas and ends those
// that have lasted too long.
func (s *Service) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, s.stop)()
	s.beatOnce(ctx)
	var loops sync.WaitGroup
	for i := range s.shards {
		loops.Go(func() { s.handleShard(ctx, s.shards[i]) })
	}
	loops.Go(func() { s.beat(ctx) })
	loops.Go(func() { s.adoptOrphans(ctx) })
	loops.Go(func() { s.endOverdue(ctx) })
	err := s.Lines.run(ctx, s.sink)
	loops.Wait()
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.work.Wait()
	s.leave()
	return err
}

// leave lets another replica adopt at once what we followed.
func (s *Service) leave() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.DB.Leave(ctx, s.Replica); err != nil {
		s.Log.Warn("left without saying so", "error", err)
	}
}

// background runs what outlives a request; Run waits for it. False when Run has
// ended: whoever adopts our calls does it then.
func (s *Service) background(fn func(ctx context.Context)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return false
	}
	s.work.Go(func() { fn(s.ctx) })
	return true
}

// sink takes an event from an adapter to its call's shard.
func (s *Service) sink(ev pbx.Event) {
	h := fnv.New32a()
	h.Write([]byte(ev.ChannelID)) //nolint:errcheck // never fails
	select {
	case s.shards[h.Sum32()%shardCount] <- ev:
	case <-s.ctx.Done():
	}
}

func (s *Service) track(call models.FollowedCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tracked[call.ChannelID] = call
}

func (s *Service) untrack(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tracked, channel)
}

func (s *Service) trackedCalls() []models.FollowedCall {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := make([]models.FollowedCall, 0, len(s.tracked))
	for _, call := range s.tracked {
		calls = append(calls, call)
	}
	return calls
}

func (s *Service) trackedCall(channel string) (models.FollowedCall, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	call, ok := s.tracked[channel]
	return call, ok
}

// pause waits, or says false because ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Following says how many calls this replica follows.
func (s *Service) Following() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tracked)
}
