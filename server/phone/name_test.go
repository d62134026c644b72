package phone_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"clicktodial/server/fault"
	"clicktodial/server/phone"
)

func TestParseName(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, raw, want string }{
		{"plain", "Jan de Vries", "Jan de Vries"},
		{"empty", "", ""},
		{"blank", " \u00a0\u3000 ", ""},
		{"trimmed", "  Jan ", "Jan"},
		{"composed", "Zoe\u0308", "Zo\u00eb"},
		{"80 runes", strings.Repeat("é", 80), strings.Repeat("é", 80)},
		{"80 runes once composed", strings.Repeat("e\u0301", 80), strings.Repeat("é", 80)},
		{"apostrophe and dash", "Anne-Fleur 't Hooft", "Anne-Fleur 't Hooft"},
		{"markup is text", "<b>Jan</b>", "<b>Jan</b>"},
		{"Persian joiner", "علی\u200cرضا", "علی\u200cرضا"},
		{"right-to-left mark", "שלום\u200f!", "שלום\u200f!"},
		{"emoji", "Jan 👩\u200d💻", "Jan 👩\u200d💻"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got, err := phone.ParseName(tt.raw); err != nil || got.Reveal() != tt.want {
				t.Errorf("ParseName = %q, %v, want %q", got.Reveal(), err, tt.want)
			}
		})
	}
}

func TestParseNameRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, raw string }{
		{"nul", "Jansen\x00"},
		{"line feed at the end", "Jansen\n"},
		{"carriage return", "Jansen\rPiet"},
		{"tab", "Jansen\tPiet"},
		{"C1", "Jansen\u0085"},
		{"DEL", "Jansen\u007f"},
		{"line separator", "Jansen\u2028"},
		{"paragraph separator", "Jansen\u2029"},
		{"override", "Jansen\u202egpj"},
		{"isolate", "\u2066Jansen"},
		{"embedding", "\u202aJansen"},
		{"zero-width space", "Jan\u200bsen"},
		{"byte order mark", "\ufeffJansen"},
		{"noncharacter", "Jansen\uffff"},
		{"joiner alone", "\u200d"},
		{"not UTF-8", "Jansen\xff"},
		{"81 runes", strings.Repeat("é", 81)},
		{"a megabyte", strings.Repeat("Jansen", 1<<18)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := phone.ParseName(tt.raw)
			f, ok := fault.Of(err)
			if !ok || f.Kind != fault.Refused || f.Code != "name-invalid" || f.Err != nil || got != "" {
				t.Fatalf("ParseName = %q, %v, want refused name-invalid", got.Reveal(), err)
			}
			leaks(t, "name error", f.Error()+f.Detail)
		})
	}
}

func TestNameMasked(t *testing.T) {
	t.Parallel()
	for whole, want := range map[phone.Name]string{
		"": "", "J": "***", "Li": "***", "Jan": "J***", "Émile": "É***", "李小龙": "李***", "(Jan)": "***", "06-Jan": "***",
	} {
		if got := fmt.Sprintf("%v %s %+v", whole, whole.String(), whole); got != want+" "+want+" "+want {
			t.Errorf("%q prints %q, want %q", whole.Reveal(), got, want)
		}
	}
	if got := fmt.Sprintf("%q %#v %x", phone.Name("Jansen"), phone.Name("Jansen"), phone.Name("Jansen")); got != `"J***" J*** J***` {
		t.Errorf("prints %s", got)
	}
}

func TestNameScanAndValue(t *testing.T) {
	t.Parallel()
	for _, stored := range []any{"Jansen", []byte("Jansen")} {
		var n phone.Name
		if err := n.Scan(stored); err != nil || n.Reveal() != "Jansen" {
			t.Errorf("Scan = %q, %v", n.Reveal(), err)
		}
		if v, err := n.Value(); v != "Jansen" || err != nil {
			t.Errorf("Value = %v, %v", v, err)
		}
		if err := n.Scan(nil); err != nil || n != "" {
			t.Errorf("NULL is %q, %v", n.Reveal(), err)
		}
		if v, err := n.Value(); v != nil || err != nil {
			t.Errorf("no name is stored as %v, %v", v, err)
		}
		if err := n.Scan(4567); err == nil {
			t.Error("a figure is taken for a name")
		}
	}
}

// No decoder gets around ParseName.
func TestNameDecodes(t *testing.T) {
	t.Parallel()
	var n phone.Name
	if err := json.Unmarshal([]byte(`" Jansen "`), &n); err != nil || n.Reveal() != "Jansen" {
		t.Errorf("decoded %q, %v", n.Reveal(), err)
	}
	if err := json.Unmarshal([]byte(`"Jansen\u0000"`), &n); fault.Code(err) != "name-invalid" || n.Reveal() != "Jansen" {
		t.Errorf("decoded %q, %v", n.Reveal(), err)
	}
}
