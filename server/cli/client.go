package cli

import (
	"fmt"
	"io"

	"clicktodial/server/audit"
	"clicktodial/server/auth"
	"clicktodial/server/store"
)

type clientCreateCmd struct {
	ID string `arg:"" help:"What it is called: small letters, digits and -."`
}

// Run makes a client and shows its secret, this once.
func (c *clientCreateCmd) Run(r *run) error {
	return r.withAuth(func(_ *store.DB, s *auth.Service) error {
		secret, err := s.NewClient(r.ctx, c.ID)
		if err != nil {
			return err
		}
		return r.print(map[string]any{"clientId": c.ID, "clientSecret": secret}, func(w io.Writer) {
			fmt.Fprintf(w, "client %s\nsecret %s\nIt is shown this once.\n", c.ID, secret)
		})
	})
}

type clientRemoveCmd struct {
	ID string `arg:"" help:"The client."`
}

// Run removes a client.
func (c *clientRemoveCmd) Run(r *run) error {
	return r.withDB(func(db *store.DB) error {
		err := db.RemoveClient(r.ctx, c.ID, audit.Entry(audit.Operator, "client-remove", audit.Subject{Kind: "client"}, ""))
		if err != nil {
			return err
		}
		return r.print(map[string]any{"clientId": c.ID}, func(w io.Writer) { fmt.Fprintln(w, "removed") })
	})
}
