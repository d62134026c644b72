package ami

import (
	"fmt"
	"time"
)

// The parts of a story.

func (c *fakeCall) set(change func()) {
	c.f.mu.Lock()
	defer c.f.mu.Unlock()
	change()
}

func (c *fakeCall) main(event string, more ...string) {
	c.f.event(append([]string{"Event: " + event, "Channel: PJSIP/" + c.endpoint + "-01", "CallerIDNum: 0201234567", "Uniqueid: " + c.a, "Linkedid: " + c.a}, more...)...)
}

func (c *fakeCall) leg2(event string, more ...string) {
	c.f.event(append([]string{"Event: " + event, "Uniqueid: " + c.calleeID(), "Linkedid: " + c.a}, more...)...)
}

func (c *fakeCall) dial(event, status string) {
	c.f.event("Event: "+event, "Uniqueid: "+c.a, "Linkedid: "+c.a, "DestUniqueid: "+c.calleeID(), "DestLinkedid: "+c.a, "DialStatus: "+status)
}

func (c *fakeCall) originated(response, reason string) {
	c.f.event("Event: OriginateResponse", "ActionID: "+c.action, "Response: "+response, "Reason: "+reason, "Uniqueid: "+c.a)
}

func (c *fakeCall) calleeID() string { return "pbx-" + c.a + ".7" }

func (c *fakeCall) begin() {
	c.set(func() { c.f.channels[c.a] = c })
	c.main("Newchannel", "ChannelState: 0")
	c.f.event("Event: DialBegin", "DestUniqueid: "+c.a, "DestLinkedid: "+c.a)
}

func (c *fakeCall) ring() {
	c.begin()
	c.set(func() { c.state = stateRinging })
	c.main("Newstate", "ChannelState: 5")
	c.f.event("Event: DialState", "DestUniqueid: "+c.a, "DestLinkedid: "+c.a, "DialStatus: RINGING")
	c.f.event("Event: DeviceStateChange", "Device: PJSIP/"+c.endpoint, "State: RINGING")
}

func (c *fakeCall) answer() {
	c.set(func() { c.state = stateUp })
	c.main("Newstate", "ChannelState: 6")
	c.f.event("Event: DialEnd", "DestUniqueid: "+c.a, "DestLinkedid: "+c.a, "DialStatus: ANSWER")
	c.originated("Success", "4")
}

func (c *fakeCall) callee() {
	c.set(func() { c.c, c.cState = c.calleeID(), "0" })
	c.leg2("Newchannel", "ChannelState: 0")
	c.dial("DialBegin", "")
}

func (c *fakeCall) connect() {
	c.set(func() { c.cState, c.bridge = stateUp, "bridge-"+c.a })
	c.leg2("Newstate", "ChannelState: 6")
	c.dial("DialEnd", "ANSWER")
	c.leg2("BridgeEnter", "BridgeUniqueid: b")
	c.main("BridgeEnter", "BridgeUniqueid: b")
}

// gone says that A is gone; the fake forgets it first, as Asterisk does.
func (c *fakeCall) gone(cause int) {
	c.set(func() { delete(c.f.channels, c.a) })
	c.f.event("Event: DeviceStateChange", "Device: PJSIP/"+c.endpoint, "State: NOT_INUSE")
	c.main("Hangup", fmt.Sprintf("Cause: %d", cause), "Cause-txt: x")
}

func (c *fakeCall) goneCallee(cause int) {
	c.set(func() { c.c = "" })
	c.leg2("Hangup", fmt.Sprintf("Cause: %d", cause), "Cause-txt: x")
}

// wait waits for our Hangup, or for d; true when we hung up.
func (c *fakeCall) wait(d time.Duration) bool {
	select {
	case <-c.hungUp:
		return true
	case <-time.After(d):
		return false
	}
}

const beat = 30 * time.Millisecond // how long anything takes at the fake PBX

// byNumber chooses the story as the real laboratory's phones and numbers do.
func byNumber(endpoint, exten string) func(*fakeCall) {
	switch endpoint {
	case "102":
		return func(c *fakeCall) {
			c.ring()
			c.main("HangupRequest", "Cause: 17")
			c.originated("Failure", "0")
			c.gone(17)
		}
	case "103":
		return func(c *fakeCall) {
			c.ring()
			if c.wait(10 * time.Second) {
				c.originated("Failure", "0")
				c.gone(0)
				return
			}
			c.originated("Failure", "3")
			c.gone(19)
		}
	case "107":
		return func(c *fakeCall) { c.begin(); c.gone(23); c.originated("Failure", "0") }
	case "105", "999":
		return func(c *fakeCall) { c.originated("Failure", "0") }
	}
	return func(c *fakeCall) {
		c.ring()
		if c.wait(beat) {
			c.gone(0)
			return
		}
		c.answer()
		c.callee()
		c.calleeStory(exten)
	}
}

func (c *fakeCall) calleeStory(exten string) {
	fails := map[string]struct {
		cause  int
		status string
	}{"1111": {17, "BUSY"}, "2222": {34, "CONGESTION"}, "3333": {21, "NOANSWER"}, "9876": {1, "NOANSWER"}, "0001": {16, "NOANSWER"}}
	last := exten[len(exten)-4:]
	if last != "6666" {
		c.set(func() { c.cState = stateRinging })
		c.dial("DialState", "RINGING")
	}
	if fail, ok := fails[last]; ok {
		c.dial("DialEnd", fail.status)
		c.goneCallee(fail.cause)
		c.gone(fail.cause)
		return
	}
	long := time.Minute
	if last != "0000" {
		if c.wait(beat) {
			c.dial("DialEnd", "CANCEL")
			c.gone(0)
			c.goneCallee(16)
			return
		}
		c.connect()
		if last == "4567" {
			long = beat
		}
	}
	if !c.wait(long) {
		c.leg2("HangupRequest", "Cause: 16")
	} else if last == "0000" {
		c.dial("DialEnd", "CANCEL")
		c.gone(0)
		c.goneCallee(16)
		return
	}
	c.goneCallee(16)
	c.gone(16)
}
