package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
)

const jsonDepth = 8

// CheckBody refuses a body that two readers could read in two ways: packed, of
// another type than JSON, with members that come twice, text after the end, broken
// UTF-8. The decoder that comes after it would take the last member and go on.
func CheckBody(contentType, encoding string, body func() io.Reader) error {
	if encoding != "" { // not even unpacked: a small body may hold gigabytes
		return fiber.ErrUnsupportedMediaType
	}
	text, err := io.ReadAll(body())
	if err != nil {
		return malformed
	}
	if len(text) == 0 {
		return nil // whether there must be one is the operation's business
	}
	kind, _, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.TrimSpace(kind), fiber.MIMEApplicationJSON) {
		return fiber.ErrUnsupportedMediaType
	}
	if checkJSON(text) != nil {
		return malformed
	}
	return nil
}

var errTwice = errors.New("a member comes twice")

func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return errors.New("not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := checkValue(d, jsonDepth); err != nil {
		return err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("text after the end")
	}
	return nil
}

func checkValue(d *json.Decoder, depth int) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	if token == nil {
		return errors.New("null") // no member of ours may be; Huma takes one for an absent member
	}
	delim, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	if depth == 0 {
		return errors.New("too deep")
	}
	seen := map[string]bool{}
	for d.More() {
		if delim == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			key, _ := name.(string)
			if seen[key] {
				return errTwice
			}
			seen[key] = true
		}
		if err := checkValue(d, depth-1); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}
