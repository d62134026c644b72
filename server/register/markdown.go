package register

import (
	"fmt"
	"io"
	"strings"
)

// WriteMarkdown writes the register for people.
func (r Register) WriteMarkdown(w io.Writer) {
	fmt.Fprintf(w, "# Register of processing activities (GDPR art. 30)\n\n")
	fmt.Fprintf(w, "Click-to-Dial, as it is configured here. Printed by `privacy register`; each column of the database is in it.\n\n")
	fmt.Fprintf(w, "- **Controller**: %s\n- **Processor**: %s\n- **Contact**: %s\n- **Locations of the data**: %s\n- **Transfers**: %s\n\n",
		r.Controller, r.Processor, r.Contact, r.Locations, r.Transfers)
	fmt.Fprintf(w, "## Categories of data\n\n| category | processed | |\n|---|---|---|\n")
	for _, c := range r.Categories {
		fmt.Fprintf(w, "| %s | %s | %s |\n", c.Title, yesNo(c.Processed), c.Why)
	}
	for _, a := range r.Activities {
		a.writeMarkdown(w)
	}
	fmt.Fprintf(w, "\n## Security (art. 32)\n\n")
	for _, line := range r.Security {
		fmt.Fprintf(w, "- %s\n", line)
	}
	fmt.Fprintf(w, "\n## Columns that say nothing about a person\n\n%s.\n", code(r.Impersonal))
}

func (e ActivityEntry) writeMarkdown(w io.Writer) {
	fmt.Fprintf(w, "\n## %s\n\n- **Purpose**: %s\n- **Lawful basis**: %s\n- **People**: %s\n- **Transfers**: %s\n",
		e.Title, e.Purpose, e.Basis, strings.Join(e.Subjects, ", "), e.Transfers)
	for _, k := range e.Data {
		fmt.Fprintf(w, "\n**%s** (%s): %s.\n- about: %s\n- seen by: %s\n- kept: %s\n- columns: %s\n",
			k.Name, k.Category, k.What, strings.Join(k.Subjects, ", "), k.Recipients, k.Retention, code(k.Columns))
	}
	if len(e.Elsewhere) > 0 {
		fmt.Fprintf(w, "\nOutside the database:\n")
	}
	for _, p := range e.Elsewhere {
		fmt.Fprintf(w, "- **%s**: %s. Kept: %s\n", p.Where, p.What, p.Retention)
	}
}

func code(names []string) string { return "`" + strings.Join(names, "`, `") + "`" }

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}
