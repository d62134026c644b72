// Package sheet writes CSV files (RFC 4180) for people, who open them in a
// spreadsheet: marked as UTF-8 (Excel takes a file without the mark for the
// local code page, and breaks umlauts), and with no cell that a spreadsheet
// would carry out as a formula.
package sheet

import (
	"encoding/csv"
	"io"
	"strings"
)

// Writer writes rows.
type Writer struct {
	out   io.Writer
	csv   *csv.Writer
	begun bool
}

// New makes a writer; nothing is written before the first row.
func New(out io.Writer) *Writer {
	w := csv.NewWriter(out)
	w.UseCRLF = true // RFC 4180 2.1
	return &Writer{out: out, csv: w}
}

// Row writes one. What is written may wait for Flush.
func (w *Writer) Row(cells ...string) error {
	if !w.begun {
		if _, err := io.WriteString(w.out, "\ufeff"); err != nil {
			return err
		}
		w.begun = true
	}
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = Cell(cell)
	}
	return w.csv.Write(safe)
}

// Flush writes what waits.
func (w *Writer) Flush() error {
	w.csv.Flush()
	return w.csv.Error()
}

// Cell is a text as a spreadsheet shows it: one that would begin a formula has an
// apostrophe before it (OWASP, CSV Injection), numbers with + too. Full-width
// signs count as the others in some locales, and spaces before them for nothing.
// A lone carriage return within a text is left out when it is written.
func Cell(text string) string {
	if strings.IndexAny(strings.TrimLeft(text, " \u00a0\u3000"), "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20") != 0 {
		return text
	}
	return "'" + text
}
