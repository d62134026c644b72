package store

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"
	"gorm.io/gorm"

	"clicktodial/models"
)

// Entry is an entry of the chain of evidence as its hash is made of it, and as an
// outsider is given it: one line of JSON, its members in this order, no space in
// it. The hash is SHA-256 of the line without its last member, hash. With one
// entry a line on standard input this recomputes the first:
//
//	head -1 | jq -cj 'del(.hash)' | sha256sum
type Entry struct {
	N           int64               `json:"n"` // 1, 2, 3 …
	Kind        models.EvidenceKind `json:"kind"`
	TenantID    *uuid.UUID          `json:"tenantId"`
	StartedAt   string              `json:"startedAt"` // UTC, six digits after the point
	At          string              `json:"at"`        // likewise
	Calls       int64               `json:"calls"`
	Others      int64               `json:"others"`
	Interrupted bool                `json:"interrupted"`
	Oldest      *string             `json:"oldest"`   // likewise
	Previous    string              `json:"previous"` // hex; 64 zeros in the first
	Hash        string              `json:"hash,omitempty"`
}

// microseconds is how Postgres keeps a time.
const microseconds = "2006-01-02T15:04:05.000000Z"

// EntryOf writes a row of evidence as it is hashed.
func EntryOf(e models.Evidence) Entry {
	entry := Entry{
		N: e.N, Kind: e.Kind, TenantID: e.TenantID, StartedAt: e.StartedAt.UTC().Format(microseconds), At: e.At.UTC().Format(microseconds),
		Calls: e.Calls, Others: e.Others, Interrupted: e.Interrupted, Previous: hex.EncodeToString(e.Previous), Hash: hex.EncodeToString(e.Hash),
	}
	if e.Oldest != nil {
		oldest := e.Oldest.UTC().Format(microseconds)
		entry.Oldest = &oldest
	}
	return entry
}

// hashOf recomputes an entry's hash from its other fields.
func hashOf(e models.Evidence) []byte {
	entry := EntryOf(e)
	entry.Hash = ""
	line, err := json.Marshal(entry)
	if err != nil {
		panic(err) // strings and numbers only
	}
	sum := sha256.Sum256(line)
	return sum[:]
}

// evidenceLock is held while an entry is added, so that the chain does not fork.
const evidenceLock = 7236542006

// addEvidence adds an entry to the chain: n, the time, previous and hash are filled
// in here. Others who add one wait until the transaction has ended, so call it
// last. It takes on the purger's role, and leaves the transaction in it.
func addEvidence(tx *gorm.DB, e models.Evidence) (models.Evidence, error) {
	if err := become(tx, Asker{role: rolePurger}); err != nil {
		return e, err
	}
	if err := tx.Exec("SELECT pg_advisory_xact_lock(?)", evidenceLock).Error; err != nil {
		return e, err
	}
	var last []models.Evidence // a statement of its own: it sees what was added while we waited
	if err := tx.Order("n DESC").Limit(1).Find(&last).Error; err != nil {
		return e, err
	}
	e.N, e.Previous = 1, make([]byte, sha256.Size)
	if len(last) > 0 {
		e.N, e.Previous = last[0].N+1, last[0].Hash
	}
	if err := tx.Raw("SELECT clock_timestamp()").Scan(&e.At).Error; err != nil {
		return e, err
	}
	e.Hash = hashOf(e)
	return e, tx.Create(&e).Error
}

// oldestCall says when the oldest call that is left was made; nil: none is. It asks
// per tenant, which an index answers, and stays in the role of ctd_follow.
func oldestCall(tx *gorm.DB) (at *time.Time, err error) {
	if err := become(tx, Asker{role: roleFollow}); err != nil {
		return nil, err
	}
	err = tx.Raw(`SELECT min(o.created_at) FROM tenants t CROSS JOIN LATERAL
		(SELECT created_at FROM calls c WHERE c.tenant_id = t.id ORDER BY created_at, id LIMIT 1) o`).Row().Scan(&at)
	return at, err
}

// Evidence reads the chain in order, from the entry after n on, at most limit.
func (d *DB) Evidence(ctx context.Context, n int64, limit int) (entries []models.Evidence, err error) {
	err = d.ask(ctx, CommandLine, func(tx *gorm.DB) error {
		return tx.Where("n > ?", n).Order("n").Limit(limit).Find(&entries).Error
	})
	return entries, err
}

// Certificate gives the evidence that all data of a contract has gone, or ErrNotFound.
func (d *DB) Certificate(ctx context.Context, tenant uuid.UUID) (e models.Evidence, err error) {
	err = d.ask(ctx, CommandLine, func(tx *gorm.DB) error {
		return tx.Where("kind = ? AND tenant_id = ?", models.EvidenceContract, tenant).Order("n DESC").Take(&e).Error
	})
	return e, err
}

// Proof is what an admin is shown of the purge.
type Proof struct {
	Oldest  *time.Time // when the oldest record that the tenant can see was made; nil: none is there
	LastRun *time.Time // the end of the last purge that was not interrupted; nil: there was none
	N       int64      // of the chain's last entry; 0: it is empty
	Head    []byte     // its hash, 32 bytes
	HeadAt  time.Time
}

// Proof says what the purge has left of a tenant's records, and how far the chain
// of evidence has come.
func (d *DB) Proof(ctx context.Context, tenant uuid.UUID) (p Proof, err error) {
	err = d.ask(ctx, ForTenant(tenant), func(tx *gorm.DB) error {
		err := tx.Raw("SELECT (SELECT created_at FROM calls WHERE tenant_id = ? ORDER BY created_at, id LIMIT 1)", tenant).Row().Scan(&p.Oldest)
		if err != nil {
			return err
		}
		err = tx.Raw("SELECT (SELECT at FROM evidence WHERE kind = ? AND NOT interrupted ORDER BY n DESC LIMIT 1)", models.EvidencePurge).Row().Scan(&p.LastRun)
		if err != nil {
			return err
		}
		var last []models.Evidence
		if err := tx.Order("n DESC").Limit(1).Find(&last).Error; err != nil || len(last) == 0 {
			return err
		}
		p.N, p.Head, p.HeadAt = last[0].N, last[0].Hash, last[0].At
		return nil
	})
	return p, err
}

// BrokenChain is an entry of the chain of evidence that is not as it was written.
type BrokenChain struct {
	N    int64  `json:"n"` // which
	What string `json:"what"`
}

func (b *BrokenChain) Error() string { return fmt.Sprintf("entry %d %s", b.N, b.What) }

// Link checks an entry against the one before it; the first of all has the zero
// entry before it. The error is a *BrokenChain.
func Link(before, e models.Evidence) error {
	previous := before.Hash
	if before.N == 0 {
		previous = make([]byte, sha256.Size)
	}
	switch {
	case e.N != before.N+1:
		return &BrokenChain{before.N + 1, fmt.Sprintf("is missing: entry %d comes after entry %d", e.N, before.N)}
	case !bytes.Equal(e.Hash, hashOf(e)):
		return &BrokenChain{e.N, "was changed: its hash is not that of its fields"}
	case !bytes.Equal(e.Previous, previous):
		return &BrokenChain{e.N, fmt.Sprintf("is out of order: it does not follow entry %d as that stands now", before.N)}
	}
	return nil
}
