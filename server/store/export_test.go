package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
)

// SessionState gives the role and the tenant of a connection between transactions.
func (d *DB) SessionState(ctx context.Context) (role, tenant string, err error) {
	err = d.sql.QueryRowContext(ctx,
		"SELECT current_setting('role'), coalesce(current_setting('app.tenant_id', true), '')").Scan(&role, &tenant)
	return role, tenant, err
}

// TakeLease takes a lease; left is told of a run that was left behind.
func (d *DB) TakeLease(ctx context.Context, l Lease, w Want, left func(models.Lease)) (Term, bool, error) {
	return d.take(ctx, l, w, func(_ *gorm.DB, was models.Lease) error {
		left(was)
		return nil
	})
}

// KeepLease keeps a lease, as the end of a batch does.
func (d *DB) KeepLease(ctx context.Context, t Term, calls, others int64) error {
	return d.ask(ctx, Asker{role: t.lease.role}, func(tx *gorm.DB) error { return t.keep(tx, calls, others) })
}

// ReleaseLease ends a run and gives what it had done.
func (d *DB) ReleaseLease(ctx context.Context, t Term) (was models.Lease, err error) {
	err = d.ask(ctx, Asker{role: t.lease.role}, func(tx *gorm.DB) error {
		if was, err = t.state(tx); err != nil {
			return err
		}
		return t.release(tx)
	})
	return was, err
}

// AddEvidence adds an entry to the chain.
func (d *DB) AddEvidence(ctx context.Context, e models.Evidence) (models.Evidence, error) {
	err := d.ask(ctx, Asker{role: rolePurger}, func(tx *gorm.DB) (err error) {
		e, err = addEvidence(tx, e)
		return err
	})
	return e, err
}

// Statement is what is sent to Postgres.
type Statement struct {
	SQL  string
	Args []any
}

func statementOf(tx *gorm.DB) Statement {
	return Statement{tx.Statement.SQL.String(), tx.Statement.Vars}
}

// CompanyStatements are those of CompanyHistory.
func (d *DB) CompanyStatements(ctx context.Context, tenant uuid.UUID, page Page, search CompanySearch) (all []Statement) {
	ways := search.ways()
	if len(ways) > 1 {
		all = append(all, statementOf(search.count(d.dry, tenant, page, ways).Scan(new(int))))
		err := d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) (err error) {
			ways, err = search.rarestFirst(tx, tenant, page)
			return err
		})
		if err != nil {
			panic(err)
		}
	}
	return append(all, statementOf(search.look(d.dry, tenant, page, ways).Scan(&[]lookedAt{})))
}

// HistoryStatement is that of History without a search.
func (d *DB) HistoryStatement(tenant, user uuid.UUID, page Page) Statement {
	return statementOf(ownHistory(d.dry, tenant, user, page, Search{}).Find(&[]models.Call{}))
}

// CallStatement is that of Call.
func (d *DB) CallStatement(tenant, user, id uuid.UUID) Statement {
	return statementOf(findCall(d.dry, tenant, user, id).Take(&models.Call{}))
}

// AuditStatement is that of AuditEntries.
func (d *DB) AuditStatement(tenant uuid.UUID, page Page, search AuditSearch) Statement {
	return statementOf(search.list(d.dry, tenant, page).Scan(&[]AuditEntry{}))
}

// TallyStatement is that of Tallies.
func (d *DB) TallyStatement(tenant uuid.UUID, from time.Time, limit int) Statement {
	return statementOf(tally(d.dry, tenant, from, limit).Scan(&[]Tally{}))
}

// LivingStatements are those of EachLiving: what is left of a user, the users
// behind, and what is still there of either.
func LivingStatements(tenant, user uuid.UUID, at time.Time) map[string]Statement {
	statements := map[string]Statement{}
	for _, behind := range []bool{false, true} {
		page := LivingPage{tenant: tenant, from: place{user: user, call: uuid.Max, at: at}, behind: behind}
		for what, columns := range map[string]string{"records": livingColumns, "ids": "id"} {
			sql, args := page.query(columns, indexPage)
			statements[fmt.Sprintf("%s, behind %v", what, behind)] = Statement{sql, args}
		}
	}
	return statements
}

// CountCallsBy counts so many at a time.
func (d *DB) CountCallsBy(ctx context.Context, tenant uuid.UUID, some int64) (int64, error) {
	return d.countCalls(ctx, tenant, some)
}

// PreviewOf looks at so many records.
func (d *DB) PreviewOf(ctx context.Context, tenant uuid.UUID, keep time.Duration, limit int64) (Shortening, error) {
	return d.previewRestamp(ctx, tenant, keep, limit)
}

// Certain is what a measurement of the clocks proves.
var Certain = certain
