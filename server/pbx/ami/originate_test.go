package ami

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"clicktodial/server/pbx"
	"clicktodial/server/pbx/pbxtest"
	"clicktodial/server/phone"
)

func TestOriginateAction(t *testing.T) {
	t.Parallel()
	const bare, local = "ami://u:s@h?", "ami://u:s@h?channel=Local/{device}@click-to-dial-phone/n&context=click-to-dial&"
	cases := []struct {
		name, url string
		change    func(*pbx.Originate)
		want      []string
		not       []string
	}{
		{"bare", bare, nil,
			[]string{"Channel: PJSIP/101", "Context: from-internal", "Exten: +31201234567", "Timeout: 25000", "Async: true", "Priority: 1", "ChannelId: ctd-1",
				"Variable: CALLERID(num)=+31201112233", "Variable: CALLERID(name)=", "Variable: CONNECTEDLINE(num)=+31201234567", "Variable: CONNECTEDLINE(name)=Jan de Vries",
				"Variable: __CTD_CALLERID=+31201112233"},
			[]string{"CallerID:", "OtherChannelId:", "CALLERID(pres)"}},
		{"bare, withheld", bare, func(r *pbx.Originate) { r.Withheld = true },
			[]string{"Variable: CALLERID(pres)=prohib", "Variable: CALLERID(name)=", "Variable: __CTD_CALLERID=withheld", "Variable: CONNECTEDLINE(num)=+31201234567"},
			[]string{"CALLERID(num)", "31201112233"}},
		{"bare, no caller id", bare, func(r *pbx.Originate) { r.CallerID = phone.Number{} },
			[]string{"Variable: CONNECTEDLINE(num)=+31201234567"}, []string{"CALLERID(num)", "CALLERID(pres)", "CALLERID(name)"}},
		{"local", local, nil,
			[]string{"Channel: Local/101@click-to-dial-phone/n", "Context: click-to-dial", "ChannelId: ctd-1", "OtherChannelId: ctd-1-2",
				`CallerID: "Jan de Vries" <+31201234567>`, "Variable: __CTD_CALLERID=+31201112233"},
			[]string{"CALLERID(num)", "CONNECTEDLINE"}},
		{"local, withheld", local, func(r *pbx.Originate) { r.Withheld = true },
			[]string{"Variable: __CTD_CALLERID=withheld"}, []string{"31201112233"}},
		{"recorded", bare, func(r *pbx.Originate) { r.Record = true }, []string{"Variable: __CLICKTODIAL_RECORD=1"}, nil},
		{"recorded, local", local, func(r *pbx.Originate) { r.Record = true }, []string{"Variable: __CLICKTODIAL_RECORD=1"}, nil},
		{"not recorded", bare, nil, nil, []string{"RECORD"}},
		{"the tenant's context", bare, func(r *pbx.Originate) { r.Context = "tenant-7" }, []string{"Context: tenant-7"}, nil},
		{"national, prefix, variables", bare + "numbers=national&prefix=9&var.X=y%20z&var.__CTD_CONTEXT=out", nil,
			[]string{"Exten: 90201234567", "Variable: CONNECTEDLINE(num)=0201234567", "Variable: X=y z", "Variable: __CTD_CONTEXT=out"}, nil},
		{"digits", bare + "numbers=digits", nil, []string{"Exten: 31201234567"}, nil},
		{"00", bare + "numbers=00", nil, []string{"Exten: 0031201234567"}, nil},
		{"no name", local, func(r *pbx.Originate) { r.ShownName = "" }, []string{`CallerID: "" <+31201234567>`}, nil},
		{"a name with teeth", local, func(r *pbx.Originate) { r.ShownName = "O'Brien, \"x\" <y>; \\ ${SHELL(id)}\r\nAction: Ping\x00\u2028" },
			[]string{`CallerID: "O'Brien x y  {SHELL(id)}Action: Ping" <+31201234567>`}, nil},
		{"a name in other letters", bare, func(r *pbx.Originate) { r.ShownName = "Zoë Müller 東" }, []string{"Variable: CONNECTEDLINE(name)=Zoë Müller 東"}, nil},
		{"a long name", bare, func(r *pbx.Originate) { r.ShownName = phone.Name(strings.Repeat("東", 500)) },
			[]string{"Variable: CONNECTEDLINE(name)=" + strings.Repeat("東", 80)}, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p, err := Open(c.url, quiet())
			if err != nil {
				t.Fatalf("Open: %v", err)
			}
			req := pbx.Originate{ChannelID: "ctd-1", Endpoint: "101", Number: number(t, "+31201234567"), Region: "NL",
				ShownName: "Jan de Vries", CallerID: number(t, "+31201112233"), RingTimeout: 25 * time.Second}
			if c.change != nil {
				c.change(&req)
			}
			a, err := p.config.originate(req, "act-1")
			if err != nil {
				t.Fatalf("originate: %v", err)
			}
			b, err := encode(a)
			if err != nil {
				t.Fatalf("encode: %v", err)
			}
			got := strings.Split(string(b), "\r\n")
			for _, w := range append(c.want, "ActionID: act-1") {
				if !slices.Contains(got, w) {
					t.Errorf("no %q in\n%s", w, b)
				}
			}
			for _, n := range c.not {
				if strings.Contains(string(b), n) {
					t.Errorf("%q in\n%s", n, b)
				}
			}
		})
	}
}

// TestNothingOfItReachesTheWire: what is refused is refused before a byte is
// written, whoever let it through before.
func TestNothingOfItReachesTheWire(t *testing.T) {
	t.Parallel()
	f, l, h := setup(t)
	refused := 0
	for _, s := range []string{"101\r\nAction: Ping", "101\nAction: Ping", "101\r\n\r\nAction: Originate", "101\x00", "101\r", "101&PJSIP/104", "101,102",
		"${SHELL(id)}", "101/sip:0900@127.0.0.2", "Local/0099@x", "101|102", "101;x", "101\u2028", "101\u0085", strings.Repeat("1", 1000)} {
		for _, set := range []func(*pbx.Originate){
			func(r *pbx.Originate) { r.Endpoint = s },
			func(r *pbx.Originate) { r.Context = s },
			func(r *pbx.Originate) { r.ChannelID = s },
		} {
			req := h.Request(h.Calls[pbxtest.Stays])
			set(&req)
			if err := l.Originate(t.Context(), req); !errors.Is(err, pbx.Refused(nil)) {
				t.Errorf("%q: %v, want pbx-refused", s, err)
			} else if strings.Contains(err.Error(), "101") {
				t.Errorf("the error repeats what was refused: %v", err)
			}
			refused++
		}
		if err := l.Hangup(t.Context(), s); err == nil {
			t.Errorf("Hangup of %q was sent", s)
		}
		if _, err := l.Adopt(t.Context(), s); err == nil {
			t.Errorf("Adopt of %q was sent", s)
		}
		states, err := l.Devices(t.Context(), []string{s})
		if err != nil || states[s] != pbx.DeviceUnknown {
			t.Errorf("Devices of %q: %v, %v", s, states, err)
		}
	}
	marker(t, f, l, h)
	if n := f.count("Originate"); n != 1 {
		t.Errorf("%d refused, %d Originates on the wire besides the marker", refused, n-1)
	}
	if f.count("Hangup") != 0 || f.count("Status") != 0 {
		t.Error("a bad channel id reached the wire")
	}
}

func FuzzOriginateAction(f *testing.F) {
	f.Add("101", "from-internal", "ctd-1", "Jan, \"x\" <y>", uint8(0))
	f.Add("101\r\nAction: Ping", "a", "b", "\n\n", uint8(1))
	f.Fuzz(func(t *testing.T, endpoint, dialplan, id, name string, style uint8) {
		url := "ami://u:s@h"
		if style%2 == 1 {
			url = "ami://u:s@h?channel=Local/{device}@click-to-dial-phone/n"
		}
		c, err := parseURL(url)
		if err != nil {
			t.Fatal(err)
		}
		req := pbx.Originate{ChannelID: id, Endpoint: endpoint, Context: dialplan, Number: number(t, "+31201234567"), Region: "NL",
			ShownName: phone.Name(name), RingTimeout: time.Second}
		if req.Valid() != nil {
			return
		}
		a, err := c.originate(req, "act")
		if err != nil {
			t.Fatalf("a valid request was refused: %v", err)
		}
		b, err := encode(a)
		if err != nil || strings.Count(string(b), "\r\n\r\n") != 1 || strings.Count(string(b), "\n") != len(a)+1 {
			t.Fatalf("not one message: %q, %v", b, err)
		}
		for _, field := range a {
			if field.name == "Variable" && strings.ContainsAny(field.value, ",\r\n\x00") {
				t.Fatalf("a variable that splits: %q", field.value)
			}
			if field.name == "CallerID" && strings.Count(field.value, `"`) != 2 {
				t.Fatalf("a caller id with more quotes: %q", field.value)
			}
		}
	})
}
