package pbx_test

import (
	"testing"

	"clicktodial/models"
	"clicktodial/server/pbx"
)

// TestOutcome has a row for every cause at every status at which it may come.
func TestOutcome(t *testing.T) {
	t.Parallel()
	type row struct {
		name      string
		at        models.Status
		end       pbx.End
		status    models.Status
		reason    models.Reason
		diagnosis models.Diagnosis
	}
	var rows []row
	add := func(name string, at models.Status, end pbx.End, status models.Status, reason models.Reason, diagnosis models.Diagnosis) {
		rows = append(rows, row{name + " at " + string(at), at, end, status, reason, diagnosis})
	}

	living := []models.Status{models.Initiating, models.CallingCaller, models.CallingCallee, models.Connected}
	for _, at := range living {
		// The kind of an end outweighs leg and cause.
		for _, leg := range []pbx.Leg{pbx.LegNone, pbx.LegCaller, pbx.LegCallee} {
			end := func(k pbx.EndKind) pbx.End { return pbx.End{Kind: k, Leg: leg, Cause: pbx.CauseBusy} }
			add("restarted", at, end(pbx.EndRestarted), models.Failed, models.NoReason, models.PBXRestarted)
			add("lost", at, end(pbx.EndLost), models.Failed, models.NoReason, models.LostTrack)
			add("refused", at, end(pbx.EndRefused), models.Failed, models.NoReason, models.PBXRefused)
			add("transferred", at, end(pbx.EndTransferred), models.Disconnected, models.HangUp, models.Transferred)
			add("unknown phone", at, end(pbx.EndUnknown), models.Disconnected, models.CallerFailure, models.PhoneUnknown)
		}
	}

	causes := []struct {
		name    string
		cause   pbx.Cause
		callerR models.Reason
		callerD models.Diagnosis
		calleeR models.Reason
		calleeD models.Diagnosis
	}{
		{"0 none", pbx.CauseNone, models.CallerFailure, models.PhoneOffline, models.CalleeFailure, models.NumberFailed},
		{"1 unallocated", pbx.CauseUnallocated, models.CallerFailure, models.PhoneUnknown, models.CalleeFailure, models.NumberUnknown},
		{"3 no route", pbx.CauseNoRoute, models.CallerFailure, models.PhoneUnknown, models.CalleeFailure, models.NumberUnknown},
		{"16 normal", pbx.CauseNormal, models.CallerFailure, models.PhoneOffline, models.CalleeFailure, models.NumberFailed},
		{"17 busy", pbx.CauseBusy, models.CallerBusy, models.PhoneBusy, models.CalleeBusy, models.NumberBusy},
		{"18 no user", pbx.CauseNoUser, models.CallerNoAnswer, models.PhoneUnanswered, models.CalleeNoAnswer, models.NumberUnanswered},
		{"19 no answer", pbx.CauseNoAnswer, models.CallerNoAnswer, models.PhoneUnanswered, models.CalleeNoAnswer, models.NumberUnanswered},
		{"20 absent", pbx.CauseAbsent, models.CallerFailure, models.PhoneOffline, models.CalleeFailure, models.NumberFailed},
		{"21 rejected", pbx.CauseRejected, models.CallerFailure, models.PhoneRejected, models.CalleeFailure, models.Rejected},
		{"23 moved", pbx.CauseMoved, models.CallerFailure, models.PhoneForwarded, models.CalleeFailure, models.NumberFailed},
		{"27 out of order", pbx.CauseOutOfOrder, models.CallerFailure, models.PhoneOffline, models.CalleeFailure, models.NumberFailed},
		{"28 invalid", pbx.CauseInvalid, models.CallerFailure, models.PhoneRejected, models.CalleeFailure, models.NumberUnknown},
		{"34 congestion", pbx.CauseCongestion, models.CallerFailure, models.PhoneRejected, models.CalleeFailure, models.TrunkFull},
		{"38 failure", pbx.CauseFailure, models.CallerFailure, models.PhoneRejected, models.CalleeFailure, models.NumberFailed},
		{"41 temporary", pbx.CauseTemporary, models.CallerFailure, models.PhoneRejected, models.CalleeFailure, models.NumberFailed},
		{"42 switch", pbx.CauseSwitch, models.CallerFailure, models.PhoneRejected, models.CalleeFailure, models.TrunkFull},
		{"127 unheard of", pbx.Cause(127), models.CallerFailure, models.PhoneRejected, models.CalleeFailure, models.NumberFailed},
	}
	for _, c := range causes {
		for _, at := range []models.Status{models.Initiating, models.CallingCaller} {
			add("caller "+c.name, at, pbx.End{Leg: pbx.LegCaller, Cause: c.cause}, models.Disconnected, c.callerR, c.callerD)
		}
		add("callee "+c.name, models.CallingCallee, pbx.End{Leg: pbx.LegCallee, Cause: c.cause}, models.Disconnected, c.calleeR, c.calleeD)
		// The own phone's end while the callee rings is the own phone put down.
		add("caller "+c.name, models.CallingCallee, pbx.End{Leg: pbx.LegCaller, Cause: c.cause}, models.Disconnected, models.CallerAbandon, models.PhonePutDown)
		// Once connected, an end is a hang-up, whatever the cause.
		for _, leg := range []pbx.Leg{pbx.LegNone, pbx.LegCaller, pbx.LegCallee} {
			add(string(leg)+" "+c.name, models.Connected, pbx.End{Leg: leg, Cause: c.cause}, models.Disconnected, models.HangUp, models.HungUp)
		}
		switch c.cause {
		case pbx.CauseNone, pbx.CauseNormal:
			// No phone refused: somebody ended it.
			for _, at := range []models.Status{models.Initiating, models.CallingCaller} {
				add("nobody "+c.name, at, pbx.End{Cause: c.cause}, models.Disconnected, models.CallerAbandon, models.HungUpByClient)
			}
			add("nobody "+c.name, models.CallingCallee, pbx.End{Cause: c.cause}, models.Disconnected, models.CallerAbandon, models.PhonePutDown)
		default:
			for _, at := range []models.Status{models.Initiating, models.CallingCaller} {
				add("nobody "+c.name, at, pbx.End{Cause: c.cause}, models.Disconnected, c.callerR, c.callerD)
			}
			add("nobody "+c.name, models.CallingCallee, pbx.End{Cause: c.cause}, models.Disconnected, c.calleeR, c.calleeD)
		}
	}

	for _, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			status, reason, diagnosis := pbx.Outcome(r.at, r.end)
			if status != r.status || reason != r.reason || diagnosis != r.diagnosis {
				t.Errorf("Outcome(%v, %+v) = %v %v %v, want %v %v %v",
					r.at, r.end, status, reason, diagnosis, r.status, r.reason, r.diagnosis)
			}
		})
	}
}

// TestRequestValid: what no adapter may put on a wire.
func TestRequestNames(t *testing.T) {
	t.Parallel()
	long := func(n int) string {
		b := make([]byte, n)
		for i := range b {
			b[i] = 'a'
		}
		return string(b)
	}
	bad := []string{"", " ", "a b", "a\r\nb", "a\nb", "a\x00b", "a\rb", "101&PJSIP/104", "101,102", "${SHELL(id)}",
		"101/sip:0900@127.0.0.2", "101@ctx", "é", "١٠١", "a;b", `a"b`, "a<b", "../x", long(500)}
	for _, s := range bad {
		if pbx.ValidEndpoint(s) || pbx.ValidContext(s) || pbx.ValidChannelID(s) {
			t.Errorf("%q was accepted as a name", s)
		}
	}
	for _, c := range []struct {
		name  string
		valid func(string) bool
		limit int
	}{{"endpoint", pbx.ValidEndpoint, 40}, {"context", pbx.ValidContext, 80}, {"channel id", pbx.ValidChannelID, 64}} {
		if !c.valid(long(c.limit)) || c.valid(long(c.limit+1)) || !c.valid("a") || !c.valid("Az-09") {
			t.Errorf("%s: wrong at its limits", c.name)
		}
	}
	if !pbx.ValidEndpoint("a_b") || !pbx.ValidContext("a_b") || pbx.ValidChannelID("a_b") {
		t.Error("underscore: endpoints and contexts only")
	}
}
