package call

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/pbx"
)

var (
	living = []models.Status{models.Initiating, models.CallingCaller, models.CallingCallee, models.Connected}
	at     = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func standing(status models.Status, why models.HangUpWhy) models.FollowedCall {
	call := models.FollowedCall{ID: uuid.New(), Status: status, Rank: status.Rank(), CreatedAt: at.Add(-time.Minute)}
	if why != "" {
		call.HangUpWhy = &why
	}
	return call
}

// Where each event leads from each status; "" is nowhere.
func TestNextStatus(t *testing.T) {
	t.Parallel()
	const no = models.Status("")
	const caller, callee, up = models.CallingCaller, models.CallingCallee, models.Connected
	rows := []struct {
		kind pbx.EventKind
		to   [4]models.Status // from initiating, callingCaller, callingCallee, connected
	}{
		{pbx.CallerRinging, [4]models.Status{caller, no, no, no}},
		{pbx.CallerAnswered, [4]models.Status{callee, callee, no, no}},
		{pbx.CalleeDialling, [4]models.Status{callee, callee, no, no}},
		{pbx.CalleeRinging, [4]models.Status{callee, callee, no, no}},
		{pbx.CalleeAnswered, [4]models.Status{up, up, up, no}},
		{"nonsense", [4]models.Status{no, no, no, no}},
		{"", [4]models.Status{no, no, no, no}},
	}
	for _, row := range rows {
		for i, from := range living {
			step, changed := Next(standing(from, ""), pbx.Event{Kind: row.kind, At: at})
			if changed != (row.to[i] != no) || changed && step.Status != row.to[i] {
				t.Errorf("%s at %s: to %q (%v), want %q", row.kind, from, step.Status, changed, row.to[i])
			}
			if changed && (step.Reason != "" || step.Diagnosis != "" || step.EndedAt != nil) {
				t.Errorf("%s at %s: a step on the way has an end: %+v", row.kind, from, step)
			}
		}
		for _, from := range []models.Status{models.Disconnected, models.Failed} {
			if _, changed := Next(standing(from, ""), pbx.Event{Kind: row.kind, At: at}); changed {
				t.Errorf("%s moved a call that was %s", row.kind, from)
			}
		}
	}
}

// How a call ends: by what the PBX says, and by what we asked for.
func TestNextEnd(t *testing.T) {
	t.Parallel()
	const initiating, ringing, callee, up = models.Initiating, models.CallingCaller, models.CallingCallee, models.Connected
	own := func(c pbx.Cause) pbx.End { return pbx.End{Leg: pbx.LegCaller, Cause: c} }
	far := func(c pbx.Cause) pbx.End { return pbx.End{Leg: pbx.LegCallee, Cause: c} }
	none := func(c pbx.Cause) pbx.End { return pbx.End{Cause: c} }
	kind := func(k pbx.EndKind) pbx.End { return pbx.End{Kind: k} }
	rows := []struct {
		name string
		at   models.Status
		end  pbx.End
		why  models.HangUpWhy
		want string
	}{
		{"callee hangs up", up, far(16), "", "disconnected hangUp hung-up"},
		{"own phone hangs up", up, own(16), "", "disconnected hangUp hung-up"},
		{"ended by nobody in particular", up, none(0), "", "disconnected hangUp hung-up"},
		{"busy cause once connected", up, far(17), "", "disconnected hangUp hung-up"},
		{"client, connected", up, none(16), models.HangUpClient, "disconnected hangUp hung-up"},
		{"longest call", up, none(16), models.HangUpLimit, "disconnected hangUp call-too-long"},
		{"its record's end", up, none(16), models.HangUpRetention, "disconnected hangUp retention-ended"},
		{"revoked", up, none(16), models.HangUpRevoked, "disconnected hangUp hung-up"},
		{"transferred", up, kind(pbx.EndTransferred), "", "disconnected hangUp transferred"},

		{"own phone busy", ringing, own(17), "", "disconnected callerBusy phone-busy"},
		{"own phone unanswered, 19", ringing, own(19), "", "disconnected callerNoAnswer phone-unanswered"},
		{"own phone unanswered, 18", ringing, own(18), "", "disconnected callerNoAnswer phone-unanswered"},
		{"own phone refused", ringing, own(21), "", "disconnected callerFailure phone-rejected"},
		{"own phone answers 302", ringing, own(23), "", "disconnected callerFailure phone-forwarded"},
		{"own phone not registered", initiating, own(20), "", "disconnected callerFailure phone-offline"},
		{"own phone unknown", initiating, kind(pbx.EndUnknown), "", "disconnected callerFailure phone-unknown"},
		{"own phone busy at once", initiating, own(17), "", "disconnected callerBusy phone-busy"},
		{"hung up at the PBX while the own phone rings", ringing, none(16), "", "disconnected callerAbandon hung-up-by-client"},
		{"client, own phone rings", ringing, none(0), models.HangUpClient, "disconnected callerAbandon hung-up-by-client"},
		{"client, own phone says busy meanwhile", ringing, own(17), models.HangUpClient, "disconnected callerAbandon hung-up-by-client"},
		{"client, not begun", initiating, none(0), models.HangUpClient, "disconnected callerAbandon hung-up-by-client"},
		{"client, then lost", ringing, kind(pbx.EndLost), models.HangUpClient, "disconnected callerAbandon hung-up-by-client"},
		{"record ends while ringing", ringing, none(0), models.HangUpRetention, "disconnected callerAbandon retention-ended"},

		{"number busy", callee, far(17), "", "disconnected calleeBusy number-busy"},
		{"number unanswered, 18", callee, far(18), "", "disconnected calleeNoAnswer number-unanswered"},
		{"number unanswered, 19", callee, far(19), "", "disconnected calleeNoAnswer number-unanswered"},
		{"number unknown", callee, far(1), "", "disconnected calleeFailure number-unknown"},
		{"number refused", callee, far(21), "", "disconnected calleeFailure rejected"},
		{"trunk full", callee, far(34), "", "disconnected calleeFailure trunk-full"},
		{"number failed", callee, far(38), "", "disconnected calleeFailure number-failed"},
		{"own phone put down", callee, own(16), "", "disconnected callerAbandon phone-put-down"},
		{"own phone put down, no leg said", callee, none(16), "", "disconnected callerAbandon phone-put-down"},
		{"client while the callee rings", callee, none(0), models.HangUpClient, "disconnected callerAbandon hung-up-by-client"},

		{"PBX restarts, ringing", ringing, kind(pbx.EndRestarted), "", "failed pbx-restarted"},
		{"PBX restarts, connected", up, kind(pbx.EndRestarted), "", "failed pbx-restarted"},
		{"PBX restarts while we hang up", up, kind(pbx.EndRestarted), models.HangUpClient, "failed pbx-restarted"},
		{"lost", up, kind(pbx.EndLost), "", "failed lost-track"},
		{"lost in doubt", initiating, kind(pbx.EndLost), "", "failed lost-track"},
		{"PBX refused", initiating, kind(pbx.EndRefused), "", "failed pbx-refused"},
		{"PBX unreached", initiating, kind(pbx.EndUnreached), "", "failed pbx-unreached"},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			call := standing(row.at, row.why)
			step, changed := Next(call, pbx.Event{Kind: pbx.Ended, End: row.end, At: at})
			if !changed {
				t.Fatal("the call has not ended")
			}
			now := step.Applied(call)
			got := ends(models.Call{Status: now.Status, Reason: now.Reason, Diagnosis: now.Diagnosis})
			if got != row.want {
				t.Errorf("ends %q, want %q", got, row.want)
			}
			if now.EndedAt == nil || !now.EndedAt.Equal(at) || step.Cause != int(row.end.Cause) {
				t.Errorf("ended at %v with cause %d", now.EndedAt, step.Cause)
			}
		})
	}
}

// An ended call has a reason exactly when it was disconnected, and a diagnosis
// always: the database holds the same to be true.
func TestEveryEndIsWhole(t *testing.T) {
	t.Parallel()
	kinds := []pbx.EndKind{
		pbx.EndNormal, pbx.EndTransferred, pbx.EndRestarted, pbx.EndLost, pbx.EndRefused, pbx.EndUnreached, pbx.EndUnknown, "nonsense",
	}
	whys := []models.HangUpWhy{"", models.HangUpClient, models.HangUpLimit, models.HangUpRetention, models.HangUpRevoked, "nonsense"}
	for _, from := range living {
		for _, kind := range kinds {
			for _, leg := range []pbx.Leg{pbx.LegNone, pbx.LegCaller, pbx.LegCallee} {
				for cause := pbx.Cause(-1); cause <= 128; cause++ {
					for _, why := range whys {
						ev := pbx.Event{Kind: pbx.Ended, End: pbx.End{Kind: kind, Leg: leg, Cause: cause}, At: at}
						step, changed := Next(standing(from, why), ev)
						if !changed || !step.Status.Ended() || step.Diagnosis == "" || step.EndedAt == nil ||
							(step.Reason != "") != (step.Status == models.Disconnected) {
							t.Fatalf("%s, %+v, why %q: %+v", from, ev.End, why, step)
						}
					}
				}
			}
		}
	}
}

// Events twice, late and in any order: the rank only rises, times once set stay,
// and what was done once is not done again.
func TestNextIsMonotone(t *testing.T) {
	t.Parallel()
	kinds := []pbx.EventKind{
		pbx.CallerRinging, pbx.CallerAnswered, pbx.CalleeDialling, pbx.CalleeRinging, pbx.CalleeAnswered, pbx.Ended,
	}
	for seed := range uint64(3000) {
		random := rand.New(rand.NewPCG(seed, 1))
		call := standing(models.Initiating, "")
		var done []pbx.Event
		for range 12 {
			k := kinds[random.IntN(len(kinds)-1)]
			if random.IntN(10) == 0 {
				k = pbx.Ended
			}
			ev := pbx.Event{Kind: k, At: at.Add(time.Duration(random.IntN(1000)) * time.Millisecond), End: pbx.End{Cause: pbx.Cause(random.IntN(50))}}
			step, changed := Next(call, ev)
			if again, also := Next(call, ev); changed != also || !reflect.DeepEqual(again, step) {
				t.Fatalf("seed %d: not a pure function", seed)
			}
			if !changed {
				continue
			}
			next := step.Applied(call)
			if next.Rank <= call.Rank || call.CallerAnsweredAt != nil && next.CallerAnsweredAt != call.CallerAnsweredAt ||
				call.ConnectedAt != nil && next.ConnectedAt != call.ConnectedAt {
				t.Fatalf("seed %d: %s from %+v to %+v", seed, k, call, next)
			}
			call, done = next, append(done, ev)
			for _, old := range done {
				if _, changed := Next(call, old); changed {
					t.Fatalf("seed %d: %s did something twice", seed, old.Kind)
				}
			}
		}
	}
}

// A time that was seen is kept: the callee answers, and the own phone's time
// stays what it was.
func TestNextTimes(t *testing.T) {
	t.Parallel()
	call := standing(models.CallingCaller, "")
	for i, kind := range []pbx.EventKind{pbx.CallerAnswered, pbx.CalleeAnswered, pbx.Ended} {
		zone := time.FixedZone("elsewhere", 3600)
		step, changed := Next(call, pbx.Event{Kind: kind, At: at.Add(time.Duration(i) * time.Second).In(zone)})
		if !changed || step.At.Location() != time.UTC {
			t.Fatalf("%s: changed %v, %v", kind, changed, step.At)
		}
		call = step.Applied(call)
	}
	got := fmt.Sprint(call.CallerAnsweredAt.Sub(at), call.ConnectedAt.Sub(at), call.EndedAt.Sub(at))
	if got != "0s 1s 2s" {
		t.Errorf("times %s", got)
	}
	straight, _ := Next(standing(models.Initiating, ""), pbx.Event{Kind: pbx.CalleeAnswered, At: at})
	if straight.CallerAnsweredAt == nil || straight.ConnectedAt == nil {
		t.Error("a call that is connected all at once has no times")
	}
}
