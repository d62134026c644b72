package cli

import (
	"fmt"
	"io"

	"clicktodial/server/store"
)

type migrateCmd struct{}

// Run brings the schema up to date.
func (*migrateCmd) Run(r *run) error {
	if err := r.cfg.Need("DATABASE_URL"); err != nil {
		return err
	}
	steps, err := store.Migrate(r.ctx, r.cfg.DatabaseURL)
	if err != nil {
		return err
	}
	return r.print(map[string]any{"applied": steps}, func(w io.Writer) {
		for _, step := range steps {
			fmt.Fprintln(w, "applied", step)
		}
		if len(steps) == 0 {
			fmt.Fprintln(w, "The schema is up to date.")
		}
	})
}
