package main

import (
	"fmt"
	"time"
)

// refusalLimit: a token that still works so long after its end counts as alive
// for good.
const refusalLimit = 5 * time.Second

// use is how a token fared that was used again and again.
type use struct {
	last    time.Time // when the last question left that was answered
	refused time.Time
	err     error
}

// hammer asks with a token until it is refused; inUse is closed with the first
// answer.
func hammer(c *client, token string, inUse chan<- struct{}) (u use) {
	var limit time.Time
	for {
		r, err := c.get("/v1/me", token)
		first := limit.IsZero()
		if first {
			limit = r.sent.Add(refusalLimit)
			close(inUse)
		}
		switch {
		case err != nil:
			u.err = err
		case r.status == 401 && !first:
			u.refused = r.came
		case r.status != 200:
			u.err = fmt.Errorf("a token in use was answered with %d", r.status)
		case r.sent.After(limit):
			u.err = fmt.Errorf("a token was still taken %v after its sign-in had been revoked", refusalLimit)
		default:
			u.last = r.sent
			continue
		}
		return u
	}
}
