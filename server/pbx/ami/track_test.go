package ami

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"clicktodial/server/pbx"
)

// A story is a condensed capture: "Newstate u=A l=A s=5". A is our ChannelId, A-2
// our OtherChannelId, "act" our ActionID.
var storyKeys = map[string]key{
	"u": kUniqueid, "l": kLinkedid, "du": kDestUniqueid, "dl": kDestLinkedid, "s": kChannelState, "d": kDialStatus,
	"c": kCause, "r": kResponse, "reason": kReason, "a": kActionID, "result": kResult, "t": kTransferer,
}

func storyMessage(line string) message {
	var m message
	parts := strings.Fields(line)
	m[kEvent] = parts[0]
	for _, part := range parts[1:] {
		name, value, _ := strings.Cut(part, "=")
		m[storyKeys[name]] = value
	}
	return m
}

// tell plays a story and then lets time pass; it gives what was said.
func tell(local bool, lines []string) (said []pbx.Event, questions int) {
	now := time.Unix(1_795_000_000, 0)
	k := newTracker(local, usualTempo())
	k.follow("A", "101", "act", now)
	gather := func() {
		w := k.take()
		said = append(said, w.events...)
		for _, q := range w.questions {
			questions++
			k.answer(q.channelID, pbx.DeviceOffline, true, now)
			said = append(said, k.take().events...)
		}
	}
	for _, line := range append(lines, "wait") {
		if line == "wait" {
			now = now.Add(time.Minute)
			k.expire(now)
		} else {
			k.handle(storyMessage(line), now)
		}
		now = now.Add(time.Millisecond)
		gather()
	}
	if len(said) > 0 && said[len(said)-1].Kind == pbx.Ended && len(k.calls)+len(k.channels)+len(k.actions)+len(k.waiting) != 0 {
		panic("an ended call left something behind")
	}
	return said, questions
}

type story struct {
	name, kinds, end string
	local            bool
	lines            []string
}

func stories(t testing.TB) []story {
	t.Helper()
	data, err := os.ReadFile("testdata/stories.txt")
	if err != nil {
		t.Fatal(err)
	}
	var all []story
	for _, text := range strings.Split(string(data), "\n== ")[1:] {
		lines := strings.Split(strings.TrimSpace(text), "\n")
		head := strings.Split(lines[0], "|")
		name := strings.Fields(head[0])
		all = append(all, story{
			name: name[0], local: name[1] == "local",
			kinds: strings.TrimSpace(head[1]), end: strings.TrimSpace(head[2]), lines: lines[1:],
		})
	}
	return all
}

var shortKinds = map[pbx.EventKind]string{
	pbx.CallerRinging: "rR", pbx.CallerAnswered: "rA", pbx.CalleeDialling: "eD", pbx.CalleeRinging: "eR", pbx.CalleeAnswered: "eA",
}

func shortly(said []pbx.Event) (kinds, end string) {
	for _, e := range said {
		if e.Kind != pbx.Ended {
			kinds = strings.TrimSpace(kinds + " " + shortKinds[e.Kind])
			continue
		}
		leg := string(e.End.Leg)
		if leg == "" {
			leg = "none"
		}
		end += leg + " " + strconv.Itoa(int(e.End.Cause))
		if e.End.Kind != pbx.EndNormal {
			end = string(e.End.Kind)
		}
	}
	return kinds, end
}

// TestStories replays what a real Asterisk sent.
func TestStories(t *testing.T) {
	t.Parallel()
	all := stories(t)
	if len(all) < 30 {
		t.Fatalf("only %d stories", len(all))
	}
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			said, questions := tell(s.local, s.lines)
			kinds, end := shortly(said)
			if kinds != s.kinds || end != s.end {
				t.Errorf("said %q and ended %q, want %q and %q", kinds, end, s.kinds, s.end)
			}
			if asked := questions > 0; asked != (s.end == "caller 20") {
				t.Errorf("asked about the phone: %v", asked)
			}
		})
	}
}

// TestStoriesInOtherOrders: OriginateResponse was seen before and after
// everything near it, and the legs' Hangups in either order.
func TestStoriesInOtherOrders(t *testing.T) {
	t.Parallel()
	for _, s := range stories(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			for _, lines := range otherOrders(s.lines) {
				said, _ := tell(s.local, lines)
				if _, end := shortly(said); end != s.end {
					t.Errorf("ended %q, want %q, when told as:\n%s", end, s.end, strings.Join(lines, "\n"))
				}
			}
		})
	}
}

func otherOrders(lines []string) [][]string {
	var orders [][]string
	swapped := func(i, j int) []string {
		c := slices.Clone(lines)
		line := c[i]
		return slices.Insert(slices.Delete(c, i, i+1), j, line)
	}
	created := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "Newchannel u=A ") })
	for i, line := range lines {
		if strings.HasPrefix(line, "OriginateResponse") && strings.Contains(line, "a=act") && created >= 0 {
			for j := max(created+1, i-6); j < min(i+6, len(lines)); j++ {
				if !strings.Contains(strings.Join(lines[min(i, j):max(i, j)], " "), "wait") {
					orders = append(orders, swapped(i, j))
				}
			}
		}
		if i > 0 && strings.HasPrefix(line, "Hangup ") && strings.HasPrefix(lines[i-1], "Hangup ") {
			orders = append(orders, swapped(i, i-1))
		}
	}
	return orders
}

// TestForeignCalls: nothing in another's call moves ours, and an
// OriginateResponse with our channel id but another's ActionID neither.
func TestForeignCalls(t *testing.T) {
	t.Parallel()
	for _, s := range stories(t) {
		said, _ := tell(s.local, strings.Split(strings.NewReplacer("=A", "=Z", "=act", "=other").Replace(strings.Join(s.lines, "\n")), "\n"))
		if len(said) != 0 {
			t.Errorf("%s: of a foreign call was said: %v", s.name, said)
		}
	}
	said, _ := tell(false, []string{
		"Newchannel u=A l=A s=0", "Newstate u=A l=A s=6",
		"OriginateResponse a=other r=Failure reason=0 u=A", // its id was in use: ours
	})
	if kinds, end := shortly(said); kinds != "rR rA" || end != "" {
		t.Errorf("said %q, ended %q", kinds, end)
	}
}

func TestSmallStories(t *testing.T) {
	t.Parallel()
	const up = "Newchannel u=A l=A s=0;Newstate u=A l=A s=6;"
	const ringing = up + "Newchannel u=C l=A s=0;DialBegin u=A l=A du=C dl=A;DialState u=A l=A du=C dl=A d=RINGING;"
	const talking = ringing + "DialEnd u=A l=A du=C dl=A d=ANSWER;BridgeEnter u=A l=A;"
	cases := []struct{ name, lines, kinds, end string }{
		{"own phone put down while the callee rings", ringing + "HangupRequest u=A l=A c=16;DialEnd u=A du=C d=CANCEL;Hangup u=A l=A c=16;Hangup u=C l=A c=16", "rR rA eD eR", "caller 16"},
		{"own phone put down, callee's end first", ringing + "HangupRequest u=A l=A c=16;DialEnd u=A du=C d=CANCEL;Hangup u=C l=A c=16;Hangup u=A l=A c=16", "rR rA eD eR", "caller 16"},
		{"own phone put down on a busy tone", ringing + "DialEnd u=A du=C d=BUSY;Hangup u=C l=A c=17;HangupRequest u=A l=A c=16;Hangup u=A l=A c=16", "rR rA eD eR", "callee 17"},
		{"ring limit of the dialplan", ringing + "DialEnd u=A du=C d=NOANSWER;Hangup u=C l=A c=16;Hangup u=A l=A c=16", "rR rA eD eR", "callee 19"},
		{"the second trunk's cause counts", up + "DialBegin u=A du=C;DialEnd u=A du=C d=CONGESTION;Hangup u=C l=A c=34;DialBegin u=A du=D;DialEnd u=A du=D d=BUSY;Hangup u=D l=A c=17;Hangup u=A c=17", "rR rA eD", "callee 17"},
		{"three rang, one answered", up + "DialBegin u=A du=C;DialBegin u=A du=D;DialEnd u=A du=D d=ANSWER;Hangup u=C l=A c=26;Hangup u=D l=A c=16;Hangup u=A c=16", "rR rA eD eA", "callee 16"},
		{"callee's Local channel optimised away", talking + "Newchannel u=E l=A s=6;DialBegin u=C l=A du=E dl=A;Hangup u=C l=A c=16;Hangup u=E l=A c=16;Hangup u=A c=16", "rR rA eD eR eA", "callee 16"},
		{"only BridgeEnter tells that they talk", up + "BridgeEnter u=A l=A;Hangup u=A c=16", "rR rA eA", "callee 16"},
		{"redirected by a panel", talking + "Hangup u=A l=A c=16;wait", "rR rA eD eR eA", "transferred"},
		{"attended transfer", talking + "AttendedTransfer result=Success t=A l=A;Hangup u=A c=16", "rR rA eD eR eA", "transferred"},
		{"a transfer that failed", talking + "BlindTransfer result=Fail t=A;Hangup u=C l=A c=16;Hangup u=A l=A c=16", "rR rA eD eR eA", "callee 16"},
		{"the callee transfers us", talking + "BlindTransfer result=Success t=C l=A;Hangup u=C l=A c=16;DialBegin u=A l=A du=D dl=A;Hangup u=D l=A c=16;Hangup u=A l=A c=16", "rR rA eD eR eA", "callee 16"},
		{"the channels' Linkedid changes", talking + "Hangup u=C l=older c=16;Hangup u=A l=older c=16", "rR rA eD eR eA", "callee 16"},
		{"failure, and the Hangup never comes", "Newchannel u=A l=A s=0;OriginateResponse a=act r=Failure reason=3 u=A;wait", "rR", "caller 19"},
		{"everything twice", "Newchannel u=A l=A s=0;Newchannel u=A l=A s=0;Newstate u=A s=5;Newstate u=A s=5;Hangup u=A c=17;Hangup u=A c=17", "rR", "caller 17"},
		{"Asterisk 16: no answer", "Newchannel u=A l=A s=0;Hangup u=A l=A c=0;OriginateResponse a=act r=Failure reason=3 u=A", "rR", "caller 19"},
		{"Asterisk 16: forwarded", "Newchannel u=A l=A s=0;DialEnd du=A dl=A d=CANCEL;OriginateResponse a=act r=Failure reason=0 u=A;Hangup u=A l=A c=0", "rR", "caller 23"},
		{"unheard-of causes", "Newchannel u=A l=A s=0;Hangup u=A c=99999999999999999999", "rR", "none 0"},
		{"a channel out of nothing", "Hangup u=A c=17", "", "caller 17"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			said, _ := tell(false, strings.Split(c.lines, ";"))
			if kinds, end := shortly(said); kinds != c.kinds || end != c.end {
				t.Errorf("said %q and ended %q, want %q and %q", kinds, end, c.kinds, c.end)
			}
		})
	}
}

// TestUnknownPhone: only a question tells that there is no such phone; without
// an answer it counts as offline.
func TestUnknownPhone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		state pbx.DeviceState
		known bool
		want  pbx.End
	}{
		"unknown":   {pbx.DeviceUnknown, true, pbx.End{Kind: pbx.EndUnknown}},
		"offline":   {pbx.DeviceOffline, true, pbx.End{Leg: pbx.LegCaller, Cause: pbx.CauseAbsent}},
		"no answer": {"", false, pbx.End{Leg: pbx.LegCaller, Cause: pbx.CauseAbsent}},
		"silence":   {"", true, pbx.End{Leg: pbx.LegCaller, Cause: pbx.CauseAbsent}},
	} {
		now := time.Unix(1, 0)
		k := newTracker(false, usualTempo())
		k.follow("A", "101", "act", now)
		k.handle(storyMessage("OriginateResponse a=act r=Failure reason=0 u=A"), now)
		if w := k.take(); len(w.events) != 0 || len(w.questions) != 1 || w.questions[0].endpoint != "101" {
			t.Fatalf("%s: %+v", name, w)
		}
		if name == "silence" {
			k.expire(now.Add(time.Minute))
		} else {
			k.answer("A", c.state, c.known, now)
		}
		if w := k.take(); len(w.events) != 1 || w.events[0].End != c.want {
			t.Errorf("%s: %+v", name, w.events)
		}
	}
}

// TestBounded: no stream of events makes a call remember without end.
func TestBounded(t *testing.T) {
	t.Parallel()
	k := newTracker(false, usualTempo())
	now := time.Unix(1, 0)
	tr := k.follow("A", "101", "act", now)
	for i := range 10_000 {
		id := strconv.Itoa(i)
		k.handle(message{kEvent: "Newchannel", kUniqueid: id, kLinkedid: "A"}, now)
		k.handle(message{kEvent: "Newchannel", kUniqueid: "x" + id, kLinkedid: "foreign" + id}, now)
	}
	if len(tr.legs) > maxLegs || len(k.channels) > maxLegs+2 {
		t.Errorf("%d legs, %d channels", len(tr.legs), len(k.channels))
	}
	tr.holding = true
	for range 10_000 {
		k.handle(message{kEvent: "Newstate", kUniqueid: "A"}, now)
	}
	if len(tr.held) > maxHeld {
		t.Errorf("%d events held", len(tr.held))
	}
}
