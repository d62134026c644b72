package register

import "fmt"

// Activity is something that is done with data about people (GDPR art. 30).
type Activity struct {
	Name    string
	Title   string
	Purpose string
	Basis   string // of the controller
}

const byInterest = "art. 6(1)(f), the customer's legitimate interest in "

var activities = []Activity{
	{
		"calling", "Placing calls that a user has clicked", "ring the user's own phone, have the PBX call the number, follow the call, ring nothing twice",
		byInterest + "telephoning at work; towards a called party with whom there is a contract, also art. 6(1)(b)",
	},
	{
		"history", "Dial history", "show users the calls that they made, so that they can call again; show the company's admins what was called, and when",
		byInterest + "an overview of its calls, for the time that its admin has chosen",
	},
	{
		"signing-in", "Users and their sign-ins", "let in who may call, and nobody else; end a sign-in at once",
		"art. 6(1)(b) or (f): the user's work for the customer; art. 6(1)(c) with art. 32: security of processing",
	},
	{
		"support", "Support", "answer \"I clicked, and nothing happened\"",
		byInterest + "help with its own service",
	},
	{
		"accountability", "Audit", "show afterwards who looked at, exported, erased or revoked what",
		"art. 6(1)(c) with art. 5(2) and 32: accountability and security",
	},
	{
		"rights", "Rights of people", "access, correction, erasure, restriction and objection, with a receipt and a clock of one month",
		"art. 6(1)(c) with art. 12 and 15 to 21",
	},
	{
		"administration", "The customer", "know whose data it is, and for what calls may be recorded",
		"art. 6(1)(b) or (f): the contract with the customer",
	},
}

// Category is a category of the privacy statement that the software answers to.
type Category struct {
	Name      string `json:"name"`
	Title     string `json:"title"`
	Processed bool   `json:"processed"`
	Why       string `json:"why"`
}

var categories = []Category{
	{"phone-number", "Telephone number", true, "numbers that are called, and the users' own"},
	{"email", "E-mail address", true, "of users and support staff: they sign in with it"},
	{"ip-address", "IP address", true, "in passing only: it counts failed sign-ins, as a hash under a key of the day, for an hour at most; of acts upon people the network (/24 or /48) is kept, never an address"},
	{"name", "Name", true, "of users; of called parties where one stood beside the number, or the user gave one"},
	{"call-data", "Call data", true, "who called which number when, how long, and how it ended"},
	{"signalling", "Signalling", true, "the PBX's steps of each call"},
	{"account", "Accounts and sign-ins", true, "besides those of the statement: roles, passwords as hashes, sign-ins, who did what"},
	{"photo", "Photos", false, "no picture is taken, asked for or stored"},
	{"voicemail", "Voicemail", false, "no message is taken or fetched; voicemail is the PBX's"},
	{"fax", "Fax", false, "no document is sent or received"},
	{"recording", "Recordings", false, "off; a flag may ask the PBX to record, after the company has declared why; the recording is made and kept by the PBX"},
}

// Place is where data about people is besides the columns of the database.
type Place struct {
	Where    string
	What     string
	Activity string
	ends     func(Settings) string
}

// places are the ones that the software itself writes to.
var places = []Place{
	{"Redis, hist:{user}:<day> and due:<day>", "ids of calls and when their records end", "history", func(Settings) string {
		return "each entry counts until the record's end, by its score; the key is gone at the end of that day (UTC), by its TTL"
	}},
	{"Redis, ev:{user}", "the newest steps of a user's calls: ids, status, times; poke:{user} says only that there is one", "calling", func(Settings) string { return "10 minutes" }},
	{"Redis, tok:<hash> and the channel revoked", "hash of an access token, ids of its user and company; that it was revoked", "signing-in", func(Settings) string {
		return "until the token expires"
	}},
	{"Redis, rate:<name>", "counters of failed sign-ins, by hashes of e-mail and address under a key of the day", "signing-in", func(Settings) string { return "an hour at most" }},
	{"the service's log", "ids of users, calls and requests; no number, name, e-mail, address or token", "support", func(s Settings) string {
		return fmt.Sprintf("files under LOG_DIR: anonymous after %s, gone after %s; what goes to standard output is kept by whoever collects it",
			Span("en", s.LogAnonymiseAfter), Span("en", s.LogDeleteAfter))
	}},
	{"the erasure ledger (ERASURE_LEDGER), a file of the operator's", "keyed hashes of whom an erasure was about, and a count", "rights", func(s Settings) string {
		if !s.Ledger {
			return "not set: a restored backup would bring erased records back"
		}
		return "for as long as there is a backup that it must be held against; the operator's to end"
	}},
	{"mails, through the server of SMTP_URL", "e-mail address and name of a user, the company's name, a link that works once", "signing-in", func(s Settings) string {
		if !s.Mail {
			return "not set: nothing is mailed"
		}
		return "not kept here; mail servers and mailboxes keep their own copies"
	}},
	{"the browser of a user, on disk (storage.local)", "the extension's settings (server, sites), the refresh token, by whom and when the last sign-in was ended; no number, no name", "signing-in", func(Settings) string {
		return "until the user signs out or removes the extension"
	}},
	{"the browser of a user, in memory (storage.session)", "access token, a sign-in under way, calls under way with number and name", "calling", func(Settings) string {
		return "until the call's record ends, or the browser is closed"
	}},
	{"cookies of the console", "a random key of the session; while a password is set by a link, the link's code", "signing-in", func(Settings) string {
		return "until the browser is closed; the link's: an hour at most"
	}},
}
