package call

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/pbx"
	"clicktodial/server/store"
)

// A call can be hung up at each of its states, from either of two replicas.
func TestHangUpAtEachState(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, number, url string
		at                models.Status
		ends              string
	}{
		{"own phone rings", "020 123 4567", "practice://?ring=1h", models.CallingCaller, "disconnected callerAbandon hung-up-by-client"},
		{"number rings", "020 123 4567", "practice://?ring=1ms&callee=1h", models.CallingCallee, "disconnected callerAbandon hung-up-by-client"},
		{"connected", "020 123 4567", "practice://?ring=1ms&callee=1ms&talk=1h", models.Connected, "disconnected hangUp hung-up"},
	}
	for _, row := range rows {
		for _, by := range []string{"the same replica", "the other replica"} {
			t.Run(row.name+", by "+by, func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				exchange := b.practicePBX(t, row.url)
				one, two := b.start(t, exchange), b.start(t, exchange.Join())
				call := b.dial(t, one.Service, click(t, row.number))
				if row.at != models.CallingCaller {
					b.awaitStatus(t, call.ID, row.at)
				} else {
					b.await(t, call.ID, "ringing", func(c models.Call) bool { return c.Status == row.at })
				}
				hanger := one.Service
				if by == "the other replica" {
					hanger = two.Service
				}
				if err := hanger.HangUp(context.Background(), b.caller, call.ID); err != nil {
					t.Fatal(err)
				}
				if got := b.awaitEnd(t, call.ID); ends(got) != row.ends {
					t.Errorf("ends %q, want %q", ends(got), row.ends)
				}
				wantCode(t, hanger.HangUp(context.Background(), b.caller, call.ID), "call-ended")
				eventually(t, "nobody follows it", func() bool {
					return len(one.trackedCalls()) == 0 && len(two.trackedCalls()) == 0
				})
			})
		}
	}
}

// The PBX has not answered the request yet, and the client hangs up.
func TestHangUpBeforeThePBXAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.timing.answerLimit = 10 * time.Millisecond
	b.timing.dispatchLimit = 10 * time.Second
	p := newPeer()
	answer, known := make(chan struct{}), false
	p.originate = func(ctx context.Context, _ pbx.Originate) error {
		select {
		case <-answer:
			p.set(func(*peer) { known = true })
			return nil
		case <-ctx.Done():
			return pbx.ErrDoubt
		}
	}
	p.hangup = func(channel string) error {
		p.mu.Lock()
		there := known
		p.mu.Unlock()
		if !there {
			return pbx.ErrGone
		}
		go p.emit(channel, pbx.Ended, pbx.End{})
		return nil
	}
	s := b.start(t, p)
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	if call.Status != models.Initiating {
		t.Errorf("status %s", call.Status)
	}
	if err := s.HangUp(context.Background(), b.caller, call.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the PBX was asked in vain", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.hungUp) >= 4 // for longer than goneAfter
	})
	if now := b.call(t, call.ID); now.Status.Ended() {
		t.Error("the call was given up while the PBX might still ring the phone")
	}
	close(answer)
	if got := b.awaitEnd(t, call.ID); ends(got) != "disconnected callerAbandon hung-up-by-client" {
		t.Errorf("ends %q", ends(got))
	}
}

// The PBX knows nothing of a call for so long that its end must have been missed.
func TestHangUpOfACallThatIsGone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	p.hangup = func(string) error { return pbx.ErrGone }
	s := b.start(t, p)
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	p.emit(call.ChannelID, pbx.CalleeAnswered, pbx.End{})
	b.awaitStatus(t, call.ID, models.Connected)
	if err := s.HangUp(context.Background(), b.caller, call.ID); err != nil {
		t.Fatal(err)
	}
	if got := b.awaitEnd(t, call.ID); ends(got) != "disconnected hangUp hung-up" {
		t.Errorf("ends %q", ends(got))
	}
}

// The line is down when the client hangs up, and comes back.
func TestHangUpWhileTheLineIsDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := newPeer()
	down := pbx.Unavailable(errors.New("cut"))
	p.hangup = func(string) error { return down }
	s := b.start(t, p)
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	if err := s.HangUp(context.Background(), b.caller, call.ID); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it was tried", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.hungUp) > 0
	})
	p.set(func(p *peer) {
		p.hangup = func(channel string) error {
			go p.emit(channel, pbx.Ended, pbx.End{Cause: pbx.CauseNormal})
			return nil
		}
	})
	if got := b.awaitEnd(t, call.ID); ends(got) != "disconnected callerAbandon hung-up-by-client" {
		t.Errorf("ends %q", ends(got))
	}
}

// Nobody talks for longer than four hours: our clock says so, in no time.
func TestLongestCall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var mu sync.Mutex
	var ahead time.Duration
	b.now = func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}
	s := b.start(t, b.practicePBX(t, "practice://?ring=1ms&callee=1ms&talk=4h"))
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	b.awaitStatus(t, call.ID, models.Connected)
	mu.Lock()
	ahead = models.LongestCall - time.Minute
	mu.Unlock()
	other := b.dial(t, s.Service, click(t, "020 123 4567")) // a moment of the service's life
	b.awaitStatus(t, other.ID, models.Connected)
	if now := b.call(t, call.ID); now.Status.Ended() {
		t.Fatal("ended before its time")
	}
	mu.Lock()
	ahead = models.LongestCall
	mu.Unlock()
	if got := b.awaitEnd(t, call.ID); ends(got) != "disconnected hangUp call-too-long" {
		t.Errorf("ends %q", ends(got))
	}
	if now := b.call(t, other.ID); now.Status.Ended() {
		t.Error("another call was ended with it")
	}
}

// A call that is up when its record ends is hung up just before.
func TestRecordEndsUnderACall(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.maxAge = 2500 * time.Millisecond
	p := b.practicePBX(t, "practice://?ring=1ms&callee=1ms&talk=4h")
	s := b.start(t, p)
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	got := b.awaitEnd(t, call.ID)
	if ends(got) != "disconnected hangUp retention-ended" || got.EndedAt.After(got.ExpiresAt) {
		t.Errorf("ends %q, %v before its record", ends(got), got.ExpiresAt.Sub(*got.EndedAt))
	}
}

// What is left of private calls, and of calls of a tenant that keeps nothing.
func TestPrivateAndZeroDays(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	b := setup(t)
	s := b.start(t, b.practicePBX(t, hurried))
	c := click(t, "020 123 4567")
	c.Private = true
	call := b.dial(t, s.Service, c)
	if call.Number != c.Number {
		t.Error("a living private call has no number")
	}
	if got := b.awaitEnd(t, call.ID); !got.Number.IsZero() || got.Name != "" || got.NumberMasked != nil || !got.Private {
		t.Errorf("an ended private call: %v %v", got.Number, got.Name)
	}
	b.setDays(t, 0)
	c = click(t, "020 123 4567")
	call = b.dial(t, s.Service, c)
	b.eventually(t, "its record is gone", func() bool {
		_, err := b.db.Call(ctx, b.tenant.ID, b.user.ID, call.ID)
		return errors.Is(err, store.ErrNotFound)
	})
	_, _, err := s.Start(ctx, b.caller, c)
	wantCode(t, err, "call-gone")
	// Its last event reaches the sockets all the same.
	b.eventually(t, "its end was told", func() bool {
		events, err := b.sub.Since(ctx, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, ev := range events {
			if ev.CallID == call.ID && ev.Status == models.Disconnected && *ev.Diagnosis == models.HungUp {
				return true
			}
		}
		return false
	})
	if list := b.history(t); len(list) != 1 {
		t.Errorf("%d calls in the history, want the private one", len(list))
	}
}

// Another replica noted the hang-up and died, while our PBX was still taking the
// request: we obey as soon as it has.
func TestHangUpNotedMeanwhile(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.timing.answerLimit = 10 * time.Millisecond
	p := newPeer()
	answer := make(chan struct{})
	p.originate = func(context.Context, pbx.Originate) error {
		<-answer
		return nil
	}
	p.hangup = func(channel string) error {
		go p.emit(channel, pbx.Ended, pbx.End{})
		return nil
	}
	s := b.start(t, p)
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	if _, err := b.db.AskHangUp(context.Background(), b.tenant.ID, b.user.ID, call.ID); err != nil {
		t.Fatal(err)
	}
	close(answer)
	if got := b.awaitEnd(t, call.ID); ends(got) != "disconnected callerAbandon hung-up-by-client" {
		t.Errorf("ends %q", ends(got))
	}
}

// Another replica was asked to end the call, noted it, and died: the one that
// follows the call ends it.
func TestHangUpAskedOfADeadReplica(t *testing.T) {
	t.Parallel()
	b := setup(t)
	s := b.start(t, b.practicePBX(t, "practice://?ring=10ms&talk=1h"))
	call := b.dial(t, s.Service, click(t, "020 123 4567"))
	b.awaitStatus(t, call.ID, models.Connected)
	if _, err := b.db.AskHangUp(t.Context(), b.tenant.ID, b.user.ID, call.ID); err != nil {
		t.Fatal(err)
	}
	if got := ends(b.awaitEnd(t, call.ID)); got != "disconnected hangUp hung-up" {
		t.Errorf("ended as %s", got)
	}
}

// Both sides of when a call is ended for lasting too long, or for its record: that of
// one that was up when its company chose 0 days ends at the longest call, whatever
// its follower remembers.
func TestOverdue(t *testing.T) {
	t.Parallel()
	made := time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		lives, after time.Duration
		why          models.HangUpWhy
	}{
		"long before":                  {90 * models.Day, time.Hour, ""},
		"just before the longest call": {90 * models.Day, models.LongestCall - expiryMargin - time.Millisecond, ""},
		"the longest call":             {90 * models.Day, models.LongestCall - expiryMargin, models.HangUpLimit},
		"just before its record":       {time.Minute, time.Minute - expiryMargin - time.Millisecond, ""},
		"its record":                   {time.Minute, time.Minute - expiryMargin, models.HangUpRetention},
	} {
		why, due := overdue(models.FollowedCall{CreatedAt: made, ExpiresAt: made.Add(c.lives)}, made.Add(c.after))
		if why != c.why || due != (c.why != "") {
			t.Errorf("%s: %q %v", name, why, due)
		}
	}
}
