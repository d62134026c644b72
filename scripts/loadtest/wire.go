package main

import (
	"bytes"
	"strings"
	"time"
)

// message is one AMI message: its headers, the first of duplicates.
type message map[string]string

// splitter cuts a stream of AMI bytes into messages.
type splitter struct {
	rest []byte
	each func(message, time.Time)
}

var (
	lineEnd    = []byte("\r\n")
	messageEnd = []byte("\r\n\r\n")
)

// feed takes the bytes that were seen at the moment.
func (s *splitter) feed(bytesSeen []byte, at time.Time) {
	s.rest = append(s.rest, bytesSeen...)
	for {
		i := bytes.Index(s.rest, messageEnd)
		if i < 0 {
			return
		}
		s.each(parse(s.rest[:i]), at)
		s.rest = s.rest[i+len(messageEnd):]
	}
}

func parse(text []byte) message {
	m := message{}
	for _, line := range bytes.Split(text, lineEnd) {
		name, value, ok := strings.Cut(string(line), ":")
		if _, twice := m[name]; ok && !twice {
			m[name] = strings.TrimPrefix(value, " ")
		}
	}
	return m
}

// action writes a message.
func action(headers ...string) []byte {
	var b bytes.Buffer
	for i := 0; i < len(headers); i += 2 {
		b.WriteString(headers[i] + ": " + headers[i+1] + "\r\n")
	}
	b.WriteString("\r\n")
	return b.Bytes()
}
