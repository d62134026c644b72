package cli

import (
	"io"

	"clicktodial/server/config"
	"clicktodial/server/register"
)

// settingsOf is what the texts about privacy say of this installation.
func settingsOf(c *config.Config) register.Settings {
	return register.Settings{
		Contact: c.PrivacyContact, Locations: c.DataLocations,
		HistoryMaxAge: c.HistoryMaxAge, PurgeInterval: c.PurgeInterval, LogAnonymiseAfter: c.LogAnonymiseAfter,
		LogDeleteAfter: c.LogDeleteAfter, AuditDeleteAfter: c.AuditDeleteAfter, ContractGrace: c.ContractGrace,
		Ledger: c.ErasureLedger != "", Mail: c.SMTPURL != "",
	}
}

type privacyRegisterCmd struct{}

// Run prints the register; it needs no database.
func (*privacyRegisterCmd) Run(r *run) error {
	reg := register.Of(settingsOf(r.cfg))
	return r.print(reg, reg.WriteMarkdown)
}

type privacyAnnexCmd struct {
	Lang string `enum:"en,nl,de" default:"en" help:"en, nl or de."`
}

// Run prints the annex; it needs no database.
func (c *privacyAnnexCmd) Run(r *run) error {
	annex, err := register.AnnexOf(settingsOf(r.cfg), c.Lang)
	if err != nil {
		return err
	}
	return r.print(annex, func(w io.Writer) { annex.WriteMarkdown(w) })
}
