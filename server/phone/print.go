package phone

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strconv"
)

// errGob refuses gob, which would carry either nothing or everything.
var errGob = errors.New("phone: numbers and names do not travel by gob")

// String is Masked.
func (n Number) String() string { return n.Masked() }

// Format prints the number masked, whatever the verb.
func (n Number) Format(s fmt.State, verb rune) { formatMasked(s, verb, n.Masked()) }

// LogValue is Masked.
func (n Number) LogValue() slog.Value { return slog.StringValue(n.Masked()) }

// MarshalText is Masked; wire types ask for Reveal themselves.
func (n Number) MarshalText() ([]byte, error) { return []byte(n.Masked()), nil }

// MarshalJSON is Masked; wire types ask for Reveal themselves.
func (n Number) MarshalJSON() ([]byte, error) { return json.Marshal(n.Masked()) }

// GobEncode refuses.
func (n Number) GobEncode() ([]byte, error) { return nil, errGob }

// GobDecode refuses.
func (n *Number) GobDecode([]byte) error { return errGob }

// formatMasked prints text for any verb: quoted for %q, else with the width and
// the minus flag asked for. %x and %d print the text too: never the digits.
func formatMasked(s fmt.State, verb rune, text string) {
	if verb == 'q' {
		text = strconv.Quote(text)
	}
	if width, ok := s.Width(); ok {
		if s.Flag('-') {
			width = -width
		}
		text = fmt.Sprintf("%*s", width, text)
	}
	_, _ = s.Write([]byte(text)) // a State's writer reports its own errors
}

// Value stores the Reveal form; no number is NULL.
func (n Number) Value() (driver.Value, error) {
	if n.IsZero() {
		return nil, nil
	}
	return n.Reveal(), nil
}

// The shapes of the Reveal form. Stored numbers are not held to libphonenumber's
// present idea of what is valid: one dialled last month must stay readable when
// its range is withdrawn.
var (
	shapeGlobal = regexp.MustCompile(`^\+[1-9][0-9]{5,17}(?:;ext=[0-9]{1,10})?$`)
	shapeLocal  = regexp.MustCompile(`^[0-9]{2,6}$`)
	shapeStar   = regexp.MustCompile(`^[*#][0-9*#]{1,31}$`)
)

// errStored says nothing of the value: errors end up in logs.
var errStored = errors.New("phone: stored number is malformed")

// Scan reads the Reveal form; NULL is no number. A number without an international
// form comes back classed Internal, or Emergency when it is so everywhere: see In.
func (n *Number) Scan(src any) error {
	var text string
	switch v := src.(type) {
	case nil:
		*n = Number{}
		return nil
	case string:
		text = v
	case []byte:
		text = string(v)
	default:
		return errStored
	}
	stored, ok := fromReveal(text)
	if !ok {
		return errStored
	}
	*n = stored
	return nil
}

func fromReveal(text string) (Number, bool) {
	switch {
	case shapeGlobal.MatchString(text):
		return international(text), true
	case shapeLocal.MatchString(text):
		return inside(text, localClass(text, "")), true
	case shapeStar.MatchString(text):
		return inside(text, Star), true
	default:
		return Number{}, false
	}
}
