// Package logfile keeps diagnostic logs for as long as is promised: files of JSON
// lines, one a day, that lose every id after a time and are deleted after another.
//
// Which attributes stay is a list of those that say nothing of anybody; one that
// is not on it, so any new one, goes.
package logfile

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// Dir is a folder of daily log files (UTC), clicktodial-YYYY-MM-DD.log, and
// clicktodial-YYYY-MM-DD.anonymous.log once they name nobody. Replicas may share
// one. It is an io.Writer of whole lines.
type Dir struct {
	path                   string
	anonymise, deleteAfter time.Duration // after the end of a file's day
	now                    func() time.Time

	mu   sync.Mutex
	day  string
	file *os.File
	lost error // the newest line that could not be written
}

const (
	tendEvery = time.Hour
	dayForm   = time.DateOnly
	removed   = "-"
)

var (
	nameForm = regexp.MustCompile(`^clicktodial-(\d{4}-\d{2}-\d{2})(\.anonymous)?\.log$`)
	tempForm = regexp.MustCompile(`^\.clicktodial-\d+\.tmp$`)
	idForm   = regexp.MustCompile(`(?i)[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}`)
)

// mayStay are the attributes that say what happened, not to whom.
var mayStay = map[string]bool{
	slog.TimeKey: true, slog.LevelKey: true, slog.MessageKey: true,
	"bytes": true, "bytes_before": true, "calls": true, "cause": true, "code": true, "counted": true, "error": true,
	"keys": true, "kind": true, "method": true, "panic": true, "policy": true, "route": true, "sign_ins": true,
	"stack": true, "status": true, "took_ms": true, "torn": true, "unknown": true,
}

// Open makes the folder if there is none, and today's file.
func Open(path string, anonymise, deleteAfter time.Duration, now func() time.Time) (*Dir, error) {
	d := &Dir{path: path, anonymise: anonymise, deleteAfter: deleteAfter, now: now}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, plain("making the folder", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d, d.turn()
}

// Write adds a line to the file of the day.
func (d *Dir) Write(line []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.turn()
	n := 0
	if err == nil {
		n, err = d.file.Write(line)
	}
	if err != nil {
		d.lost = plain("writing a log file", err)
	}
	return n, err
}

// turn opens the file of the day.
func (d *Dir) turn() error {
	day := d.now().UTC().Format(dayForm)
	if day == d.day {
		return nil
	}
	f, err := os.OpenFile(filepath.Join(d.path, "clicktodial-"+day+".log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the operator names the folder
	if err != nil {
		return plain("opening a log file", err)
	}
	if d.file != nil {
		_ = d.file.Close() // a log is not synced either
	}
	d.day, d.file = day, f
	return nil
}

// Close closes the file of the day.
func (d *Dir) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.file == nil {
		return nil
	}
	err := d.file.Close()
	d.day, d.file = "", nil
	return err
}

// Run keeps the times, at once and every hour, until ctx ends.
func (d *Dir) Run(ctx context.Context, log *slog.Logger) error {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		if err := d.Tend(); err != nil {
			log.Error("log files were not made anonymous or deleted in time", "error", err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Tend makes anonymous, and deletes, the files whose time has come.
func (d *Dir) Tend() error {
	entries, err := os.ReadDir(d.path)
	if err != nil {
		return plain("reading the folder", err)
	}
	d.mu.Lock()
	all := []error{d.lost}
	d.lost = nil
	d.mu.Unlock()
	for _, entry := range entries {
		all = append(all, d.tend(entry))
	}
	return errors.Join(all...)
}

func (d *Dir) tend(entry fs.DirEntry) error {
	path, now := filepath.Join(d.path, entry.Name()), d.now().UTC()
	if tempForm.MatchString(entry.Name()) { // left by a crash
		about, err := entry.Info()
		if err != nil || now.Sub(about.ModTime()) < tendEvery {
			return nil //nolint:nilerr // it went meanwhile
		}
		return remove(path)
	}
	name := nameForm.FindStringSubmatch(entry.Name())
	if name == nil {
		return nil
	}
	day, err := time.Parse(dayForm, name[1])
	if err != nil {
		return nil //nolint:nilerr // none of ours
	}
	age := now.Sub(day.AddDate(0, 0, 1))
	switch {
	case age > d.deleteAfter:
		return remove(path)
	case age > d.anonymise && name[2] == "" && now.Format(dayForm) != name[1]:
		return d.rewrite(path, strings.TrimSuffix(path, ".log")+".anonymous.log")
	}
	return nil
}

// rewrite takes the ids out of a file. What a crash interrupts is done again: the
// old file goes last.
func (d *Dir) rewrite(from, to string) error {
	in, err := os.Open(from) //nolint:gosec // of our own folder
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another replica was faster
	}
	if err != nil {
		return plain("opening a log file", err)
	}
	defer in.Close() //nolint:errcheck // only read
	out, err := os.CreateTemp(d.path, ".clicktodial-*.tmp")
	if err != nil {
		return plain("making a log file", err)
	}
	defer out.Close() //nolint:errcheck // closed below, or of no use
	if err := errors.Join(anonymise(in, out), out.Sync(), out.Close()); err != nil {
		return errors.Join(plain("rewriting a log file", err), remove(out.Name()))
	}
	if err := os.Rename(out.Name(), to); err != nil {
		return plain("renaming a log file", err)
	}
	return remove(from)
}

func remove(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return plain("deleting a log file", err)
	}
	return nil
}

// plain leaves the path out of an error.
func plain(doing string, err error) error {
	var about *fs.PathError
	if errors.As(err, &about) {
		err = about.Err
	}
	return fmt.Errorf("%s: %w", doing, err)
}

const longestLine = 1 << 20 // bytes: a stack trace is in one

// anonymise copies lines without what could name somebody. What is no object, or
// longer than any line of ours, is left out.
func anonymise(in io.Reader, out io.Writer) error {
	lines, w := bufio.NewReaderSize(in, longestLine), bufio.NewWriter(out)
	for skip := false; ; {
		line, err := lines.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		cut := errors.Is(err, bufio.ErrBufferFull)
		if clean := anonymous(line); clean != nil && !skip && !cut {
			if _, err := w.Write(append(clean, '\n')); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return w.Flush()
		}
		skip = cut
	}
}

// anonymous is one line without ids, in the order in which slog wrote it; nil when
// it is not one of ours.
func anonymous(line []byte) []byte {
	line = bytes.TrimSpace(line)
	if !json.Valid(line) || line[0] != '{' {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(line))
	_, _ = decoder.Token() // {
	var members [][]byte
	for decoder.More() {
		token, err := decoder.Token()
		name, isName := token.(string)
		var value json.RawMessage
		if err != nil || !isName || decoder.Decode(&value) != nil {
			return nil
		}
		if !mayStay[name] || value[0] == '{' || value[0] == '[' {
			value = json.RawMessage(`"` + removed + `"`)
		}
		quoted, err := json.Marshal(name)
		if err != nil {
			return nil
		}
		members = append(members, append(append(quoted, ':'), idForm.ReplaceAll(value, []byte(removed))...))
	}
	return append(append([]byte{'{'}, bytes.Join(members, []byte{','})...), '}')
}
