package phone

import (
	"testing"

	"github.com/nyaruka/phonenumbers"
)

// lib cuts a canonical number apart as the library's own parser does.
func TestLibAgreesWithTheLibrary(t *testing.T) {
	t.Parallel()
	tried := 0
	check := func(example *phonenumbers.PhoneNumber) {
		if example == nil {
			return
		}
		e164 := phonenumbers.Format(example, phonenumbers.E164)
		want, err := phonenumbers.Parse(e164, "ZZ")
		if err != nil {
			return
		}
		tried++
		if got := international(e164).lib(); got.String() != want.String() {
			t.Errorf("%s: %v, the library says %v", e164, got, want)
		}
		if got, ok := international(e164).unmask(international(e164).Masked()); len(e164) > len("+123456") && (!ok || got != international(e164).Display()) {
			t.Errorf("%s unmasked is %q, %v", e164, got, ok)
		}
	}
	for region := range phonenumbers.GetSupportedRegions() {
		for kind := phonenumbers.FIXED_LINE; kind <= phonenumbers.VOICEMAIL; kind++ {
			check(phonenumbers.GetExampleNumberForType(region, kind))
		}
	}
	for code := range phonenumbers.GetSupportedGlobalNetworkCallingCodes() {
		check(phonenumbers.GetExampleNumberForNonGeoEntity(code))
	}
	if tried < 500 {
		t.Errorf("only %d examples were tried", tried)
	}
	for _, none := range []string{"+", "+0201234567", "+999", "+31", "+312", "++31201234567", "+31123456789012345678"} {
		if p := international(none).lib(); p != nil {
			t.Errorf("%s: %v", none, p)
		}
	}
}
