package call

import (
	"time"

	"clicktodial/models"
	"clicktodial/server/pbx"
	"clicktodial/server/store"
)

// Next is what an event of the PBX makes of a call: the step to write, or false
// when there is nothing to do, because the call is there already, or further, or
// has ended. It is a pure function: the same event twice, late or out of order,
// does nothing or the same.
func Next(call models.FollowedCall, ev pbx.Event) (store.Step, bool) {
	if call.Status.Ended() {
		return store.Step{}, false
	}
	step := store.Step{
		At: ev.At.UTC(), CallerAnsweredAt: call.CallerAnsweredAt, ConnectedAt: call.ConnectedAt,
		Cause: int(ev.End.Cause),
	}
	switch ev.Kind {
	case pbx.CallerRinging:
		step.Status = models.CallingCaller
	case pbx.CallerAnswered, pbx.CalleeDialling, pbx.CalleeRinging:
		step.Status = models.CallingCallee
		step.CallerAnsweredAt = first(call.CallerAnsweredAt, step.At)
	case pbx.CalleeAnswered:
		step.Status = models.Connected
		step.CallerAnsweredAt = first(call.CallerAnsweredAt, step.At)
		step.ConnectedAt = first(call.ConnectedAt, step.At)
	case pbx.Ended:
		step.Status, step.Reason, step.Diagnosis = outcome(call, ev.End)
		step.EndedAt = &step.At
	default:
		return store.Step{}, false
	}
	return step, step.Status.Rank() > call.Rank
}

func first(had *time.Time, now time.Time) *time.Time {
	if had != nil {
		return had
	}
	return &now
}

// outcome prefers what we asked for over what the PBX reports of it: a call that
// we hung up ends with cause 0, 16 or none, and as gone if we lost sight of it.
// A PBX that stopped is told as such all the same.
func outcome(call models.FollowedCall, end pbx.End) (models.Status, models.Reason, models.Diagnosis) {
	if call.HangUpWhy == nil || end.Kind == pbx.EndRestarted {
		return pbx.Outcome(call.Status, end)
	}
	reason := models.CallerAbandon
	if call.Status == models.Connected {
		reason = models.HangUp
	}
	switch *call.HangUpWhy {
	case models.HangUpLimit:
		return models.Disconnected, reason, models.CallTooLong
	case models.HangUpRetention:
		return models.Disconnected, reason, models.RetentionEnded
	}
	if call.Status == models.Connected {
		return models.Disconnected, reason, models.HungUp
	}
	return models.Disconnected, reason, models.HungUpByClient
}
