package web

import (
	"github.com/gofiber/fiber/v2"

	"clicktodial/server/fault"
)

var errCrossSite = fault.New(fault.Forbidden, "cross-site", "This request came from another site, and was not carried out.")

// SameOrigin refuses unsafe requests that no page of ours made. Every browser since
// 2023 says where a request comes from, and no script can change what it says
// (Fetch Metadata): whoever does not say it is refused too.
func SameOrigin(c *fiber.Ctx) error {
	switch c.Method() {
	case fiber.MethodGet, fiber.MethodHead, fiber.MethodOptions:
		return c.Next()
	}
	sites := c.Request().Header.PeekAll("Sec-Fetch-Site")
	if len(sites) != 1 || string(sites[0]) != "same-origin" {
		return errCrossSite
	}
	return c.Next()
}
