package phone

import (
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/nyaruka/phonenumbers"

	"clicktodial/server/fault"
)

const (
	maxRunes  = 64   // of what was written, without tel: and percent escapes
	maxBytes  = 1024 // bound before any work: 64 runes, each byte escaped
	maxDigits = 20   // E.164's 15 and an international prefix
	maxLocal  = 6    // digits of an extension or short code
)

// The refusals. They are made once and never carry the input or a cause:
// libphonenumber's errors may repeat what they could not read.
var (
	errEmpty     = refused("number-invalid", "There is no number.")
	errMalformed = refused("number-invalid", "This is not a telephone number.")
	errUnknown   = refused("number-invalid", "No such telephone number exists.")
	errAreaCode  = refused("number-invalid", "The number lacks its area code or country code.")
	errCutShort  = refused("number-invalid", "The international number is incomplete.")
	errExtension = refused("number-invalid", "An extension can only follow a whole number.")
	errTooLong   = refused("number-too-long", "The number is too long.")
)

func refused(code, detail string) *fault.Error { return fault.New(fault.Refused, code, detail) }

// Parse reads a number as people and pages write it: "020-123 45 67",
// "+31 (0)20 123 4567 ext. 12", tel: and callto: URIs, 102, 112, *21#. region is
// the tenant's (ISO 3166, upper case); a number without country code is of there.
//
// A number of more than six digits must be valid to libphonenumber, not merely of
// possible length: what gets past would ring a stranger or cost money.
// The error is a *fault.Error that says nothing of the input.
func Parse(raw, region string) (Number, error) {
	n, err := parse(raw, region)
	if err != nil {
		own := *err // the caller may add to its fields
		return Number{}, &own
	}
	return n, nil
}

func parse(raw, region string) (Number, *fault.Error) {
	if len(raw) > maxBytes {
		return Number{}, errTooLong
	}
	text, isURI, ok := tel(raw)
	if !ok || !utf8.ValidString(text) {
		return Number{}, errMalformed
	}
	if utf8.RuneCountInString(text) > maxRunes {
		return Number{}, errTooLong
	}
	ascii, ok := plain(text)
	if !ok {
		return Number{}, errMalformed
	}
	if ascii == "" {
		return Number{}, errEmpty
	}
	w, ok := takeApart(ascii, isURI)
	if !ok {
		return Number{}, errMalformed
	}
	return w.number(region)
}

var (
	trunkZero = regexp.MustCompile(`[(\[] *0 *[)\]]`) // the (0) of +31 (0)20
	punct     = strings.NewReplacer(" ", "", "(", "", ")", "", "[", "", "]", "", ".", "", "/", "", "-", "")
)

// number understands what was taken apart.
func (w written) number(region string) (Number, *fault.Error) {
	compact := punct.Replace(w.body)
	digits := strings.TrimPrefix(compact, "+")
	switch {
	case strings.ContainsAny(compact, "*#"):
		return w.star(compact)
	case digits == "" || countDigits(digits) != len(digits) || strings.HasPrefix(compact, "+0"):
		return Number{}, errMalformed
	case len(digits) > maxDigits:
		return Number{}, errTooLong
	case w.context != "" && compact == digits:
		return w.inContext(digits, region)
	case len(digits) != len(compact):
		return w.abroad(region)
	case len(digits) <= maxLocal:
		return w.local(digits, region)
	default:
		return w.national(digits, region)
	}
}

func (w written) star(compact string) (Number, *fault.Error) {
	if !shapeStar.MatchString(compact) || countDigits(compact) == 0 || w.context != "" {
		return Number{}, errMalformed
	}
	if w.ext != "" {
		return Number{}, errExtension
	}
	return inside(compact, Star), nil
}

// inContext reads a local number of RFC 3966 5.1.5, whose prefix stands in the
// parameter. tel:911;phone-context=+1 is its own example, and must not turn into
// something that is no longer an emergency number.
func (w written) inContext(digits, region string) (Number, *fault.Error) {
	code, err := strconv.Atoi(w.context[1:])
	if err != nil {
		return Number{}, errMalformed
	}
	there := phonenumbers.GetRegionCodeForCountryCode(code)
	if isEmergency(digits, region) || isEmergency(digits, there) {
		return inside(digits, Emergency), nil
	}
	w.body = w.context + w.body
	return w.abroad(region)
}

// local reads up to six digits: a whole national number where those are so short,
// else an extension of the PBX or a short code.
func (w written) local(digits, region string) (Number, *fault.Error) {
	if p := libNumber(digits, region); p != nil && isWhole(digits, region) && !isEmergency(digits, region) {
		return w.of(p)
	}
	switch {
	case strings.HasPrefix(digits, "00") && digits != "000": // an emergency number
		return Number{}, errCutShort
	case len(digits) < 2 || strings.ContainsAny(w.body, "./-()[]"):
		return Number{}, errMalformed // a date, a price, a page: 12/24
	case w.ext != "":
		return Number{}, errExtension
	}
	return inside(digits, localClass(digits, region)), nil
}

// isWhole says whether so few digits would reach a public number: they begin with
// the trunk prefix, or the region has none and its numbers are that short. Where
// numbers go without prefix, four digits are an extension all the same.
func isWhole(digits, region string) bool {
	if trunk := phonenumbers.GetNddPrefixForRegion(region, true); trunk != "" {
		return strings.HasPrefix(digits, trunk)
	}
	return len(digits) > 4
}

// national reads more than six digits without a plus.
func (w written) national(digits, region string) (Number, *fault.Error) {
	p := libNumber(digits, region)
	if p == nil {
		if strings.HasPrefix(digits, "00") { // written so even where it is not dialled so
			return w.abroad(region)
		}
		return Number{}, errUnknown
	}
	if lacksAreaCode(p, digits, region) {
		return Number{}, errAreaCode
	}
	return w.of(p)
}

// lacksAreaCode finds a local number that happens to read as one of another town:
// where lengths vary, 3012345 of Munich would ring 030 12345 in Berlin.
func lacksAreaCode(p *phonenumbers.PhoneNumber, digits, region string) bool {
	const localMax = 8 // no local number is longer
	trunk := phonenumbers.GetNddPrefixForRegion(region, true)
	if trunk == "" || strings.HasPrefix(digits, trunk) || len(digits) > localMax {
		return false
	}
	usual := onlyDigits(phonenumbers.Format(p, phonenumbers.NATIONAL))
	return phonenumbers.GetNumberType(p) == phonenumbers.FIXED_LINE && strings.HasPrefix(usual, trunk)
}

// abroad reads a number with its country code, which + or 00 introduces.
func (w written) abroad(region string) (Number, *fault.Error) {
	kept := punct.Replace(w.body)
	if rest, ok := strings.CutPrefix(kept, "00"); ok {
		kept = "+" + rest
	}
	dropped := punct.Replace(trunkZero.ReplaceAllString(w.body, ""))
	if rest, ok := strings.CutPrefix(dropped, "00"); ok {
		dropped = "+" + rest
	}
	// The (0) is the trunk prefix, but in Italy part of the number.
	tries := []string{dropped, kept}
	if p := libNumber(kept, region); p != nil && phonenumbers.GetNddPrefixForRegion(
		phonenumbers.GetRegionCodeForNumber(p), true) != "0" {
		tries = []string{kept, dropped}
	}
	for _, try := range tries {
		if p := libNumber(try, region); p != nil {
			return w.of(p)
		}
	}
	return Number{}, errUnknown
}

// of makes the Number of a valid one.
func (w written) of(p *phonenumbers.PhoneNumber) (Number, *fault.Error) {
	text := phonenumbers.Format(p, phonenumbers.E164)
	// What does not read back as itself cannot be stored or searched.
	if again := libNumber(text, "ZZ"); again == nil || phonenumbers.Format(again, phonenumbers.E164) != text {
		return Number{}, errUnknown
	}
	if w.ext != "" {
		text += ";ext=" + w.ext
	}
	if !shapeGlobal.MatchString(text) {
		return Number{}, errUnknown
	}
	return international(text), nil
}

// libNumber is the valid number that digits, with or without +, are in region; nil
// when there is none.
func libNumber(digits, region string) *phonenumbers.PhoneNumber {
	p, err := phonenumbers.Parse(digits, region)
	if err != nil || !phonenumbers.IsValidNumber(p) {
		return nil
	}
	return p
}
