package retention

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/uuid"
)

// The ledger outside the database: a file of JSON lines that is only ever added
// to, shared by all replicas, kept where a restored dump does not reach. It holds
// keyed hashes and times, and no person. A line may be there twice.

// LedgerLine is a line of the ledger.
type LedgerLine struct {
	N            int64      `json:"n"`
	Installation uuid.UUID  `json:"installation"`
	At           time.Time  `json:"at"`
	Kind         string     `json:"kind"`
	Tenant       uuid.UUID  `json:"tenant"` // Nil: of none, or not said
	Hash         string     `json:"hash"`   // hexadecimal; "" for a revocation
	Before       *time.Time `json:"before"` // records made before; nil: all
}

const (
	longestLine = 4 << 10  // bytes; the database has them shorter
	tailBytes   = 64 << 10 // looked at each second for lines of a database that was ahead
)

// readLedger calls each with every line of the file. What is no line, such as one
// that a crash has torn, is passed over and counted. No file is an empty ledger.
func readLedger(path string, each func(LedgerLine)) (torn int, err error) {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fileError("opening the ledger", err)
	}
	defer f.Close() //nolint:errcheck // only read
	return readLines(f, each)
}

// readFrom brings what was seen of the file up to date.
func readFrom(path string, file *seen) error {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if errors.Is(err, fs.ErrNotExist) {
		*file = seen{whole: true}
		return nil
	}
	if err != nil {
		return fileError("opening the ledger", err)
	}
	defer f.Close() //nolint:errcheck // only read
	about, err := f.Stat()
	if err != nil {
		return fileError("looking at the ledger", err)
	}
	if file.whole && about.Size() == file.size {
		return nil
	}
	if file.whole {
		_, err = f.Seek(max(0, about.Size()-tailBytes), io.SeekStart)
	}
	if err != nil {
		return fileError("reading the ledger", err)
	}
	_, err = readLines(f, func(line LedgerLine) {
		file.add(line)
	})
	file.whole, file.size = true, about.Size()
	return err
}

// add takes note of a line.
func (s *seen) add(line LedgerLine) {
	switch {
	case s.newest == 0:
		s.owner = line.Installation
	case s.owner != line.Installation:
		s.other = line.Installation
	}
	s.newest = max(s.newest, line.N)
}

// of says whether all lines are of the installation.
func (s *seen) of(installation uuid.UUID) bool {
	return s.newest == 0 || s.owner == installation && (s.other == uuid.Nil || s.other == installation)
}

func readLines(r io.Reader, each func(LedgerLine)) (torn int, err error) {
	lines := bufio.NewReaderSize(r, longestLine)
	for {
		text, err := lines.ReadSlice('\n')
		var line LedgerLine
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			torn++
			if err := skipLine(lines); err != nil {
				return torn, err
			}
			continue
		case len(bytes.TrimSpace(text)) == 0:
		case json.Unmarshal(text, &line) != nil || line.N <= 0 || line.Kind == "":
			torn++
		default:
			each(line)
		}
		if errors.Is(err, io.EOF) {
			return torn, nil
		}
		if err != nil {
			return torn, fileError("reading the ledger", err)
		}
	}
}

// skipLine passes over the rest of a line that is none of ours.
func skipLine(lines *bufio.Reader) error {
	for {
		_, err := lines.ReadSlice('\n')
		switch {
		case err == nil, errors.Is(err, io.EOF):
			return nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return fileError("reading the ledger", err)
		}
	}
}

// appendLines adds whole lines in one write and waits until the disk has them. A
// line that was torn before is closed first.
func appendLines(path string, lines []string) error {
	_, missing := os.Stat(path)
	f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600) //nolint:gosec // the operator names it
	if err != nil {
		return fileError("opening the ledger", err)
	}
	defer f.Close() //nolint:errcheck // synced, or failed already
	about, err := f.Stat()
	if err != nil {
		return fileError("looking at the ledger", err)
	}
	text := strings.Join(lines, "\n") + "\n"
	if size := about.Size(); size > 0 {
		last := make([]byte, 1)
		if _, err := f.ReadAt(last, size-1); err != nil {
			return fileError("reading the ledger", err)
		}
		if last[0] != '\n' {
			text = "\n" + text
		}
	}
	if _, err := f.WriteString(text); err != nil {
		return fileError("writing the ledger", err)
	}
	if err := f.Sync(); err != nil {
		return fileError("writing the ledger", err)
	}
	if missing != nil {
		return syncFolder(filepath.Dir(path))
	}
	return nil
}

// syncFolder makes a new file's name last.
func syncFolder(path string) error {
	folder, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return fileError("opening the ledger's folder", err)
	}
	defer folder.Close() //nolint:errcheck // only synced
	if err := folder.Sync(); err != nil {
		return fileError("writing the ledger's folder", err)
	}
	return nil
}

// fileError leaves the path out: a log holds none.
func fileError(doing string, err error) error {
	var about *fs.PathError
	if errors.As(err, &about) {
		err = about.Err
	}
	return fmt.Errorf("%s: %w", doing, err)
}
