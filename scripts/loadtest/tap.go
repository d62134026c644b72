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
	listener net.Listener
	target   string
	work     sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	seen  []sighting
}

// sighting is a message that passed.
type sighting struct {
	message
	at time.Time
}

func newTap(target string) (*tap, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	t := &tap{listener: l, target: target}
	t.work.Go(t.accept)
	return t, nil
}

func (t *tap) addr() string { return t.listener.Addr().String() }

func (t *tap) close() {
	_ = t.listener.Close() // nobody else has it
	t.mu.Lock()
	for _, conn := range t.conns {
		_ = conn.Close()
	}
	t.mu.Unlock()
	t.work.Wait()
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

func (t *tap) accept() {
	for {
		near, err := t.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.DialTimeout("tcp", t.target, 2*time.Second)
		if err != nil {
			_ = near.Close() // as if it had been refused
			continue
		}
		t.mu.Lock()
		t.conns = append(t.conns, near, far)
		t.mu.Unlock()
		t.work.Go(func() { t.pass(near, far) })
		t.work.Go(func() { t.pass(far, near) })
	}
}

func (t *tap) pass(from, to net.Conn) {
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

// readAll hands on what is read, with the moment, until the connection ends.
func readAll(conn net.Conn, each func([]byte, time.Time)) {
	buffer := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buffer)
		if n > 0 {
			each(buffer[:n], time.Now())
		}
		if err != nil {
			return
		}
	}
}
