package cli

import (
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"clicktodial/server/audit"
	"clicktodial/server/auth"
	"clicktodial/server/store"
)

type tokenListCmd struct {
	User string `required:"" help:"E-mail of the user."`
}

// signIn is a sign-in as it is printed.
type signIn struct {
	ID          uuid.UUID  `json:"id"`
	DeviceName  string     `json:"deviceName"`
	SupportCode string     `json:"supportCode"`
	CreatedAt   time.Time  `json:"createdAt"`
	LastUsedOn  *string    `json:"lastUsedOn"`
	ExpiresAt   time.Time  `json:"expiresAt"`
	RevokedAt   *time.Time `json:"revokedAt"`
	RevokedBy   *string    `json:"revokedBy"`
}

func asSignIn(g store.SignIn) signIn {
	s := signIn{
		ID: g.ID, DeviceName: g.DeviceName, SupportCode: g.SupportCode, CreatedAt: g.CreatedAt.UTC(),
		ExpiresAt: g.ExpiresAt.UTC(), RevokedAt: g.RevokedAt, RevokedBy: g.RevokedBy,
	}
	if g.LastUsedOn != nil {
		day := g.LastUsedOn.Format(time.DateOnly)
		s.LastUsedOn = &day
	}
	return s
}

// Run lists the sign-ins.
func (c *tokenListCmd) Run(r *run) error {
	return r.withDB(func(db *store.DB) error {
		u, err := findUser(r, db, c.User)
		if err != nil {
			return err
		}
		grants, err := db.SignIns(r.ctx, store.CommandLine, u.ID)
		if err != nil {
			return err
		}
		items := make([]signIn, 0, len(grants))
		for _, g := range grants {
			items = append(items, asSignIn(g))
		}
		return r.print(map[string]any{"items": items}, func(w io.Writer) {
			for _, s := range items {
				state := "active"
				if s.RevokedAt != nil {
					state = "revoked"
				}
				fmt.Fprintf(w, "%s  %s  %s  %s  %s\n", s.ID, s.SupportCode, s.CreatedAt.Format(time.DateTime), state, s.DeviceName)
			}
			if len(items) == 0 {
				fmt.Fprintln(w, "No sign-ins.")
			}
		})
	})
}

type tokenRevokeCmd struct {
	ID     string `xor:"which" required:"" help:"One sign-in."`
	User   string `xor:"which" required:"" help:"All of a user, by e-mail."`
	Tenant string `xor:"which" required:"" help:"All of a tenant, by id."`
	Reason string `default:"by the operator" help:"Why; the user sees it."`
}

// Run revokes. When it returns, no replica takes the tokens any more.
func (c *tokenRevokeCmd) Run(r *run) error {
	if err := readLine("--reason", c.Reason, maxReason); err != nil {
		return err
	}
	return r.withAuth(func(db *store.DB, s *auth.Service) error {
		which, subject, err := c.which(r, db)
		if err != nil {
			return err
		}
		ended, err := s.RevokeByOperator(r.ctx, which, subject, c.Reason)
		if err != nil {
			return err
		}
		return r.print(map[string]any{"revoked": ended}, func(w io.Writer) { fmt.Fprintf(w, "%d sign-ins ended\n", ended) })
	})
}

func (c *tokenRevokeCmd) which(r *run, db *store.DB) (auth.Which, audit.Subject, error) {
	switch {
	case c.ID != "":
		id, err := readID(c.ID)
		return auth.Which{SignIn: id}, audit.Subject{Kind: "grant", ID: id}, err
	case c.User != "":
		u, err := findUser(r, db, c.User)
		return auth.Which{User: u.ID}, subjectOf(u), err
	default:
		id, err := readID(c.Tenant)
		return auth.Which{Tenant: id}, audit.Subject{Kind: "tenant", ID: id, Tenant: id}, err
	}
}
