package web

import (
	"time"

	"github.com/gofiber/fiber/v2"
)

// HostCookie is a cookie that only this very origin can set and read (RFC 6265bis
// 4.1.3.2): its name begins with __Host-. Scripts never see it.
type HostCookie struct {
	Name     string
	SameSite string        // fiber.CookieSameSite…
	MaxAge   time.Duration // 0: until the browser is closed
}

// Get gives the value that the browser sent, or "".
func (h HostCookie) Get(c *fiber.Ctx) string { return c.Cookies(h.Name) }

// Set gives the browser the value.
func (h HostCookie) Set(c *fiber.Ctx, value string) {
	c.Cookie(&fiber.Cookie{
		Name: h.Name, Value: value, Path: "/", Secure: true, HTTPOnly: true, SameSite: h.SameSite,
		MaxAge: int(h.MaxAge.Seconds()), SessionOnly: h.MaxAge == 0,
	})
}

// Clear takes it from the browser.
func (h HostCookie) Clear(c *fiber.Ctx) {
	c.Cookie(&fiber.Cookie{
		Name: h.Name, Path: "/", Secure: true, HTTPOnly: true, SameSite: h.SameSite, Expires: time.Unix(1, 0),
	})
}
