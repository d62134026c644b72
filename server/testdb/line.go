package testdb

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// Line is a TCP line to a real service that a test can cut, mend, and make silent.
type Line struct {
	URL string // the service's URL, by way of this line

	target   string
	listener net.Listener
	mu       sync.Mutex
	cut      bool
	silent   chan struct{} // open while what is sent arrives nowhere; nil when it does
	conns    map[net.Conn]struct{}
	work     sync.WaitGroup
}

// NewLine lays a line to the service of a URL.
func NewLine(t testing.TB, service string) *Line {
	t.Helper()
	u, err := url.Parse(service)
	if err != nil {
		t.Fatal("the service's URL cannot be read")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &Line{target: u.Host, listener: listener, conns: map[net.Conn]struct{}{}}
	u.Host = listener.Addr().String()
	l.URL = u.String()
	l.work.Go(l.accept)
	t.Cleanup(func() {
		listener.Close() //nolint:errcheck // the test is over
		l.Mend()
		l.Cut()
		l.work.Wait()
	})
	return l
}

// Cut ends all connections; new ones end at once.
func (l *Line) Cut() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = true
	for c := range l.conns {
		c.Close() //nolint:errcheck // that is the point
	}
	clear(l.conns)
}

// Silence keeps connections open and carries nothing until Mend.
func (l *Line) Silence() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = make(chan struct{})
}

// Mend makes the line good again.
func (l *Line) Mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut = false
	if l.silent != nil {
		close(l.silent)
		l.silent = nil
	}
}

func (l *Line) accept() {
	for {
		near, err := l.listener.Accept()
		if err != nil {
			return
		}
		l.work.Go(func() { l.join(near) })
	}
}

func (l *Line) join(near net.Conn) {
	defer near.Close() //nolint:errcheck // over
	far, err := net.Dial("tcp", l.target)
	if err != nil {
		return
	}
	defer far.Close() //nolint:errcheck // over
	if !l.enter(near, far) {
		return
	}
	var both sync.WaitGroup
	both.Go(func() { l.carry(near, far) })
	both.Go(func() { l.carry(far, near) })
	both.Wait()
}

func (l *Line) enter(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		if l.cut {
			return false
		}
		l.conns[c] = struct{}{}
	}
	return true
}

func (l *Line) carry(from, to net.Conn) {
	defer from.Close() //nolint:errcheck // ends the other direction
	defer to.Close()   //nolint:errcheck // ends the other direction
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		l.mu.Lock()
		silent := l.silent
		l.mu.Unlock()
		if silent != nil {
			<-silent
		}
		if _, werr := to.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}
