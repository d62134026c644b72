package store

import (
	"context"

	"gorm.io/gorm"

	"clicktodial/models"
	"clicktodial/server/fault"
)

// CreateClient stores an internal service that may introspect. Errors:
// client-taken.
func (d *DB) CreateClient(ctx context.Context, client models.OAuthClient, entry models.Audit) error {
	err := d.ask(ctx, CommandLine, func(tx *gorm.DB) error {
		if err := tx.Create(&client).Error; err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
	if violates(err, "oauth_clients_pkey") {
		return fault.New(fault.Conflict, "client-taken", "There is a client with this id already.")
	}
	return err
}

// RemoveClient takes the right to introspect away; ErrNotFound when there is no
// such client.
func (d *DB) RemoveClient(ctx context.Context, id string, entry models.Audit) error {
	return d.ask(ctx, CommandLine, func(tx *gorm.DB) error {
		if err := one(tx.Where("id = ?", id).Delete(&models.OAuthClient{})); err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
}

// FindClient gives an internal service, or ErrNotFound.
func (d *DB) FindClient(ctx context.Context, id string) (client models.OAuthClient, err error) {
	err = d.ask(ctx, SignInDesk, func(tx *gorm.DB) error { return tx.Where("id = ?", id).Take(&client).Error })
	return client, err
}
