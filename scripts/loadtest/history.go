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
	if err := b.pages(ctx, few, many); err != nil {
		return fmt.Errorf("history pages: %w", err)
	}
	few.halt()
	if err := b.adminPages(ctx, many); err != nil {
		return fmt.Errorf("the admin's pages: %w", err)
	}
	if err := b.purging(ctx, many, quiet); err != nil {
		return fmt.Errorf("purging: %w", err)
	}
	many.halt()
	if err := b.rebuilding(ctx, many, quiet.url()); err != nil {
		return fmt.Errorf("rebuilding the index: %w", err)
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
