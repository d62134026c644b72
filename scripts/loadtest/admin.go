package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	adminAsks = 20 // of each filter
	goalAdmin = 50.0
	adminGoal = "worst under 50 ms"
)

// filter is a way to look for calls; the n-th question may be for another one.
type filter struct {
	name string
	ask  func(n int) map[string]any
	took []float64 // ms
}

// worst is the time of the slowest question.
func (f *filter) worst() float64 { return slices.Max(f.took) }

// adminPages measures the first page that a tenant's admin gets for each filter.
func (b *bench) adminPages(ctx context.Context, s *stock) error {
	progress("the admin's history pages")
	filters, err := s.filters(ctx)
	if err != nil {
		return err
	}
	r, err := s.readPages(ctx)
	if err != nil {
		return err
	}
	defer r.close(ctx)
	if err := s.data.askMe(r.client, 0); err != nil {
		return err
	}
	what := fmt.Sprintf("admin's history page of %s calls", thousands(s.rows))
	var bare []float64
	for n := range adminAsks { // in turn, so that a bad moment does not meet one alone
		for _, f := range filters {
			if err := r.search(f, n); err != nil {
				b.results = append(b.results, result{what: what, goal: adminGoal, missing: f.name + ": " + err.Error()})
				return nil
			}
		}
		began := time.Now()
		if _, err := r.inTenant(ctx, tenantPage, idOf(kindTenant, 0), pageLimit+1); err != nil {
			return err
		}
		bare = append(bare, millis(time.Since(began)))
	}
	b.adminResults(what, filters, bare)
	return nil
}

// search asks for a page and notes the time until it was there. What is looked
// for is there: a page without a call is a fault.
func (r *pageReader) search(f *filter, n int) error {
	body, err := json.Marshal(f.ask(n))
	if err != nil {
		return err
	}
	got, err := r.client.post("/v1/admin/history/search", r.data.tokens[0], body)
	if err != nil {
		return err
	}
	if got.status != 200 {
		return fmt.Errorf("was answered with %d", got.status)
	}
	shown, err := shownIDs(r.client.body)
	if err == nil && len(shown) == 0 {
		err = errors.New("found nothing")
	}
	f.took = append(f.took, millis(got.came.Sub(got.sent)))
	return err
}

func (b *bench) adminResults(what string, filters []*filter, bare []float64) {
	last := len(filters) - 1
	slowest := slices.MaxFunc(filters[:last], func(a, b *filter) int { return cmp.Compare(a.worst(), b.worst()) })
	for _, row := range []struct {
		what string
		of   *filter
	}{{what + ", slowest filter: " + slowest.name, slowest}, {"  two together: " + filters[last].name, filters[last]}} {
		b.results = append(b.results, result{
			what: row.what, figure: fmt.Sprintf("p50 %.1f, worst %.1f ms", median(row.of.took), row.of.worst()),
			yardstick: fmt.Sprintf("bare SELECT without a filter: p50 %.1f, worst %.1f ms", median(bare), slices.Max(bare)),
			compared:  fmt.Sprintf("%+.1f ms", row.of.worst()-slices.Max(bare)), goal: adminGoal, met: row.of.worst() < goalAdmin,
		})
	}
	note := fmt.Sprintf("Admin's history pages, %d questions of each filter, the first of them included; p50 and worst in ms:", adminAsks)
	for _, f := range filters {
		note += fmt.Sprintf("\n  %-22s %6.1f %6.1f", f.name, median(f.took), f.worst())
	}
	b.notes = append(b.notes, note)
}

// filters gives each filter alone, those that find much and those that find
// little; last, two together.
func (s *stock) filters(ctx context.Context) ([]*filter, error) {
	from := time.Now().UTC().Add(-60 * day)
	always := func(fields map[string]any) func(int) map[string]any {
		fields["limit"] = pageLimit
		return func(int) map[string]any { return fields }
	}
	filters := []*filter{
		{name: "none", ask: always(map[string]any{})},
		{name: "outcome, common", ask: always(map[string]any{"outcome": "hangUp"})},
		{name: "outcome, rare", ask: always(map[string]any{"outcome": "failed"})},
		{name: "name, in half of all", ask: always(map[string]any{"name": commonWord})},
		{name: "from and to", ask: always(map[string]any{"from": from, "to": from.Add(7 * day)})},
		{name: "user", ask: func(n int) map[string]any {
			return map[string]any{"limit": pageLimit, "userId": idOf(kindUser, s.owner(s.owners/2+n))}
		}},
	}
	of := func(name, field string, values []string) {
		filters = append(filters, &filter{name: name, ask: func(n int) map[string]any {
			return map[string]any{"limit": pageLimit, field: values[n%len(values)]}
		}})
	}
	for _, f := range []struct{ name, field, statement string }{
		{"number, frequent", "number", "SELECT min(number) FROM calls WHERE tenant_id = $1 AND number > ''"}, // the first is the most frequent
		{"number, rare", "number", "SELECT number FROM calls WHERE tenant_id = $1 AND number >= '" + rareNumbers + "' AND " + lives},
		{"lastFour", "lastFour", "SELECT last_four FROM calls WHERE tenant_id = $1 AND " + lives},
		{"name, rare", "name", "SELECT word FROM call_words WHERE tenant_id = $1 AND word BETWEEN '" + rareWords + "' AND 'bk' AND " + lives},
	} {
		values, err := s.data.sample(ctx, f.statement)
		if err != nil {
			return nil, err
		}
		of(f.name, f.field, values)
	}
	return append(filters, &filter{name: "outcome and name", ask: always(map[string]any{"outcome": "calleeBusy", "name": commonWord})}), nil
}

// lives: not due now, nor deleted by what follows.
const lives = "expires_at > now()"

// sample gives some values of the first tenant's.
func (d *database) sample(ctx context.Context, statement string) ([]string, error) {
	rows, err := d.conn.Query(ctx, fmt.Sprintf("%s LIMIT %d", statement, adminAsks), idOf(kindTenant, 0))
	if err != nil {
		return nil, err
	}
	values, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err == nil && len(values) == 0 {
		err = errors.New("there is nothing to look for")
	}
	return values, err
}
