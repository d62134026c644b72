package ami

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// How a session can fail, as far as anyone decides by it.
var (
	errLogin    = errors.New("login refused: wrong user or secret, or this address is not permitted")
	errNotSent  = errors.New("nothing was sent")
	errNoReply  = errors.New("no reply in time")
	errLineLost = errors.New("the line was lost")
	errSilent   = errors.New("two pings without an answer")
)

// tempo is every time that the adapter keeps; tests keep shorter ones.
type tempo struct {
	dial       time.Duration // to connect, shake hands and log in
	reply      time.Duration // for a Response
	write      time.Duration // for a write to be taken by the kernel
	ping       time.Duration // between pings; two missed end the session
	firstRetry time.Duration
	lastRetry  time.Duration
	loginRetry time.Duration // after a refused login: no waiting mends it soon
	grace      time.Duration // for the other leg's Hangup to follow the first
	recheck    time.Duration // before a call in doubt is looked for again
	states     time.Duration // how old a device state may be
}

func usualTempo() tempo {
	return tempo{
		dial: 5 * time.Second, reply: 5 * time.Second, write: 2 * time.Second, ping: 5 * time.Second,
		firstRetry: 200 * time.Millisecond, lastRetry: 5 * time.Second, loginRetry: 30 * time.Second,
		grace: time.Second, recheck: 3 * time.Second, states: 2 * time.Second,
	}
}

// session is one logged-in connection. Its reader goroutine calls every
// callback, in the order of the wire; they must not block.
type session struct {
	conn    net.Conn
	reader  *reader
	tempo   tempo
	onEvent func(*session, message) // events that answer no action of ours

	wmu sync.Mutex // one action at a time on the wire

	mu      sync.Mutex
	pending map[string]*pending
	err     error         // why it ended
	done    chan struct{} // closed when it has ended
	read    chan struct{} // closed when the reader has returned
}

// pending is an action that waits for its Response, and perhaps for the list of
// events that follows it.
type pending struct {
	complete string        // the event that ends the list; "" when no list follows
	item     func(message) // one event of the list; may be nil
	reply    func(message) // the Response, or the end of the list; called at most once
	lost     func(error)   // instead of reply, when the session ends first
}

// connect dials, shakes hands and logs in. Events arrive from then on.
func connect(ctx context.Context, c config, t tempo, onEvent func(*session, message)) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, t.dial)
	defer cancel()
	conn, err := dial(ctx, c)
	if err != nil {
		return nil, err
	}
	s := &session{
		conn: conn, reader: newReader(conn), tempo: t, onEvent: onEvent,
		pending: map[string]*pending{}, done: make(chan struct{}), read: make(chan struct{}),
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // wakes a read
	if err := s.reader.greeting(); err != nil {
		stop()
		_ = conn.Close()
		return nil, fmt.Errorf("reading the greeting: %w", orEnded(ctx, err))
	}
	go s.serve()
	reply, err := s.do(ctx, action{{"Action", "Login"}, {"Username", c.user}, {"Secret", c.secret}, {"Events", "on"}})
	if err == nil && reply[kResponse] != "Success" {
		err = errLogin
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		s.end(err)
		<-s.read
		return nil, fmt.Errorf("logging in: %w", orEnded(ctx, err))
	}
	return s, nil
}

// orEnded prefers a context's reason over the one that it made a read fail with.
func orEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func dial(ctx context.Context, c config) (net.Conn, error) {
	var d net.Dialer
	if c.tls == nil {
		return d.DialContext(ctx, "tcp", c.addr)
	}
	return (&tls.Dialer{NetDialer: &d, Config: c.tls}).DialContext(ctx, "tcp", c.addr)
}

// serve reads until the session ends.
func (s *session) serve() {
	defer close(s.read)
	for {
		m, err := s.reader.read()
		if err != nil {
			s.end(fmt.Errorf("%w: %w", errLineLost, err))
			return
		}
		s.dispatch(m)
	}
}

// dispatch hands a message to the action that it answers, by ActionID, never by
// order; what answers none that waits is an event, or late, and late ones drop.
func (s *session) dispatch(m message) {
	id := m[kActionID]
	s.mu.Lock()
	p := s.pending[id]
	event := m[kEvent]
	// OriginateResponse carries a Response header too: Event tells them apart.
	last := p != nil && ((event == "" && (p.complete == "" || m[kResponse] != "Success")) || (event != "" && event == p.complete))
	if last {
		delete(s.pending, id)
	}
	s.mu.Unlock()
	switch {
	case last:
		p.reply(m)
	case event == "":
	case p != nil && p.complete != "":
		if p.item != nil {
			p.item(m)
		}
	default:
		s.onEvent(s, m)
	}
}

// end ends the session for good; the first reason counts. It does not wait for
// the reader.
func (s *session) end(reason error) {
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return
	}
	s.err = reason
	waiting := s.pending
	s.pending = nil
	close(s.done)
	s.mu.Unlock()
	_ = s.conn.Close() // nothing is left to do about an error here
	for _, p := range waiting {
		p.lost(errNoReply)
	}
}

func (s *session) alive() bool {
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// send writes one action, once. errNotSent means that not one byte went out, and
// neither reply nor lost will be called; any other error is doubt. The action's
// own ActionID is used, if it has one, so that a caller can know it beforehand.
func (s *session) send(ctx context.Context, a action, p *pending) (id string, err error) {
	for _, f := range a {
		if f.name == "ActionID" {
			id = f.value
		}
	}
	if id == "" {
		id = rand.Text()
		a = append(a[:len(a):len(a)], field{"ActionID", id})
	}
	wire, err := encode(a)
	if err != nil {
		return id, fmt.Errorf("%w: %w", errNotSent, err)
	}
	s.wmu.Lock()
	defer s.wmu.Unlock()
	if err := ctx.Err(); err != nil {
		return id, fmt.Errorf("%w: %w", errNotSent, err)
	}
	s.mu.Lock()
	if s.err != nil {
		s.mu.Unlock()
		return id, fmt.Errorf("%w: %w", errNotSent, s.err)
	}
	s.pending[id] = p
	s.mu.Unlock()
	_ = s.conn.SetWriteDeadline(time.Now().Add(s.tempo.write)) // a failure shows in Write
	n, err := s.conn.Write(wire)
	if err == nil {
		return id, nil
	}
	if s.drop(id) && n == 0 {
		err = fmt.Errorf("%w: %w", errNotSent, err)
	}
	s.end(fmt.Errorf("%w: writing: %w", errLineLost, err))
	return id, err
}

// drop stops waiting for an action; false when it is not waited for any more.
func (s *session) drop(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, waiting := s.pending[id]
	delete(s.pending, id)
	return waiting
}

// do sends an action and waits for its Response.
func (s *session) do(ctx context.Context, a action) (message, error) {
	return s.doList(ctx, a, "", nil)
}

// doList sends an action and waits for the end of its list. item is called by
// the reader goroutine.
func (s *session) doList(ctx context.Context, a action, complete string, item func(message)) (message, error) {
	type result struct {
		m   message
		err error
	}
	got := make(chan result, 1)
	id, err := s.send(ctx, a, &pending{
		complete: complete, item: item,
		reply: func(m message) { got <- result{m: m} },
		lost:  func(err error) { got <- result{err: err} },
	})
	if err != nil {
		return message{}, err
	}
	timer := time.NewTimer(s.tempo.reply)
	defer timer.Stop()
	select {
	case r := <-got:
		return r.m, r.err
	case <-ctx.Done():
		s.drop(id)
		return message{}, fmt.Errorf("%w: %w", errNoReply, ctx.Err())
	case <-timer.C:
		s.drop(id)
		return message{}, errNoReply
	}
}

// keepAlive pings until ctx or the session ends, and ends the session when two
// pings in a row were not answered. check is called after each one that was.
func (s *session) keepAlive(ctx context.Context, check func(context.Context)) {
	missed := 0
	for {
		pause := s.tempo.ping
		if missed > 0 {
			pause = 0
		}
		select {
		case <-ctx.Done():
			return
		case <-s.done:
			return
		case <-time.After(pause):
		}
		one, cancel := context.WithTimeout(ctx, s.tempo.ping)
		_, err := s.do(one, action{{"Action", "Ping"}})
		cancel()
		if err == nil {
			missed = 0
			check(ctx)
			continue
		}
		if missed++; missed == 2 {
			s.end(errSilent)
			return
		}
	}
}
