package practice_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"clicktodial/models"
	"clicktodial/server/pbx"
	"clicktodial/server/pbx/pbxtest"
	"clicktodial/server/pbx/practice"
	"clicktodial/server/phone"
)

func number(t testing.TB, s string) phone.Number {
	t.Helper()
	n, err := phone.Parse(s, "NL")
	if err != nil {
		t.Fatalf("parsing a test number: %v", err)
	}
	return n
}

func open(t testing.TB, url string) *practice.PBX {
	t.Helper()
	p, err := practice.Open(url, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	return p
}

func TestConform(t *testing.T) {
	t.Parallel()
	quick := open(t, "practice://?ring=20ms&callee=20ms&talk=20ms&unanswered=30ms")
	conform(t, func(*testing.T) pbx.Adapter { return quick.Join() }, map[pbxtest.Story]pbxtest.Call{
		pbxtest.Answered:       {Endpoint: "101", Number: number(t, "+31201234567")},
		pbxtest.CalleeNoAnswer: {Endpoint: "102", Number: number(t, "+31201230000")},
		pbxtest.CalleeBusy:     {Endpoint: "103", Number: number(t, "+31201231111")},
		pbxtest.CalleeFails:    {Endpoint: "104", Number: number(t, "+31201232222")},
		pbxtest.CallerNoAnswer: {Endpoint: "105", Number: number(t, "+31201233333"), Ring: time.Second},
	})
	slow := open(t, "practice://?ring=20ms&callee=20ms&talk=1h&unanswered=1h")
	conform(t, func(*testing.T) pbx.Adapter { return slow.Join() }, map[pbxtest.Story]pbxtest.Call{
		pbxtest.Stays:       {Endpoint: "201", Number: number(t, "+31201236666")},
		pbxtest.CalleeRings: {Endpoint: "202", Number: number(t, "+31201230000")},
		pbxtest.CallerRings: {Endpoint: "203", Number: number(t, "+31201233333"), Ring: time.Minute},
	})
}

func conform(t *testing.T, opener func(*testing.T) pbx.Adapter, calls map[pbxtest.Story]pbxtest.Call) {
	t.Run("exchange", func(t *testing.T) {
		pbxtest.Conform(t, pbxtest.Harness{Open: opener, Calls: calls, Patience: 5 * time.Second, Idle: "999", Serial: true})
	})
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for _, url := range []string{"practice://", "practice:", "practice://?ring=0s", "practice://?ring=1s&talk=3s&callee=0s&unanswered=4h"} {
		if _, err := practice.Open(url, slog.New(slog.DiscardHandler)); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"", "ami://host", "practice://host", "practice://u:secret@/", "practice:///path", "practice://?ring=fast",
		"practice://?ring=-1s", "practice://?ring=5h", "practice://?ring=1s&ring=2s", "practice://?rung=1s", "practice://?ring=%zz", "practice://\x00"} {
		_, err := practice.Open(url, slog.New(slog.DiscardHandler))
		if err == nil {
			t.Errorf("%q was taken", url)
		} else if strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: the error repeats the secret", url)
		}
	}
	_, err := practice.Open("practice://host?ring=x&rung=1s", slog.New(slog.DiscardHandler))
	if n := strings.Count(err.Error(), "\n") + 1; n != 3 {
		t.Errorf("%d faults reported, want all 3: %v", n, err)
	}
}

// TestTimes tells each story on a clock that costs no time.
func TestTimes(t *testing.T) {
	t.Parallel()
	cases := []struct {
		number string
		reason models.Reason
		after  time.Duration
	}{
		{"+31201234567", models.HangUp, 5 * time.Second},
		{"+31201230000", models.CalleeNoAnswer, 31 * time.Second},
		{"+31201231111", models.CalleeBusy, 2 * time.Second},
		{"+31201232222", models.CalleeFailure, 2 * time.Second},
		{"+31201233333", models.CallerNoAnswer, 25 * time.Second},
		{"204", models.HangUp, 5 * time.Second},
		{"4444", models.HangUp, 5 * time.Second},
	}
	for _, c := range cases {
		t.Run(c.number, func(t *testing.T) {
			t.Parallel()
			n := number(t, c.number)
			synctest.Test(t, func(t *testing.T) {
				p := open(t, "practice://")
				ctx, cancel := context.WithCancel(t.Context())
				var events []pbx.Event
				done := make(chan struct{})
				go func() {
					defer close(done)
					_ = p.Run(ctx, func(e pbx.Event) { events = append(events, e) })
				}()
				synctest.Wait()
				began := time.Now()
				req := pbx.Originate{ChannelID: pbxtest.NewID(), Endpoint: "101", Number: n, Region: "NL", RingTimeout: 25 * time.Second}
				if err := p.Originate(ctx, req); err != nil {
					t.Fatalf("Originate: %v", err)
				}
				time.Sleep(time.Hour) // a fake clock's hour
				synctest.Wait()
				cancel()
				<-done
				_, reason, _ := pbxtest.Fold(t, events)
				if took := events[len(events)-1].At.Sub(began); reason != c.reason || took != c.after {
					t.Errorf("%s after %v, want %s after %v", reason, took, c.reason, c.after)
				}
			})
		})
	}
}

func TestLineDownNumber(t *testing.T) {
	t.Parallel()
	h := pbxtest.Harness{Open: func(t *testing.T) pbx.Adapter { return open(t, "practice://") }, Patience: time.Second}
	l := h.Start(t)
	req := h.Request(pbxtest.Call{Endpoint: "101", Number: number(t, "+31201234444")})
	prober, ok := l.Adapter.(pbx.Prober)
	if !ok {
		t.Fatal("practice is no pbx.Prober")
	}
	for _, err := range []error{prober.Probe(req), l.Originate(t.Context(), req)} {
		if want := pbx.Unavailable(nil); !errors.Is(err, want) {
			t.Errorf("%v, want %v", err, want)
		}
	}
	if err := prober.Probe(h.Request(pbxtest.Call{Endpoint: "101", Number: number(t, "+31201234567")})); err != nil {
		t.Errorf("Probe of another number: %v", err)
	}
}

// TestRunAgain: a line that was away hears what became of its calls.
func TestRunAgain(t *testing.T) {
	t.Parallel()
	h := pbxtest.Harness{Patience: 5 * time.Second}
	p := open(t, "practice://?ring=0s&callee=0s&talk=1h")
	h.Open = func(*testing.T) pbx.Adapter { return p }
	other := pbxtest.Harness{Open: func(*testing.T) pbx.Adapter { return p.Join() }, Patience: 5 * time.Second}.Start(t)
	call := pbxtest.Call{Endpoint: "101", Number: number(t, "+31201234567")}
	var gone, living string
	t.Run("first", func(t *testing.T) {
		l := h.Start(t)
		gone, living = h.Dial(t, l, call), h.Dial(t, l, call)
		l.Wait(gone, pbx.CalleeAnswered)
		l.Wait(living, pbx.CalleeAnswered)
	})
	if err := other.Hangup(t.Context(), gone); err != nil {
		t.Fatalf("Hangup: %v", err)
	}
	l := h.Start(t)
	if e := l.Wait(gone, pbx.Ended); e.End.Kind != pbx.EndLost {
		t.Errorf("the call that ended unheard: %+v", e.End)
	}
	l.Wait(living, pbx.CalleeAnswered)
	if err := l.Hangup(t.Context(), living); err != nil {
		t.Fatalf("Hangup: %v", err)
	}
	l.Wait(living, pbx.Ended)
}

// TestThousands: many calls at once, hung up at any moment, cost no goroutines
// and end once each.
func TestThousands(t *testing.T) {
	t.Parallel()
	const calls = 5000
	p := open(t, "practice://?ring=5ms&callee=5ms&talk=5ms")
	h := pbxtest.Harness{Open: func(*testing.T) pbx.Adapter { return p }, Patience: 30 * time.Second}
	l := h.Start(t)
	n := number(t, "+31201234567")
	before := runtime.NumGoroutine()
	ids := make([]string, calls)
	var wg sync.WaitGroup
	for i := range calls {
		req := h.Request(pbxtest.Call{Endpoint: fmt.Sprint(i), Number: n})
		ids[i] = req.ChannelID
		if err := l.Originate(t.Context(), req); err != nil {
			t.Fatalf("Originate: %v", err)
		}
		if i%4 != 0 {
			continue
		}
		wg.Go(func() {
			time.Sleep(rand.N(15 * time.Millisecond)) // a random moment, not a wait
			if err := l.Hangup(context.Background(), req.ChannelID); err != nil && !errors.Is(err, pbx.ErrGone) {
				t.Errorf("Hangup: %v", err)
			}
		})
	}
	wg.Wait()
	if now := runtime.NumGoroutine(); now > before+calls/10 {
		t.Errorf("%d goroutines for %d calls", now-before, calls)
	}
	l.Wait(ids[calls-1], pbx.Ended)
	for _, id := range ids {
		l.Wait(id, pbx.Ended)
	}
	l.FoldAll(t, ids)
}
