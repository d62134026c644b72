package cli

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/fault"
	"clicktodial/server/retention"
	"clicktodial/server/store"
)

type tenantCertificateCmd struct {
	ID string `arg:"" help:"The tenant."`
}

var errNotWiped = fault.New(fault.NotFound, "not-wiped-yet", "The data of this tenant has not gone yet.")

// Run shows the certificate, once the chain has been verified up to it.
func (c *tenantCertificateCmd) Run(r *run) error {
	id, err := readID(c.ID)
	if err != nil {
		return err
	}
	return r.withDB(func(db *store.DB) error {
		e, err := db.Certificate(r.ctx, id)
		if errors.Is(err, store.ErrNotFound) {
			return r.notWiped(db, id)
		}
		if err != nil {
			return err
		}
		chain, err := retention.Verify(r.ctx, db, retention.Look{UpTo: e.N})
		if err != nil {
			return err
		}
		if err := r.printCertificate(id, e, chain.OK); err != nil {
			return err
		}
		if !chain.OK {
			fmt.Fprintln(r.errOut, "clicktodial: the chain of evidence does not hold:", chain.Broken)
			return &printedError{}
		}
		return nil
	})
}

func (r *run) printCertificate(id uuid.UUID, e models.Evidence, verified bool) error {
	hash := hex.EncodeToString(e.Hash)
	object := map[string]any{
		"tenantId": id, "ended": e.StartedAt.UTC(), "wiped": e.At.UTC(), "calls": e.Calls, "others": e.Others,
		"evidence": e.N, "hash": hash, "verified": verified,
	}
	return r.print(object, func(w io.Writer) {
		fmt.Fprintf(w, "tenant          %s\ncontract ended  %s\ndata wiped      %s\n", id, e.StartedAt.UTC().Format(time.RFC3339), e.At.UTC().Format(time.RFC3339))
		fmt.Fprintf(w, "of which        %d calls and %d other records\nevidence        entry %d, %s\n", e.Calls, e.Others, e.N, hash)
		if verified {
			fmt.Fprintln(w, "the chain of evidence holds up to it")
		}
	})
}

// notWiped says when the data will go. ErrNotFound when there is no such tenant.
func (r *run) notWiped(db *store.DB, id uuid.UUID) error {
	t, err := db.Tenant(r.ctx, id)
	if err != nil {
		return err
	}
	if r.json {
		if err := r.print(map[string]any{"tenantId": id, "status": t.Status, "ended": t.EndedAt, "wiped": nil, "wipeAt": t.WipeAt}, nil); err != nil {
			return err
		}
		return errNotWiped
	}
	if t.WipeAt == nil {
		fmt.Fprintln(r.out, "the contract runs")
		return errNotWiped
	}
	fmt.Fprintf(r.out, "the contract ended on %s; all its data goes on %s\n", t.EndedAt.UTC().Format(time.RFC3339), t.WipeAt.UTC().Format(time.RFC3339))
	return errNotWiped
}
