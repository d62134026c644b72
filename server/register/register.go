// Package register knows which data about people the software holds, and why:
// the register of GDPR art. 30, the annex of art. 28, and the words for times that
// the public notice shares with them. What is in the database comes from the tags
// `privacy` in package models, so that a column without one is noticed; how long it
// stays comes from the configuration of the installation.
package register

import (
	"slices"
	"strings"
	"time"
)

// Settings is what the texts say of this installation.
type Settings struct {
	Contact   string // PRIVACY_CONTACT; "": not stated
	Locations string // DATA_LOCATIONS; "": not stated

	HistoryMaxAge     time.Duration
	PurgeInterval     time.Duration
	LogAnonymiseAfter time.Duration
	LogDeleteAfter    time.Duration
	AuditDeleteAfter  time.Duration
	ContractGrace     time.Duration

	Ledger bool // ERASURE_LEDGER is set
	Mail   bool // SMTP_URL is set
}

// Times that row-level security holds (migrations/0006_retention.sql); a test in
// package store compares them.
const (
	SignInKept   = 90 * 24 * time.Hour // after its end
	afterLeaving = 90 * 24 * time.Hour // the row of a user who left, without the person
	codeKept     = 24 * time.Hour      // an authorization code, after it has expired
	idleKept     = time.Hour           // a session at the console that is not used
)

// Register is the register of one installation, in English.
type Register struct {
	Controller string            `json:"controller"`
	Processor  string            `json:"processor"`
	Contact    string            `json:"contact"`
	Locations  string            `json:"locations"`
	Categories []Category        `json:"categories"`
	Activities []ActivityEntry   `json:"activities"`
	Transfers  string            `json:"transfers"`
	Security   []string          `json:"security"`
	Impersonal []string          `json:"columnsWithoutPersons"`
	Times      map[string]string `json:"times"`
}

// ActivityEntry is an activity with its data.
type ActivityEntry struct {
	Name       string       `json:"name"`
	Title      string       `json:"title"`
	Purpose    string       `json:"purpose"`
	Basis      string       `json:"basis"`
	Subjects   []string     `json:"subjects"`
	Recipients []string     `json:"recipients"`
	Transfers  string       `json:"transfers"`
	Data       []KindEntry  `json:"data"`
	Elsewhere  []PlaceEntry `json:"elsewhere"`
}

// KindEntry is a kind of data with its columns.
type KindEntry struct {
	Name       string   `json:"name"`
	What       string   `json:"what"`
	Category   string   `json:"category"`
	Subjects   []string `json:"subjects"`
	Recipients string   `json:"recipients"`
	Retention  string   `json:"retention"`
	Columns    []string `json:"columns"`
}

// PlaceEntry is a place outside the database.
type PlaceEntry struct {
	Where     string `json:"where"`
	What      string `json:"what"`
	Retention string `json:"retention"`
}

const (
	noTransfer = "none"
	transfers  = "None. The service talks to PostgreSQL, Redis, the PBX and the mail server that the operator has named, and answers the browsers of users; " +
		"the extension talks to this server only. Nothing goes to Google or to any other party; pages load nothing from elsewhere."
)

// security is what protects the data (GDPR art. 32) and can be seen in the code.
var security = []string{
	"Row-level security is forced on every table; each transaction takes a role and a company, and the login role by itself sees no row.",
	"Roles are granted by column: support's role cannot read a number or name, nor can the one that follows calls.",
	"Foreign keys hold the company too, so that no record points at another company's user, phone or sign-in.",
	"A record that has ended is hidden at its instant, left out of the index in Redis, and deleted by a role that can delete nothing else.",
	"Numbers and names mask themselves wherever they are formatted or logged; logs, metrics, addresses of pages and Redis hold ids only.",
	"Passwords are hashed with argon2id; a second factor can be required, and is for support; failed attempts are limited.",
	"Tokens, codes and links are kept as hashes; an access token lives minutes, a refresh token changes at every use, and a revocation holds from the next request on.",
	"PBX connections, secrets of second factors and saved searches are sealed (AES-256-GCM) under SECRET_KEY, which is not in the database.",
	"PUBLIC_URL must be https unless it is this machine. TLS towards browsers is the operator's proxy's; towards PostgreSQL, Redis, PBX and mail it is chosen in their URLs.",
	"Pages of the console run no script, load nothing from elsewhere, and are not stored by browsers (no-store) or translated by them.",
	"Every deletion leaves evidence without persons, chained by hash (`purge verify`).",
	"Encryption of disks and backups is the operator's.",
}

// Of puts the register of an installation together.
func Of(s Settings) Register {
	by := columnsByKind()
	r := Register{
		Controller: "The customer (each company that uses the service) decides why and for how long: it is the controller for its users and those they call.",
		Processor: "The operator of this installation processes on the customer's behalf, as its processor. For the accounts of its own support staff " +
			"it is the controller itself.",
		Contact: stated(s.Contact, notStated["en"]), Locations: stated(s.Locations, notStated["en"]),
		Categories: categories, Transfers: transfers, Security: security, Impersonal: by[Nothing],
		Times: map[string]string{
			"HISTORY_MAX_AGE": Span("en", s.HistoryMaxAge), "PURGE_INTERVAL": Span("en", s.PurgeInterval),
			"LOG_ANONYMISE_AFTER": Span("en", s.LogAnonymiseAfter), "LOG_DELETE_AFTER": Span("en", s.LogDeleteAfter),
			"AUDIT_DELETE_AFTER": Span("en", s.AuditDeleteAfter), "CONTRACT_GRACE": Span("en", s.ContractGrace),
		},
	}
	for _, a := range activities {
		r.Activities = append(r.Activities, entryOf(a, s, by))
	}
	return r
}

func entryOf(a Activity, s Settings, by map[string][]string) ActivityEntry {
	e := ActivityEntry{
		Name: a.Name, Title: a.Title, Purpose: a.Purpose, Basis: a.Basis, Transfers: noTransfer,
		Data: []KindEntry{}, Elsewhere: []PlaceEntry{},
	}
	for _, k := range kinds {
		if k.Activity != a.Name {
			continue
		}
		e.Data = append(e.Data, KindEntry{
			Name: k.Name, What: k.What, Category: k.Category, Subjects: k.Subjects, Recipients: k.Recipients,
			Retention: k.ends(s), Columns: by[k.Name],
		})
		e.Subjects, e.Recipients = once(e.Subjects, k.Subjects...), once(e.Recipients, k.Recipients)
	}
	for _, p := range places {
		if p.Activity == a.Name {
			e.Elsewhere = append(e.Elsewhere, PlaceEntry{Where: p.Where, What: p.What, Retention: p.ends(s)})
		}
	}
	return e
}

// once adds what the list does not hold yet.
func once(list []string, texts ...string) []string {
	for _, text := range texts {
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

var notStated = map[string]string{"en": "not stated", "nl": "niet opgegeven", "de": "nicht angegeben"}

// stated gives a setting on one line, or what is said when it is empty.
func stated(text, otherwise string) string {
	text = strings.Join(strings.Fields(text), " ")
	if text == "" {
		return otherwise
	}
	return text
}
