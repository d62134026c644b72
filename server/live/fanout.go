package live

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"clicktodial/models"
)

// Event is a step of a call as it travels between replicas: ids, words, times.
type Event struct {
	ID               string            `json:"-"` // of the stream entry; "" when Redis was down
	CallID           uuid.UUID         `json:"call"`
	Status           models.Status     `json:"status"`
	Reason           *models.Reason    `json:"reason,omitempty"`
	Diagnosis        *models.Diagnosis `json:"diagnosis,omitempty"`
	CreatedAt        time.Time         `json:"createdAt"`
	CallerAnsweredAt *time.Time        `json:"callerAnsweredAt,omitempty"`
	ConnectedAt      *time.Time        `json:"connectedAt,omitempty"`
	EndedAt          *time.Time        `json:"endedAt,omitempty"`
	ExpiresAt        time.Time         `json:"expiresAt"`
	// Gone says that the row went with this step (a retention of 0 days): then, and
	// only then, is a call told of that Postgres does not have.
	Gone bool `json:"gone,omitempty"`
}

const (
	eventsKept   = 10 * time.Minute
	eventsAtMost = 1000 // a user; older ones are trimmed
)

// Fanout carries each call's steps to every replica that holds a socket of the
// call's user. With Redis it goes through a stream, which also serves those who
// come back; without, it reaches the sockets of this replica, and the others
// look in Postgres.
type Fanout struct {
	redis *Redis
	mu    sync.Mutex
	subs  map[uuid.UUID]map[*Subscription]struct{}
	order sync.Mutex // SUBSCRIBE and UNSUBSCRIBE reach Redis in the order of subs' changes
	pubs  *redis.PubSub
	stop  context.CancelFunc
	loops sync.WaitGroup
}

// Subscription is one socket's interest in one user's calls.
type Subscription struct {
	fanout *Fanout
	user   uuid.UUID
	wake   chan struct{}
	mu     sync.Mutex
	local  []Event
}

// NewFanout starts listening; Close stops it.
func NewFanout(r *Redis) *Fanout {
	ctx, stop := context.WithCancel(context.Background())
	f := &Fanout{redis: r, subs: map[uuid.UUID]map[*Subscription]struct{}{}, stop: stop}
	f.pubs = r.client.Subscribe(ctx)
	f.loops.Go(f.listen)
	f.loops.Go(func() { f.watch(ctx) })
	return f
}

// Close ends the listening and waits for it.
func (f *Fanout) Close() error {
	f.stop()
	err := f.pubs.Close()
	f.loops.Wait()
	return err
}

// watch keeps Down true while Redis is away, and has every socket look when it
// is back: pokes of the meantime are lost.
func (f *Fanout) watch(ctx context.Context) {
	tick := time.NewTicker(restTime / 2)
	defer tick.Stop()
	for was := false; ; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		down := f.redis.probe(ctx)
		if was && !down {
			f.wakeAll()
		}
		was = down
	}
}

func (f *Fanout) wakeAll() {
	f.mu.Lock()
	users := slices.Collect(maps.Keys(f.subs))
	f.mu.Unlock()
	for _, user := range users {
		f.wake(user, nil)
	}
}

func (f *Fanout) listen() {
	for m := range f.pubs.Channel() {
		if user, err := uuid.Parse(m.Payload); err == nil {
			f.wake(user, nil)
		}
	}
}

func (r *Redis) streamKey(user uuid.UUID) string { return r.prefix + "ev:{" + user.String() + "}" }

func (f *Fanout) pokeChannel(user uuid.UUID) string {
	return f.redis.prefix + "poke:{" + user.String() + "}"
}

// Publish tells all replicas of a step. An error means that only this replica's
// sockets know.
func (f *Fanout) Publish(ctx context.Context, user uuid.UUID, ev Event) error {
	body, err := json.Marshal(ev)
	if err != nil {
		return err
	}
	err = f.redis.do(ctx, func(ctx context.Context) error {
		pipe := f.redis.client.Pipeline()
		pipe.XAdd(ctx, &redis.XAddArgs{
			Stream: f.redis.streamKey(user), MaxLen: eventsAtMost, Approx: true, Values: []any{"e", body},
		})
		// The key's TTL begins anew with each step: of a user who never rests, too,
		// nothing older is kept.
		pipe.XTrimMinID(ctx, f.redis.streamKey(user), strconv.FormatInt(time.Now().Add(-eventsKept).UnixMilli(), 10))
		pipe.PExpire(ctx, f.redis.streamKey(user), eventsKept)
		pipe.Publish(ctx, f.pokeChannel(user), user.String())
		_, err := pipe.Exec(ctx)
		return err
	})
	if err != nil {
		f.wake(user, &ev)
		return err
	}
	f.wake(user, nil)
	return nil
}

// wake pokes the local sockets of the user, and hands them the event when it is
// in no stream.
func (f *Fanout) wake(user uuid.UUID, ev *Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for s := range f.subs[user] {
		if ev != nil {
			s.mu.Lock()
			if len(s.local) < eventsAtMost {
				s.local = append(s.local, *ev)
			}
			s.mu.Unlock()
		}
		select {
		case s.wake <- struct{}{}:
		default: // it has been poked and not looked yet
		}
	}
}

// Subscribe begins a subscription; the caller closes it.
func (f *Fanout) Subscribe(ctx context.Context, user uuid.UUID) *Subscription {
	s := &Subscription{fanout: f, user: user, wake: make(chan struct{}, 1)}
	f.order.Lock()
	defer f.order.Unlock()
	f.mu.Lock()
	first := len(f.subs[user]) == 0
	if first {
		f.subs[user] = map[*Subscription]struct{}{}
	}
	f.subs[user][s] = struct{}{}
	f.mu.Unlock()
	if first {
		// A failure is no loss: the client library subscribes again when Redis is
		// back, and the reader looks by itself now and then.
		ctx, cancel := f.brief(ctx)
		defer cancel()
		_ = f.pubs.Subscribe(ctx, f.pokeChannel(user))
	}
	return s
}

// brief bounds a SUBSCRIBE or UNSUBSCRIBE: it is not tried while Redis rests. The
// client library notes the channel all the same.
func (f *Fanout) brief(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	if f.redis.Down() {
		cancel()
	}
	return ctx, cancel
}

// Close ends the subscription.
func (s *Subscription) Close(ctx context.Context) {
	f := s.fanout
	f.order.Lock()
	defer f.order.Unlock()
	f.mu.Lock()
	delete(f.subs[s.user], s)
	last := len(f.subs[s.user]) == 0
	if last {
		delete(f.subs, s.user)
	}
	f.mu.Unlock()
	if last {
		ctx, cancel := f.brief(ctx)
		defer cancel()
		_ = f.pubs.Unsubscribe(ctx, f.pokeChannel(s.user)) // a stray poke wakes nobody
	}
}

// Wake has a value when there may be something new.
func (s *Subscription) Wake() <-chan struct{} { return s.wake }

// Blind says whether steps of other replicas may be missed just now.
func (s *Subscription) Blind() bool { return s.fanout.redis.Down() }

// entryID is what Redis calls an entry of a stream; ids come back from clients.
var entryID = regexp.MustCompile(`^[0-9]{1,19}-[0-9]{1,19}$`)

// Since gives what came after the entry with this id, oldest first; "", or what is
// no id, means from the beginning of what is kept. With Redis down it gives what this replica
// itself saw, and ErrDown.
func (s *Subscription) Since(ctx context.Context, id string) ([]Event, error) {
	s.mu.Lock()
	local := s.local
	s.local = nil
	s.mu.Unlock()
	from := "-"
	if entryID.MatchString(id) {
		from = "(" + id
	}
	var entries []redis.XMessage
	err := s.fanout.redis.do(ctx, func(ctx context.Context) (err error) {
		entries, err = s.fanout.redis.client.XRange(ctx, s.fanout.redis.streamKey(s.user), from, "+").Result()
		return err
	})
	if err != nil {
		return local, err
	}
	for _, entry := range entries {
		var ev Event
		body, ok := entry.Values["e"].(string)
		if !ok || json.Unmarshal([]byte(body), &ev) != nil {
			continue // written by another version; the next step tells the same
		}
		ev.ID = entry.ID
		local = append(local, ev)
	}
	return local, nil
}

// Last gives the id of the newest entry that is kept, "" when there is none, and
// whether the entry `after` is still kept, so that nothing after it is missing.
func (s *Subscription) Last(ctx context.Context, after string) (last string, known bool, err error) {
	key := s.fanout.redis.streamKey(s.user)
	err = s.fanout.redis.do(ctx, func(ctx context.Context) error {
		newest, err := s.fanout.redis.client.XRevRangeN(ctx, key, "+", "-", 1).Result()
		if err != nil {
			return err
		}
		if len(newest) > 0 {
			last = newest[0].ID
		}
		if !entryID.MatchString(after) {
			return nil
		}
		found, err := s.fanout.redis.client.XRangeN(ctx, key, after, after, 1).Result()
		known = len(found) == 1
		return err
	})
	if errors.Is(err, redis.Nil) {
		err = nil
	}
	return last, known, err
}
