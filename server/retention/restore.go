package retention

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/audit"
	"clicktodial/server/secret"
	"clicktodial/server/store"
)

// RestoreCheck makes a database that was restored from a dump safe to open: what
// was ended since the dump is ended again. Nothing else runs meanwhile. It may be
// interrupted and run again, and again once it is through.
type RestoreCheck struct {
	DB     *store.DB
	Keys   *secret.Keys
	Ledger string // path
	// Adopt takes the ledger over although it is another installation's: that of a
	// dump that knew of no ledger.
	Adopt bool
	Purge func(context.Context) (calls int64, err error) // all that is due
	Wipe  func(context.Context) error                    // what Redis holds of before; nil: somebody else empties it
	Now   func() time.Time
	Log   *slog.Logger
}

// Restored is what it has done.
type Restored struct {
	SignInsEnded   int   `json:"signInsEnded"`
	SessionsClosed int   `json:"sessionsClosed"`
	Erased         int64 `json:"erased"` // records that the ledger names
	Purged         int64 `json:"purged"` // records whose time had come
	Objections     int64 `json:"objections"`
	Restrictions   int64 `json:"restrictions"`
	LedgerEntries  int64 `json:"ledgerEntries"` // that name somebody
}

const restoredReason = "database restored"

// Run does it. Errors: ledger-foreign.
func (c *RestoreCheck) Run(ctx context.Context) (done Restored, err error) {
	began := c.Now().UTC()
	said, err := c.read(ctx)
	if err != nil {
		return done, err
	}
	done.LedgerEntries = said.entries
	// From here to the end nobody is served, whatever is counted meanwhile.
	if err := c.DB.MarkRestored(ctx); err != nil {
		return done, err
	}
	for _, step := range []func(context.Context, *plan, *Restored) error{c.signOut, c.replay, c.clean} {
		if err := step(ctx, said, &done); err != nil {
			return done, err
		}
	}
	return done, c.DB.FinishRestore(ctx, said.newest, began, done.Erased, audit.Entry(audit.Operator, "restore-check", audit.Subject{}, restoredReason))
}

func (c *RestoreCheck) read(ctx context.Context) (*plan, error) {
	state, err := c.DB.LedgerState(ctx)
	if err != nil {
		return nil, err
	}
	owner := state.Installation
	if c.Adopt {
		owner = uuid.Nil
	}
	said, err := readPlan(c.Ledger, owner)
	if err != nil {
		return nil, err
	}
	if said.torn+said.unknown > 0 {
		c.Log.Warn("the ledger has lines that cannot be read: one that a crash has torn was written again after it", "torn", said.torn, "unknown", said.unknown)
	}
	if said.newest == 0 {
		c.Log.Warn("the ledger is empty: nothing says what was erased since the dump")
	}
	if c.Adopt && said.owner != uuid.Nil && said.owner != state.Installation {
		err = c.DB.AdoptLedger(ctx, said.owner, audit.Entry(audit.Operator, "ledger-adopt", audit.Subject{}, restoredReason))
	}
	return said, err
}

// signOut ends all that anybody could still act by: a sign-in that was ended since
// the dump is alive in it.
func (c *RestoreCheck) signOut(ctx context.Context, _ *plan, done *Restored) error {
	err := pages(func(after uuid.UUID) ([]uuid.UUID, error) { return c.DB.TenantIDs(ctx, after, walkBatch) },
		func(tenant uuid.UUID) error {
			return c.revoke(ctx, store.Which{Tenant: tenant}, audit.Subject{Kind: "tenant", ID: tenant, Tenant: tenant}, done)
		})
	if err != nil {
		return fmt.Errorf("ending sign-ins: %w", err)
	}
	err = pages(func(after uuid.UUID) ([]uuid.UUID, error) { return c.DB.UserIDs(ctx, uuid.Nil, after, walkBatch) },
		func(user uuid.UUID) error {
			return c.revoke(ctx, store.Which{User: user}, audit.Subject{Kind: "user", ID: user}, done)
		})
	if err != nil {
		return fmt.Errorf("ending sign-ins of support: %w", err)
	}
	if err := c.DB.KillLinks(ctx, c.Now().UTC()); err != nil {
		return fmt.Errorf("using up links: %w", err)
	}
	return nil
}

func (c *RestoreCheck) revoke(ctx context.Context, which store.Which, subject audit.Subject, done *Restored) error {
	entry := audit.Entry(audit.Operator, "sign-in-revoke", subject, restoredReason)
	ended, err := c.DB.Revoke(ctx, store.CommandLine, which, "operator", restoredReason, c.Now().UTC(), entry)
	done.SignInsEnded += ended.SignIns
	done.SessionsClosed += ended.Sessions
	return err
}

func (c *RestoreCheck) replay(ctx context.Context, p *plan, done *Restored) error {
	for tenant, said := range p.tenants {
		w := &walker{db: c.DB, keys: c.Keys, tenant: tenant, said: said, done: done, known: map[uuid.UUID]userHashes{}}
		// One that is not in the dump was made after it, or has gone.
		_, err := c.DB.Tenant(ctx, tenant)
		if errors.Is(err, store.ErrNotFound) {
			continue
		}
		if err == nil {
			err = w.run(ctx)
		}
		if err != nil {
			return fmt.Errorf("replaying the ledger: %w", err)
		}
	}
	return nil
}

// clean deletes what is due, and what Redis holds of records and tokens.
func (c *RestoreCheck) clean(ctx context.Context, _ *plan, done *Restored) (err error) {
	if done.Purged, err = c.Purge(ctx); err != nil {
		return fmt.Errorf("purging: %w", err)
	}
	if c.Wipe == nil {
		return nil
	}
	return c.Wipe(ctx)
}

// pages calls each with every id, a page at a time.
func pages(page func(after uuid.UUID) ([]uuid.UUID, error), each func(uuid.UUID) error) error {
	for after := uuid.Nil; ; {
		ids, err := page(after)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := each(id); err != nil {
				return err
			}
		}
		if len(ids) < walkBatch {
			return nil
		}
		after = ids[len(ids)-1]
	}
}
