package retention

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	csv "clicktodial/server/sheet"
	"clicktodial/server/store"
)

// sheet is what an export is written on: objects, and lists of them.
type sheet interface {
	object(name string, r row) error
	begin(list string) error
	item(r row) error
	end() error
	close() error
	breakOff()
}

// row is an object of an export, its members in order.
type row []cell

type cell struct {
	name  string
	value any
}

// jsonSheet writes one object: objects become its members, lists arrays.
type jsonSheet struct {
	w     io.Writer
	begun bool // something stands before, so a comma comes next
	items bool // of the list
}

func (s *jsonSheet) member(name string) error {
	open := ",\n"
	if !s.begun {
		open, s.begun = "{\n", true
	}
	_, err := fmt.Fprintf(s.w, "%s%q: ", open, name)
	return err
}

func (s *jsonSheet) object(name string, r row) error {
	if err := s.member(name); err != nil {
		return err
	}
	return s.write(r)
}

func (s *jsonSheet) begin(list string) error {
	s.items = false
	if err := s.member(list); err != nil {
		return err
	}
	_, err := io.WriteString(s.w, "[")
	return err
}

func (s *jsonSheet) item(r row) error {
	before := "\n"
	if s.items {
		before = ",\n"
	}
	s.items = true
	if _, err := io.WriteString(s.w, before); err != nil {
		return err
	}
	return s.write(r)
}

func (s *jsonSheet) end() error {
	_, err := io.WriteString(s.w, "]")
	return err
}

func (s *jsonSheet) close() error {
	_, err := io.WriteString(s.w, "\n}\n")
	return err
}

// breakOff leaves the object open: no reader takes it for whole.
func (s *jsonSheet) breakOff() {}

func (s *jsonSheet) write(r row) error {
	var b strings.Builder
	b.WriteByte('{')
	for i, c := range r {
		value, err := json.Marshal(utc(c.value))
		if err != nil {
			return fmt.Errorf("exporting a %s: %w", c.name, err)
		}
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "%q:%s", c.name, value)
	}
	b.WriteByte('}')
	_, err := io.WriteString(s.w, b.String())
	return err
}

func utc(v any) any {
	switch t := v.(type) {
	case time.Time:
		return t.UTC()
	case *time.Time:
		if t == nil {
			return nil
		}
		return t.UTC()
	case store.Timeline:
		if t == nil {
			return store.Timeline{}
		}
	}
	return v
}

// csvSheet writes one table (RFC 4180): a line a call, with the columns of calls.
// All else has a line for each of its members, whose name and value stand in the
// two last columns; a step of a call's timeline has one under the call's id.
type csvSheet struct {
	w       *csv.Writer
	columns []string
	list    string
	n       int // of the list's items
	headed  bool
}

func newCSVSheet(w io.Writer, kind models.SubjectKind) *csvSheet {
	s := &csvSheet{w: csv.New(w), columns: []string{
		"section", "id", "createdAt", "direction", "number", "name", "status", "reason", "connectedAt", "endedAt", "durationSeconds",
	}}
	if kind == models.SubjectUser {
		s.columns = append(s.columns, "diagnosis", "device", "signIn", "private", "restricted", "recordingAsked", "callerAnsweredAt")
	}
	s.columns = append(s.columns, "expiresAt", "field", "value")
	return s
}

func (s *csvSheet) line(cells map[string]string) error {
	if !s.headed {
		s.headed = true
		if err := s.w.Row(s.columns...); err != nil {
			return err
		}
	}
	out := make([]string, len(s.columns))
	for name, text := range cells {
		if i := slices.Index(s.columns, name); i >= 0 {
			out[i] = text
		}
	}
	if err := s.w.Row(out...); err != nil {
		return err
	}
	return s.w.Flush()
}

func (s *csvSheet) object(name string, r row) error { return s.fields(name, "", r) }

func (s *csvSheet) fields(section, id string, r row) error {
	for _, c := range r {
		text := cellText(c.value)
		if text == "" || c.name == "id" {
			continue
		}
		if err := s.line(map[string]string{"section": section, "id": id, "field": c.name, "value": text}); err != nil {
			return err
		}
	}
	return nil
}

func (s *csvSheet) begin(list string) error {
	s.list, s.n = list, 0
	return nil
}

func (s *csvSheet) item(r row) error {
	s.n++
	id := fmt.Sprint(s.n)
	if len(r) > 0 && r[0].name == "id" {
		id = cellText(r[0].value)
	}
	if s.list != "calls" {
		return s.fields(s.list, id, r)
	}
	cells := map[string]string{"section": s.list, "id": id}
	var steps store.Timeline
	for _, c := range r {
		if t, ok := c.value.(store.Timeline); ok {
			steps = t
			continue
		}
		if c.name != "id" {
			cells[c.name] = cellText(c.value)
		}
	}
	if err := s.line(cells); err != nil {
		return err
	}
	for _, step := range steps {
		if err := s.line(map[string]string{"section": "timeline", "id": id, "field": string(step.Status), "value": cellText(step.At)}); err != nil {
			return err
		}
	}
	return nil
}

func (s *csvSheet) end() error { return nil }

func (s *csvSheet) close() error { return nil }

func (s *csvSheet) breakOff() {
	_ = s.line(map[string]string{"section": "end", "field": "complete", "value": "false: the export broke off"}) // nowhere else to tell it
}

// cellText is a value as a cell holds it; "" for none.
func cellText(v any) string {
	switch t := v.(type) {
	case nil:
		return ""
	case string:
		return t
	case *string:
		return orEmpty(t)
	case *models.Reason:
		return orEmpty(t)
	case *models.Diagnosis:
		return orEmpty(t)
	case time.Time:
		return t.UTC().Format(time.RFC3339Nano)
	case *time.Time:
		if t == nil {
			return ""
		}
		return t.UTC().Format(time.RFC3339Nano)
	case *uuid.UUID:
		if t == nil {
			return ""
		}
		return t.String()
	}
	return fmt.Sprint(v)
}

func orEmpty[T ~string](t *T) string {
	if t == nil {
		return ""
	}
	return string(*t)
}
