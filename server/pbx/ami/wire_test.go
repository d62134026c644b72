package ami

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestReader(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine)
	cases := []struct {
		name, in string
		want     []message
		err      error
	}{
		{"one event", "Event: Hangup\r\nUniqueid: a\r\nCause: 17\r\n\r\n", []message{{kEvent: "Hangup", kUniqueid: "a", kCause: "17"}}, io.EOF},
		{"any case, no space", "eVeNt:Hangup\r\nUNIQUEID:   a\r\n\r\n", []message{{kEvent: "Hangup", kUniqueid: "a"}}, io.EOF},
		{"first of duplicates", "Uniqueid: a\r\nUniqueid: b\r\n\r\n", []message{{kUniqueid: "a"}}, io.EOF},
		{"an empty first duplicate", "Uniqueid:\r\nUniqueid: b\r\n\r\n", []message{{}}, io.EOF},
		{"a lone CR stays", "ActionID: a\rEvent: Hangup\r\n\r\n", []message{{kActionID: "a\rEvent: Hangup"}}, io.EOF},
		{"a lone LF stays", "ActionID: a\nEvent: Hangup\r\n\r\n", []message{{kActionID: "a\nEvent: Hangup"}}, io.EOF},
		{"LF LF ends nothing", "ActionID: a\n\nEvent: Hangup\r\n\r\n", []message{{kActionID: "a\n\nEvent: Hangup"}}, io.EOF},
		{"CR CR LF", "ActionID: a\r\r\n\r\n", []message{{kActionID: "a\r"}}, io.EOF},
		{"blank lines between", "\r\n\r\nEvent: A\r\n\r\n\r\n\r\nEvent: B\r\n\r\n", []message{{kEvent: "A"}, {kEvent: "B"}}, io.EOF},
		{"no colon", "rubbish\r\nEvent: A\r\n\r\n", []message{{kEvent: "A"}}, io.EOF},
		{"unwanted headers", "CallerIDNum: 0201234567\r\nEvent: A\r\nCallerIDName: x\r\n\r\n", []message{{kEvent: "A"}}, io.EOF},
		{"longest line", "Value: " + long[:maxLine-7] + "\r\n\r\n", []message{{kValue: long[:maxLine-7]}}, io.EOF},
		{"one byte more", "Value: " + long[:maxLine-6] + "\r\nEvent: A\r\n\r\n", []message{{kEvent: "A"}}, io.EOF},
		{"a line over the buffer", "Value: " + strings.Repeat("y", 3*readBuffer) + "\r\nEvent: A\r\n\r\n", []message{{kEvent: "A"}}, io.EOF},
		{"too many headers", strings.Repeat("X: y\r\n", maxHeaders) + "Event: A\r\n\r\nEvent: B\r\n\r\n", []message{{}, {kEvent: "B"}}, io.EOF},
		{"half a message", "Event: A\r\nUni", nil, io.ErrUnexpectedEOF},
		{"a message without end", strings.Repeat("X: y\r\n", maxMessage), nil, errTooLong},
		{"a line without end", strings.Repeat("z", maxMessage+2*readBuffer), nil, errTooLong},
		{"binary", "\x00\x01\xff: \xfe\r\nEvent: A\r\n\r\n", []message{{kEvent: "A"}}, io.EOF},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for name, in := range map[string]io.Reader{
				"whole": strings.NewReader(c.in), "bytewise": iotest.OneByteReader(strings.NewReader(c.in)),
			} {
				got, err := readAll(newReader(in))
				if !errors.Is(err, c.err) {
					t.Errorf("%s: error %v, want %v", name, err, c.err)
				}
				if len(got) != len(c.want) {
					t.Fatalf("%s: %d messages, want %d", name, len(got), len(c.want))
				}
				for i := range got {
					if got[i] != c.want[i] {
						t.Errorf("%s: message %d is %q, want %q", name, i, got[i], c.want[i])
					}
				}
			}
		})
	}
}

func readAll(r *reader) ([]message, error) {
	var all []message
	for {
		m, err := r.read()
		if err != nil {
			return all, err
		}
		all = append(all, m)
	}
}

func TestGreeting(t *testing.T) {
	t.Parallel()
	r := newReader(strings.NewReader("Asterisk Call Manager/11.0.0\r\nEvent: A\r\n\r\n"))
	if err := r.greeting(); err != nil {
		t.Fatalf("greeting: %v", err)
	}
	if m, err := r.read(); err != nil || m[kEvent] != "A" {
		t.Errorf("after the greeting: %q, %v", m, err)
	}
	if err := newReader(strings.NewReader("HTTP/1.1 400 Bad Request\r\n")).greeting(); !errors.Is(err, errNoGreeting) {
		t.Errorf("another protocol: %v", err)
	}
}

func TestEncode(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxWriteLine)
	ok := []action{
		{{"Action", "Ping"}},
		{{"Action", "Ping"}, {"ActionID", "a b"}, {"ChannelId", ""}},
		{{"Action", "Ping"}, {"X", long[:maxWriteLine-3]}},
		{{"Action", "Ping"}, {"CallerID", "\"Zoë 東\" <020>"}},
	}
	for _, a := range ok {
		if _, err := encode(a); err != nil {
			t.Errorf("%q: %v", a, err)
		}
	}
	bad := []action{
		nil, {{"ActionID", "x"}}, {{"Action", "Ping"}, {"", "x"}}, {{"Action", "Ping"}, {"A:B", "x"}},
		{{"Action", "Ping"}, {"X", " x"}}, {{"Action", "Ping"}, {"X", long[:maxWriteLine-2]}},
	}
	for c := range 0x20 {
		bad = append(bad, action{{"Action", "Ping" + string(rune(c))}}, action{{"Action", "Ping"}, {"X" + string(rune(c)), "y"}})
	}
	bad = append(bad, action{{"Action", "Ping\x7f"}})
	for _, a := range bad {
		if b, err := encode(a); err == nil {
			t.Errorf("%q was written as %q", a, b)
		}
	}
	many := action{{"Action", "Ping"}}
	for len(many) <= maxWriteHeaders {
		many = append(many, field{"X", "y"})
	}
	if _, err := encode(many); err == nil {
		t.Error("too many headers were written")
	}
}

func FuzzReader(f *testing.F) {
	for _, s := range []string{"Event: Hangup\r\nUniqueid: a\r\n\r\n", "\r\n\r\n", "A: b\rC: d\nE\r\r\n\r\n", ":\r\n\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, err := readAll(newReader(bytes.NewReader(in)))
		bytewise, err2 := readAll(newReader(iotest.OneByteReader(bytes.NewReader(in))))
		if len(whole) != len(bytewise) || err.Error() != err2.Error() {
			t.Fatalf("how it arrives matters: %d %v, %d %v", len(whole), err, len(bytewise), err2)
		}
		for i, m := range whole {
			if m != bytewise[i] {
				t.Fatal("how it arrives matters")
			}
			for _, v := range m {
				if len(v) > maxLine || strings.Contains(v, "\r\n") {
					t.Fatalf("a value of %d bytes, or with a line end", len(v))
				}
			}
		}
	})
}

// FuzzEncode: what is written is one message, and reads as what was meant.
func FuzzEncode(f *testing.F) {
	f.Add("Message", "0201234567\r\nAction: Ping", "Value", "x")
	f.Add("Message", "a\rb", "Value", "\n\n")
	f.Add("Message", "a", "ActionID", "b\x00c")
	f.Add("Mess: age", "a", "Value\r\n\r\nAction", "Originate")
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2 string) {
		b, err := encode(action{{"Action", "Test"}, {name1, value1}, {name2, value2}})
		if err != nil {
			return
		}
		if bytes.Count(b, []byte("\r\n\r\n")) != 1 || !bytes.HasSuffix(b, []byte("\r\n\r\n")) ||
			bytes.Count(b, []byte("\n")) != 4 || bytes.Count(b, []byte("\r")) != 4 {
			t.Fatalf("not one message of three lines: %q", b)
		}
		all, _ := readAll(newReader(bytes.NewReader(b)))
		if len(all) != 1 {
			t.Fatalf("%d messages on the wire: %q", len(all), b)
		}
		k1, ok := keys[strings.ToLower(name1)]
		if ok && all[0][k1] != value1 {
			t.Fatalf("wrote %q, read %q", value1, all[0][k1])
		}
		if k2, ok2 := keys[strings.ToLower(name2)]; ok2 && (!ok || k1 != k2) && all[0][k2] != value2 {
			t.Fatalf("wrote %q, read %q", value2, all[0][k2])
		}
	})
}
