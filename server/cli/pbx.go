package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"clicktodial/server/pbx"
	"clicktodial/server/phone"
)

type pbxCheckCmd struct {
	Number   string   `help:"Try the route of this number too, ringing nobody."`
	Endpoint []string `help:"Look at these phones too."`
	Context  string   `help:"The dialplan context (default: that of PBX_URL)."`
}

const checkLimit = 20 * time.Second

// Run tries the line and prints what it found.
func (c *pbxCheckCmd) Run(r *run) error {
	if err := r.cfg.Need("PBX_URL"); err != nil {
		return err
	}
	adapter, err := openPBX("PBX_URL", r.cfg.PBXURL, r.newLog())
	if err != nil {
		return err
	}
	req := pbx.Check{Endpoints: c.Endpoint, Region: r.cfg.DefaultRegion, Context: c.Context}
	if c.Number != "" {
		if req.Number, err = phone.Parse(c.Number, r.cfg.DefaultRegion); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(r.ctx, checkLimit)
	defer cancel()
	report, err := adapter.Check(ctx, req)
	if err != nil {
		return err
	}
	err = r.print(report, func(w io.Writer) {
		for _, f := range report.Findings {
			fmt.Fprintf(w, "%-8s %s\n", f.Level, f.Sentence)
			if f.Mend != "" {
				fmt.Fprintf(w, "\n%s\n\n", f.Mend)
			}
		}
	})
	if err == nil && !report.OK {
		return &printedError{}
	}
	return err
}
