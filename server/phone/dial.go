package phone

import (
	"fmt"

	"github.com/nyaruka/phonenumbers"
)

// Form is how a PBX wants a number; the set is closed.
type Form string

// The forms, here for +31 20 123 4567.
const (
	E164       Form = "e164"     // +31201234567
	Digits     Form = "digits"   // 31201234567
	DoubleZero Form = "00"       // 0031201234567
	National   Form = "national" // 0201234567 within the calling code of the region; else as DoubleZero
)

// ParseForm reads a form as PBX_URL's numbers= spells it.
func ParseForm(s string) (Form, error) {
	switch f := Form(s); f {
	case E164, Digits, DoubleZero, National:
		return f, nil
	default:
		return "", fmt.Errorf("number form is none of %s, %s, %s, %s", E164, Digits, DoubleZero, National)
	}
}

// Dial gives what to send to a PBX in region: characters of [0-9+*#] only, without
// the extension. A number without an international form is dialled as it is. A
// form that ParseForm does not know is E164.
func (n Number) Dial(f Form, region string) string {
	e164 := n.E164()
	if e164 == "" {
		return n.Reveal()
	}
	digits := e164[1:]
	switch f {
	case Digits:
		return digits
	case DoubleZero:
		return "00" + digits
	case National:
		if national := n.national(region); national != "" {
			return national
		}
		return "00" + digits
	default:
		return e164
	}
}

// national is the number as dialled within its own numbering plan; "" when region
// is outside of it. The plan is what counts, not the region: Jersey is dialled
// nationally from Great Britain, and 00 would not work.
func (n Number) national(region string) string {
	p := n.lib()
	if p == nil || isGlobal(p.GetCountryCode()) ||
		int(p.GetCountryCode()) != phonenumbers.GetCountryCodeForRegion(region) {
		return ""
	}
	dialled := onlyDigits(phonenumbers.Format(p, phonenumbers.NATIONAL))
	// phonenumbers 1.8.1 writes Argentine mobiles wrongly (09 for 011): a stranger's.
	if again := libNumber(dialled, region); again == nil || phonenumbers.Format(again, phonenumbers.E164) != n.E164() {
		return ""
	}
	return dialled
}
