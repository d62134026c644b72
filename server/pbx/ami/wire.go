package ami

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// What we read is bounded, whatever the other side sends.
const (
	maxLine    = 4 << 10  // a longer line is cut out of its message
	maxHeaders = 512      // more of them are cut out of their message
	maxMessage = 1 << 20  // a longer message is no AMI: the line is given up
	readBuffer = 16 << 10 // a run of events in one system call
)

// What we write. Asterisk 22 takes lines of 1,017 bytes and not of 1,110.
const (
	maxWriteLine    = 1000
	maxWriteHeaders = 100
)

var (
	errTooLong    = errors.New("message too long")
	errEncoding   = errors.New("field may not go on the wire")
	errNoGreeting = errors.New("no AMI greeting")
)

// key is a header that we want to know. Others, the telephone numbers and names
// among them, are dropped as they are read.
type key int

const (
	kEvent key = iota
	kResponse
	kActionID
	kMessage
	kUniqueid
	kLinkedid
	kDestUniqueid
	kDestLinkedid
	kChannelState
	kDialStatus
	kCause
	kReason
	kBridgeID
	kSeconds
	kDevice
	kState
	kValue
	kResult
	kTransferer
	kOrigTransferer
	// What ListCommands may list.
	kHangup
	kStatus
	kCommand
	kModuleLoad
	kGetConfig
	keyCount
)

var keys = map[string]key{
	"event": kEvent, "response": kResponse, "actionid": kActionID, "message": kMessage,
	"uniqueid": kUniqueid, "linkedid": kLinkedid, "destuniqueid": kDestUniqueid, "destlinkedid": kDestLinkedid,
	"channelstate": kChannelState, "dialstatus": kDialStatus, "cause": kCause, "reason": kReason,
	"bridgeid": kBridgeID, "seconds": kSeconds, "device": kDevice, "state": kState, "value": kValue,
	"result": kResult, "transfereruniqueid": kTransferer, "origtransfereruniqueid": kOrigTransferer,
	"hangup": kHangup, "status": kStatus, "command": kCommand, "moduleload": kModuleLoad, "getconfig": kGetConfig,
}

const maxKey = 24 // the longest of keys

// message is one response or event, reduced to what we want to know.
type message [keyCount]string

// reader reads AMI messages. Lines end in CRLF and in nothing else: Asterisk
// echoes a lone CR raw, so one inside a value is part of the value.
type reader struct {
	br      *bufio.Reader
	line    []byte
	version string // the greeting
}

func newReader(r io.Reader) *reader {
	return &reader{br: bufio.NewReaderSize(r, readBuffer), line: make([]byte, 0, 256)}
}

// greeting reads the one line that Asterisk says before anything else.
func (r *reader) greeting() error {
	line, _, err := r.next()
	if err != nil {
		return err
	}
	if !strings.HasPrefix(string(line), "Asterisk Call Manager/") {
		return errNoGreeting
	}
	r.version = string(line)
	return nil
}

// read reads one message. An empty one, of blank lines, is skipped.
func (r *reader) read() (message, error) {
	var m message
	var seen [keyCount]bool
	lines, total, any := 0, 0, false
	for {
		line, size, err := r.next()
		if err != nil {
			return m, err
		}
		if total += size; total > maxMessage {
			return m, errTooLong
		}
		if size == 0 {
			if any {
				return m, nil
			}
			total = 0
			continue
		}
		any = true
		if lines++; lines > maxHeaders || line == nil {
			continue
		}
		k, value, ok := parseHeader(line)
		if ok && !seen[k] { // the first of duplicates counts, as in Asterisk
			seen[k], m[k] = true, value
		}
	}
}

// next reads one line without its CRLF. size is its length; a line over maxLine
// comes back nil. The slice is good until the next call.
func (r *reader) next() (line []byte, size int, err error) {
	r.line = r.line[:0]
	var last byte
	for {
		part, err := r.br.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if errors.Is(err, io.EOF) && size+len(part) > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, 0, err
		}
		n := len(part)
		size += n
		if size > maxMessage {
			return nil, 0, errTooLong
		}
		if size <= maxLine+2 {
			r.line = append(r.line, part...)
		}
		before := last
		if n > 1 {
			before = part[n-2]
		}
		last = part[n-1]
		if last != '\n' || before != '\r' {
			continue
		}
		size -= 2
		if size > maxLine {
			return nil, size, nil
		}
		return r.line[:size], size, nil
	}
}

// parseHeader splits "Name: value" where Name is one of ours, in any case.
func parseHeader(line []byte) (key, string, bool) {
	var name [maxKey]byte
	for i, c := range line {
		if c == ':' {
			k, ok := keys[string(name[:i])]
			if !ok {
				return 0, "", false
			}
			return k, strings.TrimLeft(string(line[i+1:]), " "), true
		}
		if i == maxKey {
			break
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		name[i] = c
	}
	return 0, "", false
}

// field is one header of an action.
type field struct{ name, value string }

// action is what we send: its first field is Action.
type action []field

// encode writes an action as the bytes of exactly one AMI message, or refuses
// it. Asterisk takes a bare LF as a line end too, cuts values at NUL, and keeps
// a bare CR: no control byte at all goes out.
func encode(a action) ([]byte, error) {
	if len(a) == 0 || len(a) > maxWriteHeaders || a[0].name != "Action" {
		return nil, errEncoding
	}
	var b []byte
	for _, f := range a {
		if !fieldName(f.name) || len(f.name)+2+len(f.value) > maxWriteLine || !fieldValue(f.value) {
			return nil, fmt.Errorf("%w: %s", errEncoding, printable(f.name))
		}
		b = append(b, f.name...)
		b = append(b, ": "...)
		b = append(b, f.value...)
		b = append(b, "\r\n"...)
	}
	return append(b, "\r\n"...), nil
}

func fieldName(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return s != ""
}

func fieldValue(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] == 0x7f {
			return false
		}
	}
	return !strings.HasPrefix(s, " ")
}

// printable keeps a refused field's name out of an error when it is not one.
func printable(name string) string {
	if fieldName(name) {
		return name
	}
	return "bad field name"
}
