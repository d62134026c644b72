package pbxtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/pbx"
)

func downBefore(t *testing.T, h Harness) {
	a := h.Open(t)
	wantDown(t, h, a)
}

func downAfter(t *testing.T, h Harness) {
	a := h.Open(t)
	t.Run("run", func(t *testing.T) { h.start(t, a).WaitUp() })
	wantDown(t, h, a)
}

// wantDown: every method that needs the wire says at once that there is none.
func wantDown(t *testing.T, h Harness, a pbx.Adapter) {
	t.Helper()
	began := time.Now()
	wantCode(t, a.Up(), "pbx-unavailable")
	for _, c := range h.Calls {
		wantCode(t, a.Originate(t.Context(), h.Request(c)), "pbx-unavailable")
		break
	}
	wantCode(t, a.Hangup(t.Context(), NewID()), "pbx-unavailable")
	_, err := a.Adopt(t.Context(), NewID())
	wantCode(t, err, "pbx-unavailable")
	_, err = a.Devices(t.Context(), []string{"101"})
	wantCode(t, err, "pbx-unavailable")
	if took := time.Since(began); took > 250*time.Millisecond {
		t.Errorf("five refusals of a line that is down took %v", took)
	}
}

func badInput(t *testing.T, h Harness) {
	c := h.call(t, CallerRings)
	l := h.Start(t)
	bad := []string{"", "101\r\nAction: Ping", "101\nAction: Ping", "101\x00", "101&PJSIP/104", "101,102",
		"${SHELL(id)}", "101/sip:0900@127.0.0.2", "101@from-internal", "101 102", "١٠١"}
	fields := []struct {
		name string
		set  func(*pbx.Originate, string)
	}{
		{"endpoint", func(r *pbx.Originate, s string) { r.Endpoint = s }},
		{"channel id", func(r *pbx.Originate, s string) { r.ChannelID = s }},
		{"context", func(r *pbx.Originate, s string) { r.Context = s }},
	}
	for _, f := range fields {
		for _, s := range bad {
			if f.name == "context" && s == "" {
				continue // the connection's own
			}
			req := h.Request(c)
			f.set(&req, s)
			if err := l.Originate(t.Context(), req); err == nil {
				t.Errorf("%s %q was taken", f.name, s)
			} else {
				wantCode(t, err, "pbx-refused")
			}
			if said, _ := l.Said(req.ChannelID); len(said) != 0 {
				t.Errorf("%s %q: %s", f.name, s, Told(said))
			}
		}
	}
	for _, ring := range []time.Duration{-time.Second, 0, pbx.MinRing - 1, pbx.MaxRing + 1} {
		req := h.Request(c)
		req.RingTimeout = ring
		wantCode(t, l.Originate(t.Context(), req), "pbx-refused")
	}
}

func endedContext(t *testing.T, h Harness) {
	l := h.Start(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req := h.Request(h.call(t, CallerRings))
	wantCode(t, l.Originate(ctx, req), "pbx-unavailable")
	if err := l.Hangup(t.Context(), req.ChannelID); !errors.Is(err, pbx.ErrGone) {
		t.Errorf("a call was begun under an ended context: %v", err)
	}
}

func devices(t *testing.T, h Harness) {
	c := h.call(t, CallerRings)
	l := h.Start(t)
	ask := []string{c.Endpoint}
	want := map[string]pbx.DeviceState{h.Idle: pbx.DeviceIdle, h.Offline: pbx.DeviceOffline, h.Unknown: pbx.DeviceUnknown}
	for endpoint := range want {
		if endpoint != "" {
			ask = append(ask, endpoint)
		}
	}
	states, err := l.Devices(t.Context(), ask)
	if err != nil {
		t.Fatalf("Devices: %v", err)
	}
	for endpoint, state := range want {
		if endpoint != "" && states[endpoint] != state {
			t.Errorf("phone %s is %q, want %q", endpoint, states[endpoint], state)
		}
	}
	id := h.Dial(t, l, c)
	l.Wait(id, pbx.CallerRinging)
	h.waitState(t, l, c.Endpoint, pbx.DeviceRinging)
	if err := l.Hangup(t.Context(), id); err != nil {
		t.Fatalf("Hangup: %v", err)
	}
	l.Wait(id, pbx.Ended)
	h.waitState(t, l, c.Endpoint, pbx.DeviceIdle)
}

// waitState asks until the phone is in a state: a cache may be 2 s old.
func (h Harness) waitState(t *testing.T, l *Line, endpoint string, want pbx.DeviceState) {
	t.Helper()
	deadline := time.Now().Add(h.Patience)
	for {
		states, err := l.Devices(t.Context(), []string{endpoint})
		if err != nil {
			t.Fatalf("Devices: %v", err)
		}
		if states[endpoint] == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("phone %s is %q, want %q", endpoint, states[endpoint], want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func check(t *testing.T, h Harness) {
	l := h.Start(t)
	report, err := l.Check(t.Context(), pbx.Check{})
	if err != nil {
		t.Fatalf("Check: %v", err)
	}
	if !report.OK || report.Kind == "" || len(report.Findings) == 0 {
		t.Errorf("a line that works: %+v", report)
	}
	for _, f := range report.Findings {
		if f.Code == "" || f.Sentence == "" || (f.Level != "ok" && f.Level != "warning" && f.Level != "error") {
			t.Errorf("a finding without code, sentence or level: %+v", f)
		}
	}
}

// cutLine: while the line is down nothing is dialled, and when it is mended a
// living call is found again.
func cutLine(t *testing.T, h Harness) {
	if h.Cut == nil {
		t.Skip("the lines of this exchange cannot be cut")
	}
	c := h.call(t, Stays)
	l := h.Start(t)
	id := h.Dial(t, l, c)
	l.Wait(id, pbx.CalleeAnswered)
	mend := h.Cut(t)
	l.WaitDown()
	began := time.Now()
	wantCode(t, l.Originate(t.Context(), h.Request(c)), "pbx-unavailable")
	if took := time.Since(began); took > 50*time.Millisecond {
		t.Errorf("a refusal while the line is down took %v", took)
	}
	mend()
	l.WaitUp()
	if err := l.Hangup(t.Context(), id); err != nil {
		t.Fatalf("Hangup after the line came back: %v", err)
	}
	h.wantEnd(t, l, id, models.HangUp)
}
