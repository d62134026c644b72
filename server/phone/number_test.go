package phone_test

import (
	"strings"
	"testing"

	"clicktodial/server/phone"
)

func TestNumber(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, region, raw                    string
		e164, ext, display, masked, lastFour string
		of                                   string
	}{
		{"fixed", "NL", "020 1234567", "+31201234567", "", "+31 20 123 4567", "+31 20 123 4***", "4567", "NL"},
		{"extension", "NL", "020 1234567 x12", "+31201234567", "12", "+31 20 123 4567 ext. 12", "+31 20 123 4***", "4567", "NL"},
		{"stars across a space", "FR", "01 23 45 67 89", "+33123456789", "", "+33 1 23 45 67 89", "+33 1 23 45 6* **", "6789", "FR"},
		{"dashes", "US", "2025550123", "+12025550123", "", "+1 202-555-0123", "+1 202-555-0***", "0123", "US"},
		{"Jersey", "GB", "01534 456789", "+441534456789", "", "+44 1534 456789", "+44 1534 456***", "6789", "JE"},
		{"Antigua", "NL", "+12684601234", "+12684601234", "", "+1 268-460-1234", "+1 268-460-1***", "1234", "AG"},
		{"satellite", "NL", "+870773123456", "+870773123456", "", "+870 773 123 456", "+870 773 123 ***", "3456", "001"},
		{"internal", "NL", "102", "", "", "102", "1**", "", ""},
		{"internal of two", "NL", "10", "", "", "10", "1*", "", ""},
		{"internal of six", "NL", "123456", "", "", "123456", "1*****", "", ""},
		{"seven digits, the other side", "NL", "+3114020", "+3114020", "", "+31 14020", "+31 14***", "4020", "NL"},
		{"emergency", "NL", "112", "", "", "112", "1**", "", ""},
		{"star", "NL", "*21#", "", "", "*21#", "****", "", ""},
		{"star with a number", "NL", "*21*0612345678#", "", "", "*21*0612345678#", "*21*0612345***", "5678", ""},
		{"star of six digits", "NL", "**123456#", "", "", "**123456#", "*********", "", ""},
		{"star of seven digits", "NL", "*1*234567#", "", "", "*1*234567#", "*1*234***", "4567", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := must(t, tt.raw, tt.region)
			for _, f := range []struct{ what, got, want string }{
				{"E164", n.E164(), tt.e164}, {"Extension", n.Extension(), tt.ext},
				{"Display", n.Display(), tt.display}, {"DisplayAs", n.DisplayAs(n.Masked()), tt.display}, {"Masked", n.Masked(), tt.masked},
				{"LastFour", n.LastFour(), tt.lastFour}, {"Region", n.Region(), tt.of},
			} {
				if f.got != f.want {
					t.Errorf("%s() = %q, want %q", f.what, f.got, f.want)
				}
			}
			if n.IsZero() {
				t.Error("it is no number")
			}
		})
	}
}

func TestDisplayAs(t *testing.T) {
	t.Parallel()
	n := must(t, "020 1234567 x12", "NL")
	for masked, want := range map[string]string{
		"+31 201 234***":      "+31 201 234567 ext. 12", // as it was spaced when it was stored
		"+31201234***":        "+31201234567 ext. 12",
		"+31 201 235***":      "+31 20 123 4567 ext. 12", // another number's
		"+31 20 123 4**":      "+31 20 123 4567 ext. 12",
		"+31 20 123 4****":    "+31 20 123 4567 ext. 12",
		"+31 20 123 4*** 5**": "+31 20 123 4567 ext. 12",
		"":                    "+31 20 123 4567 ext. 12",
	} {
		if got := n.DisplayAs(masked); got != want {
			t.Errorf("as %q it is %q, want %q", masked, got, want)
		}
	}
	if got := must(t, "102", "NL").DisplayAs("1**"); got != "102" {
		t.Errorf("102 is %q", got)
	}
}

func TestNoNumber(t *testing.T) {
	t.Parallel()
	var n phone.Number
	whole := n.Reveal() + n.E164() + n.Extension() + n.Display() + n.DisplayAs("") + n.Masked() + n.LastFour() + n.Region() +
		n.String() + n.Dial(phone.E164, "NL") + n.Dial(phone.National, "NL")
	if !n.IsZero() || whole != "" || n.Class() != phone.Unknown || n.In("NL") != n {
		t.Errorf("zero value: %q, %s", whole, n.Class())
	}
}

func TestNumberEquality(t *testing.T) {
	t.Parallel()
	seen := map[phone.Number]bool{}
	for _, raw := range []string{"0201234567", "+31 20 123 4567", "tel:+31-20-123-4567", "0031(0)201234567"} {
		seen[must(t, raw, "NL")] = true
	}
	if len(seen) != 1 {
		t.Errorf("one number written four ways makes %d", len(seen))
	}
	seen[must(t, "0201234567 x1", "NL")] = true
	seen[must(t, "0201234568", "NL")] = true
	if len(seen) != 3 {
		t.Errorf("three numbers make %d", len(seen))
	}
}

func TestClass(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, region, raw string
		want              phone.Class
	}{
		{"fixed", "NL", "0201234567", phone.Fixed},
		{"mobile", "NL", "0612345678", phone.Mobile},
		{"machine to machine", "NL", "097012345678", phone.Mobile},
		{"North America", "US", "2025550123", phone.FixedOrMobile},
		{"toll free", "NL", "08001234", phone.TollFree},
		{"toll free, long", "NL", "0800 1234567", phone.TollFree},
		{"premium 0900", "NL", "09001234", phone.Premium},
		{"premium 0906", "NL", "0906 1234567", phone.Premium},
		{"premium 0909", "NL", "0909 123456", phone.Premium},
		{"premium from abroad", "DE", "+31 900 1234", phone.Premium},
		{"shared cost", "FR", "0825 123 456", phone.SharedCost},
		{"VoIP 085", "NL", "0851234567", phone.VoIP},
		{"VoIP 091", "NL", "0912345678", phone.VoIP},
		{"personal 084", "NL", "0842345678", phone.Personal},
		{"personal 087", "NL", "0872345678", phone.Personal},
		{"personal 084 from abroad", "DE", "+31842345678", phone.Personal},
		{"not 087: Belgium", "BE", "087 12 34 56", phone.Fixed},
		{"personal 070", "GB", "07012345678", phone.Personal},
		{"pager", "NL", "0662345678", phone.Pager},
		{"company", "NL", "0881234567", phone.UAN},
		{"Inmarsat", "NL", "+870773123456", phone.Satellite},
		{"universal personal", "NL", "+878101234567890", phone.Satellite},
		{"Iridium", "NL", "+881612345678", phone.Satellite},
		{"global network", "NL", "+882161234567", phone.Satellite},
		{"international toll free", "NL", "+80012345678", phone.TollFree},
		{"international shared cost", "NL", "+80812345678", phone.SharedCost},
		{"international premium", "NL", "+979123456789", phone.Premium},

		{"internal", "NL", "102", phone.Internal},
		{"internal 4", "NL", "2001", phone.Internal},
		{"internal, libphonenumber has a short code", "NL", "1300", phone.Internal},
		{"internal, libphonenumber has text codes", "US", "4321", phone.Internal},
		{"internal 114", "NL", "114", phone.Internal},
		{"internal 9000", "NL", "9000", phone.Internal},
		{"internal 14500", "NL", "14500", phone.Internal},
		{"internal 1850 elsewhere", "DE", "1850", phone.Internal},
		{"internal 110 elsewhere", "NL", "110", phone.Internal},
		{"internal 1180", "NL", "1180", phone.Internal},
		{"short 18xx", "NL", "1850", phone.Short},
		{"short 14 020", "NL", "14020", phone.Short},
		{"short 14 0113", "NL", "140113", phone.Short},
		{"short 116", "NL", "116000", phone.Short},
		{"short 118 France", "FR", "118218", phone.Short},
		{"short 118 Germany", "DE", "11833", phone.Short},
		{"short 3xxx France", "FR", "3640", phone.Short},
		{"short 411", "US", "411", phone.Short},
		{"emergency", "NL", "112", phone.Emergency},
		{"emergency with spaces", "NL", "1 1 2", phone.Emergency},
		{"emergency full width", "NL", "１１２", phone.Emergency},
		{"emergency tel", "NL", "tel:112", phone.Emergency},
		{"emergency of North America, anywhere", "NL", "911", phone.Emergency},
		{"emergency of Britain, anywhere", "NL", "999", phone.Emergency},
		{"emergency of Australia, anywhere", "NL", "000", phone.Emergency},
		{"emergency of the region", "DE", "110", phone.Emergency},
		{"emergency of two digits", "FR", "15", phone.Emergency},
		{"emergency behind 0", "NL", "0112", phone.Emergency},
		{"emergency behind 9", "US", "9911", phone.Emergency},
		{"emergency of there", "NL", "tel:110;phone-context=+49", phone.Emergency},
		{"emergency without region", "", "112", phone.Emergency},
		{"star", "NL", "*21#", phone.Star},
		{"star around an emergency", "NL", "#31#112", phone.Star},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := must(t, tt.raw, tt.region).Class(); got != tt.want {
				t.Errorf("Class() = %s, want %s", got, tt.want)
			}
		})
	}
}

func TestDial(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, raw, region             string
		e164, digits, zeros, national string
	}{
		{"home", "+31201234567", "NL", "+31201234567", "31201234567", "0031201234567", "0201234567"},
		{"abroad", "+31201234567", "DE", "+31201234567", "31201234567", "0031201234567", "0031201234567"},
		{"no region", "+31201234567", "", "+31201234567", "31201234567", "0031201234567", "0031201234567"},
		{"extension is not dialled", "+31201234567;ext=12", "NL", "+31201234567", "31201234567", "0031201234567", "0201234567"},
		{"service number", "+319001234", "NL", "+319001234", "319001234", "00319001234", "09001234"},
		{"Italy keeps its zero", "+390612345678", "IT", "+390612345678", "390612345678", "00390612345678", "0612345678"},
		{"Spain has none", "+34912345678", "ES", "+34912345678", "34912345678", "0034912345678", "912345678"},
		{"Russia dials 8", "+74951234567", "RU", "+74951234567", "74951234567", "0074951234567", "84951234567"},
		{"Jersey from Britain", "+441534456789", "GB", "+441534456789", "441534456789", "00441534456789", "01534456789"},
		{"global network", "+870773123456", "NL", "+870773123456", "870773123456", "00870773123456", "00870773123456"},
		{"Argentine mobile, written wrongly by the library", "+5491123456789", "AR",
			"+5491123456789", "5491123456789", "005491123456789", "005491123456789"},
		{"internal", "102", "NL", "102", "102", "102", "102"},
		{"short", "1850", "NL", "1850", "1850", "1850", "1850"},
		{"emergency", "112", "NL", "112", "112", "112", "112"},
		{"star", "*21#", "NL", "*21#", "*21#", "*21#", "*21#"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := must(t, tt.raw, "NL")
			for form, want := range map[phone.Form]string{
				phone.E164: tt.e164, phone.Digits: tt.digits, phone.DoubleZero: tt.zeros, phone.National: tt.national,
				"": tt.e164,
			} {
				if got := n.Dial(form, tt.region); got != want {
					t.Errorf("Dial(%q) = %q, want %q", form, got, want)
				}
			}
		})
	}
}

func TestParseForm(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]phone.Form{
		"e164": phone.E164, "digits": phone.Digits, "00": phone.DoubleZero, "national": phone.National,
	} {
		if got, err := phone.ParseForm(text); got != want || err != nil {
			t.Errorf("ParseForm(%q) = %q, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "E164", "+", "000", "nationaal"} {
		if got, err := phone.ParseForm(text); err == nil || text != "" && strings.Contains(err.Error(), text+" ") {
			t.Errorf("ParseForm(%q) = %q, %v", text, got, err)
		}
	}
}
