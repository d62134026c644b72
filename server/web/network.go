package web

import (
	"net/netip"
	"strings"

	"github.com/gofiber/fiber/v2"
)

// Network gives the network that a request comes from, for limits: an IPv4
// address, or the /64 that one IPv6 subscriber has. Behind trusted proxies it is
// the last address of X-Forwarded-For that is none of theirs: what stands before
// it was written by the client.
func Network(c *fiber.Ctx) netip.Prefix {
	addr, _ := netip.ParseAddr(c.Context().RemoteIP().String())
	var hops []string
	for _, line := range c.Request().Header.PeekAll(fiber.HeaderXForwardedFor) { // some proxies add a line of their own
		hops = append(hops, strings.Split(string(line), ",")...)
	}
	for i := len(hops) - 1; i >= 0 && trusted(c, addr); i-- {
		hop, err := netip.ParseAddr(strings.TrimSpace(hops[i]))
		if err != nil {
			break
		}
		addr = hop
	}
	addr = addr.Unmap()
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	network, _ := addr.WithZone("").Prefix(bits) // the zero Prefix for the zero address
	return network
}

// auditNetwork is the network for the audit: too wide to be somebody's address.
func auditNetwork(c *fiber.Ctx) string {
	addr := Network(c).Addr()
	bits := 48
	if addr.Is4() {
		bits = 24
	}
	network, err := addr.Prefix(bits)
	if err != nil || !network.IsValid() {
		return ""
	}
	return network.String()
}

func trusted(c *fiber.Ctx, addr netip.Addr) bool {
	for _, text := range c.App().Config().TrustedProxies {
		if one, err := netip.ParseAddr(text); err == nil && one.Unmap() == addr.Unmap() {
			return true
		}
		if many, err := netip.ParsePrefix(text); err == nil && many.Contains(addr.Unmap()) {
			return true
		}
	}
	return false
}
