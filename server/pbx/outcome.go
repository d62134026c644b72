package pbx

import "clicktodial/models"

// Cause is an ITU-T Q.850 cause value as Asterisk reports it; 0 says nothing.
type Cause int

// The causes that we tell apart (Q.850 §2.2.7; Asterisk causes.h).
const (
	CauseNone        Cause = 0
	CauseUnallocated Cause = 1
	CauseNoRoute     Cause = 3
	CauseNormal      Cause = 16
	CauseBusy        Cause = 17
	CauseNoUser      Cause = 18
	CauseNoAnswer    Cause = 19
	CauseAbsent      Cause = 20
	CauseRejected    Cause = 21
	CauseMoved       Cause = 23
	CauseOutOfOrder  Cause = 27
	CauseInvalid     Cause = 28
	CauseCongestion  Cause = 34
	CauseFailure     Cause = 38
	CauseTemporary   Cause = 41
	CauseSwitch      Cause = 42
)

// Leg says which side of a call ended it.
type Leg string

// The legs. LegNone is for ends that no phone caused.
const (
	LegNone   Leg = ""
	LegCaller Leg = "caller"
	LegCallee Leg = "callee"
)

// EndKind says in what way a call ended, before anyone asks why.
type EndKind string

// The kinds of ends.
const (
	EndNormal      EndKind = ""            // as Leg and Cause say
	EndTransferred EndKind = "transferred" // our leg left, the callee talks on
	EndRestarted   EndKind = "restarted"   // the PBX stopped under the call
	EndLost        EndKind = "lost"        // gone when we could look again
	EndRefused     EndKind = "refused"     // the PBX would not begin it
	EndUnreached   EndKind = "unreached"   // the line was down: it was never told
	EndUnknown     EndKind = "unknown"     // the PBX does not know this phone
)

// End is how a call ended. Leg is the leg that could not be reached, when the
// call ended before both were connected; after that it says nothing of weight.
type End struct {
	Kind  EndKind
	Leg   Leg
	Cause Cause
}

// Outcome is what an End means when it came while the call stood at status.
// It is the one table from a cause on the wire to reason and diagnosis.
func Outcome(at models.Status, end End) (models.Status, models.Reason, models.Diagnosis) {
	switch end.Kind {
	case EndRestarted:
		return models.Failed, models.NoReason, models.PBXRestarted
	case EndLost:
		return models.Failed, models.NoReason, models.LostTrack
	case EndRefused:
		return models.Failed, models.NoReason, models.PBXRefused
	case EndUnreached:
		return models.Failed, models.NoReason, models.PBXUnreached
	case EndTransferred:
		return models.Disconnected, models.HangUp, models.Transferred
	case EndUnknown:
		return models.Disconnected, models.CallerFailure, models.PhoneUnknown
	}
	if at == models.Connected {
		return models.Disconnected, models.HangUp, models.HungUp
	}
	if end.Leg == LegCallee || (at == models.CallingCallee && end.Leg != LegCaller) {
		reason, diagnosis := calleeOutcome(end)
		return models.Disconnected, reason, diagnosis
	}
	reason, diagnosis := callerOutcome(at, end)
	return models.Disconnected, reason, diagnosis
}

func calleeOutcome(end End) (models.Reason, models.Diagnosis) {
	switch end.Cause {
	case CauseBusy:
		return models.CalleeBusy, models.NumberBusy
	case CauseNoUser, CauseNoAnswer:
		return models.CalleeNoAnswer, models.NumberUnanswered
	case CauseUnallocated, CauseNoRoute, CauseInvalid:
		return models.CalleeFailure, models.NumberUnknown
	case CauseRejected:
		return models.CalleeFailure, models.Rejected
	case CauseCongestion, CauseSwitch:
		return models.CalleeFailure, models.TrunkFull
	case CauseNone, CauseNormal:
		if end.Leg == LegNone {
			// Nobody refused: the own phone hung up while the callee rang.
			return models.CallerAbandon, models.PhonePutDown
		}
		return models.CalleeFailure, models.NumberFailed
	default:
		return models.CalleeFailure, models.NumberFailed
	}
}

func callerOutcome(at models.Status, end End) (models.Reason, models.Diagnosis) {
	if at == models.CallingCallee {
		return models.CallerAbandon, models.PhonePutDown
	}
	if end.Leg == LegNone && (end.Cause == CauseNone || end.Cause == CauseNormal) {
		// Nobody refused: it was hung up from our side while the own phone rang.
		return models.CallerAbandon, models.HungUpByClient
	}
	switch end.Cause {
	case CauseBusy:
		return models.CallerBusy, models.PhoneBusy
	case CauseNoUser, CauseNoAnswer:
		return models.CallerNoAnswer, models.PhoneUnanswered
	case CauseMoved:
		return models.CallerFailure, models.PhoneForwarded
	case CauseUnallocated, CauseNoRoute:
		return models.CallerFailure, models.PhoneUnknown
	case CauseNone, CauseNormal, CauseAbsent, CauseOutOfOrder:
		return models.CallerFailure, models.PhoneOffline
	default:
		return models.CallerFailure, models.PhoneRejected
	}
}
