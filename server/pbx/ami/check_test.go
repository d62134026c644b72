package ami

import (
	"strings"
	"testing"

	"clicktodial/server/pbx"
)

func TestCheck(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		set  func(*fake) string // gives the URL
		req  func(*testing.T) pbx.Check
		ok   bool
		want []string
	}{
		{"all is well", nil, func(t *testing.T) pbx.Check {
			return pbx.Check{Endpoints: []string{"101"}, Number: number(t, "+31201234567"), Region: "NL"}
		}, true, []string{"login", "may-originate", "route", "phone"}},
		{"phones", nil, func(*testing.T) pbx.Check { return pbx.Check{Endpoints: []string{"104", "105", "999", "1 0"}} },
			false, []string{"login", "may-originate", "phone", "many-contacts", "phone-offline", "phone-unknown", "bad-endpoint"}},
		{"no route", nil, func(t *testing.T) pbx.Check {
			return pbx.Check{Number: number(t, "+31201234567"), Region: "NL", Context: "nowhere"}
		}, false, []string{"login", "may-originate", "no-route"}},
		{"wrong secret", func(f *fake) string { return strings.Replace(f.url(""), "test-secret", "hunter2", 1) }, nil, false, []string{"login-refused"}},
		{"nobody listens", func(f *fake) string { f.stop(); return f.url("") }, nil, false, []string{"cannot-connect"}},
		{"no TLS", func(f *fake) string { return strings.Replace(f.url(""), "ami:", "amis:", 1) }, nil, false, []string{"tls"}},
		{"may not originate", func(f *fake) string { f.denied["Originate"] = true; return f.url("") }, nil, false, []string{"login", "missing-class"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			url := f.url(national)
			if c.set != nil {
				url = c.set(f)
			}
			var req pbx.Check
			if c.req != nil {
				req = c.req(t)
			}
			r, err := openQuick(t, url, quiet()).Check(t.Context(), req)
			if err != nil {
				t.Fatalf("Check: %v", err)
			}
			var codes []string
			for _, finding := range r.Findings {
				codes = append(codes, finding.Code)
				if text := finding.Sentence + finding.Mend; strings.Contains(text, "1234567") || strings.Contains(text, "hunter2") || strings.Contains(text, "test-secret") {
					t.Errorf("a finding tells too much: %s", text)
				}
				if (finding.Code == "login-refused" || finding.Code == "missing-class") &&
					(!strings.Contains(finding.Mend, "write = call,originate") || !strings.Contains(finding.Mend, "permit = 127.0.0.1/32")) {
					t.Errorf("no stanza to paste in %q", finding.Mend)
				}
			}
			if strings.Join(codes, " ") != strings.Join(c.want, " ") || r.OK != c.ok {
				t.Errorf("found %v, OK %v; want %v, %v", codes, r.OK, c.want, c.ok)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			for _, a := range f.actions {
				if a["Action"] == "Originate" && a["Channel"] != "ClickToDialCheck/none" {
					t.Errorf("it rang %q", a["Channel"])
				}
			}
		})
	}
}
