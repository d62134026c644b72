package retention

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"clicktodial/models"
	"clicktodial/server/store"
)

// Chain is what the chain of evidence says, as far as it holds.
type Chain struct {
	OK          bool               `json:"ok"`
	Entries     int64              `json:"entries"`
	From        *time.Time         `json:"from"` // of the first entry
	To          *time.Time         `json:"to"`
	Runs        int64              `json:"runs"` // of the purge
	Interrupted int64              `json:"interrupted"`
	Calls       int64              `json:"calls"`    // deleted in all
	Others      int64              `json:"others"`   // other records, deleted or made anonymous
	Erasures    int64              `json:"erasures"` // of data subjects, on request
	Restores    int64              `json:"restores"` // restore-check, after a dump was restored
	Contracts   int64              `json:"contracts"`
	Heads       []Head             `json:"heads"` // of the last days on which there was an entry, newest last
	Broken      *store.BrokenChain `json:"broken,omitempty"`
}

// Head is the last entry of a day (UTC): who has written down its hash can tell
// that nothing before it was changed since.
type Head struct {
	Day  string    `json:"day"`
	N    int64     `json:"n"`
	At   time.Time `json:"at"`
	Hash string    `json:"hash"`
}

const (
	headDays = 7
	readSize = 500
)

// Look is what to look at in the chain of evidence.
type Look struct {
	UpTo  int64                   // the last entry to look at; 0: all
	Known string                  // a head that was written down, hex: it must be there; "": none
	Each  func(store.Entry) error // told of each entry that holds; may be nil
}

// Verify recomputes the chain of evidence from its first entry on. A chain that
// does not hold is no error: Broken says what is wrong with it.
func Verify(ctx context.Context, db *store.DB, look Look) (c Chain, err error) {
	var before models.Evidence
	found := look.Known == ""
	for {
		entries, err := db.Evidence(ctx, before.N, readSize)
		if err != nil {
			return c, err
		}
		for _, e := range entries {
			if look.UpTo > 0 && before.N >= look.UpTo {
				break
			}
			if err := store.Link(before, e); errors.As(err, &c.Broken) {
				return c, nil
			}
			c.add(e)
			found = found || hex.EncodeToString(e.Hash) == look.Known
			if look.Each != nil {
				if err := look.Each(store.EntryOf(e)); err != nil {
					return c, err
				}
			}
			before = e
		}
		if len(entries) < readSize || look.UpTo > 0 && before.N >= look.UpTo {
			break
		}
	}
	switch {
	case before.N < look.UpTo:
		c.Broken = &store.BrokenChain{N: before.N + 1, What: "is missing"}
	case !found:
		c.Broken = &store.BrokenChain{N: before.N + 1, What: "or one before it is not what it was: the head that was written down is not in the chain"}
	}
	c.OK = c.Broken == nil
	return c, nil
}

func (c *Chain) add(e models.Evidence) {
	at := e.At.UTC()
	if c.From == nil {
		c.From = &at
	}
	c.To = &at
	c.Entries++
	c.Calls += e.Calls
	c.Others += e.Others
	switch e.Kind {
	case models.EvidencePurge:
		c.Runs++
	case models.EvidenceErasure:
		c.Erasures++
	case models.EvidenceRestore:
		c.Restores++
	case models.EvidenceContract:
		c.Contracts++
	}
	if e.Interrupted {
		c.Interrupted++
	}
	head := Head{Day: at.Format(time.DateOnly), N: e.N, At: at, Hash: hex.EncodeToString(e.Hash)}
	if n := len(c.Heads); n > 0 && c.Heads[n-1].Day == head.Day {
		c.Heads[n-1] = head
		return
	}
	c.Heads = append(c.Heads, head)
	if len(c.Heads) > headDays {
		c.Heads = c.Heads[1:]
	}
}
