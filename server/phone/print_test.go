package phone_test

import (
	"bytes"
	"database/sql"
	"database/sql/driver"
	"encoding"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"clicktodial/server/phone"
)

var (
	_ fmt.Formatter          = phone.Number{}
	_ fmt.Stringer           = phone.Number{}
	_ slog.LogValuer         = phone.Number{}
	_ encoding.TextMarshaler = phone.Number{}
	_ json.Marshaler         = phone.Number{}
	_ driver.Valuer          = phone.Number{}
	_ sql.Scanner            = (*phone.Number)(nil)
	_ fmt.Formatter          = phone.Name("")
	_ driver.Valuer          = phone.Name("")
	_ sql.Scanner            = (*phone.Name)(nil)
)

type open struct {
	Number  phone.Number
	Pointer *phone.Number
	Name    phone.Name
}

type closed struct {
	number  phone.Number
	pointer *phone.Number
	list    []phone.Number
	keyed   map[phone.Number]bool
	inner   struct{ number phone.Number }
	any     any
}

// secrets are what no output may have: most of the number, its extension or the
// name, as text or in hexadecimal. They are long, because addresses and times are
// printed beside them.
var secrets = []string{"1234567", "123 4567", "8765432", "ansen", "616e73656e", "34353637", "38373635"}

func leaks(t *testing.T, what, out string) {
	t.Helper()
	for _, s := range secrets {
		if strings.Contains(out, s) {
			t.Errorf("%s leaks %q: %s", what, s, out)
		}
	}
}

func TestFormatMasks(t *testing.T) {
	t.Parallel()
	n := must(t, "+31201234567;ext=8765432", "NL")
	name := phone.Name("Jansen")
	shut := closed{number: n, pointer: &n, list: []phone.Number{n}, keyed: map[phone.Number]bool{n: true}, any: n}
	shut.inner.number = n
	values := map[string]any{
		"number": n, "pointer": &n, "slice": []phone.Number{n}, "array": [1]phone.Number{n},
		"map": map[phone.Number]phone.Number{n: n}, "name": name, "name pointer": &name, "names": []phone.Name{name},
		"open": open{n, &n, name}, "open pointer": &open{n, &n, name}, "any": []any{n, name},
		"closed": shut, "closed pointer": &shut, "closed slice": []closed{shut}, "closed pointers": []*closed{&shut},
	}
	for what, v := range values {
		for _, verb := range strings.Fields("%v %+v %#v %s %q %#q %d %x %X %#x %o %b %c %U %e %f %t %20v %-20s %.3s %z %!") {
			leaks(t, what+" "+verb, fmt.Sprintf(verb, v))
		}
		leaks(t, what+" print", fmt.Sprint(v)+fmt.Sprintln(v))
		extra := "no verb"
		leaks(t, what+" extra", fmt.Sprintf(extra, v))
		leaks(t, what+" error", fmt.Errorf("dialling %v: %w", v, errors.ErrUnsupported).Error())
	}
	// A pointer printed as such, whatever it points to.
	for _, v := range []any{n, &n, shut, &shut, []any{n}} {
		leaks(t, "%p", fmt.Sprintf("%p", v))
	}
}

func TestFormatExact(t *testing.T) {
	t.Parallel()
	n := must(t, "0201234567", "NL")
	for format, want := range map[string]string{
		"%v": "+31 20 123 4***", "%+v": "+31 20 123 4***", "%#v": "+31 20 123 4***", "%s": "+31 20 123 4***",
		"%d": "+31 20 123 4***", "%x": "+31 20 123 4***", "%q": `"+31 20 123 4***"`,
		"%18s|": "   +31 20 123 4***|", "%-18s|": "+31 20 123 4***   |",
	} {
		if got := fmt.Sprintf(format, n); got != want {
			t.Errorf("%s gives %q, want %q", format, got, want)
		}
	}
	if got := fmt.Sprintf("%v %q", phone.Number{}, phone.Number{}); got != ` ""` {
		t.Errorf("no number prints %q", got)
	}
}

func TestEncodingMasks(t *testing.T) {
	t.Parallel()
	n := must(t, "+31201234567;ext=8765432", "NL")
	v := open{n, &n, "Jansen"}
	text, err := json.Marshal(v)
	if want := `{"Number":"+31 20 123 4***","Pointer":"+31 20 123 4***","Name":"J***"}`; err != nil || string(text) != want {
		t.Errorf("JSON %s, %v, want %s", text, err, want)
	}
	text, err = json.Marshal(map[phone.Number]phone.Number{n: n})
	if want := `{"+31 20 123 4***":"+31 20 123 4***"}`; err != nil || string(text) != want {
		t.Errorf("JSON of a map %s, %v", text, err)
	}
	text, err = json.Marshal(closed{number: n})
	leaks(t, "JSON unexported", fmt.Sprint(string(text), err))
	text, err = xml.Marshal(v)
	leaks(t, "XML", fmt.Sprint(string(text), err))

	var out bytes.Buffer
	err = template.Must(template.New("").Parse("{{.Number}} {{.Pointer}} {{.Name}} {{printf `%s %d` .Number .Name}}")).Execute(&out, v)
	leaks(t, "template", fmt.Sprint(out.String(), err))

	for _, secret := range []any{n, phone.Name("Jansen"), v} {
		out.Reset()
		if err := gob.NewEncoder(&out).Encode(secret); err == nil {
			t.Errorf("gob takes %T", secret)
		}
		leaks(t, "gob", out.String())
	}
}

// A number comes in only through Parse and Scan.
func TestNumberDoesNotDecode(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`"+31201234567"`, `{"text":"+31201234567"}`, `{"h":{"value":{"text":"+31201234567"}}}`, `31201234567`} {
		var n phone.Number
		err := json.Unmarshal([]byte(text), &n)
		if !n.IsZero() {
			t.Errorf("%s makes a number", text)
		}
		if err != nil && text != "31201234567" {
			leaks(t, "decoding error", err.Error())
		}
	}
}

func TestSlogMasks(t *testing.T) {
	t.Parallel()
	n := must(t, "0201234567", "NL")
	var out bytes.Buffer
	for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		out.Reset()
		slog.New(h).With("with", n).Info("call", "number", n, "pointer", &n, "name", phone.Name("Jansen"),
			"open", open{n, &n, "Jansen"}, "closed", closed{number: n, list: []phone.Number{n}}, slog.Group("g", "number", n))
		leaks(t, fmt.Sprintf("%T", h), out.String())
		if !strings.Contains(out.String(), "+31 20 123 4***") || !strings.Contains(out.String(), "J***") {
			t.Errorf("%T: %s", h, out.String())
		}
	}
}

func TestScanAndValue(t *testing.T) {
	t.Parallel()
	for _, raw := range []string{"0201234567", "020 1234567 x12", "102", "112", "*21#", "+870773123456"} {
		n := must(t, raw, "NL")
		v, err := n.Value()
		if err != nil || v != n.Reveal() {
			t.Fatalf("%s: Value() = %v, %v", raw, v, err)
		}
		var text, blob phone.Number
		if err := errors.Join(text.Scan(v), blob.Scan([]byte(v.(string)))); err != nil || text != n || blob != n {
			t.Errorf("%s comes back as %q and %q, %v", raw, text.Reveal(), blob.Reveal(), err)
		}
	}
	n := must(t, "0201234567", "NL")
	if v, err := (phone.Number{}).Value(); v != nil || err != nil {
		t.Errorf("no number is stored as %v, %v", v, err)
	}
	if err := n.Scan(nil); err != nil || !n.IsZero() {
		t.Errorf("NULL is %q, %v", n.Reveal(), err)
	}
}

func TestScanRefuses(t *testing.T) {
	t.Parallel()
	for _, stored := range []any{
		"", " ", "0201234567", "+31 20 123 4567", "+31201234567;ext=", "+31201234567;ext=12345678901", "+31201234567\n",
		"+0201234567", "1", "1234567", "+", "abc", "*21#x", "$1234567", []byte("123 4567"), 201234567, true, 4.5,
	} {
		n := must(t, "102", "NL")
		err := n.Scan(stored)
		if err == nil || n.Reveal() != "102" {
			t.Errorf("%q is taken for %q, %v", stored, n.Reveal(), err)
			continue
		}
		leaks(t, "stored", err.Error())
	}
}

// A number whose range has been withdrawn since can still be shown and deleted.
func TestScanOfUnknownRange(t *testing.T) {
	t.Parallel()
	for stored, region := range map[string]string{"+31121234567": "NL", "+12125550": "ZZ", "+999123456789": "ZZ"} {
		var n phone.Number
		if err := n.Scan(stored); err != nil {
			t.Fatalf("Scan(%q): %v", stored, err)
		}
		if n.Class() != phone.Unknown || n.Region() != region || n.E164() != stored || n.LastFour() == "" ||
			!strings.HasSuffix(n.Masked(), "***") || n.Dial(phone.Digits, "NL") != stored[1:] {
			t.Errorf("%s: %s of %s, shown %s", stored, n.Class(), n.Region(), n.Display())
		}
	}
}

func TestIn(t *testing.T) {
	t.Parallel()
	for stored, want := range map[string]phone.Class{
		"1850": phone.Short, "102": phone.Internal, "112": phone.Emergency, "*21#": phone.Star, "+31201234567": phone.Fixed,
	} {
		var n phone.Number
		if err := n.Scan(stored); err != nil {
			t.Fatal(err)
		}
		if got := n.In("NL"); got.Class() != want || got != must(t, stored, "NL") {
			t.Errorf("%s in NL is %s, want %s", stored, got.Class(), want)
		}
	}
}
