package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/audit"
	"clicktodial/server/auth"
	"clicktodial/server/fault"
	"clicktodial/server/pbx"
	"clicktodial/server/phone"
	"clicktodial/server/store"
)

type userCreateCmd struct {
	Tenant string `help:"The tenant's id; none for role support."`
	Email  string `required:"" help:"How the user signs in."`
	Name   string `help:"What the user is called."`
	Role   string `default:"user" enum:"user,admin,support" help:"user, admin or support."`
}

// Run makes the user.
func (c *userCreateCmd) Run(r *run) error {
	email, err := readEmail(c.Email)
	if err != nil {
		return err
	}
	name, err := phone.ParseName(c.Name)
	if err != nil {
		return err
	}
	u := models.User{ID: uuid.Must(uuid.NewV7()), Email: email, Name: name.Reveal(), Role: models.Role(c.Role), CreatedAt: time.Now().UTC()}
	subject := audit.Subject{Kind: "user", ID: u.ID}
	switch {
	case u.Role == models.RoleSupport && c.Tenant != "":
		return &usageError{"support staff have no tenant"}
	case u.Role != models.RoleSupport:
		if subject.Tenant, err = readID(c.Tenant); err != nil {
			return &usageError{"--tenant is the tenant's id"}
		}
		u.TenantID = &subject.Tenant
	}
	return r.withAuth(func(db *store.DB, s *auth.Service) error {
		if err := db.CreateUser(r.ctx, u, audit.Entry(audit.Operator, "user-create", subject, "")); err != nil {
			return err
		}
		link, err := invite(r, db, s, u)
		if err != nil {
			return err
		}
		out := map[string]any{"userId": u.ID, "invitation": link.URL}
		return r.print(out, func(w io.Writer) {
			fmt.Fprintf(w, "user %s\n\nThey set a password here, once, until %s (or: user password, user pair):\n%s\n",
				u.ID, link.ExpiresAt.Local().Format(time.DateTime), link.URL)
		})
	})
}

type userPasswordCmd struct {
	Email string `required:"" help:"The user."`
}

// Run sets the password.
func (c *userPasswordCmd) Run(r *run) error {
	password, err := io.ReadAll(io.LimitReader(r.in, 1025))
	if err != nil {
		return fmt.Errorf("reading the password: %w", err)
	}
	return r.withDB(func(db *store.DB) error {
		u, err := findUser(r, db, c.Email)
		if err != nil {
			return err
		}
		typed := strings.TrimRight(string(password), "\r\n") // a shell adds one
		// DEMO_PASSWORD is for tests on this machine: it may be a weak one.
		demo := typed != "" && typed == r.cfg.DemoPassword && r.cfg.Loopback()
		if err := auth.CheckPassword(typed); err != nil && !demo {
			return err
		}
		hash, err := auth.HashPassword(typed)
		if err != nil {
			return err
		}
		if err := db.SetPassword(r.ctx, u.ID, hash, time.Now().UTC(), audit.Entry(audit.Operator, "password-set", subjectOf(u), "")); err != nil {
			return err
		}
		return r.print(map[string]any{"userId": u.ID}, func(w io.Writer) { fmt.Fprintln(w, "The password is set.") })
	})
}

type userPairCmd struct {
	Email string `arg:"" help:"The user."`
}

// Run makes a pairing code.
func (c *userPairCmd) Run(r *run) error {
	keys, err := r.keys()
	if err != nil {
		return err
	}
	return r.withDB(func(db *store.DB) error {
		if _, err := findUser(r, db, c.Email); err != nil {
			return err
		}
		s := &auth.Service{DB: db, Keys: keys, Now: time.Now}
		code, expires, err := s.Pair(r.ctx, c.Email, audit.Operator)
		if err != nil {
			return err
		}
		return r.print(map[string]any{"code": code, "expiresAt": expires}, func(w io.Writer) {
			fmt.Fprintf(w, "%s\nworks once, until %s\n", code, expires.Local().Format(time.TimeOnly))
		})
	})
}

type deviceAddCmd struct {
	User     string `required:"" help:"E-mail of the user."`
	Label    string `required:"" help:"What the user calls the phone."`
	Endpoint string `required:"" help:"What the PBX calls it, e.g. 101."`
	CallerID string `name:"caller-id" help:"The number that the callee sees (default: the PBX decides)."`
	Withheld bool   `help:"The callee sees no number."`
}

// Run adds the phone.
func (c *deviceAddCmd) Run(r *run) error {
	if err := readLine("--label", c.Label, 80); err != nil {
		return err
	}
	if !pbx.ValidEndpoint(c.Endpoint) {
		return &usageError{"--endpoint is 1 to 40 letters, digits, - or _"}
	}
	return r.withDB(func(db *store.DB) error {
		u, err := findUser(r, db, c.User)
		if err != nil {
			return err
		}
		if u.TenantID == nil {
			return &usageError{"support staff have no phones"}
		}
		t, err := db.Tenant(r.ctx, *u.TenantID)
		if err != nil {
			return err
		}
		d := models.Device{
			ID: uuid.Must(uuid.NewV7()), TenantID: t.ID, UserID: u.ID, Label: c.Label, Endpoint: c.Endpoint,
			Withheld: c.Withheld, CreatedAt: time.Now().UTC(),
		}
		if c.CallerID != "" {
			if d.CallerID, err = readCallerID(c.CallerID, t.Region); err != nil {
				return err
			}
		}
		entry := audit.Entry(audit.Operator, "device-add", audit.Subject{Kind: "device", ID: d.ID, Tenant: t.ID}, "")
		if err := db.AddDevice(r.ctx, d, entry); err != nil {
			return err
		}
		return r.print(map[string]any{"deviceId": d.ID}, func(w io.Writer) { fmt.Fprintf(w, "device %s\n", d.ID) })
	})
}

// findUser finds a user by e-mail, or says that there is none.
func findUser(r *run, db *store.DB, email string) (models.User, error) {
	folded, err := readEmail(email)
	if err != nil {
		return models.User{}, err
	}
	u, err := db.FindUser(r.ctx, folded)
	if fault.Code(err) == "not-found" {
		return u, fault.New(fault.NotFound, "user-unknown", "There is no user with this e-mail.")
	}
	return u, err
}

func subjectOf(u models.User) audit.Subject {
	s := audit.Subject{Kind: "user", ID: u.ID}
	if u.TenantID != nil {
		s.Tenant = *u.TenantID
	}
	return s
}
