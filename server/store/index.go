package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"gorm.io/gorm"

	"clicktodial/models"
)

// Living is what the Redis TTL index holds of a record.
type Living struct {
	User, Call uuid.UUID
	ExpiresAt  time.Time
}

// LivingPage is some living records of one tenant.
type LivingPage struct {
	Records []Living

	tenant uuid.UUID
	from   place
	behind bool // from's user is done
}

// place is the last record that was looked at.
type place struct {
	user, call uuid.UUID
	at         time.Time
}

// indexPage is how many records one statement gives: some ten milliseconds' worth.
const indexPage = 10000

// EachLiving gives all living records, the tenants' one after the other and of
// each a user's together, so that a day of theirs comes at once. Each page is a
// statement of its own: nothing keeps Postgres from cleaning up behind it. While
// fn has a page the next one is read.
func (d *DB) EachLiving(ctx context.Context, fn func(LivingPage) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	pages, ended := make(chan LivingPage), make(chan error, 1)
	go func() {
		ended <- d.readAllLiving(ctx, func(page LivingPage) error {
			select {
			case pages <- page:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	for {
		select {
		case page := <-pages:
			if err := fn(page); err != nil {
				cancel()
				<-ended
				return err
			}
		case err := <-ended:
			return err
		}
	}
}

func (d *DB) readAllLiving(ctx context.Context, fn func(LivingPage) error) error {
	var tenants []uuid.UUID
	err := d.as(ctx, roleRetention, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Model(&models.Tenant{}).Order("id").Pluck("id", &tenants).Error
	})
	if err != nil {
		return fmt.Errorf("listing the tenants: %w", err)
	}
	for _, tenant := range tenants {
		page := LivingPage{tenant: tenant, behind: true}
		for more := true; more; {
			var next LivingPage
			if next, more, err = d.readLiving(ctx, &page); err != nil {
				return fmt.Errorf("reading living records: %w", err)
			}
			if len(page.Records) > 0 {
				if err := fn(page); err != nil {
					return err
				}
			}
			page = next
		}
	}
	return nil
}

// livingColumns are all in calls_user: the table itself is not read.
const livingColumns = "user_id, id, created_at, expires_at"

// query reads along calls_user, in which a user's calls stand newest first. The
// order is mixed, so one comparison of rows cannot say "after this place": first
// comes what is left of the user, then the users behind.
func (p *LivingPage) query(columns string, limit int) (sql string, args []any) {
	const order = " ORDER BY user_id, created_at DESC, id DESC LIMIT "
	sql = "SELECT " + columns + " FROM calls WHERE tenant_id = $1 AND user_id "
	if p.behind {
		return sql + "> $2" + order + "$3", []any{p.tenant, p.from.user, limit}
	}
	return sql + "= $2 AND (created_at, id) < ($3, $4)" + order + "$5", []any{p.tenant, p.from.user, p.from.at, p.from.call, limit}
}

// readLiving fills a page with what has not ended, and gives the one after it.
func (d *DB) readLiving(ctx context.Context, page *LivingPage) (next LivingPage, more bool, err error) {
	err = d.travel(ctx, func(s session) error {
		n, living, last := 0, make([]Living, 0, indexPage), page.from
		var now time.Time
		t := d.newTrip()
		t.take(roleRetention, page.tenant)
		t.ask("SELECT statement_timestamp()").QueryRow(func(row pgx.Row) error { return row.Scan(&now) })
		sql, args := page.query(livingColumns, indexPage)
		t.ask(sql, args...).Query(func(rows pgx.Rows) error {
			var user, call [16]byte
			var expires time.Time
			for ; rows.Next(); n++ {
				if err := rows.Scan(&user, &call, &last.at, &expires); err != nil {
					return err
				}
				if last.user, last.call = user, call; expires.After(now) {
					living = append(living, Living{user, call, expires})
				}
			}
			return rows.Err()
		})
		err := s.send(t)
		page.Records = living
		full := n == indexPage
		next, more = LivingPage{tenant: page.tenant, from: last, behind: !full}, full || !page.behind
		return err
	})
	return next, more, err
}

// Missing gives the records of a page that are gone by now. It reads the page
// again, a tenth of the work of looking for each of its records.
func (d *DB) Missing(ctx context.Context, page LivingPage) (missing []Living, err error) {
	const more = 100 // than before: new calls push the last ones out
	there := make(map[[16]byte]bool, len(page.Records))
	err = d.travel(ctx, func(s session) error {
		t := d.newTrip()
		t.take(roleRetention, page.tenant)
		sql, args := page.query("id", indexPage+more)
		t.ask(sql, args...).Query(func(rows pgx.Rows) error {
			var id [16]byte
			for rows.Next() {
				if err := rows.Scan(&id); err != nil {
					return err
				}
				there[id] = true
			}
			return rows.Err()
		})
		return s.send(t)
	})
	if err != nil {
		return nil, err
	}
	var unseen []uuid.UUID
	for _, r := range page.Records {
		if !there[r.Call] {
			unseen = append(unseen, r.Call)
		}
	}
	if len(unseen) == 0 {
		return nil, nil
	}
	if unseen, err = d.gone(ctx, page.tenant, unseen); err != nil {
		return nil, err
	}
	lost := map[uuid.UUID]bool{}
	for _, id := range unseen {
		lost[id] = true
	}
	for _, r := range page.Records {
		if lost[r.Call] {
			missing = append(missing, r)
		}
	}
	return missing, nil
}

// gone gives the ids of which there is no record.
func (d *DB) gone(ctx context.Context, tenant uuid.UUID, ids []uuid.UUID) (gone []uuid.UUID, err error) {
	err = d.travel(ctx, func(s session) error {
		t := d.newTrip()
		t.take(roleRetention, tenant)
		t.ask("SELECT u FROM unnest($2::uuid[]) u WHERE NOT EXISTS (SELECT FROM calls WHERE tenant_id = $1 AND id = u)", tenant, ids).
			Query(func(rows pgx.Rows) (err error) {
				gone, err = pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
				return err
			})
		return s.send(t)
	})
	return gone, err
}
