// Package ami is the line to an Asterisk over its Manager Interface (AMI).
//
// What Asterisk says was measured on 22.10 and is not always what it documents:
// the Response to an Originate says nothing about the phone, the order of events
// varies, every session hears everybody's calls, a phone that is not there gives
// no event, and a restart looks like a normal end. wire.go reads and writes,
// session.go is one login, line.go keeps one up, tracker.go and track.go follow
// calls, reconcile.go finds them again, originate.go acts, devices.go and
// check.go ask.
//
// A call that is to be recorded carries the channel variable CLICKTODIAL_RECORD=1;
// recording is the dialplan's (MixMonitor), and where it goes too.
//
// The account needs read = call and write = call,originate, and no more.
package ami

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"clicktodial/server/pbx"
)

// PBX is a line to one Asterisk. It implements pbx.Adapter.
type PBX struct {
	config config
	tempo  tempo
	log    *slog.Logger

	wake  chan struct{} // capacity 1: something is in queue
	tasks sync.WaitGroup

	states  states
	listing sync.Mutex // one DeviceStateList at a time

	mu      sync.Mutex
	running bool
	session *session // nil while the line is down
	cause   error    // why it is
	boot    string   // what this PBX remembers until it restarts; "" when not known
	tracker *tracker
	queue   []pbx.Event
	timer   *time.Timer // for tracker.next
}

// Open reads a PBX_URL; see parseURL. It touches no wire: Run does.
func Open(rawURL string, log *slog.Logger) (*PBX, error) {
	c, err := parseURL(rawURL)
	if err != nil {
		return nil, err
	}
	return newPBX(c, usualTempo(), log), nil
}

func newPBX(c config, t tempo, log *slog.Logger) *PBX {
	return &PBX{
		config: c, tempo: t, log: log, wake: make(chan struct{}, 1),
		cause: errNotRunning, tracker: newTracker(c.local(), t),
	}
}

var errNotRunning = errors.New("the line is not running")

// Run keeps the line up until ctx ends, and hands the events of followed calls
// to sink, one at a time. A slow sink delays nobody but itself.
func (p *PBX) Run(ctx context.Context, sink func(pbx.Event)) error {
	p.mu.Lock()
	if p.running {
		p.mu.Unlock()
		return errors.New("ami line: already running")
	}
	p.running = true
	p.mu.Unlock()

	var line sync.WaitGroup
	line.Go(func() { p.keepUp(ctx) })
	p.drain(ctx, sink)
	line.Wait()

	p.mu.Lock()
	p.running = false
	p.cause = errNotRunning
	if p.timer != nil {
		p.timer.Stop()
	}
	p.mu.Unlock()
	p.tasks.Wait()
	return ctx.Err()
}

func (p *PBX) drain(ctx context.Context, sink func(pbx.Event)) {
	for {
		p.mu.Lock()
		queue := p.queue
		p.queue = nil
		p.mu.Unlock()
		for _, e := range queue {
			if ctx.Err() != nil {
				return
			}
			sink(e)
		}
		select {
		case <-ctx.Done():
			return
		case <-p.wake:
		}
	}
}

// Up is nil while the line is up.
func (p *PBX) Up() error {
	_, err := p.line()
	return err
}

// line gives the session, or at once the fault that there is none.
func (p *PBX) line() (*session, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.session == nil:
		return nil, pbx.Unavailable(p.cause)
	case !p.session.alive():
		return nil, pbx.Unavailable(errLineLost)
	}
	return p.session, nil
}

// onEvent is called by the session's reader.
func (p *PBX) onEvent(s *session, m message) {
	if m[kEvent] == "DeviceStateChange" {
		p.states.change(m[kDevice], m[kState])
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tracker.handle(m, time.Now())
	p.flush(s)
}

// flush does what following calls for. Called with the lock held.
func (p *PBX) flush(s *session) {
	w := p.tracker.take()
	if len(w.events) > 0 {
		p.queue = append(p.queue, w.events...)
		select {
		case p.wake <- struct{}{}:
		default: // a wake-up is waiting already
		}
	}
	if s != nil && p.running {
		for _, q := range w.questions {
			p.tasks.Go(func() { p.ask(s, q) })
		}
		for _, id := range w.hangups {
			p.tasks.Go(func() { p.hangupLate(s, id) })
		}
	}
	p.schedule()
}

// schedule sets the timer for the tracker's next wait. Called with the lock held.
func (p *PBX) schedule() {
	next := p.tracker.next()
	if next.IsZero() || !p.running {
		return
	}
	if p.timer == nil {
		p.timer = time.AfterFunc(time.Until(next), p.expire)
		return
	}
	p.timer.Reset(time.Until(next))
}

func (p *PBX) expire() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running {
		return
	}
	p.tracker.expire(time.Now())
	p.flush(p.session)
}

// ask finds out whether a phone exists. The tracker waits no longer than grace.
func (p *PBX) ask(s *session, q question) {
	ctx, cancel := context.WithTimeout(context.Background(), p.tempo.grace)
	defer cancel()
	state, err := askState(ctx, s, p.config.deviceName(q.endpoint))
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tracker.answer(q.channelID, deviceState(state), err == nil && state != "", time.Now())
	p.flush(s)
}

// hangupLate hangs up a call that was not there yet when it was asked for.
func (p *PBX) hangupLate(s *session, id string) {
	ctx, cancel := context.WithTimeout(context.Background(), p.tempo.reply)
	defer cancel()
	if _, err := hangup(ctx, s, id); err != nil {
		p.log.Warn("pbx hang-up did not reach the exchange", "channel_id", id, "cause", causeWord(err))
	}
}

func (p *PBX) follow(id, endpoint, actionID string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tracker.follow(id, endpoint, actionID, time.Now()) != nil
}

// Forget stops following a channel.
func (p *PBX) Forget(channelID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tracker.forget(channelID)
}
