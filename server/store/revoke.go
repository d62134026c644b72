package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"clicktodial/models"
)

// Which says which sign-ins: all that is set must hold, and something must be.
type Which struct{ Grant, User, Tenant uuid.UUID }

// where is the condition on a table with these columns.
func (w Which) where(grant string) (string, []any) {
	var terms []string
	var args []any
	for _, term := range []struct {
		column string
		id     uuid.UUID
	}{{grant, w.Grant}, {"user_id", w.User}, {"tenant_id", w.Tenant}} {
		if term.id != uuid.Nil && term.column != "" {
			terms, args = append(terms, term.column+" = ?"), append(args, term.id)
		}
	}
	return strings.Join(terms, " AND "), args
}

// Ended is what a revocation has ended.
type Ended struct {
	SignIns  int
	Sessions int
	Tokens   []models.Revocation // for which Redis needs a tombstone
}

// Revoke ends sign-ins, and with those of a whole user or tenant their console
// sessions and codes too, with the audit entry in the same transaction. ErrNotFound when
// one sign-in was named and there is none such.
func (d *DB) Revoke(ctx context.Context, as Asker, which Which, by, reason string, now time.Time, entry models.Audit) (ended Ended, err error) {
	err = d.ask(ctx, as, func(tx *gorm.DB) error {
		ended, err = revoke(tx, which, by, reason, now, entry)
		return err
	})
	return ended, err
}

var errNoWhich = errors.New("a revocation of everything")

// revoke leaves the token rows: a token of a revoked sign-in is known and
// refused, and goes with the purge at its own end. The sign-ins' rows are locked
// by their UPDATE, and issuing locks them too, so no token is overlooked. It is
// the last that a transaction does: it may leave it in the role of the desk.
func revoke(tx *gorm.DB, which Which, by, reason string, now time.Time, entry models.Audit) (ended Ended, err error) {
	where, args := which.where("id")
	if where == "" {
		return ended, errNoWhich
	}
	if which.Grant == uuid.Nil {
		if ended.Sessions, err = endBeginnings(tx, which, now); err != nil {
			return ended, err
		}
	}
	var gone []models.Grant
	res := tx.Model(&gone).Clauses(clause.Returning{Columns: []clause.Column{{Name: "id"}}}).
		Where(where, args...).Where("revoked_at IS NULL").
		Updates(map[string]any{"revoked_at": now, "revoked_by": by, "revoked_reason": reason})
	if res.Error != nil {
		return ended, res.Error
	}
	ended.SignIns = len(gone)
	if len(gone) == 0 && which.Grant != uuid.Nil {
		return ended, mustKnow(tx, where, args)
	}
	if ended.Tokens, err = buryTokens(tx, gone, now); err != nil {
		return ended, err
	}
	if err := addAudit(tx, entry); err != nil {
		return ended, err
	}
	return ended, note(tx, revocationNote)
}

// endBeginnings ends what another sign-in could still come of: console sessions,
// then codes. In this order, and before the sign-ins: making a code holds its
// session's row, redeeming one the code's, so that what is under way is waited for
// and then ended too.
func endBeginnings(tx *gorm.DB, which Which, now time.Time) (sessions int, err error) {
	if err := become(tx, SignInDesk); err != nil {
		return 0, err
	}
	where, args := which.where("")
	res := tx.Where(where, args...).Delete(&models.Session{})
	if res.Error != nil {
		return 0, res.Error
	}
	for _, codes := range []any{&models.AuthorizationCode{}, &models.PairingCode{}} {
		if err := tx.Model(codes).Where(where, args...).Where("used_at IS NULL").Update("used_at", now).Error; err != nil {
			return 0, err
		}
	}
	return int(res.RowsAffected), nil
}

// mustKnow tells a sign-in that has ended before from one that is not there.
func mustKnow(tx *gorm.DB, where string, args []any) error {
	var known int64
	err := tx.Model(&models.Grant{}).Where(where, args...).Count(&known).Error
	if err == nil && known == 0 {
		return ErrNotFound
	}
	return err
}

// A revocation is read by every replica; one of a token that is about to expire,
// or has just done so, still has to end its sockets and ringing calls.
const revocationLife = time.Minute

func buryTokens(tx *gorm.DB, gone []models.Grant, now time.Time) (tokens []models.Revocation, err error) {
	ids := make([]uuid.UUID, len(gone))
	for i := range gone {
		ids[i] = gone[i].ID
	}
	err = tx.Raw(`INSERT INTO revocations (hash, grant_id, expires_at)
		SELECT hash, grant_id, greatest(expires_at, ?) FROM tokens WHERE grant_id = ANY(?::uuid[]) AND kind = 'access' AND expires_at > ?
		ON CONFLICT (hash) DO NOTHING RETURNING hash, grant_id, expires_at`,
		now.Add(revocationLife), idTexts(ids), now.Add(-revocationLife)).Scan(&tokens).Error
	return tokens, err
}

// Revocations gives the revoked tokens that have not expired: all, or those that
// may be new to a replica that has asked within the last seconds. A transaction
// commits at most overlap after it wrote its rows, so none slips through.
func (d *DB) Revocations(ctx context.Context, all bool) (tokens []models.Revocation, err error) {
	const overlap = "20 seconds"
	err = d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		if !all {
			tx = tx.Where("created_at > clock_timestamp() - ?::interval OR NOT confirmed", overlap)
		}
		return tx.Find(&tokens).Error
	})
	return tokens, err
}

// ConfirmRevocations notes that Redis holds the tombstones.
func (d *DB) ConfirmRevocations(ctx context.Context, tokens []models.Revocation) error {
	return d.asUnsynced(ctx, roleAuth, func(tx *gorm.DB) error {
		for some := range slices.Chunk(tokens, 1000) {
			hashes := make([][]byte, len(some))
			for i := range some {
				hashes[i] = some[i].Hash
			}
			if err := tx.Model(&models.Revocation{}).Where("hash IN ?", hashes).Update("confirmed", true).Error; err != nil {
				return err
			}
		}
		return nil
	})
}

// Unconfirmed says whether a tombstone of the sign-in is still to reach Redis.
func (d *DB) Unconfirmed(ctx context.Context, tokens []models.Revocation) (open bool, err error) {
	if len(tokens) == 0 {
		return false, nil
	}
	err = d.as(ctx, roleAuth, uuid.Nil, func(tx *gorm.DB) error {
		return tx.Raw("SELECT EXISTS (SELECT FROM revocations WHERE hash = ? AND NOT confirmed)", tokens[len(tokens)-1].Hash).Scan(&open).Error
	})
	return open, err
}

// HangUpRevoked notes that calls of ended sign-ins that only ring their own phone
// are to end, and gives those that the replica follows.
func (d *DB) HangUpRevoked(ctx context.Context, replica uuid.UUID, grants []uuid.UUID) (calls []models.FollowedCall, err error) {
	err = d.as(ctx, roleFollow, uuid.Nil, func(tx *gorm.DB) error {
		err := tx.Model(&models.FollowedCall{}).
			Where("grant_id = ANY(?::uuid[]) AND ended_at IS NULL AND rank < ? AND hang_up_why IS NULL", idTexts(grants), models.CallingCallee.Rank()).
			Update("hang_up_why", models.HangUpRevoked).Error
		if err != nil {
			return err
		}
		return tx.Where("grant_id = ANY(?::uuid[]) AND replica_id = ? AND ended_at IS NULL AND hang_up_why = ?",
			idTexts(grants), replica, models.HangUpRevoked).Find(&calls).Error
	})
	return calls, err
}
