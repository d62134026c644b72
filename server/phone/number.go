// Package phone knows what a telephone number is, and a name beside one.
//
// A Number comes in only through Parse (from people and pages) or Scan (from our
// own database), and goes out whole only through Reveal, E164, Display and Dial.
// Every other way out, fmt with any verb, slog, JSON, text, shows it masked.
//
// The digits sit behind a unique.Handle: that is a pointer to a string, so an
// outer struct that holds a Number in an unexported field prints an address where
// fmt calls no methods, and yet two equal numbers are ==. Not a pointer to a
// struct: fmt follows those for a verb it thinks wrong, %s for one. Reflection
// that follows unexported pointers, such as spew or a heap dump, sees the digits.
package phone

import (
	"strconv"
	"strings"
	"unique"

	"github.com/nyaruka/phonenumbers"
)

// Number is a telephone number in canonical form. The zero value is no number.
// Numbers are comparable: equal canonical forms of equal class are ==.
type Number struct {
	text unique.Handle[string] // the Reveal form

	// local is the class of a number that has none of its own outside a region
	// (102, 1850, *21#); empty for an international one, whose digits say it.
	local Class
}

func international(text string) Number { return Number{text: unique.Make(text)} }

func inside(text string, c Class) Number { return Number{text: unique.Make(text), local: c} }

// split gives the number proper and its extension.
func (n Number) split() (number, ext string) {
	number, ext, _ = strings.Cut(n.Reveal(), ";ext=")
	return number, ext
}

// IsZero says whether there is no number.
func (n Number) IsZero() bool { return n == Number{} }

// Reveal gives the whole canonical number: +31201234567, +31201234567;ext=12,
// or as dialled: 102, 112, *21#. Only for an audience that may see it.
func (n Number) Reveal() string {
	if n.IsZero() {
		return ""
	}
	return n.text.Value()
}

// E164 gives the whole number without its extension; "" when it has no
// international form.
func (n Number) E164() string {
	if n.local != "" {
		return ""
	}
	number, _ := n.split()
	return number
}

// Extension gives the digits to dial once the callee has answered, or "".
func (n Number) Extension() string {
	_, ext := n.split()
	return ext
}

// Display gives the whole number for people: +31 20 123 4567 ext. 12.
func (n Number) Display() string { return n.extended(n.spaced()) }

// DisplayAs is Display spaced as the masked form that was stored with the number:
// whoever shows many need not have the library look for the form of each. A masked
// form that is not the number's is not gone by.
func (n Number) DisplayAs(masked string) string {
	if text, ok := n.unmask(masked); ok {
		return n.extended(text)
	}
	return n.Display()
}

func (n Number) extended(text string) string {
	if ext := n.Extension(); ext != "" {
		text += " ext. " + ext
	}
	return text
}

// unmask fills the number's digits in; ok is false where the masked form shows
// others, or not as many.
func (n Number) unmask(masked string) (text string, ok bool) {
	digits, ok := strings.CutPrefix(n.E164(), "+")
	if !ok {
		return "", false
	}
	filled := []byte(masked)
	for i, c := range filled {
		if c != '*' && !isDigit(c) {
			continue
		}
		if digits == "" || c != '*' && c != digits[0] {
			return "", false
		}
		filled[i], digits = digits[0], digits[1:]
	}
	return string(filled), digits == ""
}

// spaced is the display form without the extension.
func (n Number) spaced() string {
	if p := n.lib(); p != nil {
		return phonenumbers.Format(p, phonenumbers.INTERNATIONAL)
	}
	number, _ := n.split()
	return number
}

// Masked gives the display form with its last three digits starred; of a number
// of six digits or fewer only the first character is left.
func (n Number) Masked() string {
	const hidden, short = 3, 6
	text := []byte(n.spaced())
	if countDigits(string(text)) <= short {
		for i := 1; i < len(text); i++ {
			text[i] = '*'
		}
		return string(text)
	}
	end := len(text)
	for i, left := len(text)-1, hidden; left > 0; i-- {
		if isDigit(text[i]) {
			if left == hidden {
				end = i + 1 // whatever follows the last digit goes
			}
			text[i] = '*'
			left--
		}
	}
	return string(text[:end])
}

// LastFour gives the last four digits, without the extension; "" when the number
// has fewer than seven, because four of those would be nearly all of it.
func (n Number) LastFour() string {
	number, _ := n.split()
	d := onlyDigits(number)
	if len(d) < 7 {
		return ""
	}
	return d[len(d)-4:]
}

// Region gives the ISO 3166 region that the number belongs to, 001 for a global
// network, ZZ for an international number that belongs nowhere (one stored before
// its range was withdrawn), and "" for a number without an international form.
func (n Number) Region() string {
	if n.E164() == "" {
		return ""
	}
	if p := n.lib(); p != nil {
		if region := phonenumbers.GetRegionCodeForNumber(p); region != "" {
			return region
		}
	}
	return "ZZ"
}

// lib is the number as libphonenumber holds it; nil when it has no international
// form or a country code that does not exist. What Parse has made canonical is cut
// apart again here: the library's own parser takes a dozen regular expressions.
func (n Number) lib() *phonenumbers.PhoneNumber {
	digits, ok := strings.CutPrefix(n.E164(), "+")
	if !ok || digits == "" || digits[0] < '1' || digits[0] > '9' {
		return nil
	}
	const longest = 3 // digits of a country code (ITU-T E.164); none begins another
	for i := 1; i <= longest && i < len(digits); i++ {
		code, err := strconv.Atoi(digits[:i])
		if err != nil || !callingCodes[code] {
			continue
		}
		return libParts(int32(code), digits[i:])
	}
	return nil
}

func libParts(code int32, national string) *phonenumbers.PhoneNumber {
	const shortest, longest = 2, 17 // as the library has it
	n, err := strconv.ParseUint(national, 10, 64)
	if err != nil || len(national) < shortest || len(national) > longest {
		return nil
	}
	p := &phonenumbers.PhoneNumber{CountryCode: &code, NationalNumber: &n}
	// Zeros at the front that are part of the number, as in Italy.
	if zeros := len(national) - len(strings.TrimLeft(national[:len(national)-1], "0")) - 1; zeros > 0 {
		p.ItalianLeadingZero = new(true)
		if zeros > 1 {
			p.NumberOfLeadingZeros = new(int32(zeros))
		}
	}
	return p
}

var callingCodes = phonenumbers.GetSupportedCallingCodes()
