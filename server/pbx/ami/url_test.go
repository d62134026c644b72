package ami

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"clicktodial/server/phone"
)

func TestParseURL(t *testing.T) {
	t.Parallel()
	c, err := parseURL("ami://click:s%40cret%2F1@pbx.example:6038?channel=Local/{device}@click-to-dial-phone/n&context=click-to-dial&numbers=national&prefix=9&var.__CTD_CONTEXT=from-internal&var.A=b%20c")
	if err != nil {
		t.Fatal(err)
	}
	if c.addr != "pbx.example:6038" || c.user != "click" || c.secret != "s@cret/1" || c.tls != nil || !c.local() ||
		c.channel != "Local/{device}@click-to-dial-phone/n" || c.device != "PJSIP/{device}" || c.context != "click-to-dial" ||
		c.form != phone.National || c.prefix != "9" || len(c.vars) != 2 || c.vars[0] != (variable{"A", "b c"}) {
		t.Errorf("read as %+v", c)
	}
	c, err = parseURL("ami://u:s@[::1]")
	if err != nil || c.addr != "[::1]:5038" || c.channel != "PJSIP/{device}" || c.device != c.channel ||
		c.context != "from-internal" || c.form != phone.E164 || c.local() {
		t.Errorf("defaults: %+v, %v", c, err)
	}
	c, err = parseURL("amis://u:s@pbx.example")
	if err != nil || c.addr != "pbx.example:5039" || c.tls == nil || c.tls.ServerName != "pbx.example" || c.tls.InsecureSkipVerify {
		t.Errorf("TLS: %+v, %v", c, err)
	}
}

func TestParseURLFaults(t *testing.T) {
	t.Parallel()
	noCert := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noCert, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	const ok = "ami://user:hunter2@host?"
	bad := []string{
		"", "ami://", "http://user:hunter2@host", "ami://host", "ami://user@host", "ami://:hunter2@host", "ami://user:hunter2@",
		"ami://user:hunter2@host:0", "ami://user:hunter2@host:70000", "ami://user:hunter2@host:x", "ami://user:hunter2@host/path", "ami://user:hunter2@host#f",
		"ami://user:hunter2%0d%0aAction:%20Ping@host", "ami://us%00er:hunter2@host", "ami://user:" + strings.Repeat("hunter2", 40) + "@host",
		"ami://user:hunter2\x01@host", "ami://user:hun?ter2@host",
		ok + "channel=", ok + "channel=PJSIP/101", ok + "channel=PJSIP/{device}{device}", ok + "channel={device}", ok + "channel=PJSIP/{device}%26PJSIP/104",
		ok + "channel=PJSIP/{device},x", ok + "channel=PJSIP/{device}%0d%0a", ok + "channel=PJSIP/${device}", ok + "device=Local/x",
		ok + "context=", ok + "context=a%20b", ok + "context=a%0ab", ok + "numbers=e163", ok + "prefix=x", ok + "prefix=123456789",
		ok + "var.=x", ok + "var.A(B)=x", ok + "var.A=b,c", ok + "var.A=b%0ac", ok + "var.A=b&var.A=c", ok + "context=a&context=b",
		ok + "hunter2=1", ok + "ca=/x", "amis://user:hunter2@host?ca=/does/not/exist", "amis://user:hunter2@host?ca=" + noCert, ok + "a=%zz",
	}
	for _, raw := range bad {
		_, err := parseURL(raw)
		if err == nil {
			t.Errorf("%q was taken", raw)
		} else if strings.Contains(err.Error(), "hun") || strings.Contains(err.Error(), "ter2") {
			t.Errorf("%q: the error repeats the secret: %v", raw, err)
		}
	}
	_, err := parseURL("ami://user@host:0/x?channel=x&context=a%20b&numbers=1&prefix=y&var.1=2&z=1")
	if n := strings.Count(err.Error(), "\n") + 1; n != 9 {
		t.Errorf("%d faults reported, want all 9: %v", n, err)
	}
}

func FuzzParseURL(f *testing.F) {
	f.Add("ami://u:s@h?channel=PJSIP/{device}&var.A=b")
	f.Add("amis://u:s@[::1]:1?numbers=00&prefix=9")
	f.Fuzz(func(t *testing.T, raw string) {
		c, err := parseURL(raw)
		if err != nil {
			return
		}
		fields := action{{"Action", "x"}, {"Username", c.user}, {"Secret", c.secret}, {"Channel", c.channel}, {"Context", c.context}, {"Exten", c.prefix}}
		for _, v := range c.vars {
			fields = append(fields, field{"Variable", v.name + "=" + v.value})
		}
		if len(fields) > maxWriteHeaders {
			return
		}
		if _, err := encode(fields); err != nil {
			t.Fatalf("an accepted URL cannot be written to the wire: %v", err)
		}
	})
}
