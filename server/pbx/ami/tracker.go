package ami

import (
	"time"

	"clicktodial/server/pbx"
)

// tracker follows calls through the events of a PBX that sends us everybody's.
// It touches no wire and no clock of its own, and is not safe for concurrent use.
//
// Which channels belong to a call (measured, Asterisk 22): A has the ChannelId
// that we gave as its Uniqueid, and it is the Linkedid of every other leg. When
// the own phone is rung through Local/…, A is its ;1 half, B (our OtherChannelId)
// its ;2 half, and the phone itself, P, is dialled by B. Whatever A dials is the
// callee, C.
type tracker struct {
	local bool
	tempo tempo

	calls    map[string]*track // by our channel id, A
	channels map[string]*track // by the Uniqueid of every leg that is known
	actions  map[string]*track // by the ActionID of the Originate
	waiting  map[*track]bool   // those with a deadline

	work work
}

// work is what following calls for: to say, to ask, to hang up.
type work struct {
	events    []pbx.Event
	questions []question
	hangups   []string
}

// question asks what state a phone is in, because no event tells a phone that
// does not exist from one that is not registered.
type question struct{ channelID, endpoint string }

func newTracker(local bool, t tempo) *tracker {
	return &tracker{
		local: local, tempo: t,
		calls: map[string]*track{}, channels: map[string]*track{}, actions: map[string]*track{}, waiting: map[*track]bool{},
	}
}

// otherID is B of the channel id A; any replica can tell it.
func otherID(id string) string { return id + "-2" }

// follow begins to follow a call; nil when it is followed already. endpoint and
// actionID are empty for a call that another process dialled.
func (k *tracker) follow(id, endpoint, actionID string, now time.Time) *track {
	if k.calls[id] != nil {
		return nil
	}
	t := &track{id: id, endpoint: endpoint, action: actionID, local: k.local, tempo: k.tempo, born: now, legs: map[string]*leg{}}
	k.calls[id] = t
	k.channels[id] = t
	if k.local {
		k.channels[otherID(id)] = t
	}
	if actionID != "" {
		k.actions[actionID] = t
	}
	return t
}

func (k *tracker) forget(id string) {
	t := k.calls[id]
	if t == nil {
		return
	}
	delete(k.calls, id)
	delete(k.actions, t.action)
	delete(k.waiting, t)
	delete(k.channels, id)
	delete(k.channels, otherID(id))
	for leg := range t.legs {
		delete(k.channels, leg)
	}
}

// handle takes one event. A call that is not ours is dropped by its channel ids,
// before anything else in it is looked at.
func (k *tracker) handle(m message, now time.Time) {
	if m[kEvent] == "OriginateResponse" {
		// Every session gets it, and one for an id in use carries the Uniqueid of the
		// call that lives: only the ActionID says whose it is.
		if t := k.actions[m[kActionID]]; t != nil {
			k.apply(t, m, now)
		}
		return
	}
	if t := k.find(m); t != nil {
		k.apply(t, m, now)
	}
}

func (k *tracker) apply(t *track, m message, now time.Time) {
	if t.holding {
		if len(t.held) < maxHeld {
			t.held = append(t.held, m)
		}
		return
	}
	if m[kEvent] == "OriginateResponse" {
		t.originated(m, now)
	} else {
		t.event(m, now)
		k.learn(t, m)
	}
	k.collect(t, now)
}

// find looks a call up by any channel id that an event carries.
func (k *tracker) find(m message) *track {
	for _, id := range [...]string{m[kUniqueid], m[kDestUniqueid], m[kLinkedid], m[kDestLinkedid], m[kTransferer], m[kOrigTransferer]} {
		if id == "" {
			continue
		}
		if t := k.channels[id]; t != nil {
			return t
		}
	}
	return nil
}

// learn keeps the index of legs as the track knows them: a leg's Linkedid can
// change later, when calls are joined.
func (k *tracker) learn(t *track, m message) {
	for _, id := range [...]string{m[kUniqueid], m[kDestUniqueid]} {
		if id == "" || id == t.id || id == otherID(t.id) {
			continue
		}
		if t.legs[id] != nil {
			k.channels[id] = t
		} else if k.channels[id] == t {
			delete(k.channels, id)
		}
	}
}

// collect gathers what a track has to say, and lets it go once it has ended.
func (k *tracker) collect(t *track, now time.Time) {
	for _, e := range t.said {
		e.ChannelID, e.At = t.id, now.UTC()
		k.work.events = append(k.work.events, e)
	}
	t.said = t.said[:0]
	if t.ask {
		t.ask = false
		k.work.questions = append(k.work.questions, question{t.id, t.endpoint})
	}
	if t.hangup && t.mainSeen {
		t.hangup = false
		k.work.hangups = append(k.work.hangups, t.id)
	}
	if t.deadline.IsZero() {
		delete(k.waiting, t)
	} else {
		k.waiting[t] = true
	}
	if t.ended {
		k.forget(t.id)
	}
}

// answer takes the answer to a question.
func (k *tracker) answer(id string, state pbx.DeviceState, known bool, now time.Time) {
	t := k.calls[id]
	if t == nil || !t.asking {
		return
	}
	if known && state == pbx.DeviceUnknown {
		t.finish(pbx.End{Kind: pbx.EndUnknown})
	} else {
		t.finish(pbx.End{Leg: pbx.LegCaller, Cause: pbx.CauseAbsent})
	}
	k.collect(t, now)
}

// expire ends the waits that are over.
func (k *tracker) expire(now time.Time) {
	for t := range k.waiting {
		if !now.Before(t.deadline) {
			t.expired()
			k.collect(t, now)
		}
	}
}

// next is when expire has something to do; zero when never.
func (k *tracker) next() time.Time {
	var first time.Time
	for t := range k.waiting {
		if first.IsZero() || t.deadline.Before(first) {
			first = t.deadline
		}
	}
	return first
}

// end ends a call that we know is over without an event to say so.
func (k *tracker) end(id string, end pbx.End, now time.Time) {
	if t := k.calls[id]; t != nil {
		t.finish(end)
		k.collect(t, now)
	}
}

// take gives what there is to do, once.
func (k *tracker) take() work {
	w := k.work
	k.work = work{}
	return w
}
