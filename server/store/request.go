package store

import (
	"context"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clicktodial/models"
	"clicktodial/server/fault"
)

// Act is what was done for a data subject, to be written down: the audit's entry,
// and the receipt.
type Act struct {
	Subject Subject
	Receipt models.PrivacyRequest // as it is made when no open request is completed
	Request uuid.UUID             // the open request that is completed; Nil: the user's oldest
	Entry   models.Audit
}

var errRequest = fault.New(fault.Conflict, "request-mismatch", "This request is closed, or asks for something else.")

// write completes the request that was open, or makes one that is done. A receipt
// holds no person.
func (a Act) write(tx *gorm.DB, records int64) (models.PrivacyRequest, error) {
	if err := auditLook(tx, a.Entry); err != nil {
		return models.PrivacyRequest{}, err
	}
	a.Receipt.Records = records
	open, err := a.open(tx)
	if err != nil {
		return open, err
	}
	if open.ID == uuid.Nil {
		return a.Receipt, tx.Create(&a.Receipt).Error
	}
	return open, closeRequest(tx, &open, *a.Receipt.DoneAt, false, records)
}

// open finds the request that the act completes; its ID is Nil when there is none.
func (a Act) open(tx *gorm.DB) (r models.PrivacyRequest, err error) {
	q := tx.Clauses(clause.Locking{Strength: "UPDATE"}).
		Where("tenant_id = ? AND done_at IS NULL AND act = ? AND subject = ?", a.Subject.Tenant, a.Receipt.Act, a.Receipt.Subject)
	switch {
	case a.Request != uuid.Nil:
		q = q.Where("id = ?", a.Request)
		if a.Subject.Kind() == models.SubjectUser {
			q = q.Where("user_id = ?", a.Subject.User)
		}
	case a.Subject.Kind() == models.SubjectUser:
		q = q.Where("user_id = ?", a.Subject.User)
	default:
		return r, nil // a called party's request does not say whose it is
	}
	var found []models.PrivacyRequest
	if err = q.Order("received_at, id").Limit(1).Find(&found).Error; err != nil {
		return r, err
	}
	if len(found) > 0 {
		return found[0], nil
	}
	if a.Request != uuid.Nil {
		return r, errRequest
	}
	return r, nil
}

func closeRequest(tx *gorm.DB, r *models.PrivacyRequest, at time.Time, refused bool, records int64) error {
	r.UserID, r.DoneAt, r.Refused, r.Records = nil, &at, refused, records
	return one(tx.Model(&models.PrivacyRequest{}).Where("tenant_id = ? AND id = ? AND done_at IS NULL", r.TenantID, r.ID).
		Updates(map[string]any{"user_id": nil, "done_at": at, "refused": refused, "records": records}))
}

// MayAct says whether an act may begin: the subject is of the tenant, and the
// request that it names is open and asks for it. Errors: ErrNotFound,
// request-mismatch.
func (d *DB) MayAct(ctx context.Context, a Act) error {
	if err := d.KnowSubject(ctx, a.Subject); err != nil || a.Request == uuid.Nil {
		return err
	}
	return d.ask(ctx, ForPrivacy(a.Subject.Tenant), func(tx *gorm.DB) error {
		_, err := a.open(tx)
		return err
	})
}

// Acted writes down an act that took several transactions.
func (d *DB) Acted(ctx context.Context, a Act, records int64) (r models.PrivacyRequest, err error) {
	err = d.ask(ctx, ForPrivacy(a.Subject.Tenant), func(tx *gorm.DB) error {
		r, err = a.write(tx, records)
		return err
	})
	return r, err
}

// FileRequest stores an open request. A user's of the same act that is open
// already is given instead.
func (d *DB) FileRequest(ctx context.Context, s Subject, r models.PrivacyRequest, entry models.Audit) (models.PrivacyRequest, error) {
	err := d.ask(ctx, ForPrivacy(s.Tenant), func(tx *gorm.DB) error {
		if s.Kind() == models.SubjectUser {
			// Two of the user's at once: the second waits, and finds the first.
			if err := knowUser(tx.Clauses(clause.Locking{Strength: "NO KEY UPDATE"}), s); err != nil {
				return err
			}
			open, err := Act{Subject: s, Receipt: r}.open(tx)
			if err != nil || open.ID != uuid.Nil {
				r = open
				return err
			}
		}
		if err := tx.Create(&r).Error; err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
	return r, err
}

// RefuseRequest closes a request without anything being done. Errors:
// ErrNotFound, request-mismatch when it is closed.
func (d *DB) RefuseRequest(ctx context.Context, tenant, id uuid.UUID, at time.Time, entry models.Audit) (r models.PrivacyRequest, err error) {
	err = d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		err := tx.Clauses(clause.Locking{Strength: "UPDATE"}).Where("tenant_id = ? AND id = ?", tenant, id).Take(&r).Error
		if err != nil {
			return err
		}
		if r.DoneAt != nil {
			return errRequest
		}
		if err := closeRequest(tx, &r, at, true, 0); err != nil {
			return err
		}
		return addAudit(tx, entry)
	})
	return r, err
}

// Requests gives requests and receipts, newest first, and one more than asked for
// when there are more; of one user, or (Nil) all. A user's are the open ones.
func (d *DB) Requests(ctx context.Context, tenant, user uuid.UUID, open bool, page Page) (list []models.PrivacyRequest, err error) {
	err = d.ask(ctx, ForPrivacy(tenant), func(tx *gorm.DB) error {
		q := tx.Where("tenant_id = ?", tenant)
		if user != uuid.Nil {
			q = q.Where("user_id = ?", user)
		}
		if open {
			q = q.Where("done_at IS NULL")
		}
		if !page.At.IsZero() {
			q = q.Where("(received_at, id) < (?, ?)", page.At, page.ID)
		}
		return q.Order("received_at DESC, id DESC").Limit(page.Limit + 1).Find(&list).Error
	})
	return list, err
}
