package phone

import (
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"clicktodial/server/fault"
)

// Name is a person's name beside a number. It prints as its initial and stars;
// Reveal gives it. Being a string it is also whole in an unexported field under
// fmt, and in a conversion to string: log attributes, never structs.
type Name string

const (
	maxNameRunes = 80
	maxNameBytes = 1024 // bound before any work; 80 runes with their marks fit
)

// ParseName trims and composes a name (NFC) and bounds it to 80 runes. Empty is a
// name too. Control characters, line separators and whatever reorders the text
// around it are refused.
func ParseName(raw string) (Name, error) {
	if len(raw) > maxNameBytes {
		return "", errName("The name is longer than 80 characters.")
	}
	if !utf8.ValidString(raw) {
		return "", errName("The name is not readable text.")
	}
	text := norm.NFC.String(strings.TrimFunc(raw, func(r rune) bool { return unicode.Is(unicode.Zs, r) }))
	if utf8.RuneCountInString(text) > maxNameRunes {
		return "", errName("The name is longer than 80 characters.")
	}
	if strings.ContainsFunc(text, badInName) {
		return "", errName("The name has control characters in it.")
	}
	if text != "" && !strings.ContainsFunc(text, visible) {
		return "", errName("The name has no visible characters.")
	}
	return Name(text), nil
}

func errName(detail string) error { return fault.New(fault.Refused, "name-invalid", detail) }

// badInName refuses controls, separators of lines and invisible format characters.
// Joiners and direction marks stay: Persian, Hindi, Hebrew and emoji need them.
// Overrides, embeddings and isolates (U+202A to E, U+2066 to 9) do not.
func badInName(r rune) bool {
	switch r {
	case '\u200c', '\u200d', '\u200e', '\u200f', '\u061c':
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Noncharacter_Code_Point)
}

func visible(r rune) bool { return unicode.In(r, unicode.L, unicode.N, unicode.P, unicode.S) }

// Reveal gives the whole name, for an audience that may see it.
func (n Name) Reveal() string { return string(n) }

// Masked gives the initial and stars; stars alone for a name of one or two runes,
// which the initial would give away, and for one that begins with no letter.
func (n Name) Masked() string {
	const stars = "***"
	if n == "" {
		return ""
	}
	first, _ := utf8.DecodeRuneInString(string(n))
	if utf8.RuneCountInString(string(n)) <= 2 || !unicode.IsLetter(first) {
		return stars
	}
	return string(first) + stars
}

// String is Masked.
func (n Name) String() string { return n.Masked() }

// Format prints the name masked, whatever the verb.
func (n Name) Format(s fmt.State, verb rune) { formatMasked(s, verb, n.Masked()) }

// LogValue is Masked.
func (n Name) LogValue() slog.Value { return slog.StringValue(n.Masked()) }

// MarshalText is Masked; wire types ask for Reveal themselves.
func (n Name) MarshalText() ([]byte, error) { return []byte(n.Masked()), nil }

// MarshalJSON is Masked; wire types ask for Reveal themselves.
func (n Name) MarshalJSON() ([]byte, error) { return json.Marshal(n.Masked()) }

// UnmarshalText is ParseName, so that no decoder gets around it.
func (n *Name) UnmarshalText(text []byte) error {
	name, err := ParseName(string(text))
	if err != nil {
		return err
	}
	*n = name
	return nil
}

// GobEncode refuses.
func (n Name) GobEncode() ([]byte, error) { return nil, errGob }

// GobDecode refuses.
func (n *Name) GobDecode([]byte) error { return errGob }

// Value stores the whole name; an empty one is NULL.
func (n Name) Value() (driver.Value, error) {
	if n == "" {
		return nil, nil
	}
	return string(n), nil
}

// Scan reads a stored name; NULL is the empty one.
func (n *Name) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*n = ""
	case string:
		*n = Name(v)
	case []byte:
		*n = Name(v)
	default:
		return errors.New("phone: stored name is no text")
	}
	return nil
}
