package phone_test

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"clicktodial/server/fault"
	"clicktodial/server/phone"
)

var (
	canonical = regexp.MustCompile(`^(?:\+[1-9][0-9]{5,17}(?:;ext=[0-9]{1,10})?|[0-9]{2,6}|[*#][0-9*#]{1,31})$`)
	dialled   = regexp.MustCompile(`^[0-9+*#]{2,32}$`)
	shown     = regexp.MustCompile(`^[0-9+*#() .\-/]{2,64}(?: ext\. [0-9]{1,10})?$`)
	starred   = regexp.MustCompile(`^[0-9+*#() .\-/]{2,64}$`)
	run4      = regexp.MustCompile(`[0-9]{4,}`)
)

var regions = []string{"NL", "DE", "US", "GB", "IT", "RU", "AU", "AD", "NO", "FR", "", "XX"}

func FuzzParse(f *testing.F) {
	for _, raw := range []string{
		"+31201234567", "020-123 45 67", "tel:+31-20-123-4567;ext=12", "tel:201234567;phone-context=+31",
		"+31 (0)20 123 4567 x12", "0201234567,,123#", "*21*0612345678#", "112", "14 020", "102",
		"٠٢٠١٢٣٤٥٦٧", "＋３１２０", "011 31 20 123 4567", "+39 (0)6 1234 5678", "callto:%2B3120", "+80012345678",
		"8 (495) 123-45-67", "+54 9 11 2345-6789", "+52 1 33 1234 5678", "0 0 0 1", "+881612345678",
	} {
		f.Add(raw, byte(0))
		f.Add(raw, byte(2))
	}
	f.Fuzz(func(t *testing.T, raw string, pick byte) {
		region := regions[int(pick)%len(regions)]
		n, err := phone.Parse(raw, region)
		if err != nil {
			checkRefusal(t, raw, n, err)
			return
		}
		checkNumber(t, n, region)
	})
}

func checkRefusal(t *testing.T, raw string, n phone.Number, err error) {
	t.Helper()
	refusal, ok := fault.Of(err)
	if !ok || refusal.Kind != fault.Refused || !n.IsZero() {
		t.Fatalf("refusal %v beside %q", err, n.Reveal())
	}
	said := fmt.Sprintf("%v %+v %#v %s", err, refusal, refusal, refusal.Detail)
	for _, run := range run4.FindAllString(raw, -1) {
		if run = run[:4]; strings.Contains(err.Error()+refusal.Detail, run) {
			t.Fatalf("the error repeats %s: %s", run, said)
		}
	}
}

func checkNumber(t *testing.T, n phone.Number, region string) {
	t.Helper()
	whole := n.Reveal()
	if n.IsZero() || !canonical.MatchString(whole) || !shown.MatchString(n.Display()) || !starred.MatchString(n.Masked()) {
		t.Fatalf("canonical %q, display %q, masked %q", whole, n.Display(), n.Masked())
	}
	for _, form := range []phone.Form{phone.E164, phone.Digits, phone.DoubleZero, phone.National} {
		for _, r := range []string{region, "NL", "US"} {
			if d := n.Dial(form, r); !dialled.MatchString(d) {
				t.Fatalf("%q is dialled %q", whole, d)
			}
		}
	}
	if strings.Count(n.Masked(), "*") < min(3, len(whole)-1) || n.Masked() == n.Display() {
		t.Fatalf("%q masked is %q", whole, n.Masked())
	}
	if again, err := phone.Parse(whole, region); err != nil || again != n {
		t.Fatalf("%q reads back as %q, %v", whole, again.Reveal(), err)
	}
	if n.E164() != "" {
		for _, r := range regions {
			if again, err := phone.Parse(whole, r); err != nil || again != n {
				t.Fatalf("%q in %q reads back as %q, %v", whole, r, again.Reveal(), err)
			}
		}
	}
	var stored phone.Number
	if err := stored.Scan(whole); err != nil || stored.In(region) != n {
		t.Fatalf("%q stored comes back as %q, %v", whole, stored.Reveal(), err)
	}
}

func FuzzParseName(f *testing.F) {
	for _, raw := range []string{"", "Jan de Vries", " e\u0301 ", "\u202eevil", "a\x00b", "علی\u200cرضا", "👩\u200d👩"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		n, err := phone.ParseName(raw)
		if err != nil {
			if fault.Code(err) != "name-invalid" || n != "" {
				t.Fatalf("refusal %v beside %q", err, n.Reveal())
			}
			return
		}
		whole := n.Reveal()
		if !utf8.ValidString(whole) || utf8.RuneCountInString(whole) > 80 || strings.ContainsAny(whole, "\x00\r\n\u2028\u2029\u202e") {
			t.Fatalf("name %q", whole)
		}
		if again, err := phone.ParseName(whole); err != nil || again != n {
			t.Fatalf("%q reads back as %q, %v", whole, again.Reveal(), err)
		}
	})
}

func FuzzScan(f *testing.F) {
	for _, raw := range []string{"+31201234567;ext=12", "102", "*21#", "", "+", "+999999"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var n phone.Number
		if err := n.Scan(raw); err != nil {
			if raw != "" && strings.Contains(err.Error(), raw) && len(raw) > 3 && run4.MatchString(raw) {
				t.Fatalf("the error repeats the value: %v", err)
			}
			return
		}
		if v, err := n.Value(); err != nil || v != raw {
			t.Fatalf("%q comes back as %v, %v", raw, v, err)
		}
		_, _, _, _ = n.Display(), n.Class(), n.Region(), n.Dial(phone.National, "NL")
	})
}
