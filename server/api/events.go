package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"runtime/debug"
	"time"

	fastws "github.com/fasthttp/websocket"
	"github.com/gofiber/contrib/websocket"
	"github.com/gofiber/fiber/v2"

	"clicktodial/server/auth"
	"clicktodial/server/fault"
	"clicktodial/server/web"
)

// Pace is how long a socket waits, and how often it acts by itself; tests have
// less patience. A zero field is the usual value.
type Pace struct {
	Hello time.Duration // for the first message; 5 s
	Ping  time.Duration // 20 s: a Manifest V3 worker lives while something passes
}

func (p Pace) orUsual() Pace {
	return Pace{Hello: cmp.Or(p.Hello, 5*time.Second), Ping: cmp.Or(p.Ping, 20*time.Second)}
}

const (
	writeLimit  = 10 * time.Second
	lookEvery   = time.Second // how often a socket looks by itself
	messageSize = 4 << 10     // bytes, of a client's message

	closeUnauthorized = 4401
	closeRevoked      = 4403
)

// hello is what a client says first, and again with each new token.
type hello struct {
	Type  string `json:"type"`
	Token string `json:"token"`
	After string `json:"after"`
}

var streamID = regexp.MustCompile(`^[0-9]{1,20}-[0-9]{1,20}$`)

// events upgrades to the WebSocket that carries the user's calls. The token comes
// in its first message: a URL ends up in logs.
func (a *API) events() fiber.Handler {
	upgrade := websocket.New(a.serveSocket, websocket.Config{
		RecoverHandler: func(c *websocket.Conn) {
			if r := recover(); r != nil {
				a.Log.Error("a socket panicked", "panic", fmt.Sprintf("%T", r), "stack", string(debug.Stack()))
				_ = c.Close() // it is of no more use
			}
		},
	})
	return func(c *fiber.Ctx) error {
		if !a.Origin(c.Get(fiber.HeaderOrigin)) {
			return fault.New(fault.Forbidden, "origin-forbidden", "This page may not connect here.")
		}
		if !websocket.IsWebSocketUpgrade(c) {
			return fiber.ErrUpgradeRequired
		}
		c.Locals("lang", web.Language(c.UserContext()))
		return upgrade(c)
	}
}

func (a *API) serveSocket(c *websocket.Conn) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	lang, _ := c.Locals("lang").(string)
	c.SetReadLimit(messageSize)
	s := &socket{api: a, pace: a.Pace.orUsual(), conn: c.Conn, lang: lang, hellos: make(chan hello), gone: make(chan struct{})}
	go s.read(ctx)
	s.run(ctx)
	_ = c.Close() // ends the reader too
	cancel()
	<-s.gone
}

// read passes the client's messages on. What is not a hello ends the socket.
func (s *socket) read(ctx context.Context) {
	defer close(s.gone)
	for {
		_, body, err := s.conn.ReadMessage()
		if err != nil {
			return
		}
		var h hello
		if json.Unmarshal(body, &h) != nil || h.Type != "hello" || (h.After != "" && !streamID.MatchString(h.After)) {
			h = hello{}
		}
		select {
		case s.hellos <- h:
		case <-ctx.Done():
			return
		}
	}
}

// run is the life of a socket: a hello in time, then steps until something ends it.
func (s *socket) run(ctx context.Context) {
	limit := time.NewTimer(s.pace.Hello)
	defer limit.Stop()
	select {
	case h := <-s.hellos:
		if !s.greet(ctx, h) {
			return
		}
	case <-limit.C:
		s.close(closeUnauthorized, "hello too late")
		return
	case <-s.gone:
		return
	case <-s.api.Closing:
		s.close(fastws.CloseGoingAway, "the server stops")
		return
	}
	defer s.sub.Close(context.WithoutCancel(ctx))
	defer s.unwatch()
	if s.begin(ctx) {
		s.follow(ctx)
	}
}

func (s *socket) follow(ctx context.Context) {
	ping, look := time.NewTicker(s.pace.Ping), time.NewTicker(lookEvery)
	defer ping.Stop()
	defer look.Stop()
	for ok := true; ok; {
		select {
		case <-s.sub.Wake():
			ok = s.catchUp(ctx)
		case <-look.C:
			ok = s.checkExpiry() && s.lookAround(ctx)
		case <-ping.C:
			ok = s.checkExpiry() && s.recheck(ctx) && s.send(map[string]any{"type": "ping"})
		case h := <-s.hellos:
			ok = s.renew(ctx, h)
		case <-s.signedOut:
			s.sayRevoked(ctx)
			return
		case <-s.gone:
			return
		case <-s.api.Closing:
			s.close(fastws.CloseGoingAway, "the server stops")
			return
		}
	}
}

// greet lets the client in, or closes.
func (s *socket) greet(ctx context.Context, h hello) bool {
	p, err := s.authenticate(ctx, h)
	if err != nil {
		s.close(closeUnauthorized, "unauthorized")
		return false
	}
	s.principal, s.token, s.last = p, h.Token, h.After
	s.signedOut, s.unwatch = s.api.Auth.Watch(p.GrantID)
	s.sub = s.api.Calls.Subscribe(ctx, asCaller(p))
	return true
}

func (s *socket) authenticate(ctx context.Context, h hello) (auth.Principal, error) {
	ctx, cancel := context.WithTimeout(ctx, s.pace.Hello)
	defer cancel()
	p, err := s.api.Auth.Authenticate(ctx, h.Token)
	if err == nil && (!p.May(auth.ScopeRead) || p.TenantID == [16]byte{}) {
		err = errForbidden
	}
	return p, err
}

// renew takes the next token of the same sign-in.
func (s *socket) renew(ctx context.Context, h hello) bool {
	p, err := s.authenticate(ctx, h)
	if err != nil || p.GrantID != s.principal.GrantID {
		s.close(closeUnauthorized, "unauthorized")
		return false
	}
	s.principal, s.token = p, h.Token
	return true
}

func (s *socket) checkExpiry() bool {
	if s.api.Now().Before(s.principal.ExpiresAt) {
		return true
	}
	s.close(closeUnauthorized, "the token has expired")
	return false
}

// recheck finds a sign-in that was ended meanwhile without a word. With Postgres
// down it stays: what it may see then is ids and words.
func (s *socket) recheck(ctx context.Context) bool {
	_, err := s.authenticate(ctx, hello{Token: s.token})
	if f, ok := fault.Of(err); !ok || f.Kind == fault.Unavailable {
		return true
	}
	s.sayRevoked(ctx)
	return false
}

// sayRevoked tells the client by whom its sign-in was ended, and closes.
func (s *socket) sayRevoked(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	end, err := s.api.Auth.HowEnded(ctx, s.principal.GrantID)
	if err != nil { // the account was closed, or nobody can say
		end = auth.End{By: "system", At: s.api.Now().UTC()}
	}
	s.send(map[string]any{"type": "revoked", "reason": end.Reason, "by": end.By, "at": end.At})
	s.close(closeRevoked, "revoked")
}
