package ami

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"clicktodial/server/pbx"
	"clicktodial/server/phone"
)

// Originate writes one action, at most once, and waits for the PBX to take it.
func (p *PBX) Originate(ctx context.Context, req pbx.Originate) error {
	if err := req.Valid(); err != nil {
		return err
	}
	actionID := rand.Text()
	a, err := p.config.originate(req, actionID)
	if err != nil {
		return pbx.Refused(err)
	}
	if ctx.Err() != nil {
		return pbx.Unavailable(ctx.Err())
	}
	s, err := p.line()
	if err != nil {
		return err
	}
	// Before the first byte: events may overtake the Response.
	if !p.follow(req.ChannelID, req.Endpoint, actionID) {
		return pbx.Refused(errors.New("this channel id is followed already"))
	}
	reply, err := s.do(ctx, a)
	switch {
	case errors.Is(err, errNotSent):
		p.Forget(req.ChannelID)
		return pbx.Unavailable(err)
	case err != nil:
		// It stays followed: if the PBX did take it, events or a Status will tell.
		return fmt.Errorf("originating: %w: %w", pbx.ErrDoubt, err)
	case reply[kResponse] != "Success":
		p.Forget(req.ChannelID)
		return pbx.Refused(fmt.Errorf("the PBX answered: %s", knownAnswer(reply[kMessage])))
	}
	return nil
}

// recordVariable tells the dialplan, on both legs, that this call is to be recorded:
// nothing here records, and a dialplan that does not look at it does not either.
const recordVariable = "CLICKTODIAL_RECORD"

// originate makes the action. What the own phone shows while it rings, and what
// the callee sees, were measured on Asterisk 22: a CallerID header sets both, and
// overrides the variables. So a phone that is rung directly gets variables, and
// one that is rung through [click-to-dial-phone] gets the header, because that
// dialplan sets the caller id anew before it calls the number.
func (c config) originate(req pbx.Originate, actionID string) (action, error) {
	number := req.Number.Dial(c.form, req.Region)
	exten := c.prefix + number
	if !dialable(exten) {
		return nil, errors.New("the number has characters that may not be dialled")
	}
	callerID := ""
	if !req.CallerID.IsZero() && !req.Withheld {
		callerID = req.CallerID.Dial(phone.E164, req.Region)
		if !dialable(callerID) {
			return nil, errors.New("the caller id has characters that no number has")
		}
	}
	dialplan := req.Context
	if dialplan == "" {
		dialplan = c.context
	}
	a := action{
		{"Action", "Originate"},
		{"ActionID", actionID},
		{"Channel", strings.ReplaceAll(c.channel, placeholder, req.Endpoint)},
		{"Context", dialplan},
		{"Exten", exten},
		{"Priority", "1"},
		{"Timeout", strconv.FormatInt(req.RingTimeout.Milliseconds(), 10)},
		{"Async", "true"}, // otherwise the session waits for the phone
		{"ChannelId", req.ChannelID},
	}
	for _, v := range c.vars {
		a = append(a, field{"Variable", v.name + "=" + v.value})
	}
	if callerID != "" {
		a = append(a, field{"Variable", "__CTD_CALLERID=" + callerID})
	} else {
		a = append(a, field{"Variable", "__CTD_CALLERID=withheld"})
	}
	if req.Record {
		a = append(a, field{"Variable", "__" + recordVariable + "=1"})
	}
	name := showable(req.ShownName.Reveal())
	if c.local() {
		a = append(a, field{"OtherChannelId", otherID(req.ChannelID)}, field{"CallerID", `"` + name + `" <` + number + ">"})
	} else {
		a = append(a, bareCallerID(callerID, req.Withheld)...)
		a = append(a, field{"Variable", "CONNECTEDLINE(num)=" + number}, field{"Variable", "CONNECTEDLINE(name)=" + name})
	}
	_, err := encode(a)
	return a, err
}

// bareCallerID is what the callee sees when the dialplan does not set it: with
// neither a caller id nor a wish to hide it, the phone's own.
func bareCallerID(callerID string, withheld bool) action {
	switch {
	case withheld:
		return action{{"Variable", "CALLERID(pres)=prohib"}, {"Variable", "CALLERID(name)="}}
	case callerID != "":
		return action{{"Variable", "CALLERID(num)=" + callerID}, {"Variable", "CALLERID(name)="}}
	default:
		return nil
	}
}

// dialable: & and , would dial something else as well.
func dialable(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && c != '+' && c != '*' && c != '#' {
			return false
		}
	}
	return s != "" && len(s) <= 64
}

// showable takes out of a name what the wire, a CallerID, or Asterisk's own
// splitting and substitution would read as something else.
func showable(name string) string {
	const most = 240 // bytes; 80 runes of a name at three bytes each
	var b strings.Builder
	for _, r := range name {
		if unicode.IsControl(r) || strings.ContainsRune("\"<>\\,;$\u2028\u2029", r) {
			continue
		}
		if b.Len()+len(string(r)) > most {
			break
		}
		b.WriteRune(r)
	}
	return strings.TrimSpace(b.String())
}

// knownAnswer keeps a PBX's words out of the log unless they are some that we
// know: an answer can echo what was sent.
func knownAnswer(message string) string {
	for _, known := range []string{
		"Permission denied", "Channel not specified", "Invalid channel", "Invalid priority", "Invalid timeout",
		"Extension does not exist.", "No such channel", "Originate failed", "Originate Access Forbidden: app or data blacklisted",
		"Failed to parse message: line too long", "Too many lines in message or allocation failure",
	} {
		if message == known {
			return known
		}
	}
	return "something that we do not know"
}

// Hangup ends a call by its channel id, which Asterisk takes in place of a name.
func (p *PBX) Hangup(ctx context.Context, channelID string) error {
	if !pbx.ValidChannelID(channelID) {
		return pbx.Refused(errors.New("bad channel id"))
	}
	s, err := p.line()
	if err != nil {
		return err
	}
	p.mu.Lock()
	if t := p.tracker.calls[channelID]; t != nil && !t.mainGone && !t.failed && (!t.calleeSeen || t.living(true)) {
		t.ours = true // whatever cause follows is of our making
	}
	p.mu.Unlock()
	gone, err := hangup(ctx, s, channelID)
	if err != nil || !gone {
		return err
	}
	// A is not there: not yet, no more, or optimised away while the call goes on.
	legs, wait := p.otherLegs(channelID)
	if wait {
		return nil
	}
	if legs == nil && p.config.local() {
		if legs, err = p.strangersLegs(ctx, s, channelID); err != nil {
			return err
		}
	}
	ended := false
	for _, leg := range legs {
		gone, err := hangup(ctx, s, leg)
		if err != nil {
			return err
		}
		ended = ended || !gone
	}
	if !ended {
		return pbx.ErrGone
	}
	return nil
}

// hangup hangs up one channel; gone when there is none.
func hangup(ctx context.Context, s *session, id string) (gone bool, err error) {
	reply, err := s.do(ctx, action{{"Action", "Hangup"}, {"Channel", id}})
	switch {
	case err != nil:
		return false, pbx.Unavailable(err)
	case reply[kResponse] == "Success":
		return false, nil
	case reply[kMessage] == "No such channel":
		return true, nil
	default:
		return false, pbx.Refused(fmt.Errorf("the PBX answered: %s", knownAnswer(reply[kMessage])))
	}
}

// otherLegs gives the phone's own channels of a followed call whose A is gone.
// wait: the PBX has not made A yet, and it will be hung up as soon as it has.
func (p *PBX) otherLegs(id string) (legs []string, wait bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tracker.calls[id]
	if t == nil {
		return nil, false
	}
	if !t.mainSeen {
		t.hangup = true
		return nil, true
	}
	for leg := range t.legs {
		if t.isPhone(leg) {
			legs = append(legs, leg)
		}
	}
	return legs, false
}

// strangersLegs finds what is left of a call that another process follows.
func (p *PBX) strangersLegs(ctx context.Context, s *session, id string) ([]string, error) {
	all, err := listChannels(ctx, s)
	if err != nil {
		return nil, pbx.Unavailable(err)
	}
	var legs []string
	for _, c := range all {
		if c.linked == id {
			legs = append(legs, c.id)
		}
	}
	return legs, nil
}

func listChannels(ctx context.Context, s *session) ([]channel, error) {
	var all []channel
	reply, err := s.doList(ctx, action{{"Action", "Status"}}, "StatusComplete", func(m message) {
		if m[kEvent] == "Status" {
			all = append(all, channelOf(m))
		}
	})
	if err == nil && reply[kEvent] != "StatusComplete" {
		err = fmt.Errorf("listing channels: the PBX answered: %s", knownAnswer(reply[kMessage]))
	}
	return all, err
}
