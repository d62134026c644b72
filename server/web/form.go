package web

import (
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
)

// Form is what a page sent: each field once.
type Form map[string]string

// ReadForm reads the body of a page's POST. What no page of ours sends is refused:
// another type, a field that comes twice, broken UTF-8.
func ReadForm(c *fiber.Ctx) (Form, error) {
	kind, _, _ := strings.Cut(c.Get(fiber.HeaderContentType), ";")
	if !strings.EqualFold(strings.TrimSpace(kind), fiber.MIMEApplicationForm) || c.Get(fiber.HeaderContentEncoding) != "" {
		return nil, fiber.ErrUnsupportedMediaType
	}
	values, err := url.ParseQuery(string(c.Request().Body())) // not c.Body, which unpacks
	if err != nil {
		return nil, malformed
	}
	form := Form{}
	for name, list := range values {
		if len(list) != 1 || !utf8.ValidString(name) || !utf8.ValidString(list[0]) || strings.ContainsRune(list[0], 0) {
			return nil, malformed
		}
		form[name] = list[0]
	}
	return form, nil
}
