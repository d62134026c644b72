package store

import (
	"context"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clicktodial/models"
	"clicktodial/server/phone"
)

// NameNumber gives a called party another name in all the tenant's records of the
// number, a batch a transaction, and counts those that it changed. A private call
// that has ended keeps no name.
func (d *DB) NameNumber(ctx context.Context, s Subject, name phone.Name) (total int64, err error) {
	for {
		var rows []models.Call
		err := d.ask(ctx, ForPrivacy(s.Tenant), func(tx *gorm.DB) error {
			err := s.calls(tx).Clauses(clause.Locking{Strength: "NO KEY UPDATE"}).
				Where("name IS DISTINCT FROM ? AND NOT (private AND rank = 4)", name).
				Select("id", "tenant_id", "created_at", "expires_at").Order("created_at, id").Limit(eraseBatch).Find(&rows).Error
			if err != nil || len(rows) == 0 {
				return err
			}
			return nameAll(tx, rows, name)
		})
		if err != nil {
			return total, err
		}
		total += int64(len(rows))
		if len(rows) < eraseBatch {
			return total, nil
		}
	}
}

// nameAll gives records a name, and the words by which it is found.
func nameAll(tx *gorm.DB, rows []models.Call, name phone.Name) error {
	tenant := rows[0].TenantID
	ids := make([]uuid.UUID, len(rows))
	var words []models.CallWord
	for i, row := range rows {
		ids[i], row.Name = row.ID, name
		words = append(words, wordsOf(row)...)
	}
	if err := tx.Model(&models.Call{}).Where("tenant_id = ? AND id = ANY(?::uuid[])", tenant, idTexts(ids)).Update("name", name).Error; err != nil {
		return err
	}
	if err := tx.Where("tenant_id = ? AND call_id = ANY(?::uuid[])", tenant, idTexts(ids)).Delete(&models.CallWord{}).Error; err != nil {
		return err
	}
	const some = 5000 // rows in one statement: it holds 65,535 values
	if len(words) == 0 {
		return nil
	}
	return tx.CreateInBatches(&words, some).Error
}

// ChangePerson gives a user of the tenant another name or e-mail; nil leaves it.
// Links that were sent to the old e-mail are used up. Errors: ErrNotFound,
// email-taken.
func (d *DB) ChangePerson(ctx context.Context, tenant, user uuid.UUID, name, email *string, entry models.Audit) error {
	err := d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		set := map[string]any{}
		put(set, "name", name)
		put(set, "email", email)
		var before models.User
		err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Select("id", "email").
			Where("tenant_id = ? AND id = ? AND deleted_at IS NULL", tenant, user).Take(&before).Error
		if err != nil || len(set) == 0 {
			return err
		}
		if err := tx.Model(&models.User{}).Where("tenant_id = ? AND id = ?", tenant, user).Updates(set).Error; err != nil {
			return err
		}
		if err := addAudit(tx, entry); err != nil || email == nil || *email == before.Email {
			return err
		}
		return useUpLinks(tx, user)
	})
	return named(err)
}

// useUpLinks ends the links with which the user could set a password. It leaves
// the transaction in the role of the desk.
func useUpLinks(tx *gorm.DB, user uuid.UUID) error {
	if err := become(tx, SignInDesk); err != nil {
		return err
	}
	return tx.Model(&models.PasswordLink{}).Where("user_id = ? AND used_at IS NULL", user).Update("used_at", gorm.Expr("now()")).Error
}
