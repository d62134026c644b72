package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"clicktodial/server/store"
)

const (
	pageLimit   = 50
	pageReaders = 48 // users whose history is read in turn

	goalPage, goalStatement = 1.3, 2.0 // times
)

// The pages of a user, and of the tenant.
var (
	userPage   = "SELECT " + callColumns + ` FROM "calls" WHERE tenant_id = $1 AND user_id = $2 ORDER BY created_at DESC, id DESC LIMIT $3`
	tenantPage = "SELECT " + callColumns + ` FROM "calls" WHERE tenant_id = $1 ORDER BY created_at DESC, id DESC LIMIT $2`

	callColumns = columnsOfCall()
)

func columnsOfCall() string {
	columns, err := store.CallColumns()
	if err != nil {
		panic(err) // a row type that GORM cannot read: no server would start
	}
	return columns
}

// pageReader reads the first pages of a stock, over the API and as statements.
type pageReader struct {
	*stock
	client *client
	conn   *pgx.Conn
	asked  int

	overAPI, asStatement []float64 // medians of the rounds, ms
}

func (s *stock) readPages(ctx context.Context) (*pageReader, error) {
	r := &pageReader{stock: s}
	var err error
	if r.client, err = dialClient(s.server.addr); err != nil {
		return nil, err
	}
	if r.conn, err = pgx.Connect(ctx, s.Database); err != nil {
		r.client.close()
		return nil, errors.New("the service's role cannot sign in")
	}
	return r, nil
}

func (r *pageReader) close(ctx context.Context) {
	r.client.close()
	_ = r.conn.Close(context.WithoutCancel(ctx)) // it was only read from
}

// pages measures the first page of a user's history in a small and in a large
// database, each in turn with the statement that it is made of.
func (b *bench) pages(ctx context.Context, few, many *stock) error {
	var readers []*pageReader
	for _, s := range []*stock{few, many} {
		r, err := s.readPages(ctx)
		if err != nil {
			return err
		}
		defer r.close(ctx)
		if err := r.check(ctx); err != nil {
			return err
		}
		readers = append(readers, r)
	}
	for round := range b.rounds + 1 { // the first is to warm up
		if round > 0 {
			progress("first history page, round %d of %d", round, b.rounds)
		}
		for _, r := range readers {
			if err := r.round(ctx, round == 0); err != nil {
				return err
			}
		}
	}
	b.pageResults(readers[0], readers[1])
	return nil
}

// round reads for a while each way; what is read to warm up does not count.
func (r *pageReader) round(ctx context.Context, warmUp bool) error {
	overAPI, err := timed(ctx, r.read/2, r.get)
	if err != nil {
		return err
	}
	asStatement, err := timed(ctx, r.read/2, func() error {
		r.asked++
		_, err := r.inTenant(ctx, userPage, idOf(kindTenant, 0), idOf(kindUser, r.owner(r.asked%pageReaders)), pageLimit+1)
		return err
	})
	if err == nil && !warmUp {
		r.overAPI, r.asStatement = append(r.overAPI, median(overAPI)), append(r.asStatement, median(asStatement))
	}
	return err
}

// timed does something again and again for a while, and says how long each took, in ms.
func timed(ctx context.Context, during time.Duration, do func() error) (took []float64, err error) {
	for end := time.Now().Add(during); err == nil && time.Now().Before(end); {
		began := time.Now()
		err = errors.Join(do(), ctx.Err())
		took = append(took, millis(time.Since(began)))
	}
	return took, err
}

func (r *pageReader) get() error {
	r.asked++
	got, err := r.client.get(fmt.Sprintf("/v1/history?limit=%d", pageLimit), r.data.tokens[r.owner(r.asked%pageReaders)])
	if err == nil && got.status != 200 {
		err = fmt.Errorf("a history page was answered with %d", got.status)
	}
	return err
}

// inTenant asks as the service does: in a transaction of its role and tenant.
// It gives the ids of what came.
func (r *pageReader) inTenant(ctx context.Context, statement string, args ...any) (ids []uuid.UUID, err error) {
	tx, err := r.conn.Begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // undone or committed
	if _, err := tx.Exec(ctx, "SELECT set_config('role', $1, true), set_config('app.tenant_id', $2, true)", "ctd_app", idOf(kindTenant, 0).String()); err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	ids, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (uuid.UUID, error) {
		values, err := row.Values()
		if err != nil {
			return uuid.Nil, err
		}
		id, ok := values[0].([16]byte)
		if !ok {
			return uuid.Nil, fmt.Errorf("an id is a %T", values[0])
		}
		return id, nil
	})
	if err != nil {
		return nil, err
	}
	return ids, tx.Commit(ctx)
}

// check: both ways give the same full page of each user, or what is compared is
// not the same.
func (r *pageReader) check(ctx context.Context) error {
	for range pageReaders {
		if err := r.get(); err != nil {
			return err
		}
		user := r.owner(r.asked % pageReaders)
		ids, err := r.inTenant(ctx, userPage, idOf(kindTenant, 0), idOf(kindUser, user), pageLimit+1)
		if err != nil {
			return err
		}
		shown, err := shownIDs(r.client.body)
		if err != nil {
			return err
		}
		if len(ids) != pageLimit+1 || !slices.Equal(shown, ids[:pageLimit]) {
			return fmt.Errorf("a history page shows %d calls of %d, or not the same", len(shown), len(ids))
		}
	}
	return nil
}

// shownIDs reads the ids of a page of calls.
func shownIDs(body []byte) (ids []uuid.UUID, err error) {
	var page struct{ Items []struct{ ID uuid.UUID } }
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, errors.New("a page of calls cannot be read")
	}
	for _, item := range page.Items {
		ids = append(ids, item.ID)
	}
	return ids, nil
}

func (b *bench) pageResults(few, many *pageReader) {
	const ms = "%.2f"
	longer, slower := shares(many.overAPI, few.overAPI), shares(many.overAPI, many.asStatement)
	b.results = append(b.results,
		result{
			what: fmt.Sprintf("first history page of %s calls, p50", thousands(b.many)), figure: spread(many.overAPI, ms) + " ms",
			yardstick: fmt.Sprintf("the same of %s calls ", thousands(b.few)) + spread(few.overAPI, ms) + " ms",
			compared:  fmt.Sprintf("%.2f times", median(longer)), goal: fmt.Sprintf("within %.1f times", goalPage), met: median(longer) <= goalPage,
		},
		result{
			what: "  the same", figure: spread(many.overAPI, ms) + " ms", yardstick: "the SELECT in a tenant transaction " + spread(many.asStatement, ms) + " ms",
			compared: fmt.Sprintf("%.2f times", median(slower)), goal: fmt.Sprintf("within %.0f times", goalStatement), met: median(slower) <= goalStatement,
		})
	b.notes = append(b.notes, fmt.Sprintf("First history pages: %d calls each, of %d users in turn over one connection, tokens cached. Of %s calls the SELECT took %s ms.",
		pageLimit, pageReaders, thousands(b.few), spread(few.asStatement, ms)))
}

// shares compares the rounds of two.
func shares(of, with []float64) []float64 {
	all := make([]float64, len(of))
	for round := range all {
		all[round] = of[round] / with[round]
	}
	return all
}
