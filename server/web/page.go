package web

import (
	"log/slog"

	"github.com/gofiber/fiber/v2"
)

// Pages answers errors of the routes below it, panics and unknown paths too, with
// a page for people instead of a problem for programs. The status and the headers
// are set when render is called.
func Pages(log *slog.Logger, render func(*fiber.Ctx, *Problem) error) fiber.Handler {
	rescued := rescue(log)
	return func(c *fiber.Ctx) error {
		err := rescued(c)
		if err == nil {
			return nil
		}
		k := asFault(err)
		logInternal(log, k, RequestID(c), err)
		p := k.problem(Language(c.UserContext()))
		p.headers.Del(fiber.HeaderWWWAuthenticate) // there is no scheme that a browser could use
		for name := range p.headers {
			c.Set(name, p.headers.Get(name))
		}
		c.Status(p.Status)
		return render(c, p)
	}
}
