package ami

import (
	"strconv"
	"time"

	"clicktodial/server/pbx"
)

// What one call may make us remember.
const (
	maxLegs = 64
	maxHeld = 256
)

// track is one followed call: a pure state machine from AMI events to ours.
type track struct {
	id, endpoint, action string
	local                bool
	tempo                tempo
	born                 time.Time

	reached pbx.EventKind
	legs    map[string]*leg // every living leg but A

	mainSeen, mainGone bool      // A
	mainCause          pbx.Cause // of A's Hangup
	phoneSeen          bool      // P
	phoneCause         pbx.Cause
	calleeSeen         bool // C
	calleeCause        pbx.Cause
	phoneStatus        string // how the dial of A itself ended
	dialStatus         string // how A's last dial ended

	putDown    bool // the own phone hung up before the callee answered
	ours       bool // we have hung up, before anyone failed
	restarting bool
	hangup     bool   // wanted as soon as A exists
	failed     bool   // OriginateResponse said so
	reason     string // and why

	holding bool // its state is being asked: events wait in held
	held    []message

	deadline    time.Time
	ask, asking bool
	ended       bool
	said        []pbx.Event
}

// leg is a channel besides A.
type leg struct{ callee bool }

var ranks = map[pbx.EventKind]int{
	pbx.CallerRinging: 1, pbx.CallerAnswered: 2, pbx.CalleeDialling: 3,
	pbx.CalleeRinging: 4, pbx.CalleeAnswered: 5, pbx.Ended: 6,
}

// Channel states, as ChannelState says them (Asterisk channelstate.h).
const (
	stateRinging = "5"
	stateUp      = "6"
)

// reach says that the call has come as far as kind, unless it was there before.
func (t *track) reach(kind pbx.EventKind) {
	if t.ended || ranks[kind] <= ranks[t.reached] {
		return
	}
	t.reached = kind
	t.said = append(t.said, pbx.Event{Kind: kind})
}

func (t *track) finish(end pbx.End) {
	if t.ended {
		return
	}
	if t.restarting {
		end = pbx.End{Kind: pbx.EndRestarted}
	}
	t.ended, t.deadline = true, time.Time{}
	t.said = append(t.said, pbx.Event{Kind: pbx.Ended, End: end})
}

func (t *track) answered() bool  { return ranks[t.reached] >= ranks[pbx.CallerAnswered] }
func (t *track) connected() bool { return ranks[t.reached] >= ranks[pbx.CalleeAnswered] }

// isPhone says whether a channel is the own phone itself.
func (t *track) isPhone(id string) bool {
	if !t.local {
		return id == t.id
	}
	l := t.legs[id]
	return l != nil && !l.callee && id != otherID(t.id)
}

func (t *track) event(m message, now time.Time) {
	if t.asking {
		return // it has ended; only how is being asked
	}
	switch m[kEvent] {
	case "Newchannel":
		t.newChannel(m)
	case "Newstate":
		t.newState(m)
	case "DialBegin":
		t.dialBegin(m)
	case "DialState":
		t.dialState(m)
	case "DialEnd":
		t.dialEnd(m)
	case "BridgeEnter":
		// A is in a bridge only when it talks to the callee; B and P meet in one of
		// their own before that.
		if m[kUniqueid] == t.id {
			t.reach(pbx.CalleeAnswered)
		}
	case "HangupRequest":
		// Before A's answer it is how a refusal looks; once the callee has failed, the
		// phone's user listens to a busy tone, and the callee stays the cause.
		if t.isPhone(m[kUniqueid]) && t.answered() && (!t.calleeSeen || t.living(true)) {
			t.putDown = true
		}
	case "SoftHangupRequest":
		if m[kCause] == "4" {
			t.restarting = true // the Hangups that follow say 16, Normal Clearing
		}
	case "BlindTransfer", "AttendedTransfer":
		t.transfer(m)
	case "Hangup":
		t.hungUp(m)
	}
	t.settle(now)
}

func (t *track) newChannel(m message) {
	id := m[kUniqueid]
	if id == t.id {
		t.mainSeen = true
		t.reach(pbx.CallerRinging)
		return
	}
	// Behind Local, P is made before the answer and C after it; DialBegin corrects.
	t.add(id, t.answered())
}

func (t *track) add(id string, callee bool) {
	if id == "" || id == t.id || (t.legs[id] == nil && len(t.legs) >= maxLegs) {
		return
	}
	t.legs[id] = &leg{callee: callee}
	if callee {
		t.calleeSeen = true
	} else if id != otherID(t.id) {
		t.phoneSeen = true
	}
}

func (t *track) newState(m message) {
	state := m[kChannelState]
	if id := m[kUniqueid]; id != t.id {
		if l := t.legs[id]; l != nil && l.callee && state == stateRinging {
			t.reach(pbx.CalleeRinging)
		}
		return
	}
	t.mainSeen = true
	switch state {
	case stateRinging:
		t.reach(pbx.CallerRinging)
	case stateUp:
		t.reach(pbx.CallerAnswered)
	}
}

func (t *track) dialBegin(m message) {
	from, to := m[kUniqueid], m[kDestUniqueid]
	switch {
	case from == t.id:
		t.add(to, true)
		t.reach(pbx.CalleeDialling)
	case from == otherID(t.id):
		t.add(to, false)
	case t.legs[from] != nil: // a Local channel of the dialplan's own
		t.add(to, t.legs[from].callee)
	}
}

func (t *track) dialState(m message) {
	status := m[kDialStatus]
	ringing := status == "RINGING" || status == "PROGRESS" // PROGRESS: early media, 183
	switch {
	case ringing && m[kUniqueid] == t.id:
		t.reach(pbx.CalleeRinging)
	case ringing && m[kDestUniqueid] == t.id && m[kUniqueid] == "":
		t.reach(pbx.CallerRinging)
	}
}

func (t *track) dialEnd(m message) {
	status := m[kDialStatus]
	switch {
	case m[kUniqueid] == t.id:
		t.dialStatus = status
		if status == "ANSWER" {
			t.reach(pbx.CalleeAnswered)
		}
	case m[kDestUniqueid] == t.id && m[kUniqueid] == "":
		t.phoneStatus = status
		if status == "ANSWER" {
			t.reach(pbx.CallerAnswered)
		}
	}
}

// transfer ends the call at once when the own phone has passed the callee on.
// Behind Local, A and B live on as a bridge between callee and colleague.
func (t *track) transfer(m message) {
	if m[kResult] != "Success" {
		return
	}
	if t.isPhone(m[kTransferer]) || t.isPhone(m[kOrigTransferer]) {
		t.finish(pbx.End{Kind: pbx.EndTransferred})
	}
}

func (t *track) hungUp(m message) {
	id, cause := m[kUniqueid], causeOf(m[kCause])
	if id == t.id {
		t.mainSeen, t.mainGone, t.mainCause = true, true, cause
		return
	}
	l := t.legs[id]
	if l == nil {
		return
	}
	delete(t.legs, id)
	if l.callee {
		t.calleeCause = cause
	} else if id != otherID(t.id) && telling(cause) {
		t.phoneCause = cause
	}
}

func (t *track) originated(m message, now time.Time) {
	if t.asking {
		return
	}
	if m[kResponse] == "Success" {
		t.reach(pbx.CallerAnswered)
		return
	}
	t.failed, t.reason = true, m[kReason]
	t.settle(now)
}

func causeOf(s string) pbx.Cause {
	n, err := strconv.Atoi(s)
	if err != nil || n < 0 || n > 127 {
		return pbx.CauseNone
	}
	return pbx.Cause(n)
}

// telling says whether a cause says anything: 0 is none, 16 is also said of a
// leg that we gave up, 26 of one that another phone answered first.
func telling(c pbx.Cause) bool { return c != pbx.CauseNone && c != pbx.CauseNormal && c != 26 }
