package cli

import (
	"fmt"
	"io"
	"maps"
	"slices"

	"clicktodial/server/retention"
)

type configPrintCmd struct{}

// Run prints the configuration.
func (*configPrintCmd) Run(r *run) error {
	masked := r.cfg.Masked()
	if r.cfg.ErasureLedger == "" {
		fmt.Fprintln(r.errOut, "clicktodial: warning:", retention.NoLedger)
	}
	return r.print(masked, func(w io.Writer) {
		for _, name := range slices.Sorted(maps.Keys(masked)) {
			fmt.Fprintf(w, "%s=%s\n", name, masked[name])
		}
	})
}
