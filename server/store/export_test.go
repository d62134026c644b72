package store

import "context"

// SessionState gives the role and the tenant of a connection between transactions.
func (d *DB) SessionState(ctx context.Context) (role, tenant string, err error) {
	err = d.sql.QueryRowContext(ctx,
		"SELECT current_setting('role'), coalesce(current_setting('app.tenant_id', true), '')").Scan(&role, &tenant)
	return role, tenant, err
}

// Certain is what a measurement of the clocks proves.
var Certain = certain
