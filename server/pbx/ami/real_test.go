package ami

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"clicktodial/server/pbx"
	"clicktodial/server/pbx/pbxtest"
)

func TestRealConform(t *testing.T) {
	l := theAsterisk(t)
	t.Run("bare", func(t *testing.T) { pbxtest.Conform(t, l.harness(t, l.PBXURLBare)) })
	t.Run("local", func(t *testing.T) { pbxtest.Conform(t, l.harness(t, l.PBXURL)) })
}

// carrierSaw gives the newest call of the carrier's list to a number:
// time,number,caller id,withheld,name.
func (l *lab) carrierSaw(t *testing.T, number string) []string {
	t.Helper()
	data, err := os.ReadFile(l.CarrierCalls)
	if err != nil {
		t.Fatal(err)
	}
	var last []string
	for line := range strings.SplitSeq(strings.TrimSpace(string(data)), "\n") {
		if f := strings.Split(line, ","); len(f) >= 5 && f[1] == number {
			last = f
		}
	}
	return last
}

// TestRealCallerID: what the carrier was told, in both styles.
func TestRealCallerID(t *testing.T) {
	l := theAsterisk(t)
	for style, rawURL := range map[string]string{"bare": l.PBXURLBare, "local": l.PBXURL} {
		h := l.harness(t, rawURL)
		for name, c := range map[string]struct {
			change func(*pbx.Originate)
			number string
			id     string
		}{
			"device's": {func(r *pbx.Originate) { r.CallerID = number(t, "+31201112233") }, "0201236666", "+31201112233"},
			"withheld": {func(r *pbx.Originate) { r.CallerID, r.Withheld = number(t, "+31201112233"), true }, "0201236666", "anonymous"},
			"odd names": {func(r *pbx.Originate) {
				r.CallerID, r.ShownName = number(t, "+31201112233"), "a\r\nb, \"c\" <d> ${EXTEN};&|"
			}, "0201236666", "+31201112233"},
		} {
			t.Run(style+" "+name, func(t *testing.T) {
				line := h.Start(t)
				req := h.Request(h.Calls[pbxtest.Stays])
				req.ShownName = "Jan de Vries"
				c.change(&req)
				if err := line.Originate(t.Context(), req); err != nil {
					t.Fatalf("Originate: %v", err)
				}
				line.Wait(req.ChannelID, pbx.CalleeAnswered)
				saw := l.carrierSaw(t, c.number)
				if len(saw) < 5 || saw[2] != c.id || strings.Contains(strings.Join(saw, ","), "Jan") {
					t.Errorf("the carrier saw %q, want the caller id %q and no name", saw, c.id)
				}
				if err := line.Hangup(t.Context(), req.ChannelID); err != nil {
					t.Errorf("Hangup: %v", err)
				}
				line.Wait(req.ChannelID, pbx.Ended)
			})
		}
	}
}

// channels counts the channels that the real PBX has, and those of one call.
func (l *lab) channels(t *testing.T, id string) (all, own int) {
	t.Helper()
	c, err := parseURL(l.PBXURLBare)
	if err != nil {
		t.Fatal(err)
	}
	s, err := connect(t.Context(), c, usualTempo(), func(*session, message) {})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	defer func() { s.end(errLineLost); <-s.read }()
	list, err := listChannels(t.Context(), s)
	if err != nil {
		t.Fatalf("listing: %v", err)
	}
	for _, channel := range list {
		if channel.linked == id {
			own++
		}
	}
	return len(list), own
}

// TestRealOneCallOneChannelPair: a proper call is exactly one pair of channels
// under our channel id; and what would be more is refused with nothing begun.
func TestRealOneCallOneChannelPair(t *testing.T) {
	l := theAsterisk(t)
	h := l.harness(t, l.PBXURLBare)
	line := h.Start(t)
	before, _ := l.channels(t, "")
	for _, s := range []string{"120\r\nAction: Ping", "120\nAction: Ping", "120\x00", "120&PJSIP/104", "120,104", "${SHELL(touch /tmp/x)}",
		"120/sip:0900@127.0.0.2", "120\r\n\r\nAction: Originate\r\nChannel: PJSIP/104\r\nContext: from-internal\r\nExten: 0201236666\r\nPriority: 1"} {
		for _, set := range []func(*pbx.Originate){
			func(r *pbx.Originate) { r.Endpoint = s },
			func(r *pbx.Originate) { r.Context = s },
			func(r *pbx.Originate) { r.ChannelID = s },
		} {
			req := h.Request(h.Calls[pbxtest.Stays])
			set(&req)
			if err := line.Originate(t.Context(), req); !errors.Is(err, pbx.Refused(nil)) {
				t.Errorf("%q: %v, want pbx-refused", s, err)
			}
		}
	}
	if now, _ := l.channels(t, ""); now != before {
		t.Errorf("%d channels before what was refused, %d after", before, now)
	}
	req := h.Request(h.Calls[pbxtest.Stays])
	req.ShownName = "x\" <0900>\r\n\r\nAction: Originate\r\nChannel: PJSIP/104&PJSIP/101,${EXTEN}"
	if err := line.Originate(t.Context(), req); err != nil {
		t.Fatalf("Originate: %v", err)
	}
	line.Wait(req.ChannelID, pbx.CalleeAnswered)
	if all, own := l.channels(t, req.ChannelID); own != 2 || all != before+2 {
		t.Errorf("%d channels of ours, %d in all, %d before", own, all, before)
	}
	if err := line.Hangup(t.Context(), req.ChannelID); err != nil {
		t.Fatalf("Hangup: %v", err)
	}
	line.Wait(req.ChannelID, pbx.Ended)
}

func TestRealCheck(t *testing.T) {
	l := theAsterisk(t)
	before, _ := l.channels(t, "")
	for name, c := range map[string]struct {
		url  string
		req  pbx.Check
		ok   bool
		want string
	}{
		"bare": {l.PBXURLBare, pbx.Check{Endpoints: []string{"101", "105", "109"}, Number: number(t, "+31201234567"), Region: "NL"},
			true, "login may-originate route phone phone-offline phone many-contacts"},
		"local": {l.PBXURL, pbx.Check{Endpoints: []string{"101", "109"}, Number: number(t, "+31201234567"), Region: "NL"},
			true, "login may-originate route phone phone"},
		"local, no such way": {l.PBXURL, pbx.Check{Number: number(t, "+31209999999"), Region: "NL", Context: "nowhere"}, false, "login may-originate no-route"},
		"unknown phone":      {l.PBXURL, pbx.Check{Endpoints: []string{"999"}}, false, "login may-originate phone-unknown"},
		"watcher":            {strings.Replace(strings.Replace(l.PBXURLBare, l.AMI.User+":", l.Watcher.User+":", 1), l.AMI.Secret, l.Watcher.Secret, 1), pbx.Check{}, true, "login too-much may-originate"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := Open(c.url, quiet())
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			r, err := p.Check(t.Context(), c.req)
			if err != nil {
				t.Fatalf("Check: %v", err)
			}
			var codes []string
			for _, f := range r.Findings {
				codes = append(codes, f.Code)
			}
			if got := strings.Join(codes, " "); r.OK != c.ok || (c.want != "" && got != c.want) || r.Version == "" {
				t.Errorf("found %q, OK %v, version %q; want %q, %v", got, r.OK, r.Version, c.want, c.ok)
			}
		})
	}
	if now, _ := l.channels(t, ""); now != before {
		t.Errorf("a check made channels: %d before, %d after", before, now)
	}
}

// TestRealRestart kills and stops the PBX under a call. It runs last of those
// with the real one, because the phones need time to come back.
func TestRealZRestart(t *testing.T) {
	l := theAsterisk(t)
	for _, how := range []string{"kill", "stop"} {
		t.Run(how, func(t *testing.T) {
			h := l.harness(t, l.PBXURLBare)
			line := h.Start(t)
			id := h.Dial(t, line, h.Calls[pbxtest.Stays])
			line.Wait(id, pbx.CalleeAnswered)
			l.script(t, "pbx", how)
			line.WaitDown()
			began := time.Now()
			if err := line.Originate(t.Context(), h.Request(h.Calls[pbxtest.Stays])); !errors.Is(err, pbx.Unavailable(nil)) {
				t.Errorf("while it is down: %v", err)
			}
			if took := time.Since(began); took > 50*time.Millisecond {
				t.Errorf("a refusal took %v", took)
			}
			l.script(t, "pbx", "start")
			if e := line.Wait(id, pbx.Ended); e.End.Kind != pbx.EndRestarted {
				t.Errorf("ended as %+v, want restarted", e.End)
			}
			line.WaitUp()
			again := h.Dial(t, line, h.Calls[pbxtest.Answered])
			line.Wait(again, pbx.Ended)
		})
	}
}
