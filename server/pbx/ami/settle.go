package ami

import (
	"time"

	"clicktodial/server/pbx"
)

// settle decides whether the call is over. The Hangups of its legs come in any
// order, within milliseconds; OriginateResponse before or after them.
func (t *track) settle(now time.Time) {
	switch {
	case t.ended || t.asking:
	case !t.answered():
		t.settleCaller(now)
	case t.mainGone && !t.living(false) && !t.living(true):
		t.finish(t.talked())
	case t.callerGone():
		t.wait(now, t.tempo.grace)
	}
}

// settleCaller: the own phone has not been picked up.
func (t *track) settleCaller(now time.Time) {
	switch {
	case t.failed && !t.mainSeen:
		// No channel was ever made: not registered, or no such phone.
		t.absent(now)
	case t.mainGone && !t.phoneLiving() && (t.failed || t.ours || t.action == "" || t.unreached().Leg != pbx.LegNone):
		t.unanswered(now)
	case t.mainGone, t.failed:
		// Still to come: A's Hangup; P's, which knows the cause of a forward; or the
		// OriginateResponse, which alone tells a time-out on Asterisk 16 (cause 0).
		t.wait(now, t.tempo.grace)
	}
}

func (t *track) wait(now time.Time, d time.Duration) {
	if t.deadline.IsZero() {
		t.deadline = now.Add(d)
	}
}

// expired: what was waited for did not come.
func (t *track) expired() {
	t.deadline = time.Time{}
	switch {
	case t.asking:
		t.finish(pbx.End{Leg: pbx.LegCaller, Cause: pbx.CauseAbsent})
	case !t.answered():
		t.finish(t.unreached())
	case t.connected() && t.living(true):
		// Our leg is gone and the callee talks on: an operator panel's redirect.
		t.finish(pbx.End{Kind: pbx.EndTransferred})
	default:
		t.finish(t.talked())
	}
}

// living says whether a leg of the callee's side, or of ours, lives; A and B
// apart.
func (t *track) living(callee bool) bool {
	for id, l := range t.legs {
		if l.callee == callee && id != otherID(t.id) {
			return true
		}
	}
	return false
}

// phoneLiving says whether P lives; without Local, A is the phone.
func (t *track) phoneLiving() bool { return t.local && t.living(false) }

// callerGone: the own phone is gone. Behind Local that is P: A goes when Local
// channels are optimised away, and stays when P transfers.
func (t *track) callerGone() bool {
	if t.local && t.phoneSeen {
		return !t.phoneLiving()
	}
	return t.mainGone
}

func (t *track) unanswered(now time.Time) {
	end := t.unreached()
	if end.Cause == pbx.CauseAbsent && !t.phoneSeen {
		t.absent(now)
		return
	}
	t.finish(end)
}

// absent asks whether the phone exists at all, if it can be asked.
func (t *track) absent(now time.Time) {
	if t.endpoint == "" || t.restarting {
		t.finish(pbx.End{Leg: pbx.LegCaller, Cause: pbx.CauseAbsent})
		return
	}
	t.ask, t.asking, t.deadline = true, true, now.Add(t.tempo.grace)
}

// unreached is the end of a call whose own phone did not answer. A's cause is
// the truth where it says anything; behind Local a forward shows only at P.
// Without any, somebody hung up: an Action Hangup gives cause 0.
func (t *track) unreached() pbx.End {
	switch {
	case t.ours:
		return pbx.End{} // hung up before the phone's INVITE was answered, it says 21
	case telling(t.mainCause):
		return pbx.End{Leg: pbx.LegCaller, Cause: t.mainCause}
	case telling(t.phoneCause):
		return pbx.End{Leg: pbx.LegCaller, Cause: t.phoneCause}
	case t.failed && t.reason == "3":
		return pbx.End{Leg: pbx.LegCaller, Cause: pbx.CauseNoAnswer}
	case t.phoneStatus == "CANCEL":
		return pbx.End{Leg: pbx.LegCaller, Cause: pbx.CauseMoved} // 302 on Asterisk 16
	default:
		return pbx.End{Cause: t.mainCause}
	}
}

// talked is the end of a call whose own phone did answer.
func (t *track) talked() pbx.End {
	switch {
	case t.connected():
		return pbx.End{Leg: pbx.LegCallee, Cause: t.mainCause}
	case t.putDown:
		return pbx.End{Leg: pbx.LegCaller, Cause: t.mainCause}
	case t.ours, t.dialStatus == "CANCEL", t.mainCause == pbx.CauseNone && t.calleeSeen && !telling(t.calleeCause):
		return pbx.End{} // hung up from our side while the callee rang
	}
	// C's own cause, then what Dial made of it, then how the dial ended, which says
	// NOANSWER for 404 and 403 too.
	cause := t.mainCause
	switch {
	case telling(t.calleeCause):
		cause = t.calleeCause
	case telling(cause):
	case t.dialStatus == "BUSY":
		cause = pbx.CauseBusy
	case t.dialStatus == "NOANSWER":
		cause = pbx.CauseNoAnswer
	case t.dialStatus == "CONGESTION":
		cause = pbx.CauseCongestion
	}
	return pbx.End{Leg: pbx.LegCallee, Cause: cause}
}
