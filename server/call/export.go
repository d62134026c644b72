package call

import (
	"context"
	"encoding/json"
	"io"
	"strconv"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/sheet"
)

// Format is how an export is written.
type Format string

// The formats.
const (
	CSV  Format = "csv"
	JSON Format = "json"
)

// exportPage is how many calls an export holds in memory.
const exportPage = 500

// Export is the company's history, or what a search finds in it, to be written out
// page by page: what ends meanwhile is not in it.
type Export struct {
	company *Company
	by      models.Actor
	search  CompanySearch
	format  Format
	begun   Listing
	end     func() // gives the slot back
}

// Export begins one: it is audited, with its first page. Whoever gets one writes it,
// or ends it: until then it is one of the two that a person may have under way.
// Errors: forbidden, exports-running.
func (c *Company) Export(ctx context.Context, by models.Actor, search CompanySearch, format Format) (*Export, error) {
	if !by.IsAdmin() {
		return nil, errForbidden
	}
	end, err := c.exports.Begin(by.UserID)
	if err != nil {
		return nil, err
	}
	first, err := c.DB.CompanyHistory(ctx, by.TenantID, Page{Limit: exportPage}, search, exportEntry(by, search, format))
	if err != nil {
		end()
		return nil, err
	}
	return &Export{company: c, by: by, search: search, format: format, begun: first, end: end}, nil
}

// End gives up an export that was perhaps not written.
func (e *Export) End() { e.end() }

// ContentType is the media type of what Write writes.
func (e *Export) ContentType() string {
	if e.format == JSON {
		return "application/json"
	}
	return "text/csv; charset=utf-8"
}

// FileName tells of nobody.
func (e *Export) FileName() string { return "history." + string(e.format) }

// Write writes it out. An error in the middle shows: the JSON is not closed, the
// CSV's last line says that there is more, and whoever sends it breaks off.
func (e *Export) Write(ctx context.Context, out io.Writer) error {
	defer e.end()
	var w exportWriter = &csvExport{sheet: sheet.New(out)}
	if e.format == JSON {
		w = &jsonExport{out: out, at: e.company.Now().UTC()}
	}
	err := e.pages(ctx, w)
	return w.end(err)
}

func (e *Export) pages(ctx context.Context, w exportWriter) error {
	if err := w.begin(); err != nil {
		return err
	}
	for l := e.begun; ; {
		for _, call := range e.company.living(ctx, l.Calls) {
			if !call.ExpiresAt.After(e.company.Now()) { // the reader was slow
				continue
			}
			if err := w.call(exportedOf(call)); err != nil {
				return err
			}
		}
		if !l.More {
			return nil
		}
		var err error
		if l, err = e.company.DB.CompanyHistory(ctx, e.by.TenantID, withLimit(l.Next, exportPage), e.search, models.Audit{}); err != nil {
			return err
		}
	}
}

func withLimit(page Page, limit int) Page {
	page.Limit = limit
	return page
}

type exportWriter interface {
	begin() error
	call(c exported) error
	end(err error) error // gives err, or what went wrong in ending
}

// exported is a call in an export. Its members are the columns.
type exported struct {
	ID        uuid.UUID  `json:"id"`
	Time      time.Time  `json:"time"`
	User      *string    `json:"user"` // e-mail; null: somebody who has left
	Device    string     `json:"device"`
	Number    *string    `json:"number"` // null in a private call that has ended
	Name      *string    `json:"name"`
	Status    string     `json:"status"`
	Reason    *string    `json:"reason"`
	Diagnosis *string    `json:"diagnosis"`
	Answered  *time.Time `json:"answered"` // the own phone
	Connected *time.Time `json:"connected"`
	Ended     *time.Time `json:"ended"`
	Seconds   *int       `json:"seconds"` // connected to ended
	Expires   time.Time  `json:"expires"`
	Private   bool       `json:"private"`
}

var columns = []string{
	"id", "time", "user", "device", "number", "name", "status", "reason", "diagnosis", "answered", "connected", "ended", "seconds", "expires", "private",
}

// exportedOf is where a row becomes what an admin takes away: the number whole.
func exportedOf(call CompanyCall) exported {
	out := exported{
		ID: call.ID, Time: call.CreatedAt.UTC(), Device: call.DeviceLabel, Number: some(call.Number.Reveal()), Name: some(call.Name.Reveal()),
		Status: string(call.Status), Reason: (*string)(call.Reason), Diagnosis: (*string)(call.Diagnosis), Answered: inUTC(call.CallerAnsweredAt),
		Connected: inUTC(call.ConnectedAt), Ended: inUTC(call.EndedAt), Expires: call.ExpiresAt.UTC(), Private: call.Private,
	}
	if call.UserLeft == nil {
		out.User = some(call.UserEmail)
	}
	if call.ConnectedAt != nil && call.EndedAt != nil {
		seconds := int(call.EndedAt.Sub(*call.ConnectedAt).Seconds())
		out.Seconds = &seconds
	}
	return out
}

func (c exported) cells() []string {
	seconds := ""
	if c.Seconds != nil {
		seconds = strconv.Itoa(*c.Seconds)
	}
	return []string{
		c.ID.String(), stamp(&c.Time), text(c.User), c.Device, text(c.Number), text(c.Name), c.Status, text(c.Reason), text(c.Diagnosis),
		stamp(c.Answered), stamp(c.Connected), stamp(c.Ended), seconds, stamp(&c.Expires), strconv.FormatBool(c.Private),
	}
}

func some(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}

func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func inUTC(t *time.Time) *time.Time {
	if t == nil {
		return nil
	}
	u := t.UTC()
	return &u
}

func stamp(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

type csvExport struct{ sheet *sheet.Writer }

func (w *csvExport) begin() error          { return w.sheet.Row(columns...) }
func (w *csvExport) call(c exported) error { return w.sheet.Row(c.cells()...) }

func (w *csvExport) end(err error) error {
	if err != nil {
		_ = w.sheet.Row("THIS EXPORT WAS BROKEN OFF AND IS NOT COMPLETE") // err says more
	}
	if flushed := w.sheet.Flush(); err == nil {
		return flushed
	}
	return err
}

type jsonExport struct {
	out   io.Writer
	at    time.Time
	count int
}

func (w *jsonExport) begin() error {
	_, err := io.WriteString(w.out, `{"exportedAt":"`+stamp(&w.at)+`","calls":[`)
	return err
}

func (w *jsonExport) call(c exported) error {
	line, err := json.Marshal(c)
	if err != nil {
		return err
	}
	before := ",\n"
	if w.count == 0 {
		before = "\n"
	}
	w.count++
	_, err = io.WriteString(w.out, before+string(line))
	return err
}

func (w *jsonExport) end(err error) error {
	if err != nil {
		return err
	}
	_, err = io.WriteString(w.out, "\n],\"count\":"+strconv.Itoa(w.count)+"}\n")
	return err
}
