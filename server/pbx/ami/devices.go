package ami

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"clicktodial/server/pbx"
)

// maxStates bounds how many phones' states we keep.
const maxStates = 50_000

// states is what we know of the phones' states: a whole list at times, kept
// fresh by DeviceStateChange events, which come under read = call.
type states struct {
	mu     sync.Mutex
	listed time.Time // zero: not known
	byName map[string]string
}

// change takes an event, if there is a list that it can change.
func (s *states) change(name, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byName == nil {
		return
	}
	if _, known := s.byName[name]; known || len(s.byName) < maxStates {
		s.byName[name] = state
	}
}

func (s *states) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byName, s.listed = nil, time.Time{}
}

// begin makes an empty list that events change from now on.
func (s *states) begin() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.byName, s.listed = map[string]string{}, time.Now()
}

func (s *states) fresh(age time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byName != nil && time.Since(s.listed) < age
}

func (s *states) get(name string) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	state, ok := s.byName[name]
	return state, ok
}

func (c config) deviceName(endpoint string) string {
	return strings.ReplaceAll(c.device, placeholder, endpoint)
}

// Devices gives the phones' states, at most 2 s old.
func (p *PBX) Devices(ctx context.Context, endpoints []string) (map[string]pbx.DeviceState, error) {
	s, err := p.line()
	if err != nil {
		return nil, err
	}
	p.listing.Lock()
	defer p.listing.Unlock()
	if !p.states.fresh(p.tempo.states) {
		if err := p.listStates(ctx, s); err != nil {
			return nil, pbx.Unavailable(err)
		}
	}
	known := make(map[string]pbx.DeviceState, len(endpoints))
	for _, endpoint := range endpoints {
		if !pbx.ValidEndpoint(endpoint) {
			known[endpoint] = pbx.DeviceUnknown
			continue
		}
		name := p.config.deviceName(endpoint)
		state, listed := p.states.get(name)
		if !listed {
			// The list holds what has had a state; a question finds the others.
			if state, err = askState(ctx, s, name); err != nil {
				return nil, pbx.Unavailable(err)
			}
			p.states.change(name, state)
		}
		known[endpoint] = deviceState(state)
	}
	return known, nil
}

func (p *PBX) listStates(ctx context.Context, s *session) error {
	p.states.begin()
	reply, err := s.doList(ctx, action{{"Action", "DeviceStateList"}}, "DeviceStateListComplete", func(m message) {
		if m[kEvent] == "DeviceStateChange" {
			p.states.change(m[kDevice], m[kState])
		}
	})
	if err == nil && reply[kEvent] != "DeviceStateListComplete" {
		err = fmt.Errorf("listing device states: the PBX answered: %s", knownAnswer(reply[kMessage]))
	}
	if err != nil {
		p.states.clear()
	}
	return err
}

// askState asks for one phone's state, in Asterisk's words.
func askState(ctx context.Context, s *session, device string) (string, error) {
	return getvar(ctx, s, "DEVICE_STATE("+device+")")
}

func getvar(ctx context.Context, s *session, expression string) (string, error) {
	reply, err := s.do(ctx, action{{"Action", "Getvar"}, {"Variable", expression}})
	if err == nil && reply[kResponse] != "Success" {
		err = fmt.Errorf("asking the dialplan: the PBX answered: %s", knownAnswer(reply[kMessage]))
	}
	return reply[kValue], err
}

// deviceState reduces Asterisk's device states (devicestate.h).
func deviceState(state string) pbx.DeviceState {
	switch state {
	case "NOT_INUSE":
		return pbx.DeviceIdle
	case "INUSE", "BUSY", "ONHOLD":
		return pbx.DeviceInUse
	case "RINGING", "RINGINUSE":
		return pbx.DeviceRinging
	case "UNAVAILABLE":
		return pbx.DeviceOffline
	default: // INVALID: no such phone; UNKNOWN
		return pbx.DeviceUnknown
	}
}
