package pbxtest

import (
	"errors"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/pbx"
)

// Conform runs the whole suite.
func Conform(t *testing.T, h Harness) {
	if h.Patience == 0 {
		h.Patience = 10 * time.Second
	}
	if h.Region == "" {
		h.Region = "NL"
	}
	tests := []struct {
		name string
		run  func(*testing.T, Harness)
	}{
		{"stories", stories},
		{"hang up while the own phone rings", hangupAt(CallerRings, pbx.CallerRinging, models.CallerAbandon)},
		{"hang up while the callee rings", hangupAt(CalleeRings, pbx.CalleeDialling, models.CallerAbandon)},
		{"hang up while connected", hangupAt(Stays, pbx.CalleeAnswered, models.HangUp)},
		{"hang up at once", hangupAtOnce},
		{"hang up on another line", hangupElsewhere},
		{"hang up what is not there", hangupGone},
		{"two at once", twoAtOnce},
		{"an id only once", duplicateID},
		{"adopt a living call", adoptLiving},
		{"adopt what is gone", adoptGone},
		{"forget", forget},
		{"down before it runs", downBefore},
		{"down after it ran", downAfter},
		{"what may not reach a wire", badInput},
		{"a context that has ended", endedContext},
		{"devices", devices},
		{"check", check},
		{"a cut line", cutLine},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if !h.Serial {
				t.Parallel()
			}
			test.run(t, h)
		})
	}
}

func (h Harness) call(t *testing.T, s Story) Call {
	t.Helper()
	c, ok := h.Calls[s]
	if !ok {
		t.Skipf("this exchange cannot tell the story %q", s)
	}
	return c
}

// usual is how each story ends.
var usual = map[Story]struct {
	reason    models.Reason
	diagnosis models.Diagnosis
}{
	Answered:       {models.HangUp, models.HungUp},
	EarlyMedia:     {models.HangUp, models.HungUp},
	Transfer:       {models.HangUp, models.Transferred},
	CalleeNoAnswer: {models.CalleeNoAnswer, models.NumberUnanswered},
	CalleeBusy:     {models.CalleeBusy, models.NumberBusy},
	CalleeFails:    {models.CalleeFailure, models.NumberFailed},
	CalleeRejects:  {models.CalleeFailure, models.Rejected},
	CalleeUnknown:  {models.CalleeFailure, models.NumberUnknown},
	TrunkFull:      {models.CalleeFailure, models.TrunkFull},
	CallerNoAnswer: {models.CallerNoAnswer, models.PhoneUnanswered},
	CallerBusy:     {models.CallerBusy, models.PhoneBusy},
	CallerForwards: {models.CallerFailure, models.PhoneForwarded},
	CallerOffline:  {models.CallerFailure, models.PhoneOffline},
	CallerUnknown:  {models.CallerFailure, models.PhoneUnknown},
}

func stories(t *testing.T, h Harness) {
	for story, want := range usual {
		t.Run(string(story), func(t *testing.T) {
			if !h.Serial {
				t.Parallel()
			}
			c := h.call(t, story)
			l := h.Start(t)
			id := h.Dial(t, l, c)
			if c.Act != nil {
				l.Wait(id, pbx.CalleeAnswered)
				c.Act(t, id)
			}
			l.Wait(id, pbx.Ended)
			said, _ := l.Said(id)
			status, reason, diagnosis := Fold(t, said)
			if c.Diagnosis != "" {
				want.diagnosis = c.Diagnosis
			}
			if status != models.Disconnected || reason != want.reason || diagnosis != want.diagnosis {
				t.Errorf("%s %s %s, want disconnected %s %s; said: %s (cause %d)", status, reason, diagnosis,
					want.reason, want.diagnosis, Told(said), said[len(said)-1].End.Cause)
			}
			if story == Transfer {
				return // a channel of ours may carry the colleague's conversation now
			}
			h.wantGone(t, l, id)
		})
	}
}

func hangupAt(s Story, kind pbx.EventKind, want models.Reason) func(*testing.T, Harness) {
	return func(t *testing.T, h Harness) {
		c := h.call(t, s)
		l := h.Start(t)
		id := h.Dial(t, l, c)
		l.Wait(id, kind)
		if err := l.Hangup(t.Context(), id); err != nil {
			t.Fatalf("Hangup: %v", err)
		}
		h.wantEnd(t, l, id, want)
		h.wantGone(t, l, id)
	}
}

// wantGone hangs up what has ended. A PBX may still be taking the last of it down
// (the other half of a Local channel), so "gone" may need a moment to be true.
func (h Harness) wantGone(t *testing.T, l *Line, id string) {
	t.Helper()
	deadline := time.Now().Add(h.Patience)
	for {
		err := l.Hangup(t.Context(), id)
		if errors.Is(err, pbx.ErrGone) {
			return
		}
		if err != nil || time.Now().After(deadline) {
			t.Errorf("Hangup of an ended call: %v, want ErrGone", err)
			return
		}
	}
}

func (h Harness) wantEnd(t *testing.T, l *Line, id string, want models.Reason) {
	t.Helper()
	l.Wait(id, pbx.Ended)
	said, _ := l.Said(id)
	if status, reason, diagnosis := Fold(t, said); status != models.Disconnected || reason != want {
		t.Errorf("%s %s %s, want disconnected %s; said: %s", status, reason, diagnosis, want, Told(said))
	}
}

func hangupAtOnce(t *testing.T, h Harness) {
	l := h.Start(t)
	id := h.Dial(t, l, h.call(t, CallerRings))
	// The PBX may not have made the channel yet: then it says so, and a second try
	// finds it.
	deadline := time.Now().Add(h.Patience)
	for {
		err := l.Hangup(t.Context(), id)
		if err == nil {
			break
		}
		if !errors.Is(err, pbx.ErrGone) || time.Now().After(deadline) {
			t.Fatalf("Hangup: %v", err)
		}
		time.Sleep(time.Millisecond)
	}
	l.Wait(id, pbx.Ended)
}

func hangupElsewhere(t *testing.T, h Harness) {
	c := h.call(t, Stays)
	l, other := h.Start(t), h.Start(t)
	id := h.Dial(t, l, c)
	l.Wait(id, pbx.CalleeAnswered)
	if err := other.Hangup(t.Context(), id); err != nil {
		t.Fatalf("Hangup on another line: %v", err)
	}
	h.wantEnd(t, l, id, models.HangUp)
	if said, _ := other.Said(id); len(said) != 0 {
		t.Errorf("a line that does not follow the call said %s", Told(said))
	}
}

func hangupGone(t *testing.T, h Harness) {
	l := h.Start(t)
	if err := l.Hangup(t.Context(), NewID()); !errors.Is(err, pbx.ErrGone) {
		t.Errorf("Hangup of what is not there: %v, want ErrGone", err)
	}
	for _, id := range []string{"", "a b", "x\r\nAction: Ping", "/.*/", "all"} {
		if err := l.Hangup(t.Context(), id); err == nil {
			t.Errorf("Hangup took the channel id %q", id)
		}
	}
}

func twoAtOnce(t *testing.T, h Harness) {
	stays, rings := h.call(t, Stays), h.call(t, CallerRings)
	l := h.Start(t)
	one, two := h.Dial(t, l, stays), h.Dial(t, l, rings)
	l.Wait(one, pbx.CalleeAnswered)
	l.Wait(two, pbx.CallerRinging)
	if err := l.Hangup(t.Context(), two); err != nil {
		t.Fatalf("Hangup: %v", err)
	}
	h.wantEnd(t, l, two, models.CallerAbandon)
	if said, _ := l.Said(one); said[len(said)-1].Kind == pbx.Ended {
		t.Errorf("the other call ended too: %s", Told(said))
	}
	if err := l.Hangup(t.Context(), one); err != nil {
		t.Fatalf("Hangup: %v", err)
	}
	h.wantEnd(t, l, one, models.HangUp)
}

func duplicateID(t *testing.T, h Harness) {
	c := h.call(t, CallerRings)
	l := h.Start(t)
	req := h.Request(c)
	if err := l.Originate(t.Context(), req); err != nil {
		t.Fatalf("Originate: %v", err)
	}
	l.Wait(req.ChannelID, pbx.CallerRinging)
	wantCode(t, l.Originate(t.Context(), req), "pbx-refused")
	if err := l.Hangup(t.Context(), req.ChannelID); err != nil {
		t.Errorf("the first call is gone: %v", err)
	}
	h.wantEnd(t, l, req.ChannelID, models.CallerAbandon)
}

func adoptLiving(t *testing.T, h Harness) {
	c := h.call(t, Stays)
	l, other := h.Start(t), h.Start(t)
	id := h.Dial(t, l, c)
	l.Wait(id, pbx.CallerRinging)
	snap, err := other.Adopt(t.Context(), id)
	if err != nil {
		t.Fatalf("Adopt: %v", err)
	}
	if snap.Kind != pbx.CallerRinging && snap.Kind != pbx.CallerAnswered {
		t.Errorf("adopted while the own phone rang: %q", snap.Kind)
	}
	other.Wait(id, pbx.CalleeAnswered)

	third := h.Start(t)
	snap, err = third.Adopt(t.Context(), id)
	if err != nil {
		t.Fatalf("Adopt of a connected call: %v", err)
	}
	// An exchange may say that the callee has answered before its list of channels does.
	if snap.Kind != pbx.CalleeAnswered {
		third.Wait(id, pbx.CalleeAnswered)
	}
	if err := l.Hangup(t.Context(), id); err != nil {
		t.Fatalf("Hangup: %v", err)
	}
	h.wantEnd(t, l, id, models.HangUp)
	h.wantEnd(t, other, id, models.HangUp)
	if end := third.Wait(id, pbx.Ended); end.End.Kind != pbx.EndNormal {
		t.Errorf("the third line says %+v", end.End)
	}
}

func adoptGone(t *testing.T, h Harness) {
	l := h.Start(t)
	if _, err := l.Adopt(t.Context(), NewID()); !errors.Is(err, pbx.ErrGone) {
		t.Errorf("Adopt of what is not there: %v, want ErrGone", err)
	}
	if _, err := l.Adopt(t.Context(), "x\r\nAction: Ping"); err == nil {
		t.Error("Adopt took a bad channel id")
	}
}

func forget(t *testing.T, h Harness) {
	c := h.call(t, CallerRings)
	l, other := h.Start(t), h.Start(t)
	id := h.Dial(t, l, c)
	l.Wait(id, pbx.CallerRinging)
	if _, err := other.Adopt(t.Context(), id); err != nil {
		t.Fatalf("Adopt: %v", err)
	}
	l.Forget(id)
	l.Forget("never heard of")
	before, _ := l.Said(id)
	if err := other.Hangup(t.Context(), id); err != nil {
		t.Fatalf("Hangup: %v", err)
	}
	other.Wait(id, pbx.Ended)
	// Another call's event on the same line comes after whatever was forgotten.
	later := h.Dial(t, l, c)
	l.Wait(later, pbx.CallerRinging)
	if err := l.Hangup(t.Context(), later); err != nil {
		t.Fatalf("Hangup: %v", err)
	}
	l.Wait(later, pbx.Ended)
	if after, _ := l.Said(id); len(after) != len(before) {
		t.Errorf("said after Forget: %s", Told(after[len(before):]))
	}
}
