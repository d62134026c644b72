package store

import (
	"context"

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
