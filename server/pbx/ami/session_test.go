package ami

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/pbx"
	"clicktodial/server/pbx/pbxtest"
)

func TestWhatAPBXMaySend(t *testing.T) {
	t.Parallel()
	f, l, h := setup(t)
	id := h.Dial(t, l, h.Calls[pbxtest.Stays])
	l.Wait(id, pbx.CalleeAnswered)
	before, _ := l.Said(id)
	for _, text := range []string{
		"garbage\r\n\r\n", "\x00\xff\xfe\r\n\r\n", "Event\r\n\r\n", ": \r\n\r\n", "\r\n\r\n\r\n\r\n",
		"Event: Hangup\r\nUniqueid: foreign\r\nLinkedid: foreign\r\nCallerIDNum: 0201234567\r\n\r\n",
		"Event: Hangup\r\nAppData: x\rUniqueid: " + id + "\r\n\r\n",
		"Event: Hangup\r\nAppData: x\nUniqueid: " + id + "\n\n\r\n\r\n",
		"Event: Hangup\r\nX: " + strings.Repeat("x", 100_000) + "\r\n\r\n",
		strings.Repeat("X: y\r\n", maxHeaders) + "Event: Hangup\r\nUniqueid: " + id + "\r\n\r\n",
		"Response: Success\r\nActionID: never-asked\r\n\r\n",
		"Response: Error\r\nMessage: Failed to parse message: line too long\r\n\r\n",
		"Event: OriginateResponse\r\nActionID: foreign\r\nResponse: Failure\r\nReason: 0\r\nUniqueid: " + id + "\r\n\r\n",
		"Event: Hangup\r\nUniqueid: " + id + "\\r\\n\r\nCause: 16\r\n\r\n",
	} {
		f.raw(text)
	}
	for _, b := range []byte("Event: Newstate\r\nUniqueid: " + id + "\r\nChannelState: 6\r\n\r\n") {
		f.raw(string(b)) // a byte at a time
	}
	marker(t, f, l, h)
	if said, _ := l.Said(id); len(said) != len(before) {
		t.Errorf("said %s", pbxtest.Told(said[len(before):]))
	}
	if n := f.count("Login"); n != 1 {
		t.Errorf("logged in %d times: the line did not survive", n)
	}
	// A message without end is no AMI: the line is given up, and comes back.
	f.raw(strings.Repeat("X: y\r\n", maxMessage/4))
	f.received("Login", 2)
	l.WaitUp()
	if err := l.Hangup(t.Context(), id); err != nil {
		t.Errorf("Hangup: %v", err)
	}
	l.Wait(id, pbx.Ended)
}

func TestSilentPBX(t *testing.T) {
	t.Parallel()
	f, l, h := setup(t, func(k *tempo) { k.ping = 100 * time.Millisecond })
	id := h.Dial(t, l, h.Calls[pbxtest.Stays])
	l.Wait(id, pbx.CalleeAnswered)
	f.set(func() { f.mute["Ping"] = true })
	f.received("Login", 2) // it gave the line up and came back
	f.set(func() { f.mute["Ping"] = false })
	l.WaitUp()
	if err := l.Hangup(t.Context(), id); err != nil {
		t.Errorf("Hangup: %v", err)
	}
	l.Wait(id, pbx.Ended)
}

// TestNothingAnswers: what connects and then says nothing is down, not up.
func TestNothingAnswers(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	p := openQuick(t, "ami://u:s@"+listener.Addr().String(), quiet())
	p.tempo.dial = 50 * time.Millisecond
	run(t, p)
	for range 2 {
		conn, err := listener.Accept() // again and again
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
	}
	if p.Up() == nil {
		t.Error("it is up")
	}
}

func run(t *testing.T, p *PBX) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = p.Run(ctx, func(pbx.Event) {})
	}()
	t.Cleanup(func() { cancel(); <-done })
}

func TestWrongSecret(t *testing.T) {
	t.Parallel()
	f := newFake(t)
	log := &safeBuffer{}
	p := openQuick(t, strings.Replace(f.url(""), "test-secret", "wrong-hunter2", 1), slog.New(slog.NewJSONHandler(log, nil)))
	run(t, p)
	began := time.Now()
	f.received("Login", 4)
	if took := time.Since(began); took < 3*p.tempo.loginRetry/2 {
		t.Errorf("four logins in %v: too eager", took)
	}
	if err := p.Up(); !errors.Is(err, pbx.Unavailable(nil)) || !errors.Is(err, errLogin) {
		t.Errorf("Up: %v", err)
	}
	text := log.String()
	if n := strings.Count(text, "login-refused"); n != 1 {
		t.Errorf("said %d times, want once:\n%s", n, text)
	}
	for _, secret := range []string{"hunter2", "127.0.0.1", "click:"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log has %q:\n%s", secret, text)
		}
	}
	// The secret is mended at the PBX: the line comes up by itself.
	f.set(func() { f.secret = "wrong-hunter2" })
	deadline := time.Now().Add(5 * time.Second)
	for p.Up() != nil && time.Now().Before(deadline) {
		time.Sleep(5 * time.Millisecond)
	}
	if err := p.Up(); err != nil {
		t.Errorf("Up: %v", err)
	}
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func TestRestart(t *testing.T) {
	t.Parallel()
	f, l, h := setup(t)
	id := h.Dial(t, l, h.Calls[pbxtest.Stays])
	l.Wait(id, pbx.CalleeAnswered)
	f.stop()
	l.WaitDown()
	f.restart()
	if e := l.Wait(id, pbx.Ended); e.End.Kind != pbx.EndRestarted {
		t.Errorf("ended as %+v, want restarted", e.End)
	}
}

// TestLost: the call ended while the line was down, and the PBX did not restart.
func TestLost(t *testing.T) {
	t.Parallel()
	f, l, h := setup(t)
	id := h.Dial(t, l, h.Calls[pbxtest.Stays])
	l.Wait(id, pbx.CalleeAnswered)
	f.stop()
	l.WaitDown()
	f.set(func() {
		f.channels[id].once.Do(func() { close(f.channels[id].hungUp) })
		delete(f.channels, id)
	})
	f.listen(f.listener.Addr().String())
	if e := l.Wait(id, pbx.Ended); e.End.Kind != pbx.EndLost {
		t.Errorf("ended as %+v, want lost", e.End)
	}
}

// TestHangupBeforeTheChannel: the PBX has taken the request, and made no channel
// yet; the wish is kept.
func TestHangupBeforeTheChannel(t *testing.T) {
	t.Parallel()
	f, l, h := setup(t)
	begin := make(chan struct{})
	f.set(func() {
		f.story = func(c *fakeCall) {
			<-begin
			c.ring()
			c.wait(time.Minute)
			c.originated("Failure", "0")
			c.gone(21) // as a real one says that early
		}
	})
	id := h.Dial(t, l, h.Calls[pbxtest.CallerRings])
	if err := l.Hangup(t.Context(), id); err != nil {
		t.Fatalf("Hangup: %v", err)
	}
	close(begin)
	l.Wait(id, pbx.Ended)
	said, _ := l.Said(id)
	if _, reason, _ := pbxtest.Fold(t, said); reason != models.CallerAbandon {
		t.Errorf("%s: %s", reason, pbxtest.Told(said))
	}
}

func TestNoGoroutineIsLeft(t *testing.T) {
	f := newFake(t)
	h := f.harness(t)
	before := runtime.NumGoroutine()
	t.Run("run", func(t *testing.T) {
		l := h.Start(t)
		l.Wait(h.Dial(t, l, h.Calls[pbxtest.CallerUnknown]), pbx.Ended)
		l.Wait(h.Dial(t, l, h.Calls[pbxtest.Stays]), pbx.CalleeAnswered)
	})
	f.stop()
	f.set(func() {
		for _, c := range f.channels {
			c.once.Do(func() { close(c.hungUp) })
		}
	})
	f.wg.Wait()
	deadline := time.Now().Add(5 * time.Second)
	for runtime.NumGoroutine() > before && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if now := runtime.NumGoroutine(); now > before {
		t.Errorf("%d goroutines before, %d after", before, now)
	}
}

// TestManyCalls: what hundreds of calls at once say is heard, each in its order.
func TestManyCalls(t *testing.T) {
	t.Parallel()
	_, l, h := setup(t)
	ids := make([]string, 300)
	var wg sync.WaitGroup
	for i := range ids {
		req := h.Request(h.Calls[[]pbxtest.Story{pbxtest.Answered, pbxtest.CalleeBusy, pbxtest.CallerBusy}[i%3]])
		ids[i] = req.ChannelID
		wg.Go(func() {
			if err := l.Originate(t.Context(), req); err != nil {
				t.Errorf("Originate: %v", err)
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		l.Wait(id, pbx.Ended)
	}
	l.FoldAll(t, ids)
}
