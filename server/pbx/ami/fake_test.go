package ami

import (
	"bufio"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// fake speaks AMI on a loopback socket, as far as our adapter does, and plays
// stories: what a real Asterisk 22 was seen to send, in its orders.
type fake struct {
	t        testing.TB
	listener net.Listener
	wg       sync.WaitGroup
	wrap     func(net.Conn) net.Conn // TLS; may be nil

	mu       sync.Mutex
	conns    map[net.Conn]*sync.Mutex // with its write lock
	actions  []map[string]string      // all that was ever received
	globals  map[string]string
	channels map[string]*fakeCall // living, by A
	secret   string
	denied   map[string]bool // actions without permission
	mute     map[string]bool // actions that get no answer
	story    func(*fakeCall) // how an Originate goes on
	news     chan struct{}
}

// fakeCall is one call at the fake PBX.
type fakeCall struct {
	f         *fake
	a, action string
	endpoint  string
	hungUp    chan struct{} // closed by Action Hangup
	once      sync.Once
	state     string // of A
	c         string // Uniqueid of the callee's leg while it lives
	cState    string
	bridge    string
}

func newFake(t testing.TB) *fake {
	f := &fake{
		t: t, conns: map[net.Conn]*sync.Mutex{}, globals: map[string]string{}, channels: map[string]*fakeCall{},
		secret: "test-secret", denied: map[string]bool{}, mute: map[string]bool{}, news: make(chan struct{}),
	}
	f.listen("127.0.0.1:0")
	t.Cleanup(func() {
		f.stop()
		f.mu.Lock()
		for _, c := range f.channels {
			c.once.Do(func() { close(c.hungUp) })
		}
		f.mu.Unlock()
		f.wg.Wait()
	})
	return f
}

func (f *fake) listen(addr string) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		f.t.Fatalf("listening: %v", err)
	}
	f.listener = l
	f.wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if f.wrap != nil {
				conn = f.wrap(conn)
			}
			f.mu.Lock()
			f.conns[conn] = &sync.Mutex{}
			f.mu.Unlock()
			f.wg.Go(func() { f.serve(conn) })
		}
	})
}

func (f *fake) url(parameters string) string {
	return "ami://click:" + f.secret + "@" + f.listener.Addr().String() + "?" + parameters
}

// stop closes the port and every line, as a kill -9 does.
func (f *fake) stop() {
	_ = f.listener.Close()
	f.cut()
}

func (f *fake) cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for conn := range f.conns {
		_ = conn.Close()
	}
}

// restart opens the port again, with nothing remembered.
func (f *fake) restart() {
	f.mu.Lock()
	f.globals = map[string]string{}
	for id, c := range f.channels {
		c.once.Do(func() { close(c.hungUp) })
		delete(f.channels, id)
	}
	f.mu.Unlock()
	f.listen(f.listener.Addr().String())
}

func (f *fake) serve(conn net.Conn) {
	defer func() {
		_ = conn.Close()
		f.mu.Lock()
		delete(f.conns, conn)
		f.mu.Unlock()
	}()
	if _, err := conn.Write([]byte("Asterisk Call Manager/11.0.0\r\n")); err != nil {
		return
	}
	r := bufio.NewReader(conn)
	for {
		a := map[string]string{}
		for {
			line, err := r.ReadString('\n')
			if err != nil {
				return
			}
			if line = strings.TrimSuffix(line, "\r\n"); line == "" {
				break
			}
			name, value, _ := strings.Cut(line, ": ")
			if old, ok := a[name]; ok {
				value = old + "|" + value
			}
			a[name] = value
		}
		f.mu.Lock()
		f.actions = append(f.actions, a)
		close(f.news)
		f.news = make(chan struct{})
		denied, mute := f.denied[a["Action"]], f.mute[a["Action"]]
		f.mu.Unlock()
		switch {
		case mute:
		case denied:
			f.answer(conn, a, "Error", "Message: Permission denied")
		case !f.act(conn, a):
			return
		}
	}
}

func (f *fake) write(conn net.Conn, text string) {
	f.mu.Lock()
	lock := f.conns[conn]
	f.mu.Unlock()
	if lock == nil {
		return
	}
	lock.Lock()
	defer lock.Unlock()
	_ = conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_, _ = conn.Write([]byte(text)) // a line that was cut is part of some stories
}

func lines(fields ...string) string { return strings.Join(fields, "\r\n") + "\r\n\r\n" }

func (f *fake) answer(conn net.Conn, a map[string]string, response string, more ...string) {
	f.write(conn, lines(append([]string{"Response: " + response, "ActionID: " + a["ActionID"]}, more...)...))
}

// event goes to every session, as Asterisk's do.
func (f *fake) event(fields ...string) {
	f.mu.Lock()
	conns := make([]net.Conn, 0, len(f.conns))
	for c := range f.conns {
		conns = append(conns, c)
	}
	f.mu.Unlock()
	for _, c := range conns {
		f.write(c, lines(append(fields, "Privilege: call,all")...))
	}
}

// raw goes to every session as it is.
func (f *fake) raw(text string) {
	f.mu.Lock()
	conns := make([]net.Conn, 0, len(f.conns))
	for c := range f.conns {
		conns = append(conns, c)
	}
	f.mu.Unlock()
	for _, c := range conns {
		f.write(c, text)
	}
}

func (f *fake) act(conn net.Conn, a map[string]string) (goOn bool) {
	switch a["Action"] {
	case "Login":
		f.mu.Lock()
		secret := f.secret
		f.mu.Unlock()
		if a["Secret"] != secret {
			f.answer(conn, a, "Error", "Message: Authentication failed")
			return false
		}
		f.answer(conn, a, "Success", "Message: Authentication accepted")
	case "Ping":
		f.answer(conn, a, "Success", "Ping: Pong")
	case "Setvar":
		f.mu.Lock()
		f.globals[a["Variable"]] = a["Value"]
		f.mu.Unlock()
		f.answer(conn, a, "Success")
	case "Getvar":
		f.answer(conn, a, "Success", "Variable: "+a["Variable"], "Value: "+f.variable(a["Variable"]))
	case "DeviceStateList":
		f.answer(conn, a, "Success", "EventList: start")
		for _, device := range []string{"101", "102", "103", "104"} {
			f.write(conn, lines("Event: DeviceStateChange", "ActionID: "+a["ActionID"], "Device: PJSIP/"+device, "State: "+f.state(device)))
		}
		f.write(conn, lines("Event: DeviceStateListComplete", "ActionID: "+a["ActionID"]))
	case "Status":
		f.status(conn, a)
	case "ListCommands":
		f.answer(conn, a, "Success", "Hangup: Hangup channel.", "Status: List channel status.", "Originate: Originate a call.")
	case "Originate":
		f.originate(conn, a)
	case "Hangup":
		f.mu.Lock()
		c := f.channels[a["Channel"]]
		f.mu.Unlock()
		if c == nil {
			f.answer(conn, a, "Error", "Message: No such channel")
			break
		}
		f.answer(conn, a, "Success", "Message: Channel Hungup")
		c.once.Do(func() { close(c.hungUp) })
	default:
		f.answer(conn, a, "Error", "Message: Invalid/unknown command: "+a["Action"])
	}
	return true
}

func (f *fake) state(device string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, c := range f.channels {
		if c.endpoint == device {
			if c.state == stateUp {
				return "INUSE"
			}
			return "RINGING"
		}
	}
	return "NOT_INUSE"
}

func (f *fake) variable(name string) string {
	switch {
	case name == "DEVICE_STATE(PJSIP/105)":
		return "UNAVAILABLE"
	case strings.HasPrefix(name, "DEVICE_STATE(PJSIP/10"):
		return f.state(strings.TrimSuffix(strings.TrimPrefix(name, "DEVICE_STATE(PJSIP/"), ")"))
	case strings.HasPrefix(name, "DEVICE_STATE("):
		return "INVALID"
	case name == "PJSIP_DIAL_CONTACTS(109)" || name == "PJSIP_DIAL_CONTACTS(104)":
		return "PJSIP/104/sip:a@127.0.0.1&PJSIP/104/sip:b@127.0.0.1"
	case strings.HasPrefix(name, "PJSIP_DIAL_CONTACTS("):
		return "PJSIP/101/sip:a@127.0.0.1"
	case strings.HasPrefix(name, "DIALPLAN_EXISTS(from-internal,"), strings.HasPrefix(name, "DIALPLAN_EXISTS(click-to-dial,"):
		return "1"
	case strings.HasPrefix(name, "DIALPLAN_EXISTS("):
		return "0"
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.globals[name]
}

func (f *fake) status(conn net.Conn, a map[string]string) {
	f.answer(conn, a, "Success", "EventList: start", "Message: Channel status will follow")
	f.mu.Lock()
	var text string
	for id, c := range f.channels {
		text += lines("Event: Status", "Channel: PJSIP/x", "CallerIDNum: 0201234567", "ChannelState: "+c.state,
			"Uniqueid: "+id, "Linkedid: "+id, "BridgeID: "+c.bridge, "Seconds: 2", "ActionID: "+a["ActionID"])
		if c.c != "" {
			text += lines("Event: Status", "ChannelState: "+c.cState, "Uniqueid: "+c.c, "Linkedid: "+id,
				"BridgeID: "+c.bridge, "Seconds: 1", "ActionID: "+a["ActionID"])
		}
	}
	f.mu.Unlock()
	f.write(conn, text+lines("Event: StatusComplete", "ActionID: "+a["ActionID"]))
}

func (f *fake) originate(conn net.Conn, a map[string]string) {
	endpoint := strings.TrimPrefix(a["Channel"], "PJSIP/")
	if a["Application"] != "" {
		f.answer(conn, a, "Success")
		f.event("Event: OriginateResponse", "ActionID: "+a["ActionID"], "Response: Failure", "Reason: 0", "Uniqueid: <unknown>")
		return
	}
	if strings.HasSuffix(a["Exten"], "9999") {
		f.answer(conn, a, "Error", "Message: Extension does not exist.")
		return
	}
	c := &fakeCall{f: f, a: a["ChannelId"], action: a["ActionID"], endpoint: endpoint, hungUp: make(chan struct{}), state: "0"}
	f.mu.Lock()
	story := f.story
	f.mu.Unlock()
	if story == nil {
		story = byNumber(endpoint, a["Exten"])
	}
	f.answer(conn, a, "Success", "Message: Originate successfully queued")
	f.wg.Go(func() { story(c) })
}

// received waits until an action of this kind has come n times, and gives them.
func (f *fake) received(kind string, n int) []map[string]string {
	f.t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		f.mu.Lock()
		news := f.news
		var got []map[string]string
		for _, a := range f.actions {
			if a["Action"] == kind {
				got = append(got, a)
			}
		}
		f.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-news:
		case <-deadline:
			f.t.Fatalf("%d of %d actions %s came", len(got), n, kind)
		}
	}
}

func (f *fake) count(kind string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, a := range f.actions {
		if a["Action"] == kind {
			n++
		}
	}
	return n
}
