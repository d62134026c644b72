package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/gofiber/fiber/v2"

	"clicktodial/server/live"
	"clicktodial/server/web"
)

// yardstickCommand makes this program the yardstick of GET /v1/me: a server with
// Fiber as the service sets it up, and nothing around its routes.
const (
	yardstickCommand = "yardstick"
	barePath         = "/bare"  // answers
	redisPath        = "/redis" // asks Redis for a cached principal, then answers
	barePrefix       = "bench-yardstick:"
)

// yardstickSetup is what it is told.
type yardstickSetup struct {
	Listen    string `env:"YARDSTICK_LISTEN,required"`
	Answer    string `env:"YARDSTICK_ANSWER,required"`    // one of /v1/me's
	Principal string `env:"YARDSTICK_PRINCIPAL,required"` // as the token cache holds one
	Redis     string `env:"REDIS_URL,required"`
}

// startYardstick starts it as a process of its own.
func (b *bench) startYardstick(ctx context.Context, answer, principal []byte) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, yardstickCommand)
	cmd.Env = b.environ("YARDSTICK_LISTEN="+addr, "YARDSTICK_ANSWER="+string(answer), "YARDSTICK_PRINCIPAL="+string(principal))
	return b.start(ctx, "yardstick", addr, cmd)
}

// serveYardstick serves until ctx ends.
func serveYardstick(ctx context.Context) error {
	var s yardstickSetup
	if err := env.Parse(&s); err != nil {
		return err
	}
	redis, err := live.Open(s.Redis, barePrefix)
	if err != nil {
		return err
	}
	defer redis.Close() //nolint:errcheck // the process ends
	cache, hash := live.NewTokenCache(redis), hashOf("yardstick")
	if err := cache.Fill(ctx, hash, []byte(s.Principal), time.Now().Add(time.Hour)); err != nil {
		return fmt.Errorf("filling the cache: %w", err)
	}
	app := bareApp([]byte(s.Answer), func(ctx context.Context) error {
		token, err := cache.Find(ctx, hash)
		if err == nil && len(token.Principal) != len(s.Principal) {
			err = errors.New("not what was written")
		}
		return err
	})
	defer context.AfterFunc(ctx, func() { _ = app.Shutdown() })() // Listen then returns
	return app.Listen(s.Listen)
}

func bareApp(answer []byte, look func(context.Context) error) *fiber.App {
	// The service's own settings, without its routes and what it puts around them.
	app := fiber.New(web.New(web.Options{Log: slog.New(slog.DiscardHandler), Now: time.Now}).Config())
	say := func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
		return c.Send(answer)
	}
	app.Get(barePath, say)
	app.Get(redisPath, func(c *fiber.Ctx) error {
		if err := look(c.UserContext()); err != nil {
			return err
		}
		return say(c)
	})
	app.Get("/readyz", func(c *fiber.Ctx) error {
		return c.SendString(`{"dependencies":[{"name":"none","ok":true}]}`)
	})
	return app
}
