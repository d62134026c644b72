package main

import (
	"context"
	"fmt"
)

// fewPeople are so few that each has more than a page, also of a small history.
const fewPeople = 400

// history measures what a long history costs: its pages, its end, and the index of it.
func (b *bench) history(ctx context.Context) error {
	quiet, err := newSilent()
	if err != nil {
		return err
	}
	defer quiet.close()
	if err := b.widenRedis(); err != nil {
		return fmt.Errorf("Redis: %w", err)
	}
	progress("filling a database with %s calls", thousands(b.few))
	few, err := b.stockOf(ctx, "few", fewPeople, b.few, 0, quiet.url())
	if err != nil {
		return fmt.Errorf("a small history: %w", err)
	}
	defer few.close()
	progress("filling a database with %s calls", thousands(b.many))
	many, err := b.stockOf(ctx, "many", b.callers, b.many, b.many/5, quiet.url())
	if err != nil {
		return fmt.Errorf("a large history: %w", err)
	}
	defer many.close()
	alone := &paced{}
	for _, part := range []struct {
		what string
		do   func() error
	}{
		{"history pages", func() error { return b.pages(ctx, few, many) }},
		{"the admin's pages", func() error { few.halt(); return b.adminPages(ctx, many) }},
		{"calls with nothing beside them", func() error { return many.callsAlone(ctx, quiet, alone) }},
		{"purging", func() error { return b.purging(ctx, many, quiet, alone) }},
		{"shortening", func() error { return b.shortening(ctx, many, quiet, alone) }},
		{"rebuilding the index", func() error { many.halt(); return b.rebuilding(ctx, many, quiet.url()) }},
	} {
		err := part.do()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil { // what was measured before is not lost, nor what comes
			b.results = append(b.results, result{what: part.what, missing: err.Error()})
		}
	}
	return nil
}

// widenRedis lets the private Redis hold the index of a large history.
func (b *bench) widenRedis() error {
	redis, err := dialRedis(b.Redis)
	if err != nil {
		return err
	}
	defer redis.close()
	_, err = redis.ask([]string{"CONFIG", "SET", "maxmemory", "4gb"})
	return err
}
