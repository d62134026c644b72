package console

import (
	"strconv"
	"time"

	"clicktodial/models"
	"clicktodial/server/call"
	"clicktodial/server/pbx"
)

// callData is one call of the company, with its timeline.
type callData struct {
	historyRow
	Diagnosis string // a code; "": it has not ended
	Status    models.Status
	Phone     string
	SignIn    string
	Steps     []callStep
	Ends      string
	Ended     bool
}

// callStep is a line of the timeline.
type callStep struct {
	At    string // time of day, UTC
	Since string // the click
	Text  string
	Cause string
}

func (v *visit) callPage() error {
	id, err := v.id("call")
	if err != nil {
		return err
	}
	c, steps, err := v.Company.Get(v.c.UserContext(), v.session.Actor(), id)
	if err != nil {
		return err
	}
	d := callData{
		historyRow: rowOf(v.lang, c), Status: c.Status, Phone: c.DeviceLabel, SignIn: c.SignInLabel, Ends: recordEnd(v.lang, c, v.Now()), Ended: c.Status.Ended(),
	}
	if c.Diagnosis != nil {
		d.Diagnosis = string(*c.Diagnosis)
	}
	d.Steps = append(d.Steps, callStep{At: timeOfDay(c.CreatedAt), Text: say(v.lang, "step-clicked")})
	for _, s := range steps {
		step := callStep{At: timeOfDay(s.At), Since: since(v.lang, c.CreatedAt, s.At), Text: say(v.lang, stepWords[s.Status])}
		if s.Cause != 0 {
			step.Cause = causeText(v.lang, pbx.Cause(s.Cause))
		}
		d.Steps = append(d.Steps, step)
	}
	return v.render("history-call", d)
}

var stepWords = map[models.Status]string{
	models.Initiating: "step-clicked", models.CallingCaller: "step-own-rings", models.CallingCallee: "step-other-rings",
	models.Connected: "step-connected", models.Disconnected: "step-ended", models.Failed: "step-failed",
}

// causeWords are the causes that a person can do something with.
var causeWords = map[pbx.Cause]string{
	pbx.CauseUnallocated: "cause-unallocated", pbx.CauseNoRoute: "cause-no-route", pbx.CauseNormal: "cause-normal", pbx.CauseBusy: "cause-busy",
	pbx.CauseNoUser: "cause-no-user", pbx.CauseNoAnswer: "cause-no-answer", pbx.CauseAbsent: "cause-absent", pbx.CauseRejected: "cause-rejected",
	pbx.CauseMoved: "cause-moved", pbx.CauseOutOfOrder: "cause-out-of-order", pbx.CauseInvalid: "cause-invalid", pbx.CauseCongestion: "cause-congestion",
	pbx.CauseFailure: "cause-failure", pbx.CauseTemporary: "cause-temporary", pbx.CauseSwitch: "cause-switch",
}

func causeText(lang string, cause pbx.Cause) string {
	number := strconv.Itoa(int(cause))
	if key := causeWords[cause]; key != "" {
		return say(lang, "cause-known", number, say(lang, key))
	}
	return say(lang, "cause", number)
}

func timeOfDay(t time.Time) string { return t.UTC().Format("15:04:05") }

// since is the time from one to the other, to the tenth of a second where that tells.
func since(lang string, from, to time.Time) string {
	took := to.Sub(from)
	if took < time.Minute {
		return "+ " + say(lang, "seconds", strconv.FormatFloat(max(took, 0).Seconds(), 'f', 1, 64))
	}
	return "+ " + talked(lang, &from, &to)
}

// recordEnd says when the record of a call ends.
func recordEnd(lang string, c call.CompanyCall, now time.Time) string {
	if c.DeleteAtEnd && !c.Status.Ended() {
		return say(lang, "record-with-call")
	}
	left := c.ExpiresAt.Sub(now)
	in := say(lang, "in-minutes", strconv.Itoa(int(max(left, 0).Minutes())))
	switch {
	case left >= 2*models.Day:
		in = say(lang, "in-days", strconv.Itoa(int(left/models.Day)))
	case left >= time.Hour:
		in = say(lang, "in-hours", strconv.Itoa(int(left.Hours())))
	}
	return say(lang, "record-ends", momentOf(lang, c.ExpiresAt, now).Full, in)
}
