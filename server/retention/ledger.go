package retention

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/fault"
	"clicktodial/server/store"
)

// Ledger brings what was erased and revoked from the database, which counts it,
// to a file outside. An act is committed with its line; the line follows within a
// second, so the file is never ahead of the database, unless that was restored.
// Make it with NewLedger.
type Ledger struct {
	db   *store.DB
	path string
	log  *slog.Logger

	poke    chan struct{}
	writing sync.Mutex // held as long as the file is: perhaps longer than we wait

	mu    sync.Mutex // guards what is below
	file  seen
	wrong error     // why the last round failed
	told  time.Time // when that was last logged
}

const (
	flushEvery = time.Second
	writeLimit = 5 * time.Second // a write to the file
	readLimit  = time.Minute     // the whole file, once
	tellEvery  = time.Minute
)

// NewLedger makes it. path may be "": then nothing is kept outside, and what
// waits is dropped.
func NewLedger(db *store.DB, path string, log *slog.Logger) *Ledger {
	return &Ledger{db: db, path: path, log: log, poke: make(chan struct{}, 1)}
}

// Kept says whether there is a ledger outside.
func (l *Ledger) Kept() bool { return l.path != "" }

// NoLedger is the warning when ERASURE_LEDGER is not set.
const NoLedger = "ERASURE_LEDGER is not set: a database restored from a dump would bring back what was erased and revoked, and nobody would know"

var (
	errRestored = fault.New(fault.Conflict, "database-restored",
		"The database is behind its ledger, so it was restored from a dump: run `restore-check` first.")
	errForeign = fault.New(fault.Conflict, "ledger-foreign",
		"The file of ERASURE_LEDGER belongs to another installation. After a restore from a dump older than the ledger, run `restore-check --adopt`.")
	errHangs = errors.New("the file system does not answer")
)

// fatal says whether nobody may be served.
func fatal(err error) bool { return errors.Is(err, errRestored) || errors.Is(err, errForeign) }

// Open compares the database with its ledger, before anybody is served. A ledger
// that cannot be read is told of, and looked at again by Run. Errors:
// database-restored, ledger-foreign.
func (l *Ledger) Open(ctx context.Context) error {
	if l.path == "" {
		l.log.Warn(NoLedger)
	}
	state, err := l.compare(ctx)
	if fatal(err) || err == nil && l.path == "" {
		return err
	}
	if err != nil {
		l.tell(err)
		return nil
	}
	if l.seen().newest > 0 || state.Waiting == 1 {
		return nil
	}
	l.log.Error("the ledger is empty although acts were counted: it is new, or it was lost, and with it what a restored database would have to be told", "counted", state.N)
	return l.db.MarkLedger(ctx)
}

// Run writes what waits, each second and when Soon asks, until ctx ends. It fails
// when the database turns out to have been restored while it runs, as by a
// failover to one that was behind, or when the ledger is another's.
func (l *Ledger) Run(ctx context.Context) error {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		if err := l.flush(ctx); fatal(err) {
			return err
		}
		select {
		case <-tick.C:
		case <-l.poke:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Soon has what waits written at once, by the one that runs. It waits for nothing
// and does not fail: for right after an erasure.
func (l *Ledger) Soon() {
	select {
	case l.poke <- struct{}{}:
	default:
	}
}

// Flush writes what waits, for a command that has erased or revoked. It does not
// fail: what is not written now, the next flusher writes. Without a path it
// leaves the lines to one that has.
func (l *Ledger) Flush(ctx context.Context) {
	if l.path == "" {
		return
	}
	l.mu.Lock()
	l.file.whole = true // its end will do: a replica reads all of it
	l.mu.Unlock()
	_ = l.flush(ctx) // it was logged
}

// Failing says why lines wait, or nil.
func (l *Ledger) Failing() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.wrong
}

// flush is one round: compare, then write what waits.
func (l *Ledger) flush(ctx context.Context) error {
	state, err := l.compare(ctx)
	for more := err == nil && state.Waiting <= state.N; more && err == nil; {
		more, _, err = l.db.Flush(ctx, l.write)
	}
	if ctx.Err() == nil {
		l.tell(err)
	}
	return err
}

// compare finds out whether the database is behind its ledger, and has it
// remember: acts that are counted from now on would hide it.
func (l *Ledger) compare(ctx context.Context) (state store.LedgerState, err error) {
	// The file first: what stands in it was committed before.
	if l.path != "" {
		if err := l.look(); err != nil {
			return state, err
		}
	}
	if state, err = l.db.LedgerState(ctx); err != nil {
		return state, err
	}
	file := l.seen()
	switch {
	case !file.of(state.Installation):
		return state, errForeign
	case state.RestoredAt != nil:
		return state, errRestored
	case file.newest > state.N:
		return state, errors.Join(errRestored, l.db.MarkRestored(ctx))
	}
	return state, nil
}

// seen is what was last seen of the file.
type seen struct {
	whole  bool  // it was read whole once
	size   int64 // bytes
	newest int64
	owner  uuid.UUID // the installation of its first line
	other  uuid.UUID // another one that lines are of; Nil: none is
}

func (l *Ledger) seen() seen {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.file
}

// look reads the file: the whole of it once, then its end when it has grown.
func (l *Ledger) look() error {
	before := l.seen()
	limit := readLimit
	if before.whole {
		limit = writeLimit
	}
	now, err := guarded(l, limit, func() (seen, error) {
		now := before
		err := readFrom(l.path, &now)
		return now, err
	})
	if err != nil {
		return err
	}
	if now.size < before.size {
		l.log.Error("the ledger has become shorter: nobody but us may write it", "bytes", now.size, "bytes_before", before.size)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.file = now
	return nil
}

func (l *Ledger) write(lines []string) error {
	if l.path == "" {
		return nil
	}
	_, err := guarded(l, writeLimit, func() (struct{}, error) { return struct{}{}, appendLines(l.path, lines) })
	return err
}

// guarded has fn at the file, which on a network may hang for ever: then what it
// does is no longer waited for, and nobody else tries meanwhile.
func guarded[T any](l *Ledger, limit time.Duration, fn func() (T, error)) (result T, err error) {
	if !l.writing.TryLock() {
		return result, errHangs
	}
	type answer struct {
		result T
		err    error
	}
	done := make(chan answer, 1)
	go func() {
		result, err := fn()
		l.writing.Unlock() // first: who has the answer may come again at once
		done <- answer{result, err}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case a := <-done:
		return a.result, a.err
	case <-timer.C:
		return result, errHangs
	}
}

// tell notes how the last round went, and logs what goes wrong once a minute.
func (l *Ledger) tell(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wrong = err
	if err == nil || time.Since(l.told) < tellEvery {
		return
	}
	l.told = time.Now()
	l.log.Error("the ledger is not written: erasures and revocations hold, their lines wait", "error", err)
}
