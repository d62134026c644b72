package register

import (
	"fmt"

	"clicktodial/server/auth"
)

// Kind is a kind of data about people, by the name that the tag `privacy` of a
// field in package models gives it.
type Kind struct {
	Name       string
	What       string
	Category   string // the name of a Category
	Activity   string // the name of an Activity
	Subjects   []string
	Recipients string
	ends       func(Settings) string
}

var (
	users  = []string{"users"}          // of the customer: they call
	called = []string{"called parties"} // they are called
	both   = []string{"users", "called parties"}
	staff  = []string{"users", "support staff"} // the provider's
)

const (
	nobody  = "nobody: it is used and never shown"
	onlySum = "nobody: only a hash is kept"
)

// kinds are all there are. A test fails on one that no column has.
var kinds = []Kind{
	{
		"number", "the number that was called; also without its last three digits, and its last four", "phone-number", "history", called,
		"whole: the user who called, the admins of their company, and the PBX that dials it; without its last three digits: the provider's support and the command line " +
			"(whole with --reveal and a reason, which is audited)", endOfCall,
	},
	{
		"called-name", "the name that stood beside the number, or that the user gave it, and its words, by which it is found", "name", "history", called,
		"the user who called and the admins of their company", withCall,
	},
	{
		"call", "that a call was made: by which user, from which phone and sign-in, when, how it went, how it ended", "call-data", "history", both,
		"the user who called, the admins of their company, the provider's support", endOfCall,
	},
	{
		"signalling", "the steps of a call as the PBX tells them, and what ties it to the PBX's own channel", "signalling", "calling", both,
		"the steps: the user who called and the admins of their company; the rest: nobody", withCall,
	},
	{
		"phone", "the phones of a user: label, the PBX's name for it, the number that the called party sees; the numbers that a company may show", "phone-number", "calling", users,
		"the user, the admins of their company; the called party sees the number, unless it is withheld; the PBX",
		func(s Settings) string { return "until an admin removes it, the user leaves, or " + contractEnd(s) },
	},
	{
		"repeat", "a random key of a click and a hash of the request under a key of the day, so that no click rings twice", "call-data", "calling", users, nobody,
		func(Settings) string {
			return "24 hours, also when the call's record ends before; the key of the day is destroyed within 48 hours; an erasure takes the hash at once"
		},
	},
	{
		"search", "what an admin has searched the history for, sealed, so that an address holds none of it", "phone-number", "history", both, "the admin who searched",
		func(Settings) string {
			return "an hour, then deleted at the next purge"
		},
	},
	{
		"account", "that somebody is a user: of which company, in which role, since when, until when", "account", "signing-in", staff,
		"the person, the admins of their company, the provider's support",
		func(s Settings) string {
			return fmt.Sprintf("until the person leaves: then the row holds no person any more and goes %s later; at the latest %s", Span("en", afterLeaving), contractEnd(s))
		},
	},
	{
		"email", "the e-mail address by which a person signs in", "email", "signing-in", staff,
		"the person, the admins of their company, the provider's support; the mail server that the operator has named, for invitations", endOfUser,
	},
	{"person-name", "a user's name", "name", "signing-in", staff, "the person and the admins of their company", endOfUser},
	{
		"credential", "the hash of a password (argon2id), the sealed secret of a second factor, hashes of recovery codes, and who set them when", "account", "signing-in", staff,
		"nobody sees a hash or secret; the person, their admins and support see that there is one, and since when",
		func(s Settings) string {
			return "until it is replaced or reset, the person leaves, or " + contractEnd(s)
		},
	},
	{
		"sign-in", "a browser that may act for a user: its name, six letters to read out, since when, the day of its last use, who ended it and why", "account", "signing-in", staff,
		"the person, the admins of their company, the provider's support",
		func(s Settings) string {
			return fmt.Sprintf("%s after its end, which comes %s after the sign-in at the latest", Span("en", SignInKept), Span("en", auth.SignInLife))
		},
	},
	{
		"token", "hashes of tokens, pairing codes, links and one-time codes", "account", "signing-in", staff, onlySum,
		func(Settings) string {
			return fmt.Sprintf("until they expire, and at most %s more: access tokens %s, refresh tokens %s, pairing codes %s, invitations %s, links to a new password %s, "+
				"links to an export after the contract 14 days", Span("en", codeKept), Span("en", auth.AccessLife), Span("en", auth.RefreshLife), Span("en", auth.PairingLife),
				Span("en", auth.InvitationLife), Span("en", auth.ResetLife))
		},
	},
	{
		"session", "a browser at the console: its kind (\"Chrome, Linux\"), since when, last seen to the minute; the hash of its cookie", "account", "signing-in", staff,
		"the person; the admins of their company and the provider's support may end it",
		func(Settings) string {
			return fmt.Sprintf("%s, or %s after it was last used; an admin's session to export the data of an ended contract, 14 days",
				Span("en", auth.SessionLife), Span("en", idleKept))
		},
	},
	{
		"refusal", "that a click of a user was refused: when and why, with six letters to read out; no number", "call-data", "support", users, "the provider's support; the person, on request",
		func(s Settings) string { return Span("en", s.LogAnonymiseAfter) },
	},
	{
		"audit", "acts upon people and their data: who, what, to whom, when, the reason given; no number, no name", "account", "accountability", staff,
		"the admins of the company concerned, the operator; the person, where it was their own sign-in",
		func(s Settings) string {
			return fmt.Sprintf("%s; at the latest %s", Span("en", s.AuditDeleteAfter), contractEnd(s))
		},
	},
	{
		"network", "the network, never the address, that such an act came from (/24 or /48)", "ip-address", "accountability", staff, "the admins of the company concerned, but for where support acted from; the operator",
		func(s Settings) string { return Span("en", s.LogAnonymiseAfter) },
	},
	{
		"request", "what a person has asked for under the GDPR, and the receipt", "account", "rights", both, "the person, the admins of the company",
		func(Settings) string {
			return "who asked, until the request is done; the receipt holds no person and stays"
		},
	},
	{
		"objection", "keyed hashes of numbers that nobody of the company may call", "phone-number", "rights", called, onlySum,
		func(s Settings) string {
			return "until the objection is lifted, or " + contractEnd(s) + "; it outlives the erasure of all else"
		},
	},
	{
		"restriction", "keyed hashes of users and numbers whose records are kept and shown to nobody", "phone-number", "rights", both, onlySum,
		func(s Settings) string { return "until the restriction is lifted, or " + contractEnd(s) },
	},
	{
		"ledger", "erasures and revocations on their way to the ledger: keyed hashes", "account", "rights", both, onlySum,
		func(Settings) string { return "until the ledger outside the database holds them" },
	},
	{
		"company", "the customer's name (of a sole trader, a person's) and why it has calls recorded, in its own words", "name", "administration", []string{"sole traders, and whoever is named there"},
		"its users, its admins, the provider's support, the operator", func(s Settings) string { return contractEnd(s) },
	},
}

func endOfCall(s Settings) string {
	return fmt.Sprintf("what the company's admin has chosen (0 to 365 days), and never more than %s after the click; with 0 days until the call has ended; "+
		"of a private call number and name go at its end; when the user leaves, records are erased, or kept without the user's name, as the company has chosen; from that instant hidden from everybody, deleted within %s", Span("en", s.HistoryMaxAge), Span("en", s.PurgeInterval))
}

func withCall(Settings) string { return "as long as the record of the call, see `call`" }

func endOfUser(s Settings) string {
	return "until the person leaves, or " + contractEnd(s)
}

func contractEnd(s Settings) string {
	return Span("en", s.ContractGrace) + " after the end of the contract"
}
