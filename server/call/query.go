package call

import (
	"encoding/base64"
	"encoding/binary"
	"regexp"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/fault"
	"clicktodial/server/phone"
)

var (
	fourDigits = regexp.MustCompile(`^[0-9]{4}$`)
	hasDigit   = regexp.MustCompile(`[0-9]`)
)

// ReadQuery says what a search box's text means: the last four digits of a number,
// an exact number, or whole words of a name; false when nothing can match.
func ReadQuery(q, region string) (Search, bool) {
	switch {
	case q == "":
		return Search{}, true
	case fourDigits.MatchString(q):
		return Search{LastFour: q}, true
	case hasDigit.MatchString(q):
		number, err := phone.Parse(q, region)
		return Search{Number: number}, err == nil
	}
	name, err := phone.ParseName(q)
	return Search{Words: name.Reveal()}, err == nil && name != ""
}

// WriteCursor makes a text of the place after which a page begins: microseconds
// and id. It says nothing that its bearer has not seen.
func WriteCursor(at time.Time, id uuid.UUID) string {
	raw := binary.BigEndian.AppendUint64(nil, uint64(at.UnixMicro())) //nolint:gosec // read back by the same cast
	return base64.RawURLEncoding.EncodeToString(append(raw, id[:]...))
}

// ReadCursor reads it; "" is the newest. Errors: invalid-request.
func ReadCursor(cursor string) (Page, error) {
	if cursor == "" {
		return Page{}, nil
	}
	bad := fault.New(fault.Malformed, "invalid-request", "The cursor is not one of ours.")
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) != 24 {
		return Page{}, bad
	}
	at := time.UnixMicro(int64(binary.BigEndian.Uint64(raw))).UTC() //nolint:gosec // wraps for a forged cursor: an odd time, no more
	if at.Year() < 2000 || at.Year() > 9999 {
		return Page{}, bad
	}
	return Page{At: at, ID: uuid.UUID(raw[8:])}, nil
}
