package ami

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"clicktodial/server/pbx"
)

// Check tries the line with a session of its own, and rings no one.
func (p *PBX) Check(ctx context.Context, req pbx.Check) (pbx.Report, error) {
	r := report{Report: pbx.Report{OK: true, Kind: "ami", Findings: []pbx.Finding{}}}
	c := checker{config: p.config, tempo: p.tempo, report: &r, originated: make(chan struct{}, 1), trial: rand.Text()}
	s, err := connect(ctx, p.config, p.tempo, c.hear)
	if err != nil {
		c.cannotConnect(err)
		return r.Report, nil
	}
	defer func() {
		s.end(errors.New("the check is over"))
		<-s.read
	}()
	r.Version = s.reader.version
	r.add("ok", "login", "The exchange can be reached, and accepts our user and secret.", "")
	if err := c.all(ctx, s, req); err != nil {
		r.add("error", "line-lost", "The line to the exchange was lost, or it stopped answering, while it was being checked.", "")
	}
	return r.Report, nil
}

// report collects what a check finds.
type report struct{ pbx.Report }

func (r *report) add(level, code, sentence, mend string) {
	r.Findings = append(r.Findings, pbx.Finding{Level: level, Code: code, Sentence: sentence, Mend: mend})
	if level == "error" {
		r.OK = false
	}
}

type checker struct {
	*report
	config     config
	tempo      tempo
	originated chan struct{} // our trial's OriginateResponse came
	trial      string        // its ActionID
}

func (c *checker) hear(_ *session, m message) {
	if m[kEvent] == "OriginateResponse" && m[kActionID] == c.trial {
		select {
		case c.originated <- struct{}{}:
		default: // one is enough
		}
	}
}

func (c *checker) all(ctx context.Context, s *session, req pbx.Check) error {
	for _, step := range []func(context.Context, *session, pbx.Check) error{c.classes, c.mayOriginate, c.route, c.phones} {
		if err := step(ctx, s, req); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) cannotConnect(err error) {
	switch causeWord(err) {
	case "login-refused":
		c.add("error", "login-refused", "The exchange was reached, but refuses our user and secret, or this server's address.", c.stanza())
	case "connection-refused":
		c.add("error", "cannot-connect", "The exchange's machine answers, but nothing listens on the AMI port.",
			"In manager.conf, [general] needs enabled = yes, bindaddr and port; then: asterisk -rx 'manager reload'.\n"+c.stanza())
	case "no-such-host":
		c.add("error", "cannot-connect", "The exchange's host name is not known.", "Correct the host in PBX_URL.")
	case "timeout":
		c.add("error", "cannot-connect", "The exchange does not answer: a firewall, a wrong address, or it is down.",
			"Check host and port in PBX_URL, and that this server may reach them.")
	case "tls":
		c.add("error", "tls", "The exchange's TLS certificate is not accepted, or it speaks no TLS on this port.",
			"Give the certificate's authority with ca=FILE in PBX_URL, use the name that is in the certificate, or use ami:// on a private network.")
	case "not-ami":
		c.add("error", "not-ami", "Something answers at this address, but it is no Asterisk Manager Interface.", "Correct the port in PBX_URL; usual are 5038, and 5039 with TLS.")
	default:
		c.add("error", "cannot-connect", "The exchange cannot be reached.", "Check host and port in PBX_URL.")
	}
}

// stanza is what to paste into manager.conf. The secret stays where it is.
func (c *checker) stanza() string {
	permit := "ADDRESS-OF-THIS-SERVER"
	// A UDP "connection" sends nothing; it tells which of our addresses faces the PBX.
	if conn, err := net.Dial("udp", c.config.addr); err == nil {
		if a, ok := conn.LocalAddr().(*net.UDPAddr); ok {
			permit = a.IP.String() + "/32"
			if a.IP.To4() == nil {
				permit = a.IP.String() + "/128"
			}
		}
		_ = conn.Close() // nothing was sent
	}
	return fmt.Sprintf("Paste into manager.conf, then: asterisk -rx 'manager reload'\n\n[%s]\nsecret = the one in PBX_URL\n"+
		"deny = 0.0.0.0/0\npermit = %s\nread = call\nwrite = call,originate\nwritetimeout = 5000\n", c.config.user, permit)
}

// classes: ListCommands lists exactly what the account may do.
func (c *checker) classes(ctx context.Context, s *session, _ pbx.Check) error {
	m, err := s.do(ctx, action{{"Action", "ListCommands"}})
	if err != nil {
		return err
	}
	if m[kResponse] != "Success" {
		return nil // an older Asterisk; the trial below tells what matters
	}
	if m[kHangup] == "" || m[kStatus] == "" {
		c.add("error", "missing-class", "The account may not hang up calls or list them: it lacks the class call in write =.", c.stanza())
	}
	if m[kCommand] != "" || m[kModuleLoad] != "" || m[kGetConfig] != "" {
		c.add("warning", "too-much", "The account may run commands or change the exchange: whoever gets hold of it owns the machine. "+
			"It needs only call and originate.", c.stanza())
	}
	return nil
}

// mayOriginate asks for a call over a technology that does not exist: nothing
// can ring, the Response tells whether we may originate, and the event that
// follows whether we are told about calls.
func (c *checker) mayOriginate(ctx context.Context, s *session, _ pbx.Check) error {
	m, err := s.do(ctx, action{
		{"Action", "Originate"}, {"ActionID", c.trial}, {"Channel", "ClickToDialCheck/none"},
		{"Application", "NoOp"}, {"Timeout", "1000"}, {"Async", "true"},
	})
	switch {
	case err != nil:
		return err
	case m[kMessage] == "Permission denied":
		c.add("error", "missing-class", "The account may not place calls: it lacks the class originate in write =.", c.stanza())
		return nil
	case m[kResponse] != "Success":
		return nil // it may, and this Asterisk sees at once that the channel is none
	}
	select {
	case <-c.originated:
		c.add("ok", "may-originate", "The account may place calls, and is told what becomes of them.", "")
	case <-time.After(2 * c.tempo.grace):
		c.add("error", "no-events", "The account may place calls, but is not told what becomes of them: it lacks the class call in read =.", c.stanza())
	case <-s.done:
		return errLineLost
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// route tries the way to a number, and to the phones behind Local/….
func (c *checker) route(ctx context.Context, s *session, req pbx.Check) error {
	if req.Number.IsZero() {
		return nil
	}
	dialplan := req.Context
	if dialplan == "" {
		dialplan = c.config.context
	}
	exten := c.config.prefix + req.Number.Dial(c.config.form, req.Region)
	if !pbx.ValidContext(dialplan) || !dialable(exten) {
		c.add("error", "not-dialable", "The number, or the context, has characters that may not be dialled.", "")
		return nil
	}
	contexts := []string{dialplan}
	if dialplan == "click-to-dial" {
		contexts = append(contexts, c.outgoing()) // scripts/pbx/click-to-dial.conf goes there
	}
	for _, context := range contexts {
		found, err := getvar(ctx, s, "DIALPLAN_EXISTS("+context+","+exten+",1)")
		if err != nil {
			return err
		}
		if found != "1" {
			c.add("error", "no-route", fmt.Sprintf("The dialplan has no way to this number in the context %q.", context),
				"Correct context= in PBX_URL or the tenant's, or the form of numbers (numbers=e164, digits, 00, national; prefix=), or add a pattern to extensions.conf.")
			return nil
		}
	}
	c.add("ok", "route", "The dialplan has a way to this number. It was not called.", "")
	return nil
}

// outgoing is where [click-to-dial] goes on.
func (c *checker) outgoing() string {
	for _, v := range c.config.vars {
		if strings.TrimLeft(v.name, "_") == "CTD_CONTEXT" && pbx.ValidContext(v.value) {
			return v.value
		}
	}
	return "from-internal"
}

func (c *checker) phones(ctx context.Context, s *session, req pbx.Check) error {
	for _, endpoint := range req.Endpoints {
		if !pbx.ValidEndpoint(endpoint) {
			c.add("error", "bad-endpoint", "The name of a phone has characters that no phone's name has.", "")
			continue
		}
		if err := c.phone(ctx, s, endpoint); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) phone(ctx context.Context, s *session, endpoint string) error {
	if err := c.phoneContext(ctx, s, endpoint); err != nil {
		return err
	}
	state, err := askState(ctx, s, c.config.deviceName(endpoint))
	if err != nil {
		return err
	}
	switch deviceState(state) {
	case pbx.DeviceUnknown:
		c.add("error", "phone-unknown", fmt.Sprintf("The exchange knows no phone %q.", endpoint),
			"Correct the device's endpoint, or channel= and device= in PBX_URL, or add the phone to the exchange.")
		return nil
	case pbx.DeviceOffline:
		c.add("warning", "phone-offline", fmt.Sprintf("Phone %q exists, but is not registered: it cannot ring.", endpoint), "Switch the phone on, and check its account.")
		return nil
	}
	c.add("ok", "phone", fmt.Sprintf("Phone %q is registered.", endpoint), "")
	if c.config.channel != "PJSIP/"+placeholder {
		return nil
	}
	contacts, err := getvar(ctx, s, "PJSIP_DIAL_CONTACTS("+endpoint+")")
	if err != nil {
		return err
	}
	if n := strings.Count(contacts, "&") + 1; contacts != "" && n > 1 {
		c.add("warning", "many-contacts", fmt.Sprintf("%d phones are registered as %q, and only the first of them will ring.", n, endpoint),
			"Paste scripts/pbx/click-to-dial.conf into the dialplan, and use channel=Local/{device}@click-to-dial-phone/n&context=click-to-dial in PBX_URL.")
	}
	return nil
}

// phoneContext: behind Local/{device}@context the phone is an extension.
func (c *checker) phoneContext(ctx context.Context, s *session, endpoint string) error {
	rest, local := strings.CutPrefix(c.config.channel, "Local/")
	if !local {
		return nil
	}
	exten, context, _ := strings.Cut(strings.TrimSuffix(rest, "/n"), "@")
	found, err := getvar(ctx, s, "DIALPLAN_EXISTS("+context+","+strings.ReplaceAll(exten, placeholder, endpoint)+",1)")
	if err != nil {
		return err
	}
	if found != "1" {
		c.add("error", "no-phone-context", fmt.Sprintf("The dialplan has no way to phone %q in the context %q.", endpoint, context),
			"Paste scripts/pbx/click-to-dial.conf into the dialplan (it begins with how), then: asterisk -rx 'dialplan reload'.")
	}
	return nil
}
