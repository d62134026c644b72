package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	fastws "github.com/fasthttp/websocket"
)

// run is what one run through Asterisk gave, in ms.
type pacedRun struct{ wire, socket []float64 }

// told is a call's message on its user's socket.
type told struct {
	number, status string
	at             time.Time
}

// pacedRun clicks at the pace, from users who each hold a socket and a
// connection. Each number is called once, so that it names its call on the wire.
// No such number exists behind the PBX: the phone rings, answers, and the call ends.
func (b *bench) pacedRun(ctx context.Context, t *tap, server *process, round int) (*pacedRun, error) {
	listeners, err := b.listen(ctx, server, round)
	defer listeners.close()
	if err != nil {
		return nil, err
	}
	clients := make([]*client, b.sockets)
	for i := range clients {
		if clients[i], err = dialClient(server.addr); err != nil {
			return nil, err
		}
		defer clients[i].close()
	}
	t.take()
	asked := make([]time.Time, int(b.paced/interval))
	busy := make([]sync.Mutex, b.sockets)
	err = b.atPace(ctx, b.paced, func(n int) error {
		asked[n] = time.Now()
		user := n % b.sockets
		busy[user].Lock() // a click behind a slow one waits, and that counts
		defer busy[user].Unlock()
		r, err := clients[user].call(b.data.tokens[round*b.sockets+user], fmt.Sprintf("paced-%d-%d", round, n), "+31"+numberOf(round, n)[1:])
		if err == nil && r.status != 201 {
			err = fmt.Errorf("a click was answered with %d", r.status)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := b.data.awaitEnds(ctx, 10*time.Second); err != nil {
		return nil, err
	}
	time.Sleep(200 * time.Millisecond) // the last message is on its way
	return match(asked, round, t.take(), listeners.take())
}

func numberOf(round, n int) string { return fmt.Sprintf("0209%02d%04d", round, n) }

// traced is a call as the tap saw it.
type traced struct {
	originated, created, answered time.Time
	hangups                       []time.Time
	said                          map[string]time.Time // the first message of each status
}

// match puts together what was asked, what passed the tap, and what the sockets told.
func match(asked []time.Time, round int, seen []sighting, messages []told) (*pacedRun, error) {
	byChannel, byNumber := map[string]*traced{}, map[string]*traced{}
	for _, s := range seen {
		if s.message["Action"] == "Originate" {
			c := &traced{originated: s.at, said: map[string]time.Time{}}
			byChannel[s.message["ChannelId"]], byNumber[s.message["Exten"]] = c, c
			continue
		}
		note(byChannel, s)
	}
	for _, m := range messages {
		if c := byNumber["0"+strings.TrimPrefix(m.number, "+31")]; c != nil && c.said[m.status].IsZero() {
			c.said[m.status] = m.at
		}
	}
	r := &pacedRun{}
	for n, at := range asked {
		c := byNumber[numberOf(round, n)]
		if c == nil {
			return nil, errors.New("an accepted call did not pass the tap")
		}
		r.wire = append(r.wire, millis(c.originated.Sub(at)))
		told, err := c.told()
		if err != nil {
			return nil, err
		}
		r.socket = append(r.socket, told...)
	}
	return r, nil
}

// note puts an event to its call: the ones that the states are made of.
func note(calls map[string]*traced, s sighting) {
	id := s.message["Uniqueid"]
	switch s.message["Event"] {
	case "Newchannel":
		if c := calls[id]; c != nil {
			first(&c.created, s.at)
		}
	case "Newstate":
		if c := calls[id]; c != nil && s.message["ChannelState"] == "6" { // up
			first(&c.answered, s.at)
		}
	case "OriginateResponse":
		if c := calls[id]; c != nil && s.message["Response"] == "Success" {
			first(&c.answered, s.at)
		}
	case "DialEnd":
		if c := calls[s.message["DestUniqueid"]]; c != nil && s.message["DialStatus"] == "ANSWER" {
			first(&c.answered, s.at)
		}
	case "Hangup":
		if c := calls[s.message["Linkedid"]]; c != nil {
			c.hangups = append(c.hangups, s.at)
		}
	}
}

func first(at *time.Time, now time.Time) {
	if at.IsZero() {
		*at = now
	}
}

// told gives the times from an event to its message. A message may have been
// overtaken by the next state's, which then counts.
func (c *traced) told() ([]float64, error) {
	ended := c.said["disconnected"]
	if ended.IsZero() || c.created.IsZero() || c.answered.IsZero() {
		return nil, fmt.Errorf("a call is not complete: created seen %t, answered seen %t, told %v",
			!c.created.IsZero(), !c.answered.IsZero(), slices.Sorted(maps.Keys(c.said)))
	}
	callee := earlier(c.said["callingCallee"], ended)
	caller := earlier(c.said["callingCaller"], callee)
	took := []float64{millis(caller.Sub(c.created)), millis(callee.Sub(c.answered))}
	// The end is known with the last leg's hang-up.
	var last time.Time
	for _, at := range c.hangups {
		if at.Before(ended) && at.After(last) {
			last = at
		}
	}
	if last.IsZero() {
		return nil, errors.New("a call was told to have ended before Asterisk said so")
	}
	return append(took, millis(ended.Sub(last))), nil
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || b.Before(a) {
		return b
	}
	return a
}

// listeners are the users' sockets of one run.
type listeners struct {
	conns []*fastws.Conn
	work  sync.WaitGroup
	mu    sync.Mutex
	told  []told
}

// listen opens a socket for each user of the round, and waits for its ready.
func (b *bench) listen(ctx context.Context, server *process, round int) (*listeners, error) {
	l := &listeners{}
	for i := range b.sockets {
		conn, res, err := fastws.DefaultDialer.DialContext(ctx, "ws://"+server.addr+"/v1/events", nil)
		if err != nil {
			return l, fmt.Errorf("opening a socket: %w", err)
		}
		_ = res.Body.Close() // an upgrade has none
		l.conns = append(l.conns, conn)
		hello := map[string]string{"type": "hello", "token": b.data.tokens[round*b.sockets+i], "after": ""}
		if err := conn.WriteJSON(hello); err != nil {
			return l, err
		}
		var ready struct{ Type string }
		if err := conn.ReadJSON(&ready); err != nil || ready.Type != "ready" {
			return l, fmt.Errorf("a socket did not become ready: %w", err)
		}
		l.work.Go(func() { l.read(conn) })
	}
	return l, nil
}

func (l *listeners) read(conn *fastws.Conn) {
	for {
		var m struct {
			Type string
			Call struct{ Number, Status string }
		}
		if conn.ReadJSON(&m) != nil {
			return
		}
		at := time.Now()
		if m.Type == "call" {
			l.mu.Lock()
			l.told = append(l.told, told{m.Call.Number, m.Call.Status, at})
			l.mu.Unlock()
		}
	}
}

func (l *listeners) take() []told {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.told
}

func (l *listeners) close() {
	for _, conn := range l.conns {
		_ = conn.Close() // the run is over
	}
	l.work.Wait()
}
