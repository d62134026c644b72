package sheet_test

import (
	"bytes"
	"encoding/csv"
	"errors"
	"strings"
	"testing"

	"clicktodial/server/sheet"
)

func TestCell(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"": "", "Jan": "Jan", "020 123": "020 123", "a=b": "a=b", "'": "'", "'=1": "'=1", "1-2": "1-2",
		"=1+1": "'=1+1", "+31201234567": "'+31201234567", "-1": "'-1", "@SUM(A1)": "'@SUM(A1)", "\t=1": "'\t=1", "\r=1": "'\r=1", "\n=1": "'\n=1",
		" =1": "' =1", "\u00a0+1": "'\u00a0+1", "\uff1dHYPERLINK": "'\uff1dHYPERLINK", "\uff0b1": "'\uff0b1", "\uff0d1": "'\uff0d1", "\uff201": "'\uff201",
		`=HYPERLINK("https://example.test","x")`: `'=HYPERLINK("https://example.test","x")`, "*100#": "*100#", " Jan": " Jan",
	} {
		if got := sheet.Cell(in); got != want {
			t.Errorf("%q becomes %q, not %q", in, got, want)
		}
	}
}

func TestRows(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	w := sheet.New(&out)
	rows := [][]string{{"id", "name"}, {"1", `Ünïcode, "quoted"`}, {"2", "two\nlines"}, {"", "=1,2"}}
	for _, row := range rows {
		if err := w.Row(row...); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	const want = "\ufeffid,name\r\n1,\"Ünïcode, \"\"quoted\"\"\"\r\n2,\"two\r\nlines\"\r\n,\"'=1,2\"\r\n"
	if out.String() != want {
		t.Errorf("%q, not %q", out.String(), want)
	}
}

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errors.New("gone") }

func TestNobodyReads(t *testing.T) {
	t.Parallel()
	if err := sheet.New(broken{}).Row("x"); err == nil {
		t.Error("a row went nowhere, and nothing is said")
	}
}

// Whatever comes in: one row of two cells, of which none begins a formula, and
// which read as what they were.
func FuzzRow(f *testing.F) {
	for _, seed := range []string{"=1", "a,b", "\"", "'x", "\r\n", "\ufeff=1", "  @x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var out bytes.Buffer
		w := sheet.New(&out)
		if w.Row(text, "end") != nil || w.Flush() != nil {
			t.Fatal("not written")
		}
		read, err := csv.NewReader(strings.NewReader(strings.TrimPrefix(out.String(), "\ufeff"))).ReadAll()
		if err != nil || len(read) != 1 || len(read[0]) != 2 {
			t.Fatalf("%q is read as %v, %v", out.String(), read, err)
		}
		lines := func(s string) string { return strings.ReplaceAll(s, "\r", "") }
		cell := read[0][0]
		if strings.ContainsAny(firstOf(cell), "=+-@\t\r\n") || lines(cell) != lines(text) && lines(cell) != "'"+lines(text) {
			t.Errorf("%q is read as %q", text, cell)
		}
	})
}

func firstOf(s string) string {
	if s == "" {
		return ""
	}
	return s[:1]
}
