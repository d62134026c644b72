// Package pbx is what a telephone exchange looks like to us: an Adapter that
// places a call between a user's own phone (the caller, leg A) and a number (the
// callee), ends it, says what a phone is doing, and reports what happens.
//
// Each kind of PBX is a package of its own below this one, and passes the suite
// in pbxtest. An adapter knows its PBX's wire; it knows nothing of users, rows
// or retention. Its events go to package call, which decides what they mean.
package pbx

import (
	"context"
	"errors"
	"time"

	"clicktodial/server/phone"
)

// Adapter is a line to one PBX. All methods may be called at once from many
// goroutines, before Run has connected too (they then say so at once).
type Adapter interface {
	// Run keeps the line up until ctx ends: it connects, reconnects for ever with
	// capped backoff and jitter, and calls sink for each event of a followed call,
	// one at a time, in order. After a lost line it asks the PBX about every call it
	// follows and reports what it finds, so that no followed call stays open for
	// ever. It returns ctx's error, or a configuration error that no waiting mends.
	Run(ctx context.Context, sink func(Event)) error

	// Up is nil while the line is up, else a *fault.Error of kind Unavailable and
	// code pbx-unavailable. It answers at once and touches no wire.
	Up() error

	// Originate rings the caller's phone and, when it is answered, the callee. It
	// returns when the PBX has taken the request; what the phones do comes as
	// events. It follows req.ChannelID from before the first byte is sent.
	// Errors: ErrDoubt when the request may have arrived (never send it again);
	// pbx-unavailable when not one byte of it was sent; pbx-refused when the PBX
	// said no.
	Originate(ctx context.Context, req Originate) error

	// Hangup ends the call with this channel id, whichever replica dialled it and
	// whatever its state. ErrGone when the PBX knows no such channel (any more).
	Hangup(ctx context.Context, channelID string) error

	// Adopt follows from now on a call that another process dialled, and says how
	// it stands. ErrGone when the PBX knows no such channel.
	Adopt(ctx context.Context, channelID string) (Snapshot, error)

	// Forget stops following a channel, e.g. because its record has ended.
	Forget(channelID string)

	// Devices gives the state of each endpoint asked for. Unknown ones are
	// DeviceUnknown; an error means that nothing is known.
	Devices(ctx context.Context, endpoints []string) (map[string]DeviceState, error)

	// Check tries the line and, where req names them, a phone and a number,
	// without ringing anyone.
	Check(ctx context.Context, req Check) (Report, error)
}

// Errors that Adapter methods return besides *fault.Error.
var (
	// ErrGone: the PBX knows no such channel.
	ErrGone = errors.New("no such channel at the PBX")
	// ErrDoubt: the request was written, or partly, and no answer came.
	ErrDoubt = errors.New("not known whether the PBX took the request")
)

// Originate asks for a call. Everything in it comes from our own rows, except
// Number and ShownName, which a user typed and which were parsed.
type Originate struct {
	ChannelID   string        // ours: unique, unguessable, [A-Za-z0-9-]{1,64}
	Endpoint    string        // the own phone, [A-Za-z0-9_-]{1,40}
	Number      phone.Number  // the callee
	Region      string        // the tenant's, for the national form of Number
	Context     string        // the tenant's dialplan context; "" for the connection's own
	ShownName   phone.Name    // shown on the own phone beside the number; may be ""
	CallerID    phone.Number  // what the callee sees; zero: Withheld decides
	Withheld    bool          // the callee sees no number
	Record      bool          // the PBX is asked to record; whether and how it does is its own
	RingTimeout time.Duration // how long the own phone rings; 1 s to 120 s
}

// EventKind is what happened to a followed call.
type EventKind string

// The kinds of events, in the order in which a call goes through them. Any of
// them may be missing, come twice, or come late.
const (
	CallerRinging  EventKind = "callerRinging"  // the own phone's leg exists or rings
	CallerAnswered EventKind = "callerAnswered" // the own phone was picked up
	CalleeDialling EventKind = "calleeDialling" // the callee's leg exists
	CalleeRinging  EventKind = "calleeRinging"  // it rings, or early media plays
	CalleeAnswered EventKind = "calleeAnswered" // both talk
	Ended          EventKind = "ended"          // no leg of ours is left; End says how
)

// Event is one thing that happened to one followed call.
type Event struct {
	ChannelID string
	Kind      EventKind
	End       End // only for Ended
	At        time.Time
}

// Snapshot is how a call stands, for a process that did not see it begin.
type Snapshot struct {
	Kind EventKind // the furthest that is known to have been reached; never Ended
}

// DeviceState is what a phone is doing (Asterisk DeviceState, reduced).
type DeviceState string

// The device states, as the API says them.
const (
	DeviceUnknown DeviceState = "unknown"
	DeviceOffline DeviceState = "offline"
	DeviceIdle    DeviceState = "idle"
	DeviceInUse   DeviceState = "inUse"
	DeviceRinging DeviceState = "ringing"
)

// Check asks for a trial without ringing anyone.
type Check struct {
	Endpoints []string     // phones to look at; may be empty
	Number    phone.Number // route to try; may be zero
	Region    string
	Context   string
}

// Finding is one thing that Check found, in plain words for an operator.
type Finding struct {
	Level    string `json:"level"` // ok, warning, error
	Code     string `json:"code"`  // stable, kebab-case
	Sentence string `json:"sentence"`
	Mend     string `json:"mend,omitempty"` // what to do, or text to paste
}

// Report is all that Check found; OK is false when any finding is an error.
type Report struct {
	OK       bool      `json:"ok"`
	Kind     string    `json:"kind"` // practice, ami …
	Version  string    `json:"version,omitempty"`
	Findings []Finding `json:"findings"`
}
