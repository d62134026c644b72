package phone_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode"

	"github.com/nyaruka/phonenumbers"

	"clicktodial/server/fault"
	"clicktodial/server/phone"
)

func must(t testing.TB, raw, region string) phone.Number {
	t.Helper()
	n, err := phone.Parse(raw, region)
	if err != nil {
		t.Fatalf("Parse(%q, %s): %v", raw, region, err)
	}
	return n
}

func TestParse(t *testing.T) {
	t.Parallel()
	const ams = "+31201234567"
	tests := []struct {
		name, region, raw, want string
	}{
		{"international", "NL", "+31201234567", ams},
		{"national", "NL", "0201234567", ams},
		{"national dash and spaces", "NL", "020-123 45 67", ams},
		{"national in brackets", "NL", "(020) 123 4567", ams},
		{"without trunk zero", "NL", "201234567", ams},
		{"country code without plus", "NL", "31 20 123 4567", ams},
		{"double zero", "NL", "0031 20 123 4567", ams},
		{"double zero where it is not dialled so", "US", "0031 20 123 4567", ams},
		{"North American prefix", "US", "011 31 20 123 4567", ams},
		{"plus from elsewhere", "DE", "+31 20 123 4567", ams},
		{"no region", "", "+31 20 123 4567", ams},
		{"unknown region", "XX", "+31 20 123 4567", ams},
		{"optional zero", "NL", "+31 (0)20 123 4567", ams},
		{"optional zero, spaces", "NL", "+31 ( 0 ) 20 123 4567", ams},
		{"optional zero, square", "NL", "+31[0]20 123 4567", ams},
		{"optional zero after 00", "NL", "0031 (0)20 123 4567", ams},
		{"plain zero after country code", "NL", "+31 020 123 4567", ams},
		{"bracketed zero, no country code", "NL", "(0)20 123 4567", ams},
		{"bracketed country code", "NL", "(+31) 20 123 4567", ams},
		{"Italian zero stays", "NL", "+39 (0)331 123456", "+390331123456"},
		{"Italian zero stays, Rome", "NL", "+39 (0)6 1234 5678", "+390612345678"},
		{"surrounding spaces", "NL", "  020 1234567  ", ams},
		{"no-break space", "NL", "020\u00a0123\u00a04567", ams},
		{"narrow no-break and thin space", "NL", "020\u202f123\u20094567", ams},
		{"non-breaking hyphen, en dash, minus", "NL", "020\u2011123\u201345\u221267", ams},
		{"dots", "NL", "020.123.4567", ams},
		{"middle dot", "NL", "020·123·4567", ams},
		{"slash", "NL", "020/1234567", ams},
		{"full width", "NL", "＋３１（０）２０－１２３４５６７", ams},
		{"Arabic-Indic digits", "NL", "٠٢٠١٢٣٤٥٦٧", ams},
		{"Persian digits", "NL", "۰۲۰۱۲۳۴۵۶۷", ams},
		{"Devanagari digits", "NL", "०२०१२३४५६७", ams},
		{"zero-width characters", "NL", "020\u200b123\ufeff45\u206067", ams},
		{"bidi marks and isolates", "NL", "\u202a\u2066+31 20 123 4567\u2069\u202c\u200e", ams},
		{"soft hyphen", "NL", "020\u00ad1234567", ams},

		{"tel", "NL", "tel:+31-20-123-4567", ams},
		{"tel upper case", "NL", "TEL:+31201234567", ams},
		{"tel with slashes", "NL", "tel://0201234567", ams},
		{"tel with a space", "NL", "Tel: 020 123 4567", ams},
		{"tel escaped plus", "NL", "tel:%2B31201234567", ams},
		{"tel escaped spaces", "NL", "tel:020%20123%2045%2067", ams},
		{"tel escaped no-break space", "NL", "tel:020%C2%A01234567", ams},
		{"tel with extension", "NL", "tel:+31-20-123-4567;ext=12", ams + ";ext=12"},
		{"tel extension with separators", "NL", "tel:+31201234567;ext=1-2", ams + ";ext=12"},
		{"tel context", "NL", "tel:201234567;phone-context=+31", ams},
		{"tel context with trunk zero", "DE", "tel:020-123-4567;phone-context=+31", ams},
		{"tel context and extension", "NL", "tel:201234567;ext=9;phone-context=+31", ams + ";ext=9"},
		{"tel context longer than the country code", "NL", "tel:4567;phone-context=+31-20-123", ams},
		{"tel context a domain", "NL", "tel:102;phone-context=pbx.example.com", "102"},
		{"tel context, emergency", "NL", "tel:911;phone-context=+1", "911"},
		{"tel context, emergency of there", "DE", "tel:110;phone-context=+49", "110"},
		{"tel other parameters", "NL", "tel:+31201234567;isub=1;foo", ams},
		{"callto", "NL", "callto:+31201234567", ams},
		{"tel internal", "NL", "tel:102", "102"},

		{"ext. ", "NL", "+31 20 123 4567 ext. 12", ams + ";ext=12"},
		{"ext:", "NL", "020 123 4567 ext: 12", ams + ";ext=12"},
		{"Extension", "NL", "020 123 4567, Extension 12", ams + ";ext=12"},
		{"x", "NL", "0201234567x12", ams + ";ext=12"},
		{"X full width", "NL", "0201234567 Ｘ12", ams + ";ext=12"},
		{"tst", "NL", "020 123 4567 tst 12", ams + ";ext=12"},
		{"tst.", "NL", "020 123 4567 tst.12", ams + ";ext=12"},
		{"toestel", "NL", "020 123 4567 Toestel 12", ams + ";ext=12"},
		{"Durchwahl", "DE", "030 901820 Durchwahl 12", "+4930901820;ext=12"},
		{";ext=", "NL", "+31201234567;ext=12", ams + ";ext=12"},
		{"extension keeps its zero", "NL", "+31201234567;ext=007", ams + ";ext=007"},
		{"pause", "NL", "0201234567,123", ams + ";ext=123"},
		{"two pauses and hash", "NL", "0201234567,,123#", ams + ";ext=123"},
		{"extension of ten digits", "NL", "0201234567x1234567890", ams + ";ext=1234567890"},

		{"mobile", "NL", "06 12345678", "+31612345678"},
		{"service number", "NL", "0900-1234", "+319001234"},
		{"toll free", "NL", "0800 1234", "+318001234"},
		{"Antigua", "NL", "+1 268 460 1234", "+12684601234"},
		{"North America", "US", "(202) 555-0123", "+12025550123"},
		{"United Kingdom", "GB", "(020) 7946 0018", "+442079460018"},
		{"Germany, six digits with trunk zero", "DE", "030123", "+4930123"},
		{"Andorra, six digits whole", "AD", "712 345", "+376712345"},
		{"Turkey, no trunk zero", "TR", "444 1 444", "+904441444"},

		{"two digits", "NL", "10", "10"},
		{"extension", "NL", "102", "102"},
		{"extension with a space", "NL", "10 2", "102"},
		{"extension with leading zero", "NL", "0102", "0102"},
		{"six digits without area code", "NL", "123456", "123456"},
		{"emergency", "NL", "112", "112"},
		{"emergency down under", "AU", "000", "000"},
		{"directory enquiries", "NL", "1850", "1850"},
		{"municipality", "NL", "14 020", "14020"},
		{"star", "NL", "*21#", "*21#"},
		{"star with number", "NL", "*21*0612345678#", "*21*0612345678#"},
		{"hash", "NL", "#31#", "#31#"},
		{"full-width star", "NL", "＊２１＃", "*21#"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := must(t, tt.raw, tt.region)
			if n.Reveal() != tt.want {
				t.Fatalf("Reveal() = %q, want %q", n.Reveal(), tt.want)
			}
			if again := must(t, n.Reveal(), tt.region); again != n {
				t.Errorf("%q reads back as another number, %q", n.Reveal(), again.Reveal())
			}
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	const invalid, long = "number-invalid", "number-too-long"
	tests := []struct {
		name, region, raw, code string
	}{
		{"empty", "NL", "", invalid},
		{"blank", "NL", " \u00a0\u200b", invalid},
		{"scheme alone", "NL", "tel:", invalid},
		{"punctuation", "NL", "-- () ..", invalid},
		{"plus alone", "NL", "+", invalid},
		{"one digit", "NL", "5", invalid},
		{"word", "NL", "call me", invalid},
		{"vanity", "US", "1-800-FLOWERS", invalid},
		{"letters behind", "NL", "0201234567 thuis", invalid},
		{"letters before", "NL", "T 0201234567", invalid},
		{"marker without extension", "NL", "0201234567 ext", invalid},
		{"extension of eleven digits", "NL", "0201234567x12345678901", invalid},
		{"two extensions", "NL", "0201234567 x12;ext=13", invalid},
		{"twice ext", "NL", "tel:+31201234567;ext=1;ext=2", invalid},
		{"parameter without tel", "NL", "0201234567;isub=1", invalid},
		{"extension of an extension", "NL", "102 x12", invalid},
		{"price", "NL", "3,50", invalid},
		{"price with a dot", "NL", "1.50", invalid},
		{"date", "NL", "12/24", invalid},
		{"ISO date", "NL", "2024-01-31", invalid},
		{"IP address", "NL", "192.168.1.10", invalid},
		{"IBAN", "NL", "NL91ABNA0417164300", invalid},
		{"postcode", "NL", "1012 AB", invalid},
		{"list", "NL", "0201234567, 0201234568", invalid},
		{"two pluses", "NL", "++31201234567", invalid},
		{"plus inside", "NL", "0031+201234567", invalid},
		{"plus then 00", "NL", "+0031201234567", invalid},
		{"plus then trunk zero", "NL", "+0201234567", invalid},
		{"star inside", "NL", "020*1234567", invalid},
		{"hash behind", "NL", "0900123456#", invalid},
		{"plus and star", "NL", "+31*21", invalid},
		{"star with extension", "NL", "*21# x12", invalid},
		{"stars alone", "NL", "***", invalid},
		{"star of 33", "NL", "*" + strings.Repeat("1", 32), invalid},

		{"seven digits, no area code", "NL", "1234567", invalid},
		{"seven digits that read as Berlin", "DE", "3012345", invalid},
		{"area code of nowhere", "NL", "0121234567", invalid},
		{"one digit short", "NL", "020123456", invalid},
		{"one digit long", "NL", "02012345678", invalid},
		{"no region, national", "", "0201234567", invalid},
		{"unknown country code", "NL", "+999123456789", invalid},
		{"cut-short international", "NL", "00312", invalid},
		{"two noughts", "NL", "00", invalid},
		{"emergency behind a country code", "NL", "+31112", invalid},

		{"line feed", "NL", "0201234567\n", invalid},
		{"carriage return", "NL", "020\r\nAction: Originate", invalid},
		{"nul", "NL", "0201234567\x00", invalid},
		{"tab", "NL", "020\t1234567", invalid},
		{"C1", "NL", "020\u00851234567", invalid},
		{"DEL", "NL", "020\u007f1234567", invalid},
		{"line separator", "NL", "020\u20281234567", invalid},
		{"paragraph separator", "NL", "020\u20291234567", invalid},
		{"escaped line feed", "NL", "tel:0201234567%0a", invalid},
		{"escaped nul", "NL", "tel:0201234567%00", invalid},
		{"escaped twice", "NL", "tel:%252B31201234567", invalid},
		{"broken escape", "NL", "tel:0201234567%2", invalid},
		{"escape without tel", "NL", "%2B31201234567", invalid},
		{"ampersand", "NL", "0201234567&SIP/x", invalid},
		{"variable", "NL", "${EXTEN}", invalid},
		{"dollar", "NL", "020$1234567", invalid},
		{"at", "NL", "0201234567@host", invalid},
		{"sip", "NL", "sip:0201234567@example.com", invalid},
		{"sip, digits only", "NL", "sip:0201234567", invalid},
		{"query", "NL", "tel:0201234567?call", invalid},
		{"superscript", "NL", "020123456\u00b2", invalid},
		{"circled digit", "NL", "020123456\u2460", invalid},
		{"not UTF-8", "NL", "0201234567\xff", invalid},
		{"not UTF-8, escaped", "NL", "tel:0201234567%ff", invalid},
		{"context that is no prefix", "NL", "tel:201234567;phone-context=+", invalid},
		{"context and a number that is none", "NL", "tel:102;phone-context=+31", invalid},

		{"65 runes", "NL", "0201234567" + strings.Repeat(" ", 55), long},
		{"21 digits", "NL", "+" + strings.Repeat("1", 21), long},
		{"a megabyte", "NL", strings.Repeat("0", 1<<20), long},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n, err := phone.Parse(tt.raw, tt.region)
			f, ok := fault.Of(err)
			if !ok || f.Kind != fault.Refused || f.Code != tt.code {
				t.Fatalf("Parse = %q, %v, want refused %s", n.Reveal(), err, tt.code)
			}
			if !n.IsZero() || f.Err != nil || !strings.HasSuffix(f.Detail, ".") {
				t.Errorf("number %q, cause %v, detail %q", n.Reveal(), f.Err, f.Detail)
			}
			if strings.ContainsAny(f.Error()+f.Detail, "0123456789") {
				t.Errorf("error says %q, %q: repeats the input?", f, f.Detail)
			}
		})
	}
}

func TestParseBounds(t *testing.T) {
	t.Parallel()
	full := "0201234567" + strings.Repeat(" ", 54)
	must(t, full, "NL")
	must(t, "tel:"+full, "NL")
	must(t, "tel:"+strings.ReplaceAll(full, " ", "%20"), "NL")
}

// Each caller gets an error of its own: fields of it may be set.
func TestParseErrorIsNotShared(t *testing.T) {
	t.Parallel()
	_, first := phone.Parse("x", "NL")
	_, second := phone.Parse("x", "NL")
	if first == second || !errors.Is(first, second) {
		t.Errorf("the same error twice, or one that errors.Is does not know")
	}
}

// Every decimal digit that Unicode has counts as the digit it is.
func TestParseDigitsOfEveryScript(t *testing.T) {
	t.Parallel()
	value := 0
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if !unicode.Is(unicode.Nd, r) {
			continue
		}
		n, err := phone.Parse("10"+string(r), "NL")
		if want := fmt.Sprint(100 + value); err != nil || n.Reveal() != want {
			t.Fatalf("%U is %q, %v, want %s", r, n.Reveal(), err, want)
		}
		value = (value + 1) % 10
	}
}

// What libphonenumber gives as an example for any country and type is a number,
// and one of its kind. Written nationally it is the same number.
func TestParseExamplesOfTheWorld(t *testing.T) {
	t.Parallel()
	for region := range phonenumbers.GetSupportedRegions() {
		for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.VOICEMAIL; kind++ {
			example := phonenumbers.GetExampleNumberForType(region, kind)
			if example == nil || !phonenumbers.IsValidNumber(example) {
				continue
			}
			e164 := phonenumbers.Format(example, phonenumbers.E164)
			n := must(t, e164, "NL")
			if n.Reveal() != e164 || n.Class() == phone.Unknown || n.Region() == "ZZ" {
				t.Errorf("%s: %q is %s of %s", e164, n.Reveal(), n.Class(), n.Region())
			}
			if national := n.Dial(phone.National, region); len(national) > 6 {
				if again, err := phone.Parse(national, region); again != n {
					t.Errorf("%s: %s in %s is %q, %v", e164, national, region, again.Reveal(), err)
				}
			}
		}
	}
}
