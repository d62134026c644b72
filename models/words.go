// Package models holds the rows, one file a table, and the words for status,
// reason and role. A row is never encoded for a client: wire types live in api.
// The tag `privacy` of a field says what it tells of a person, a kind of package
// register, or "-" for nothing.
package models

// Status is where a call stands, in the words of the CAMARA ClickToDial API.
type Status string

// The statuses of a call, in the order in which a call goes through them.
const (
	Initiating    Status = "initiating"
	CallingCaller Status = "callingCaller"
	CallingCallee Status = "callingCallee"
	Connected     Status = "connected"
	Disconnected  Status = "disconnected"
	Failed        Status = "failed"
)

// Rank orders the statuses: a call only ever moves to a higher rank. Both ends
// share the highest, so that an ended call cannot end again in another way.
func (s Status) Rank() int {
	switch s {
	case Initiating:
		return 0
	case CallingCaller:
		return 1
	case CallingCallee:
		return 2
	case Connected:
		return 3
	default:
		return 4
	}
}

// Ended says whether the call is over.
func (s Status) Ended() bool { return s == Disconnected || s == Failed }

// Reason is why a call was disconnected, in the words of CAMARA ClickToDial.
type Reason string

// The reasons; a failed call has none.
const (
	NoReason       Reason = ""
	HangUp         Reason = "hangUp"
	CallerBusy     Reason = "callerBusy"
	CallerNoAnswer Reason = "callerNoAnswer"
	CallerFailure  Reason = "callerFailure"
	CallerAbandon  Reason = "callerAbandon"
	CalleeBusy     Reason = "calleeBusy"
	CalleeNoAnswer Reason = "calleeNoAnswer"
	CalleeFailure  Reason = "calleeFailure"
)

// Diagnosis is finer than the reason, and what people are told.
type Diagnosis string

// The diagnoses. Each has a sentence in nl, en and de (package api).
const (
	NoDiagnosis      Diagnosis = ""
	HungUp           Diagnosis = "hung-up"           // both were connected, someone hung up
	CallTooLong      Diagnosis = "call-too-long"     // we ended it at the longest call
	Transferred      Diagnosis = "transferred"       // the own phone passed the callee on
	HungUpByClient   Diagnosis = "hung-up-by-client" // ended in the extension before anyone was connected
	PhonePutDown     Diagnosis = "phone-put-down"    // own phone hung up before the callee answered
	PhoneOffline     Diagnosis = "phone-offline"     // own phone is not registered
	PhoneUnknown     Diagnosis = "phone-unknown"     // the PBX knows no such phone
	PhoneBusy        Diagnosis = "phone-busy"
	PhoneUnanswered  Diagnosis = "phone-unanswered"
	PhoneRejected    Diagnosis = "phone-rejected"  // own phone refused the call
	PhoneForwarded   Diagnosis = "phone-forwarded" // own phone answered 302; forwards are not followed
	NumberUnknown    Diagnosis = "number-unknown"
	NumberBusy       Diagnosis = "number-busy"
	NumberUnanswered Diagnosis = "number-unanswered"
	NumberFailed     Diagnosis = "number-failed" // any other failure behind the PBX
	Rejected         Diagnosis = "rejected"
	TrunkFull        Diagnosis = "trunk-full"
	PBXRefused       Diagnosis = "pbx-refused"     // the PBX would not take the request
	PBXUnreached     Diagnosis = "pbx-unreached"   // the line was down: nothing rang
	PBXRestarted     Diagnosis = "pbx-restarted"   // it stopped or restarted under the call
	LostTrack        Diagnosis = "lost-track"      // the line to it was down; how the call ended is not known
	RetentionEnded   Diagnosis = "retention-ended" // hung up just before its record's end
)

// Role is what a user may do.
type Role string

// The roles. Provider staff have RoleSupport and no tenant.
const (
	RoleUser    Role = "user"
	RoleAdmin   Role = "admin"
	RoleSupport Role = "support"

	RoleOperator Role = "operator" // the command line; no user has it
)
