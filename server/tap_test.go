package main

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// tap is a TCP relay that shows what passes, and can stop it for ever: the place
// from which a test kills a server between two steps.
type tap struct {
	listener net.Listener
	upstream string
	conns    sync.WaitGroup

	mu   sync.Mutex
	open []net.Conn
	up   func(seen []byte) (forward bool) // what the client wrote, per connection and from its beginning
	down func(seen []byte) (forward bool) // what the server answered
	all  bytes.Buffer                     // what all clients wrote
}

func newTap(t *testing.T, upstream string) *tap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &tap{listener: l, upstream: upstream}
	p.conns.Go(p.accept)
	t.Cleanup(func() {
		l.Close() //nolint:errcheck // the test is over
		p.mu.Lock()
		for _, c := range p.open {
			c.Close() //nolint:errcheck // the test is over
		}
		p.mu.Unlock()
		p.conns.Wait()
	})
	return p
}

func (p *tap) addr() string { return p.listener.Addr().String() }

// watch sets what is asked about each piece; it must be set before the step.
func (p *tap) watch(up, down func([]byte) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.up, p.down = up, down
}

func (p *tap) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.upstream)
		if err != nil {
			client.Close() //nolint:errcheck // there is no other side
			continue
		}
		p.mu.Lock()
		p.open = append(p.open, client, server)
		p.mu.Unlock()
		p.conns.Go(func() { p.relay(client, server, true) })
		p.conns.Go(func() { p.relay(server, client, false) })
	}
}

func (p *tap) relay(from, to net.Conn, isUp bool) {
	defer from.Close() //nolint:errcheck // both ends go together
	defer to.Close()   //nolint:errcheck // both ends go together
	var seen []byte
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			seen = append(seen, buf[:n]...)
			if !p.ask(isUp, seen, buf[:n]) {
				io.Copy(io.Discard, from) //nolint:errcheck // held until the killed side is gone
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *tap) ask(isUp bool, seen, piece []byte) bool {
	p.mu.Lock()
	hook := p.down
	if isUp {
		p.all.Write(piece)
		hook = p.up
	}
	p.mu.Unlock()
	return hook == nil || hook(seen)
}

// count says how often the text was written by any client.
func (p *tap) count(text string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return bytes.Count(p.all.Bytes(), []byte(text))
}
