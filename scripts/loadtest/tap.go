package main

import (
	"net"
	"slices"
	"sync"
	"time"
)

// tap stands between the server and Asterisk, passes every byte on at once, and
// notes what passed when.
type tap struct {
	*relay

	mu   sync.Mutex
	seen []sighting
}

// sighting is a message that passed.
type sighting struct {
	message
	at time.Time
}

func newTap(target string) (t *tap, err error) {
	t = &tap{}
	t.relay, err = newRelay(target, t.pass)
	return t, err
}

// take gives what passed since the last time, in that order: an answer may be
// noted before what it answers.
func (t *tap) take() []sighting {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.seen
	t.seen = nil
	slices.SortStableFunc(seen, func(a, b sighting) int { return a.at.Compare(b.at) })
	return seen
}

func (t *tap) pass(from, to net.Conn, _ bool) {
	defer to.Close() //nolint:errcheck // what one side ends, ends the other
	in := splitter{each: func(m message, at time.Time) {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.seen = append(t.seen, sighting{m, at})
	}}
	readAll(from, func(part []byte, at time.Time) {
		_, _ = to.Write(part) // if it is gone, the next read says so
		in.feed(part, at)
	})
}
