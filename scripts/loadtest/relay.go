package main

import (
	"net"
	"sync"
	"time"
)

// relay listens in front of another address and connects each of its callers
// there. Its owner passes the bytes on.
type relay struct {
	listener net.Listener
	target   string
	pass     func(from, to net.Conn, outward bool) // until one ends; outward: to the target
	work     sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
}

func newRelay(target string, pass func(from, to net.Conn, outward bool)) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: l, target: target, pass: pass}
	r.work.Go(r.accept)
	return r, nil
}

func (r *relay) addr() string { return r.listener.Addr().String() }

func (r *relay) close() {
	_ = r.listener.Close() // nobody else has it
	r.mu.Lock()
	for _, conn := range r.conns {
		_ = conn.Close()
	}
	r.mu.Unlock()
	r.work.Wait()
}

func (r *relay) accept() {
	for {
		near, err := r.listener.Accept()
		if err != nil {
			return
		}
		far, err := net.DialTimeout("tcp", r.target, 2*time.Second)
		if err != nil {
			_ = near.Close() // as if it had been refused
			continue
		}
		r.mu.Lock()
		r.conns = append(r.conns, near, far)
		r.mu.Unlock()
		r.work.Go(func() { r.pass(near, far, true) })
		r.work.Go(func() { r.pass(far, near, false) })
	}
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
