package pbx

import (
	"fmt"
	"time"

	"clicktodial/server/fault"
)

// Limits of what an Originate may ask for.
const (
	MinRing = time.Second
	MaxRing = 120 * time.Second

	maxEndpoint  = 40
	maxContext   = 80
	maxChannelID = 64
)

// Prober is an Adapter that can tell, before anything is written down, that it
// would not take this request at all. Package call asks it before its commit;
// an adapter without it has nothing to say beyond Up.
type Prober interface {
	Probe(req Originate) error
}

// Unavailable is the fault of a line that is down: nothing was sent.
func Unavailable(cause error) *fault.Error {
	return fault.Wrap(cause, fault.Unavailable, "pbx-unavailable",
		"The telephone exchange cannot be reached at the moment.")
}

// Refused is the fault of a request that the PBX, or its adapter, said no to.
func Refused(cause error) *fault.Error {
	return fault.Wrap(cause, fault.Refused, "pbx-refused",
		"The telephone exchange refused the call. Nothing was dialled.")
}

// Valid refuses what no adapter may put on a wire, whoever asks for it. The
// fields come from our own rows; it is the last of several locks.
func (r Originate) Valid() error {
	switch {
	case !ValidChannelID(r.ChannelID):
		return Refused(fmt.Errorf("bad channel id"))
	case !ValidEndpoint(r.Endpoint):
		return Refused(fmt.Errorf("bad endpoint"))
	case r.Context != "" && !ValidContext(r.Context):
		return Refused(fmt.Errorf("bad context"))
	case r.Number.IsZero():
		return Refused(fmt.Errorf("no number"))
	case r.RingTimeout < MinRing || r.RingTimeout > MaxRing:
		return Refused(fmt.Errorf("ring timeout outside %v to %v", MinRing, MaxRing))
	}
	return nil
}

// ValidChannelID says whether s may be a channel id of ours: [A-Za-z0-9-]{1,64}.
func ValidChannelID(s string) bool { return only(s, maxChannelID, "-") }

// ValidEndpoint says whether s may name a phone: [A-Za-z0-9_-]{1,40}.
func ValidEndpoint(s string) bool { return only(s, maxEndpoint, "_-") }

// ValidContext says whether s may name a dialplan context: [A-Za-z0-9_-]{1,80},
// which is as much as Asterisk takes (AST_MAX_CONTEXT).
func ValidContext(s string) bool { return only(s, maxContext, "_-") }

// only says whether s is 1 to limit ASCII letters, digits and bytes of extra.
func only(s string, limit int, extra string) bool {
	if s == "" || len(s) > limit {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if letter || c >= '0' && c <= '9' {
			continue
		}
		found := false
		for j := range len(extra) {
			found = found || c == extra[j]
		}
		if !found {
			return false
		}
	}
	return true
}
