package main

import (
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// silent is a PBX that takes every Originate and says nothing more of it: what is
// left is our own work. Of its phones it says that they are idle.
type silent struct {
	listener net.Listener
	taken    atomic.Int64 // Originates
	work     sync.WaitGroup
}

func newSilent() (*silent, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &silent{listener: l}
	s.work.Go(s.accept)
	return s, nil
}

func (s *silent) url() string {
	return "ami://bench:bench@" + s.listener.Addr().String() + "?channel=PJSIP/{device}&context=from-internal"
}

// close is for after the server has gone: it waits for its sessions' end.
func (s *silent) close() {
	_ = s.listener.Close() // nobody else has it
	s.work.Wait()
}

func (s *silent) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.work.Go(func() { s.session(conn) })
	}
}

func (s *silent) session(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // the session is over
	if _, err := conn.Write([]byte("Asterisk Call Manager/9.0.0\r\n")); err != nil {
		return
	}
	var out []byte
	in := splitter{each: func(m message, _ time.Time) {
		out = append(out, s.answer(m)...)
	}}
	buffer := make([]byte, 64<<10)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		in.feed(buffer[:n], time.Time{})
		if _, err := conn.Write(out); err != nil {
			return
		}
		out = out[:0]
	}
}

func (s *silent) answer(m message) []byte {
	reply := []string{"Response", "Success", "ActionID", m["ActionID"], "Message", "Originate successfully queued"}
	switch m["Action"] {
	case "Originate":
		s.taken.Add(1)
	case "Getvar":
		value := "since-the-beginning"
		if strings.HasPrefix(m["Variable"], "DEVICE_STATE(") {
			value = "NOT_INUSE"
		}
		reply = append(reply, "Variable", m["Variable"], "Value", value)
	case "DeviceStateList": // an empty one: each phone is then asked for
		complete := action("Event", "DeviceStateListComplete", "ActionID", m["ActionID"], "EventList", "Complete", "ListItems", "0")
		return append(action(append(reply, "EventList", "start")...), complete...)
	}
	return action(reply...)
}
