package cli

import (
	"fmt"
	"io"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/call"
	"clicktodial/server/phone"
	"clicktodial/server/policy"
	"clicktodial/server/store"
)

type numberCheckCmd struct {
	Number string `arg:"" help:"The number, as people write it."`
	Tenant string `required:"" help:"Whose rules hold."`
}

// checked is a number as it is printed.
type checked struct {
	Number   string `json:"number"`
	Class    string `json:"class"`
	Region   string `json:"region"`
	Verdict  string `json:"verdict"`
	Code     string `json:"code,omitempty"`
	Sentence string `json:"sentence,omitempty"`
}

// Run checks the number.
func (c *numberCheckCmd) Run(r *run) error {
	id, err := readID(c.Tenant)
	if err != nil {
		return err
	}
	keys, err := r.keys()
	if err != nil {
		return err
	}
	return r.withDB(func(db *store.DB) error {
		t, err := db.Tenant(r.ctx, id)
		if err != nil {
			return err
		}
		number, err := phone.Parse(c.Number, t.Region)
		if err != nil {
			return err
		}
		verdict, err := policy.Default.Check(r.ctx, models.Question{TenantID: id, Number: number, Region: t.Region})
		if err == nil && verdict.Ruling != models.Denied {
			verdict, err = call.AskList(r.ctx, db, keys, id, number, verdict)
		}
		if err != nil {
			return err
		}
		out := checked{
			Number: r.number(number), Class: string(number.Class()), Region: number.Region(),
			Verdict: string(verdict.Ruling), Code: verdict.Code, Sentence: verdict.Detail,
		}
		if err := r.auditReveal(db, audit.Subject{Kind: "tenant", ID: id, Tenant: id}); err != nil {
			return err
		}
		return r.print(out, func(w io.Writer) {
			fmt.Fprintf(w, "%s  %s %s  %s %s\n", out.Number, out.Class, out.Region, out.Verdict, out.Sentence)
		})
	})
}
