package api

import (
	"context"
	"errors"
	"time"

	fastws "github.com/fasthttp/websocket"
	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/call"
	"clicktodial/server/fault"
	"clicktodial/server/live"
)

// beginning is before every entry of a stream, and never one of them.
const beginning = "0-0"

// socket is one client's connection. Only run's goroutine writes.
type socket struct {
	api       *API
	pace      Pace
	conn      *fastws.Conn
	lang      string
	principal auth.Principal
	token     string
	sub       *live.Subscription
	last      string                 // id of the newest stream entry that was sent
	sent      map[uuid.UUID]int      // living calls, by the rank that was told
	ended     map[uuid.UUID]struct{} // calls whose end was told lately
	hellos    chan hello
	gone      chan struct{} // closed when the client has gone
	signedOut <-chan struct{}
	unwatch   func()
}

// callMessage carries a call, or, when Postgres cannot be read or the call's end
// took its record, what is known of it: id, status, reason, diagnosis and times.
type callMessage struct {
	Type string `json:"type"`
	ID   string `json:"id,omitempty"`
	Call any    `json:"call"`
}

// trace is a call without anything personal.
type trace struct {
	ID               uuid.UUID  `json:"id"`
	Status           string     `json:"status"`
	Reason           *string    `json:"reason"`
	Diagnosis        *Diagnosis `json:"diagnosis"`
	CreatedAt        time.Time  `json:"createdAt"`
	CallerAnsweredAt *time.Time `json:"callerAnsweredAt"`
	ConnectedAt      *time.Time `json:"connectedAt"`
	EndedAt          *time.Time `json:"endedAt"`
	ExpiresAt        time.Time  `json:"expiresAt"`
}

func (s *socket) wireTrace(ev live.Event) trace {
	return trace{
		ID: ev.CallID, Status: string(ev.Status), Reason: (*string)(ev.Reason), Diagnosis: wireDiagnosis(ev.Diagnosis, s.lang),
		CreatedAt: ev.CreatedAt.UTC(), CallerAnsweredAt: utc(ev.CallerAnsweredAt), ConnectedAt: utc(ev.ConnectedAt),
		EndedAt: utc(ev.EndedAt), ExpiresAt: ev.ExpiresAt.UTC(),
	}
}

// begin says ready, then every live call's state, then what the client missed.
func (s *socket) begin(ctx context.Context) bool {
	s.sent, s.ended = map[uuid.UUID]int{}, map[uuid.UUID]struct{}{}
	after := s.last
	last, known, err := s.sub.Last(ctx, after)
	if last == "" {
		last = beginning // so that who comes back with it is told of a gap
	}
	ready := map[string]any{"type": "ready", "id": last}
	if after != "" && (!known || err != nil) {
		ready["reset"] = true
		s.last = last
	}
	if after == "" {
		s.last = last
	}
	if !s.send(ready) {
		return false
	}
	calls, err := s.api.Calls.Live(ctx, asCaller(s.principal))
	if err != nil && !isUnavailable(err) {
		return false
	}
	for _, row := range calls {
		if !s.sendCall(s.last, row) {
			return false
		}
	}
	return s.catchUp(ctx)
}

// catchUp sends what has come since the last entry that was sent.
func (s *socket) catchUp(ctx context.Context) bool {
	events, err := s.sub.Since(ctx, s.last)
	for _, ev := range events {
		if ev.ID != "" {
			s.last = ev.ID
		}
		if !s.sendEvent(ctx, ev) {
			return false
		}
	}
	return err == nil || !errors.Is(err, context.Canceled)
}

// sendEvent tells of a step, from the row as it is now. What has no row is told
// of only where the step took it; a record that has ended, never.
func (s *socket) sendEvent(ctx context.Context, ev live.Event) bool {
	if s.api.Calls.Over(ev.ExpiresAt) {
		delete(s.sent, ev.CallID)
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	row, err := s.api.Calls.Get(ctx, asCaller(s.principal), ev.CallID)
	switch {
	case err == nil:
		return s.sendCall(ev.ID, row)
	case isNotFound(err) && !ev.Gone:
		delete(s.sent, ev.CallID)
		return true
	default:
		s.noteSent(ev.CallID, ev.Status)
		return s.send(callMessage{Type: "call", ID: ev.ID, Call: s.wireTrace(ev)})
	}
}

func (s *socket) sendCall(id string, row models.Call) bool {
	s.noteSent(row.ID, row.Status)
	return s.send(callMessage{Type: "call", ID: id, Call: wireCall(row, s.lang)})
}

func (s *socket) noteSent(id uuid.UUID, status models.Status) {
	if status.Ended() {
		delete(s.sent, id)
		if len(s.ended) >= 256 { // a repeat does no harm
			clear(s.ended)
		}
		s.ended[id] = struct{}{}
		return
	}
	s.sent[id] = status.Rank()
}

// lookAround is for a step that no poke told of: one that another replica made
// while Redis was away. It costs nothing while Redis is well.
func (s *socket) lookAround(ctx context.Context) bool {
	if !s.sub.Blind() {
		return true
	}
	calls, err := s.api.Calls.Live(ctx, asCaller(s.principal))
	if err != nil {
		return true // Postgres is away too; later
	}
	up := map[uuid.UUID]bool{}
	for _, row := range calls {
		up[row.ID] = true
		if rank, ok := s.sent[row.ID]; ok && rank >= row.Status.Rank() {
			continue
		}
		if !s.sendCall("", row) {
			return false
		}
	}
	for id := range s.sent {
		if up[id] {
			continue
		}
		row, err := s.api.Calls.Get(ctx, asCaller(s.principal), id)
		if err != nil {
			delete(s.sent, id)
			continue
		}
		if !s.sendCall("", row) {
			return false
		}
	}
	return s.lookBack(ctx)
}

// lookBack finds calls that began and ended between two looks.
func (s *socket) lookBack(ctx context.Context) bool {
	const far = 10 * time.Second
	calls, _, err := s.api.Calls.History(ctx, asCaller(s.principal), call.Page{Limit: 20}, call.Search{From: s.api.Now().Add(-far)})
	if err != nil {
		return true // later
	}
	for _, row := range calls {
		if _, told := s.ended[row.ID]; told || !row.Status.Ended() {
			continue
		}
		if !s.sendCall("", row) {
			return false
		}
	}
	return true
}

func (s *socket) send(message any) bool {
	_ = s.conn.SetWriteDeadline(time.Now().Add(writeLimit)) // fails only when the connection has, which the write tells
	return s.conn.WriteJSON(message) == nil
}

func (s *socket) close(code int, reason string) {
	deadline := time.Now().Add(writeLimit)
	_ = s.conn.WriteControl(fastws.CloseMessage, fastws.FormatCloseMessage(code, reason), deadline) // it is closing anyway
}

func isNotFound(err error) bool {
	f, ok := fault.Of(err)
	return ok && f.Kind == fault.NotFound
}

func isUnavailable(err error) bool {
	f, ok := fault.Of(err)
	return ok && f.Kind == fault.Unavailable
}
