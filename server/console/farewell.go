package console

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/call"
	"clicktodial/server/web"
)

// farewell is all that an admin of an ended contract can open.
const farewell = "/console/farewell"

func (v *visit) farewellPage() error { return v.render("farewell", nil) }

// exportEverything sends what is held of the company: as JSON its people and its
// calls, as CSV the calls.
func (v *visit) exportEverything() error {
	format := call.CSV
	if v.form["format"] == string(call.JSON) {
		format = call.JSON
	}
	calls, err := v.Company.Export(v.c.UserContext(), v.session.Actor(), call.CompanySearch{}, format)
	if err != nil {
		return err
	}
	session, people, now := v.session, v.Auth, v.Now
	file := web.File{Name: "click-to-dial." + string(format), Type: calls.ContentType()}
	web.Stream(v.c, v.Log, file, func(ctx context.Context, out *bufio.Writer) error {
		defer calls.End()
		if format == call.CSV {
			return calls.Write(ctx, out)
		}
		return writeCompany(ctx, out, people, session, now(), calls)
	})
	return nil
}

// companyPerson is a user of the company as its admin takes them along.
type companyPerson struct {
	ID         uuid.UUID   `json:"id"`
	Email      string      `json:"email"`
	Name       string      `json:"name"`
	Role       models.Role `json:"role"`
	CreatedAt  time.Time   `json:"createdAt"`
	DisabledAt *time.Time  `json:"disabledAt"`
	Phones     []string    `json:"phones"`
}

// writeCompany writes one object; should it break off, it is not closed.
func writeCompany(ctx context.Context, out io.Writer, people *auth.Service, s auth.Session, now time.Time, calls *call.Export) error {
	name, err := json.Marshal(s.TenantName)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, `{"company":%s,"exportedAt":%q,"people":[`, name, now.UTC().Format(time.RFC3339)); err != nil {
		return err
	}
	if err := writePeople(ctx, out, people, s.Actor()); err != nil {
		return err
	}
	if _, err := io.WriteString(out, "],\n\"history\":"); err != nil {
		return err
	}
	if err := calls.Write(ctx, out); err != nil {
		return err
	}
	_, err = io.WriteString(out, "}\n")
	return err
}

func writePeople(ctx context.Context, out io.Writer, people *auth.Service, by models.Actor) error {
	comma := "\n"
	for after := ""; ; {
		page, next, err := people.People(ctx, by, after, auth.PeoplePage)
		if err != nil {
			return err
		}
		for _, p := range page {
			line, err := personLine(ctx, people, by, p)
			if err != nil {
				return err
			}
			if _, err := fmt.Fprintf(out, "%s%s", comma, line); err != nil {
				return err
			}
			comma = ",\n"
		}
		if after = next; after == "" {
			return nil
		}
	}
}

func personLine(ctx context.Context, people *auth.Service, by models.Actor, p auth.Person) ([]byte, error) {
	phones, err := people.Phones(ctx, by, p.ID)
	if err != nil {
		return nil, err
	}
	out := companyPerson{p.ID, p.Email, p.Name, p.Role, p.CreatedAt.UTC(), p.DisabledAt, []string{}}
	for _, phone := range phones {
		out.Phones = append(out.Phones, phone.Label+" ("+phone.Endpoint+")")
	}
	return json.Marshal(out)
}
