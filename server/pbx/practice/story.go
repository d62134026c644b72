package practice

import (
	"errors"
	"fmt"
	"net/url"
	"time"

	"clicktodial/server/pbx"
	"clicktodial/server/phone"
)

// times is how long each part of a story takes.
type times struct {
	ring       time.Duration // until the own phone is picked up
	callee     time.Duration // until the callee answers, or is busy
	talk       time.Duration // until the callee hangs up
	unanswered time.Duration // how long a callee rings that nobody answers
}

const longest = 4 * time.Hour

// parseTimes reads the URL and reports all its faults at once.
func parseTimes(rawURL string) (times, error) {
	t := times{ring: time.Second, callee: time.Second, talk: 3 * time.Second, unanswered: 30 * time.Second}
	u, err := url.Parse(rawURL)
	if err != nil {
		// url.Error repeats the URL: say only what kind of thing it was.
		return t, errors.New("practice URL: cannot be read")
	}
	var faults []error
	if u.Scheme != "practice" || u.Host != "" || u.User != nil || u.Path != "" {
		faults = append(faults, errors.New("practice URL: looks like practice://?ring=1s&talk=3s"))
	}
	fields := map[string]*time.Duration{
		"ring": &t.ring, "callee": &t.callee, "talk": &t.talk, "unanswered": &t.unanswered,
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		faults = append(faults, errors.New("practice URL: bad query"))
	}
	for name, values := range query {
		field := fields[name]
		if field == nil {
			faults = append(faults, errors.New("practice URL: a parameter that is none of ring, callee, talk, unanswered"))
			continue
		}
		d, err := time.ParseDuration(values[0])
		if err != nil || d < 0 || d > longest || len(values) > 1 {
			faults = append(faults, fmt.Errorf("practice URL: %s is one duration from 0s to %v", name, longest))
			continue
		}
		*field = d
	}
	return t, errors.Join(faults...)
}

type story string

const (
	storyAnswered       story = "answered, then hung up"
	storyCalleeNoAnswer story = "nobody answers"
	storyCalleeBusy     story = "busy"
	storyCalleeFailure  story = "failure"
	storyCallerNoAnswer story = "the own phone is not picked up"
	storyLineDown       story = "the line is down"
)

// tell chooses the story by the last four digits. Internal extensions, of six
// digits or fewer, answer whatever they end in.
func tell(n phone.Number) story {
	digits := n.Dial(phone.Digits, "") // without an extension's tail
	if len(digits) <= 6 {
		return storyAnswered
	}
	switch digits[len(digits)-4:] {
	case "0000":
		return storyCalleeNoAnswer
	case "1111":
		return storyCalleeBusy
	case "2222":
		return storyCalleeFailure
	case "3333":
		return storyCallerNoAnswer
	case "4444":
		return storyLineDown
	default:
		return storyAnswered
	}
}

// step is one thing that happens, some time after the one before it.
type step struct {
	after time.Duration
	kind  pbx.EventKind
	end   pbx.End
}

// script is all that will happen if nobody hangs up.
func (t times) script(req pbx.Originate) []step {
	ended := func(after time.Duration, leg pbx.Leg, cause pbx.Cause) step {
		return step{after, pbx.Ended, pbx.End{Leg: leg, Cause: cause}}
	}
	kind := tell(req.Number)
	steps := []step{{kind: pbx.CallerRinging}}
	if kind == storyCallerNoAnswer || t.ring >= req.RingTimeout {
		return append(steps, ended(req.RingTimeout, pbx.LegCaller, pbx.CauseNoAnswer))
	}
	steps = append(steps, step{after: t.ring, kind: pbx.CallerAnswered},
		step{kind: pbx.CalleeDialling}, step{kind: pbx.CalleeRinging})
	switch kind {
	case storyCalleeNoAnswer:
		return append(steps, ended(t.unanswered, pbx.LegCallee, pbx.CauseNoAnswer))
	case storyCalleeBusy:
		return append(steps, ended(t.callee, pbx.LegCallee, pbx.CauseBusy))
	case storyCalleeFailure:
		return append(steps, ended(t.callee, pbx.LegCallee, pbx.CauseFailure))
	default:
		return append(steps, step{after: t.callee, kind: pbx.CalleeAnswered},
			ended(t.talk, pbx.LegCallee, pbx.CauseNormal))
	}
}
