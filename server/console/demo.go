// Package console is the pages for people. For now it is the demo page: numbers
// in all the usual shapes, to try the extension on.
package console

import (
	_ "embed"

	"github.com/gofiber/fiber/v2"
)

//go:embed static/demo.html
var demoPage []byte

// demoPolicy: the page has its styles inside and loads nothing.
const demoPolicy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"

// RegisterDemo adds /demo, and leads / there. It holds made-up numbers and is
// only there while the service is for this machine.
func RegisterDemo(app *fiber.App) {
	app.Get("/demo", func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentSecurityPolicy, demoPolicy)
		c.Type("html", "utf-8")
		return c.Send(demoPage)
	})
	app.Get("/", func(c *fiber.Ctx) error { return c.Redirect("/demo", fiber.StatusSeeOther) })
}
