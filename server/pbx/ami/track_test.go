package ami

import (
	"os"
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
	for _, line := range lines {
		k.handle(storyMessage(line), now)
		now = now.Add(time.Millisecond)
		gather()
	}
	now = now.Add(time.Minute)
	k.expire(now)
	gather()
	return said, questions
}

func TestDumpStories(t *testing.T) {
	data, err := os.ReadFile("/tmp/stories.txt")
	if err != nil {
		t.Skip()
	}
	for _, s := range strings.Split(string(data), "== ")[1:] {
		lines := strings.Split(strings.TrimSpace(s), "\n")
		head := strings.Fields(lines[0])
		said, q := tell(head[1] == "local", lines[1:])
		var b strings.Builder
		for _, e := range said {
			b.WriteString(" " + string(e.Kind))
		}
		if n := len(said); n > 0 {
			e := said[n-1].End
			t.Logf("%-34s %s %s {%s|%s|%d} q%d", head[0], head[1], b.String(), e.Kind, e.Leg, e.Cause, q)
		} else {
			t.Logf("%-34s %s NOTHING", head[0], head[1])
		}
	}
}
