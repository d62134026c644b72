package ami

import (
	"strconv"
	"time"

	"clicktodial/server/pbx"
)

// channel is one channel that exists, from a Status event.
type channel struct {
	id, linked, state, bridge string
	seconds                   int
}

func channelOf(m message) channel {
	seconds, _ := strconv.Atoi(m[kSeconds]) // 0 is good enough for an unreadable age
	return channel{id: m[kUniqueid], linked: m[kLinkedid], state: m[kChannelState], bridge: m[kBridgeID], seconds: seconds}
}

// hold makes the events of such calls wait until reconcile has said how they
// stand, and gives the number of those calls.
func (k *tracker) hold(which func(*track) bool) int {
	n := 0
	for _, t := range k.calls {
		if which(t) {
			t.holding = true
			n++
		}
	}
	return n
}

// reconcile brings a call up to date with all channels that exist now; false
// when none of them is its own. Events that were held follow, in order: those
// that are older than the list change nothing.
func (k *tracker) reconcile(id string, all []channel, now time.Time) bool {
	t := k.calls[id]
	if t == nil {
		return false
	}
	var mine []channel
	for _, c := range all {
		if c.id == id || c.linked == id || k.channels[c.id] == t {
			mine = append(mine, c)
		}
	}
	if len(mine) > 0 {
		t.rebuild(mine)
		for leg := range t.legs {
			k.channels[leg] = t
		}
		t.settle(now)
		k.collect(t, now)
	}
	k.release(t, now)
	return len(mine) > 0
}

// release lets the events that waited take their turn.
func (k *tracker) release(t *track, now time.Time) {
	held := t.held
	t.holding, t.held = false, nil
	for _, m := range held {
		k.apply(t, m, now)
	}
}

// missing decides about a call of which the PBX has no channel. A request that
// is in doubt may still be on its way: then it is looked for once more.
func (k *tracker) missing(id string, restarted bool, now time.Time) (again bool) {
	t := k.calls[id]
	if t == nil || t.asking {
		return false
	}
	if !t.mainSeen && !restarted && now.Sub(t.born) < k.tempo.recheck {
		return true
	}
	end := pbx.End{Kind: pbx.EndLost}
	if restarted {
		end.Kind = pbx.EndRestarted
	}
	k.end(id, end, now)
	return false
}

// rebuild sets the legs and the state from the call's living channels.
func (t *track) rebuild(mine []channel) {
	byID := map[string]channel{}
	for _, c := range mine {
		byID[c.id] = c
	}
	a, aLives := byID[t.id]
	b := byID[otherID(t.id)]
	t.mainSeen = true
	if !aLives {
		t.mainGone = true
	}
	for id := range t.legs {
		if _, lives := byID[id]; !lives {
			delete(t.legs, id)
		}
	}
	oldest := channel{seconds: -1}
	for _, c := range mine {
		if c.id == t.id || t.legs[c.id] != nil {
			continue
		}
		if c.id != b.id && c.seconds > oldest.seconds {
			oldest = c
		}
		t.add(c.id, c.id != otherID(t.id) && t.calleeSide(c, a, b))
	}
	if t.local && !aLives && !t.phoneLiving() && oldest.id != "" {
		// Local channels optimised away: of the two that talk, ours began first.
		t.add(oldest.id, false)
	}
	t.reachFrom(mine, a, aLives)
}

// calleeSide guesses a leg's side from where it stands.
func (t *track) calleeSide(c, a, b channel) bool {
	switch {
	case !t.local:
		return true
	case b.bridge != "" && c.bridge == b.bridge:
		return false // P talks to B
	case a.id != "" && a.state != stateUp:
		return false // P rings
	default:
		return true
	}
}

func (t *track) reachFrom(mine []channel, a channel, aLives bool) {
	t.reach(pbx.CallerRinging)
	if !aLives || a.state == stateUp {
		t.reach(pbx.CallerAnswered)
	}
	if aLives && a.state != stateUp {
		return
	}
	for _, c := range mine {
		if l := t.legs[c.id]; l == nil || !l.callee {
			continue
		}
		t.reach(pbx.CalleeDialling)
		if c.state == stateRinging {
			t.reach(pbx.CalleeRinging)
		}
		if !aLives && c.bridge != "" {
			t.reach(pbx.CalleeAnswered)
		}
	}
	if a.bridge != "" {
		t.reach(pbx.CalleeAnswered)
	}
}
