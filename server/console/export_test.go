package console

import (
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/call"
	"clicktodial/server/register"
	"clicktodial/server/retention"
	"clicktodial/server/web"
)

// What tests may see.
var (
	SafeNext     = safeNext
	BrowserName  = browserName
	Texts        = texts
	ReasonText   = reasonText
	ReadReason   = func(form map[string]string) string { return readReason(form) }
	AuditActions = auditActions
	When         = func(lang string, t, now time.Time) string { return momentOf(lang, t, now).Text }
)

// Words are the tables whose values are keys of texts.
func Words() (keys []string) {
	for _, table := range []map[string]string{byWords, subjectWords, madeByWords, noticeWords, outcomeWords, recordingWords, filterWords} {
		for _, key := range table {
			keys = append(keys, key)
		}
	}
	for _, key := range actWords {
		keys = append(keys, key)
	}
	for _, key := range statusWords {
		keys = append(keys, key)
	}
	for _, key := range stepWords {
		keys = append(keys, key)
	}
	for _, key := range causeWords {
		keys = append(keys, key)
	}
	for _, r := range reasons {
		keys = append(keys, r.Key)
	}
	for _, p := range phrases {
		keys = append(keys, p.key)
	}
	for _, action := range auditActions {
		keys = append(keys, auditKey(action))
	}
	return keys
}

// Views names every page.
func Views() (names []string) {
	for name := range views {
		names = append(names, name)
	}
	return names
}

// Nasty is a name that would be markup if it were not escaped.
const Nasty = `<b onclick="x()">Ünïcode & "quotes"</b>`

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// Sample is a page with made-up data: one with all that it can show, and one, when
// bare, with as little as there can be. A failure stands in the form of that name.
func Sample(view, lang, form string, bare bool) (string, error) {
	p := &page{View: view, Lang: lang, Session: sampleSession(), Data: samples(bare)[view], now: now, path: "/console/" + view + "?lang=" + lang, carry: !bare}
	if form != "" {
		p.failure = &failure{form: form, field: "", sentence: "Wrong.", old: web.Form{}}
	}
	if !bare {
		p.Done = say(lang, "done-revoked")
	}
	body, err := p.html()
	return string(body), err
}

func sampleSession() auth.Session {
	return auth.Session{
		ID: uuid.New(), UserID: uuid.New(), TenantID: uuid.New(), Role: models.RoleAdmin, Email: "anna@example.test", Name: Nasty,
		TenantName: Nasty, Stage: models.StageFull, HasFactor: true,
	}
}

func samples(bare bool) map[string]any {
	if bare {
		return bareSamples()
	}
	by, why, masked := "support", "lost or stolen device: "+Nasty, "+31 20 123 4***"
	ago := now.Add(-90 * time.Minute)
	diagnosis := models.PhoneOffline
	alive := auth.SignIn{ID: uuid.New(), DeviceName: Nasty, SupportCode: "QWERTY", MadeBy: "operator", CreatedAt: ago, LastUsedOn: &ago, Alive: true}
	ended := auth.SignIn{ID: uuid.New(), DeviceName: Nasty, RevokedAt: &ago, RevokedBy: &by, RevokedReason: &why}
	list := signInList{Alive: []auth.SignIn{alive, alive}, Ended: []auth.SignIn{ended, {}}, Base: "/console", Mine: true}
	person := auth.Person{ID: uuid.New(), TenantName: Nasty, Email: "piet@example.test", Name: Nasty, Role: models.RoleUser, HasPassword: true, HasFactor: true}
	gone := auth.Person{ID: uuid.New(), Email: "gone@example.test", Role: models.RoleAdmin, DisabledAt: &ago}
	return map[string]any{
		"sign-in": signInData{Next: "/oauth/authorize?state=a&b=c", Connecting: true, Email: "anna@acme.example"}, "factor": factorData{Next: "/console/people"},
		"factor-new":   enrolData{Next: home, QR: "data:image/png;base64,AAAA", Secret: "ABCD EFGH"},
		"factor-codes": codesData{Codes: []string{"AAAAA-BBBBB", "CCCCC-DDDDD"}, Next: home}, "factor-state": nil,
		"sign-ins": mineData{
			SignIns: list, Browsers: []auth.Browser{{ID: uuid.New(), Name: Nasty, Since: ago, SeenAt: now, Current: true}, {ID: uuid.New(), Name: Nasty, Since: ago, SeenAt: ago}},
			Notices: []noticeRow{{Text: Nasty, At: ago}},
		},
		"code": codeData{Code: "ABCD2345", Until: now, For: "piet@example.test", Back: "/console/people"}, "password": nil,
		"link":   linkData{auth.LinkHolder{Kind: models.Invitation, Email: "piet@example.test", TenantName: Nasty, ExpiresAt: now}},
		"people": peopleData{People: []auth.Person{person, gone}, Next: uuid.NewString(), Rest: true, Required: true},
		"person": personData{Keep: true, Person: person, Path: personPath(person.ID), SignIns: list, Phones: []auth.Phone{
			{ID: uuid.New(), Label: Nasty, Endpoint: "101", CallerID: "+31201234567"}, {ID: uuid.New(), Label: "Fax", Endpoint: "102", Withheld: true},
		}},
		"person-link":    newLinkData{Person: person, Link: auth.Link{URL: "https://example.test/console/link?code=abc", ExpiresAt: now}, New: true},
		"company-revoke": nil, "support": supportData{Found: []auth.Person{person, gone}},
		"support-person": foundData{Person: person, SignIns: list, Calls: []models.MaskedCall{
			{NumberMasked: &masked, DeviceLabel: Nasty, Status: models.Disconnected, Diagnosis: &diagnosis, CreatedAt: ago, ConnectedAt: &ago, EndedAt: &now},
			{Private: true, Status: models.CallingCaller, CreatedAt: now},
		}, Refusals: []models.Refusal{{Code: "premium-number", SupportCode: "QWERTY", At: ago}}},
		"authorize": consentData{Action: "/oauth/authorize?state=a%22b&x=y", DeviceName: Nasty, Here: "/oauth/authorize?state=a"},
		"done":      doneData{Refused: true}, "error": errorData{Sentence: Nasty, RequestID: uuid.NewString(), SignIn: true},
		"again": "/console/sign-ins?done=revoked", "farewell": nil, "privacy": privacyData{register.Settings{Contact: Nasty, Locations: Nasty, HistoryMaxAge: 5 * time.Second}},
		"history": historyData{
			Asked:  asked{From: "2026-11-01", To: "2026-11-20", User: person.ID.String(), Outcome: call.Live, Number: "+31201234567", Name: Nasty, Search: uuid.NewString()},
			People: []auth.Person{person, gone}, Rest: true, Looked: true, Next: "AAAA", Rows: []historyRow{
				{ID: uuid.New(), At: ago, Number: "+31 20 123 4567", Name: Nasty, Who: Nasty, Outcome: "outcome-busy", Tone: "warn", Talked: "3 s"},
				{ID: uuid.New(), At: ago, Private: true, Outcome: "outcome-live"},
			},
		},
		"history-call": callData{
			historyRow: historyRow{At: ago, Number: "+31 20 123 4567", Name: Nasty, Who: Nasty, Private: true, Outcome: "outcome-failed", Tone: "bad", Talked: "3 s"},
			Diagnosis:  string(diagnosis), Phone: Nasty, SignIn: Nasty, Ends: "Ends on …", Steps: []callStep{{At: "12:00:00", Text: Nasty}, {At: "12:00:01", Since: "+ 1 s", Text: "x", Cause: "y"}},
		},
		"history-gone": nil,
		"stats":        call.Stats{Days: 7, From: now.AddDate(0, 0, -1), Today: now, Calls: 12, PerDay: map[string]int{"2026-11-22": 7}, Outcomes: map[string]int{"hangUp": 5, call.Live: 7}},
		"audit": auditData{
			Asked: auditAsked{From: "2026-11-01", To: "2026-11-20", User: person.ID.String(), Action: "export"}, Actor: person, People: []auth.Person{person}, Rest: true, Next: "AAAA",
			Rows: []auditRow{{At: ago, Text: Nasty, About: Nasty, Reason: Nasty, Network: "203.0.113.0/24"}, {At: now, Text: "x"}},
		},
		"retention": retentionData{
			Chosen:   retention.Chosen{UsersMayDelete: true, LeaverRecords: models.KeepLeaver, Recording: &retention.Recording{Reason: "quality", Text: Nasty}},
			State:    retention.Preview{Days: 365, Effective: 90 * models.Day, Ceiling: 90 * models.Day},
			Progress: &retention.Progress{Total: 12, Done: 5}, Proof: retention.Proof{Oldest: &ago, LastRun: &ago, N: 12, Head: make([]byte, 32), HeadAt: ago},
		},
		"privacy-requests": requestsData{
			Open:   []requestRow{{Receipt: retention.Receipt{ID: uuid.New(), Reference: "QWERTYUI", Act: models.ActErasure, Subject: models.SubjectUser, User: uuid.New(), ReceivedAt: ago, DueAt: now}, ActKey: "act-erasure", Late: true, Who: Nasty}, {Receipt: retention.Receipt{Subject: models.SubjectNumber}, ActKey: "act-objection", Days: 12}},
			Closed: []requestRow{{Receipt: retention.Receipt{Reference: "QWERTYUI", DoneAt: &now, Refused: true}, ActKey: "act-departure"}}, More: true, Next: "AAAA", Rest: true, People: []auth.Person{person},
		},
		"privacy-subject": subjectData{
			Path: requestsPath + "/subject/" + uuid.NewString(), Number: "+31 20 123 4567", Name: Nasty, Open: []requestRow{{Receipt: retention.Receipt{ID: uuid.New(), Reference: "QWERTYUI", Act: models.ActErasure, Subject: models.SubjectUser, User: uuid.New(), ReceivedAt: ago, DueAt: now}, ActKey: "act-erasure"}},
			Held: held{Found: retention.Found{Records: 3, Live: 1, Oldest: &ago, Newest: &now, Restricted: true, DoNotDial: true}},
		},
		"my-data": myData{
			Held:  held{retention.Found{Records: 3, Live: 1, Oldest: &ago, Newest: &now, Restricted: true, SignIns: 2, Phones: 1, Refusals: 4}, true},
			Rules: retention.Rules{RetentionDays: 30, Effective: 30 * models.Day, UsersMayDelete: true},
			Open:  []requestRow{{Receipt: retention.Receipt{Reference: "QWERTYUI", Act: models.ActErasure, Subject: models.SubjectUser, ReceivedAt: ago, DueAt: now}, ActKey: "act-erasure", Late: true}},
		},
		"privacy-receipt":   requestRow{Receipt: retention.Receipt{Reference: "QWERTYUI", DoneAt: &now}, ActKey: "act-access"},
		"retention-preview": previewData{90, retention.Preview{Days: 30, Effective: 30 * models.Day, Ceiling: models.Day, Shortening: retention.Shortening{EndsNow: 3, EndsEarlier: 5, Live: 1, More: true, LastEndBefore: &now, LastEndAfter: &now}}},
	}
}

func bareSamples() map[string]any {
	return map[string]any{
		"sign-in": signInData{Next: home}, "factor": factorData{Next: home}, "factor-new": enrolData{Next: home, QR: "data:image/png;base64,AAAA"}, "factor-codes": codesData{Next: home},
		"factor-state": nil, "sign-ins": mineData{}, "code": codeData{Back: home}, "password": nil, "link": linkData{}, "people": peopleData{},
		"person": personData{Self: true}, "person-link": newLinkData{}, "company-revoke": nil, "support": supportData{}, "support-person": foundData{},
		"authorize": consentData{Action: "/oauth/authorize"}, "done": doneData{}, "error": errorData{}, "again": home, "privacy": privacyData{}, "farewell": nil,
		"history": historyData{}, "history-call": callData{historyRow: historyRow{Outcome: "outcome-live"}}, "history-gone": nil, "audit": auditData{}, "stats": call.Stats{Withheld: true},
		"retention": retentionData{}, "retention-preview": previewData{}, "privacy-requests": requestsData{},
		"privacy-subject": subjectData{Path: "/x", Person: "x", Held: held{OfUser: true}}, "my-data": myData{}, "privacy-receipt": requestRow{ActKey: "act-access"},
	}
}
