package practice

import (
	"errors"
	"sync"
	"time"

	"clicktodial/server/pbx"
)

// exchange holds the calls, and tells every line what happens to them. Its lock
// is held while it tells, so that each line hears one order of events.
type exchange struct {
	mu    sync.Mutex
	lines map[*PBX]bool
	calls map[string]*call
}

// call is one story that is being told.
type call struct {
	id       string
	endpoint string
	reached  pbx.EventKind
	steps    []step // what is still to come
	timer    *time.Timer
}

func newExchange() *exchange {
	return &exchange{lines: map[*PBX]bool{}, calls: map[string]*call{}}
}

// join connects a line, and tells it how the calls stand that it followed before.
func (x *exchange) join(p *PBX) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lines[p] = true
	for _, id := range p.following() {
		e := pbx.Event{ChannelID: id, Kind: pbx.Ended, End: pbx.End{Kind: pbx.EndLost}, At: stamp()}
		if c := x.calls[id]; c != nil {
			e.Kind, e.End = c.reached, pbx.End{}
		}
		p.hear(e)
	}
}

// leave forgets a line. What happens afterwards it will not hear.
func (x *exchange) leave(p *PBX) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.lines, p)
}

// begin starts a call for the line p, which follows it before anything happens.
func (x *exchange) begin(p *PBX, id, endpoint string, steps []step) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.calls[id] != nil {
		return pbx.Refused(errors.New("channel id in use"))
	}
	c := &call{id: id, endpoint: endpoint, steps: steps}
	x.calls[id] = c
	p.follow(id)
	x.advance(c)
	return nil
}

// advance tells the steps that are due and sets the timer for the next. Called
// with the lock held.
func (x *exchange) advance(c *call) {
	for {
		s := c.steps[0]
		c.steps = c.steps[1:]
		x.tell(c, s)
		if s.kind == pbx.Ended {
			return
		}
		if next := c.steps[0].after; next > 0 {
			c.timer = time.AfterFunc(next, func() { x.due(c) })
			return
		}
	}
}

// due is the timer's call. The call may have been hung up while it waited for
// the lock.
func (x *exchange) due(c *call) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.calls[c.id] == c {
		x.advance(c)
	}
}

func (x *exchange) tell(c *call, s step) {
	c.reached = s.kind
	if s.kind == pbx.Ended {
		delete(x.calls, c.id)
	}
	e := pbx.Event{ChannelID: c.id, Kind: s.kind, End: s.end, At: stamp()}
	for line := range x.lines {
		line.hear(e)
	}
}

func (x *exchange) hangup(id string) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.calls[id]
	if c == nil {
		return pbx.ErrGone
	}
	if c.timer != nil {
		c.timer.Stop()
	}
	cause := pbx.CauseNone // as Asterisk says before the callee has answered
	if c.reached == pbx.CalleeAnswered {
		cause = pbx.CauseNormal
	}
	x.tell(c, step{kind: pbx.Ended, end: pbx.End{Cause: cause}})
	return nil
}

func (x *exchange) adopt(p *PBX, id string) (pbx.Snapshot, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	c := x.calls[id]
	if c == nil {
		return pbx.Snapshot{}, pbx.ErrGone
	}
	p.follow(id)
	return pbx.Snapshot{Kind: c.reached}, nil
}

func (x *exchange) devices(endpoints []string) map[string]pbx.DeviceState {
	x.mu.Lock()
	defer x.mu.Unlock()
	busy := map[string]pbx.DeviceState{}
	for _, c := range x.calls {
		switch {
		case c.reached != pbx.CallerRinging:
			busy[c.endpoint] = pbx.DeviceInUse
		case busy[c.endpoint] == "":
			busy[c.endpoint] = pbx.DeviceRinging
		}
	}
	states := make(map[string]pbx.DeviceState, len(endpoints))
	for _, e := range endpoints {
		states[e] = pbx.DeviceIdle
		if s := busy[e]; s != "" {
			states[e] = s
		}
	}
	return states
}
