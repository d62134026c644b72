package ami

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"clicktodial/server/pbx"
	"clicktodial/server/pbx/pbxtest"
)

// quick keeps short what only makes a test wait. What a busy machine could miss
// stays long; the tests that are about it make it short themselves.
func quick() tempo {
	return tempo{
		dial: 5 * time.Second, reply: 5 * time.Second, write: 5 * time.Second, ping: 2 * time.Second,
		firstRetry: 5 * time.Millisecond, lastRetry: 50 * time.Millisecond, loginRetry: 200 * time.Millisecond,
		grace: time.Second, recheck: 150 * time.Millisecond, states: 20 * time.Millisecond,
	}
}

func openQuick(t testing.TB, url string, log *slog.Logger) *PBX {
	t.Helper()
	p, err := Open(url, log)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	p.tempo = quick()
	p.tracker = newTracker(p.config.local(), p.tempo)
	return p
}

const national = "numbers=national"

func (f *fake) harness(t *testing.T) pbxtest.Harness {
	to := func(endpoint, n string) pbxtest.Call {
		return pbxtest.Call{Endpoint: endpoint, Number: number(t, n)}
	}
	return pbxtest.Harness{
		Open: func(t *testing.T) pbx.Adapter { return openQuick(t, f.url(national), quiet()) },
		Calls: map[pbxtest.Story]pbxtest.Call{
			pbxtest.Answered:       to("101", "+31201234567"),
			pbxtest.Stays:          to("101", "+31201236666"),
			pbxtest.CalleeRings:    to("101", "+31201230000"),
			pbxtest.CalleeNoAnswer: to("101", "+31201230001"),
			pbxtest.CalleeBusy:     to("101", "+31201231111"),
			pbxtest.TrunkFull:      to("101", "+31201232222"),
			pbxtest.CalleeRejects:  to("101", "+31201233333"),
			pbxtest.CalleeUnknown:  to("101", "+31201239876"),
			pbxtest.CallerRings:    to("103", "+31201234567"),
			pbxtest.CallerBusy:     to("102", "+31201234567"),
			pbxtest.CallerForwards: to("107", "+31201234567"),
			pbxtest.CallerOffline:  to("105", "+31201234567"),
			pbxtest.CallerUnknown:  to("999", "+31201234567"),
		},
		Region: "NL", Patience: 10 * time.Second, Idle: "104", Offline: "105", Unknown: "999",
		Serial: true,
		Cut: func(t *testing.T) func() {
			f.stop()
			return func() { f.listen(f.listener.Addr().String()) }
		},
	}
}

func TestFakeConform(t *testing.T) {
	t.Parallel()
	pbxtest.Conform(t, newFake(t).harness(t))
}

// setup is a running line to a fake PBX.
func setup(t *testing.T, changes ...func(*tempo)) (*fake, *pbxtest.Line, pbxtest.Harness) {
	t.Helper()
	f := newFake(t)
	h := f.harness(t)
	h.Open = func(t *testing.T) pbx.Adapter {
		p := openQuick(t, f.url(national), quiet())
		for _, change := range changes {
			change(&p.tempo)
		}
		p.tracker = newTracker(p.config.local(), p.tempo)
		return p
	}
	return f, h.Start(t), h
}

func TestOriginateIsWrittenOnce(t *testing.T) {
	t.Parallel()
	t.Run("no Response", func(t *testing.T) {
		t.Parallel()
		f, l, h := setup(t, func(k *tempo) { k.reply = 300 * time.Millisecond })
		f.set(func() { f.mute["Originate"] = true })
		req := h.Request(h.Calls[pbxtest.Stays])
		if err := l.Originate(t.Context(), req); !errors.Is(err, pbx.ErrDoubt) {
			t.Fatalf("%v, want ErrDoubt", err)
		}
		// Late, the PBX does what it was asked: it is heard.
		f.event("Event: Newchannel", "Uniqueid: "+req.ChannelID, "Linkedid: "+req.ChannelID)
		l.Wait(req.ChannelID, pbx.CallerRinging)
		f.event("Event: OriginateResponse", "ActionID: "+f.received("Originate", 1)[0]["ActionID"], "Response: Failure", "Reason: 0")
		f.event("Event: Hangup", "Uniqueid: "+req.ChannelID, "Cause: 17")
		l.Wait(req.ChannelID, pbx.Ended)
		if n := f.count("Originate"); n != 1 {
			t.Errorf("written %d times", n)
		}
	})
	t.Run("the context ends", func(t *testing.T) {
		t.Parallel()
		f, l, h := setup(t)
		f.set(func() { f.mute["Originate"] = true })
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := l.Originate(ctx, h.Request(h.Calls[pbxtest.Stays])); !errors.Is(err, pbx.ErrDoubt) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v, want ErrDoubt", err)
		}
	})
	t.Run("the line breaks, the PBX never took it", func(t *testing.T) {
		t.Parallel()
		f, l, h := setup(t)
		f.set(func() { f.mute["Originate"] = true })
		req := h.Request(h.Calls[pbxtest.Stays])
		done := make(chan error, 1)
		go func() { done <- l.Originate(t.Context(), req) }()
		f.received("Originate", 1)
		f.cut()
		if err := <-done; !errors.Is(err, pbx.ErrDoubt) {
			t.Errorf("%v, want ErrDoubt", err)
		}
		if e := l.Wait(req.ChannelID, pbx.Ended); e.End.Kind != pbx.EndLost {
			t.Errorf("ended as %+v, want lost", e.End)
		}
		if n := f.count("Status"); n < 2 {
			t.Errorf("a call in doubt was looked for %d times, want twice", n)
		}
		if n := f.count("Originate"); n != 1 {
			t.Errorf("written %d times", n)
		}
	})
	t.Run("the line breaks, the PBX did take it", func(t *testing.T) {
		t.Parallel()
		f, l, h := setup(t)
		req := h.Request(h.Calls[pbxtest.Stays])
		f.set(func() {
			f.story = func(c *fakeCall) {
				c.f.cut()
				c.begin()
				c.set(func() { c.state = stateUp })
				c.wait(time.Minute)
				c.gone(16)
			}
		})
		_ = l.Originate(t.Context(), req) // nil or doubt, as the cut falls
		l.Wait(req.ChannelID, pbx.CallerAnswered)
		l.WaitUp() // it is told while the line is still catching up
		if err := l.Hangup(t.Context(), req.ChannelID); err != nil {
			t.Fatalf("Hangup: %v", err)
		}
		l.Wait(req.ChannelID, pbx.Ended)
		if n := f.count("Originate"); n != 1 {
			t.Errorf("written %d times", n)
		}
	})
	t.Run("the PBX says no", func(t *testing.T) {
		t.Parallel()
		f, l, h := setup(t)
		req := h.Request(pbxtest.Call{Endpoint: "101", Number: number(t, "+31209999999")})
		if err := l.Originate(t.Context(), req); !errors.Is(err, pbx.Refused(nil)) || !strings.Contains(err.Error(), "Extension does not exist.") {
			t.Errorf("%v, want pbx-refused", err)
		}
		f.event("Event: Newchannel", "Uniqueid: "+req.ChannelID)
		marker(t, f, l, h)
		if said, _ := l.Said(req.ChannelID); len(said) != 0 {
			t.Errorf("a refused call is followed: %s", pbxtest.Told(said))
		}
	})
}

func (f *fake) set(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
}

// marker waits until all that the fake has sent so far was read: a call after it
// has ended.
func marker(t *testing.T, f *fake, l *pbxtest.Line, h pbxtest.Harness) {
	t.Helper()
	f.set(func() { f.mute["Originate"] = false })
	id := h.Dial(t, l, h.Calls[pbxtest.CallerBusy])
	l.Wait(id, pbx.Ended)
}
