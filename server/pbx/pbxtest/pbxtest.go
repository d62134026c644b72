// Package pbxtest is the one suite that every kind of PBX adapter passes. A kind
// brings a Harness: how to open a line to its exchange, and which phones and
// numbers there tell which story. A story that an exchange cannot tell is left
// out of the map, and its test says so.
package pbxtest

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/pbx"
	"clicktodial/server/phone"
)

// Story names what happens to a call that nobody ends from our side.
type Story string

// The stories. The callee's begin only after the own phone has answered.
const (
	Answered       Story = "answered, then the callee hangs up"
	Stays          Story = "answered, and nobody hangs up for a while"
	CalleeRings    Story = "the callee rings for a while"
	CalleeNoAnswer Story = "the callee does not answer in time"
	CalleeBusy     Story = "the callee is busy"
	CalleeFails    Story = "the callee cannot be reached"
	CalleeRejects  Story = "the callee rejects"
	CalleeUnknown  Story = "no such number"
	TrunkFull      Story = "no free line"
	EarlyMedia     Story = "the callee's exchange speaks first, then it answers"
	CallerRings    Story = "the own phone rings for a while"
	CallerNoAnswer Story = "the own phone is not picked up in time"
	CallerBusy     Story = "the own phone is busy"
	CallerForwards Story = "the own phone answers 302"
	CallerOffline  Story = "the own phone is not registered"
	CallerUnknown  Story = "there is no such phone"
	Transfer       Story = "the own phone passes the callee on"
)

// Call is how a Harness tells one story.
type Call struct {
	Endpoint string
	Number   phone.Number
	Ring     time.Duration // 0: long enough
	// Diagnosis that differs from the story's usual one; "" for the usual.
	Diagnosis models.Diagnosis
	// Act, if set, is done once the call is connected (a transfer).
	Act func(t *testing.T, channelID string)
}

// Harness is one kind of PBX, ready to be tried.
type Harness struct {
	// Open gives a new line to the same exchange; the suite runs it.
	Open    func(t *testing.T) pbx.Adapter
	Calls   map[Story]Call
	Region  string
	Context string
	// Patience is how long any one event may take.
	Patience time.Duration
	// Idle and Unknown are phones for Devices; "" when it cannot tell.
	Idle, Offline, Unknown string
	// Cut breaks every open line at once and mends it when mend is called.
	// nil: this exchange's lines cannot break.
	Cut func(t *testing.T) (mend func())
	// Serial runs the stories one after another: the phones take one call each.
	Serial bool
}

// Line is an adapter that runs, and everything that it has said.
type Line struct {
	pbx.Adapter
	t        *testing.T
	patience time.Duration
	inSink   atomic.Int32

	mu     sync.Mutex
	events map[string][]pbx.Event
	news   chan struct{} // closed and replaced at each event
}

// Start opens a line, runs it, and waits until it is up. It is stopped, and
// waited for, when the test ends.
func (h Harness) Start(t *testing.T) *Line {
	t.Helper()
	l := h.start(t, h.Open(t))
	l.WaitUp()
	return l
}

func (h Harness) start(t *testing.T, a pbx.Adapter) *Line {
	t.Helper()
	l := &Line{Adapter: a, t: t, patience: h.Patience, news: make(chan struct{}), events: map[string][]pbx.Event{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx, l.sink) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Run returned %v, want context.Canceled", err)
			}
		case <-time.After(5 * time.Second):
			t.Error("Run did not return within 5 s of its context's end")
		}
	})
	return l
}

func (l *Line) sink(e pbx.Event) {
	if l.inSink.Add(1) != 1 {
		l.t.Error("sink was called while it was being called")
	}
	defer l.inSink.Add(-1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events[e.ChannelID] = append(l.events[e.ChannelID], e)
	close(l.news)
	l.news = make(chan struct{})
}

// WaitUp waits until the line is up. Up has no event, so this one polls.
func (l *Line) WaitUp() { l.waitUp(true) }

// WaitDown waits until the line says that it is down.
func (l *Line) WaitDown() { l.waitUp(false) }

func (l *Line) waitUp(up bool) {
	l.t.Helper()
	deadline := time.Now().Add(l.patience)
	for (l.Up() == nil) != up {
		if time.Now().After(deadline) {
			l.t.Fatalf("line is up: %v, want %v, after %v: %v", l.Up() == nil, up, l.patience, l.Up())
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Said gives the events of one call so far, and a channel that is closed at the
// next event of any call.
func (l *Line) Said(id string) ([]pbx.Event, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events[id]), l.news
}

// Wait waits until a call has reached kind, and fails the test when the call
// ends before that or nothing is said for as long as patience lasts.
func (l *Line) Wait(id string, kind pbx.EventKind) pbx.Event {
	l.t.Helper()
	deadline := time.After(l.patience)
	for {
		said, news := l.Said(id)
		for _, e := range said {
			if e.Kind == kind {
				return e
			}
			if e.Kind == pbx.Ended {
				l.t.Fatalf("ended before %s: %s", kind, Told(said))
			}
		}
		select {
		case <-news:
		case <-deadline:
			l.t.Fatalf("no %s within %v; said: %s", kind, l.patience, Told(said))
		}
	}
}

// Told is a line of events for a test's message; events hold no numbers.
func Told(events []pbx.Event) string {
	s := "nothing"
	for i, e := range events {
		if i == 0 {
			s = ""
		}
		s += string(e.Kind)
		if e.Kind == pbx.Ended {
			s += "{" + string(e.End.Kind) + " " + string(e.End.Leg) + "}"
		}
		s += " "
	}
	return s
}

// NewID makes a channel id as package call does: unique and unguessable.
func NewID() string { return "ctd-" + rand.Text() }

// Request makes the Originate of one story.
func (h Harness) Request(c Call) pbx.Originate {
	ring := c.Ring
	if ring == 0 {
		ring = 25 * time.Second
	}
	return pbx.Originate{
		ChannelID: NewID(), Endpoint: c.Endpoint, Number: c.Number,
		Region: h.Region, Context: h.Context, RingTimeout: ring,
	}
}

// Dial places the call of one story and gives its channel id.
func (h Harness) Dial(t *testing.T, l *Line, c Call) string {
	t.Helper()
	req := h.Request(c)
	ctx, cancel := context.WithTimeout(context.Background(), h.Patience)
	defer cancel()
	if err := l.Originate(ctx, req); err != nil {
		t.Fatalf("Originate: %v", err)
	}
	return req.ChannelID
}

// Fold takes a call's events through its statuses, as package call does, and
// checks what must hold for any call: events only go forward, one end, the last.
func Fold(t *testing.T, events []pbx.Event) (models.Status, models.Reason, models.Diagnosis) {
	t.Helper()
	status, furthest := models.Initiating, 0
	for i, e := range events {
		if e.Kind == pbx.Ended {
			if i != len(events)-1 {
				t.Errorf("something was said after the end: %s", Told(events))
			}
			return pbx.Outcome(status, e.End)
		}
		if e.At.IsZero() {
			t.Errorf("%s has no time", e.Kind)
		}
		rank := rankOf(e.Kind)
		if rank < furthest {
			t.Errorf("events went backward: %s", Told(events))
		}
		furthest = max(furthest, rank)
		if s := statusOf(e.Kind); s.Rank() > status.Rank() {
			status = s
		}
	}
	t.Errorf("no end: %s", Told(events))
	return status, models.NoReason, models.NoDiagnosis
}

func rankOf(k pbx.EventKind) int {
	for i, kind := range []pbx.EventKind{pbx.CallerRinging, pbx.CallerAnswered, pbx.CalleeDialling,
		pbx.CalleeRinging, pbx.CalleeAnswered, pbx.Ended} {
		if k == kind {
			return i + 1
		}
	}
	return -1
}

func statusOf(k pbx.EventKind) models.Status {
	switch k {
	case pbx.CallerRinging:
		return models.CallingCaller
	case pbx.CallerAnswered, pbx.CalleeDialling, pbx.CalleeRinging:
		return models.CallingCallee
	case pbx.CalleeAnswered:
		return models.Connected
	default:
		return models.Initiating
	}
}

// wantCode fails the test unless err is a fault with this code.
func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if fault.Code(err) != code {
		t.Errorf("error %v, want a fault with code %s", err, code)
	}
}

// FoldAll folds each of the calls, which must all have ended.
func (l *Line) FoldAll(t *testing.T, ids []string) {
	t.Helper()
	for _, id := range ids {
		said, _ := l.Said(id)
		Fold(t, said)
	}
}
