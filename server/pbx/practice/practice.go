// Package practice is a PBX that rings nothing. It is built in, so that a fresh
// checkout can be tried, and so that the call service can be tested without a
// telephone. The number's last four digits choose what happens:
//
//	0000 nobody answers, 1111 busy, 2222 failure, 3333 the own phone is not
//	picked up, 4444 as if the line were down; else answered, and hung up after a while
//
// Internal extensions answer. It holds no goroutine per call, only a timer.
package practice

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"clicktodial/server/pbx"
)

// PBX is one line to a practice exchange. It implements pbx.Adapter.
type PBX struct {
	times    times
	exchange *exchange
	log      *slog.Logger

	wake chan struct{} // capacity 1: something is in queue

	mu       sync.Mutex
	running  bool
	followed map[string]bool
	queue    []pbx.Event
}

var (
	errNotRunning = errors.New("the practice line is not running")
	errLineDown   = errors.New("the practice number for a line that is down")
)

// Open makes a practice exchange and a line to it, from e.g.
// practice://?ring=1s&talk=3s&callee=1s&unanswered=30s.
func Open(rawURL string, log *slog.Logger) (*PBX, error) {
	t, err := parseTimes(rawURL)
	if err != nil {
		return nil, err
	}
	return newLine(t, newExchange(), log), nil
}

func newLine(t times, x *exchange, log *slog.Logger) *PBX {
	return &PBX{
		times: t, exchange: x, log: log,
		wake: make(chan struct{}, 1), followed: map[string]bool{},
	}
}

// Join opens another line to the same exchange, as a second replica would.
func (p *PBX) Join() *PBX { return newLine(p.times, p.exchange, p.log) }

// Run hands events to sink until ctx ends. The exchange and its calls live on,
// as a real one's would.
func (p *PBX) Run(ctx context.Context, sink func(pbx.Event)) error {
	p.mu.Lock()
	if p.running {
		p.mu.Unlock()
		return errors.New("practice line: already running")
	}
	p.running = true
	p.mu.Unlock()
	p.exchange.join(p)
	p.log.Info("practice pbx is up: it rings nothing")
	defer func() {
		p.exchange.leave(p)
		p.mu.Lock()
		p.running = false
		p.mu.Unlock()
	}()
	for {
		for _, e := range p.take() {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			sink(e)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-p.wake:
		}
	}
}

// Up is nil while Run runs.
func (p *PBX) Up() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running {
		return pbx.Unavailable(errNotRunning)
	}
	return nil
}

// Probe refuses the number that stands for a line that is down.
func (p *PBX) Probe(req pbx.Originate) error {
	if tell(req.Number) == storyLineDown {
		return pbx.Unavailable(errLineDown)
	}
	return nil
}

// Originate begins a call's story.
func (p *PBX) Originate(ctx context.Context, req pbx.Originate) error {
	if err := req.Valid(); err != nil {
		return err
	}
	if err := p.Up(); err != nil {
		return err
	}
	if err := p.Probe(req); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return pbx.Unavailable(ctx.Err())
	}
	return p.exchange.begin(p, req.ChannelID, req.Endpoint, p.times.script(req))
}

// Hangup ends a call.
func (p *PBX) Hangup(_ context.Context, channelID string) error {
	if err := p.Up(); err != nil {
		return err
	}
	return p.exchange.hangup(channelID)
}

// Adopt follows a call that another line of this exchange dialled.
func (p *PBX) Adopt(_ context.Context, channelID string) (pbx.Snapshot, error) {
	if err := p.Up(); err != nil {
		return pbx.Snapshot{}, err
	}
	return p.exchange.adopt(p, channelID)
}

// Forget stops following a call; its story goes on unheard.
func (p *PBX) Forget(channelID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.followed, channelID)
}

// Devices: every phone exists; it is idle unless it is in a call.
func (p *PBX) Devices(_ context.Context, endpoints []string) (map[string]pbx.DeviceState, error) {
	if err := p.Up(); err != nil {
		return nil, err
	}
	return p.exchange.devices(endpoints), nil
}

// Check has nothing to try.
func (p *PBX) Check(_ context.Context, req pbx.Check) (pbx.Report, error) {
	report := pbx.Report{OK: true, Kind: "practice", Findings: []pbx.Finding{{
		Level: "ok", Code: "practice",
		Sentence: "This is the practice exchange. It rings nothing and needs nothing.",
		Mend:     "Set PBX_URL to a real one, for example ami://user:secret@pbx.example:5038?channel=PJSIP/{device}&context=from-internal",
	}}}
	if !req.Number.IsZero() {
		report.Findings = append(report.Findings, pbx.Finding{
			Level: "ok", Code: "practice-story",
			Sentence: fmt.Sprintf("A call to this number would be told as: %s.", tell(req.Number)),
		})
	}
	return report, nil
}

func (p *PBX) follow(channelID string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.followed[channelID] = true
}

func (p *PBX) following() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Collect(maps.Keys(p.followed))
}

// hear queues an event if its call is followed. The exchange calls it in order.
func (p *PBX) hear(e pbx.Event) {
	p.mu.Lock()
	heard := p.followed[e.ChannelID]
	if heard {
		p.queue = append(p.queue, e)
	}
	if e.Kind == pbx.Ended {
		delete(p.followed, e.ChannelID)
	}
	p.mu.Unlock()
	if !heard {
		return
	}
	select {
	case p.wake <- struct{}{}:
	default: // a wake-up is waiting already
	}
}

func (p *PBX) take() []pbx.Event {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queue
	p.queue = nil
	return q
}

// stamp is when a thing happens; the exchange has no clock of its own.
func stamp() time.Time { return time.Now().UTC() }
