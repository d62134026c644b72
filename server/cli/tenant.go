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
	"clicktodial/server/store"
)

type tenantCreateCmd struct {
	Name      string   `required:"" help:"The company's name."`
	Admin     string   `required:"" help:"E-mail of its first admin."`
	Region    string   `help:"Where its people are: how they write numbers (default: DEFAULT_REGION)."`
	Days      int      `default:"90" help:"How long calls are kept, 0 to 365; HISTORY_MAX_AGE is the ceiling."`
	Endpoints []string `help:"Which phones it may have: names with * and ? (default: all)."`
	CallerIDs []string `name:"caller-ids" help:"Which numbers it may show (default: any valid number)."`
	PBX       string   `name:"pbx" help:"A PBX of its own, as PBX_URL (default: PBX_URL serves)."`
	Ring      int      `name:"ring-seconds" default:"25" help:"How long a user's own phone rings, 5 to 120."`
}

// Run makes the tenant.
func (c *tenantCreateCmd) Run(r *run) error {
	region, err := readRegion(c.Region, r.cfg.DefaultRegion)
	if err != nil {
		return err
	}
	email, err := readEmail(c.Admin)
	if err != nil {
		return err
	}
	if c.Days < 0 || c.Days > 365 {
		return &usageError{"--days is 0 to 365"}
	}
	if err := checkRing(c.Ring); err != nil {
		return err
	}
	if err := readLine("--name", c.Name, 200); err != nil {
		return err
	}
	callerIDs, err := readCallerIDs(c.CallerIDs, region)
	if err != nil {
		return err
	}
	t := models.Tenant{
		ID: uuid.Must(uuid.NewV7()), Name: c.Name, Region: region, Status: models.TenantActive, RetentionDays: c.Days,
		RingSeconds: c.Ring, UsersMayDelete: true, EndpointGlobs: c.Endpoints, CallerIDs: callerIDs, CreatedAt: time.Now().UTC(),
	}
	if len(t.EndpointGlobs) == 0 {
		t.EndpointGlobs = models.Texts{"*"}
	}
	admin := models.User{
		ID: uuid.Must(uuid.NewV7()), TenantID: &t.ID, Email: email, Role: models.RoleAdmin, CreatedAt: time.Now().UTC(),
	}
	conn, err := r.sealPBX(c.PBX)
	if err != nil {
		return err
	}
	if conn != nil {
		t.PBXID = &conn.ID
	}
	entry := audit.Entry(audit.Operator, "tenant-create", audit.Subject{Kind: "tenant", ID: t.ID, Tenant: t.ID}, "")
	return r.withAuth(func(db *store.DB, s *auth.Service) error {
		if err := db.CreateTenant(r.ctx, t, admin, conn, entry); err != nil {
			return err
		}
		link, err := invite(r, db, s, admin)
		if err != nil {
			return err
		}
		out := map[string]any{"tenantId": t.ID, "adminId": admin.ID, "invitation": link.URL}
		return r.print(out, func(w io.Writer) {
			fmt.Fprintf(w, "tenant %s\nadmin  %s\n\nThe admin sets a password here, once, until %s:\n%s\n",
				t.ID, admin.ID, link.ExpiresAt.Local().Format(time.DateTime), link.URL)
		})
	})
}

// invite stores the link with which a new user sets a password.
func invite(r *run, db *store.DB, s *auth.Service, u models.User) (auth.Link, error) {
	link, row, err := s.Invite(u)
	if err != nil {
		return link, err
	}
	return link, db.CreateLink(r.ctx, store.CommandLine, row, audit.Entry(audit.Operator, "password-link-create", subjectOf(u), string(row.Kind)))
}

// sealPBX makes the row of a tenant's own PBX; nil for "".
func (r *run) sealPBX(url string) (*models.PBXConnection, error) {
	if url == "" {
		return nil, nil //nolint:nilnil // no connection is an answer here
	}
	if strings.HasPrefix(url, "practice:") && !r.cfg.Loopback() {
		return nil, &usageError{"a practice PBX rings nothing: it is refused where PUBLIC_URL is not a loopback address"}
	}
	if _, err := openPBX("--pbx", url, r.newLog()); err != nil {
		return nil, err
	}
	keys, err := r.keys()
	if err != nil {
		return nil, err
	}
	sealed, err := keys.Seal(sealPBX, []byte(url))
	if err != nil {
		return nil, err
	}
	return &models.PBXConnection{ID: uuid.Must(uuid.NewV7()), SealedURL: sealed, CreatedAt: time.Now().UTC()}, nil
}

func checkRing(seconds int) error {
	if seconds < 5 || seconds > 120 {
		return &usageError{"--ring-seconds is 5 to 120"}
	}
	return nil
}

type tenantSetCmd struct {
	ID        string   `arg:"" help:"The tenant."`
	Name      *string  `help:"The company's name."`
	Region    *string  `help:"Where its people are."`
	Days      *int     `help:"How long calls are kept, 0 to 365: fewer shorten what exists, more hold for new calls."`
	Endpoints []string `help:"Which phones it may have."`
	CallerIDs *string  `name:"caller-ids" help:"Which numbers it may show, with commas between; '' for any."`
	PBX       string   `name:"pbx" help:"A PBX of its own."`
	Ring      *int     `name:"ring-seconds" help:"How long a user's own phone rings, 5 to 120."`
}

// Run changes the tenant.
func (c *tenantSetCmd) Run(r *run) error {
	id, err := readID(c.ID)
	if err != nil {
		return err
	}
	if c.Days != nil && (*c.Days < 0 || *c.Days > 365) {
		return &usageError{"--days is 0 to 365"}
	}
	if c.Ring != nil {
		if err := checkRing(*c.Ring); err != nil {
			return err
		}
	}
	if c.Name != nil {
		if err := readLine("--name", *c.Name, 200); err != nil {
			return err
		}
	}
	change := store.TenantChange{Name: c.Name, Region: c.Region, RetentionDays: c.Days, RingSeconds: c.Ring}
	if c.Region != nil {
		region, err := readRegion(*c.Region, "")
		if err != nil {
			return err
		}
		change.Region = &region
	}
	if len(c.Endpoints) > 0 {
		globs := models.Texts(c.Endpoints)
		change.EndpointGlobs = &globs
	}
	if change.PBX, err = r.sealPBX(c.PBX); err != nil {
		return err
	}
	return r.withDB(func(db *store.DB) error {
		if c.CallerIDs != nil {
			t, err := db.Tenant(r.ctx, id)
			if err != nil {
				return err
			}
			ids, err := readCallerIDs(strings.Split(*c.CallerIDs, ","), t.Region)
			if err != nil {
				return err
			}
			owned := models.Texts(ids)
			change.CallerIDs = &owned
		}
		return c.set(r, db, id, change)
	})
}

// set changes the tenant and says what becomes of its records: it asks nothing.
func (c *tenantSetCmd) set(r *run, db *store.DB, id uuid.UUID, change store.TenantChange) error {
	out := map[string]any{"tenantId": id}
	told := ""
	change.Ceiling = r.cfg.HistoryMaxAge
	if c.Days != nil {
		s, err := db.PreviewRestamp(r.ctx, id, models.Keep(*c.Days, change.Ceiling))
		if err != nil {
			return err
		}
		out["endsNow"], out["endsEarlier"], out["live"], out["more"] = s.EndsNow, s.EndsEarlier, s.Live, s.More
		told = fmt.Sprintf("%d records end now, %d others sooner than they were to, %d calls are up and let be\n", s.EndsNow, s.EndsEarlier, s.Live)
		if s.More {
			told += fmt.Sprintf("(of the oldest %d; there are more)\n", store.CountLimit)
		}
	}
	entry := audit.Entry(audit.Operator, "tenant-set", audit.Subject{Kind: "tenant", ID: id, Tenant: id}, "")
	if err := db.SetTenant(r.ctx, id, change, entry); err != nil {
		return err
	}
	return r.print(out, func(w io.Writer) { fmt.Fprint(w, "changed\n", told) })
}

type tenantEndCmd struct {
	ID       string `arg:"" help:"The tenant."`
	NewLinks bool   `name:"new-links" help:"Of a contract that has ended already: make its admins' export links anew."`
}

// Run ends the contract.
func (c *tenantEndCmd) Run(r *run) error {
	id, err := readID(c.ID)
	if err != nil {
		return err
	}
	return r.withAuth(func(_ *store.DB, s *auth.Service) error {
		end := s.EndTenant
		if c.NewLinks {
			end = s.Farewell
		}
		f, err := end(r.ctx, id)
		if err != nil {
			return err
		}
		links := []map[string]any{}
		for _, l := range f.Links {
			links = append(links, map[string]any{"adminId": l.AdminID, "url": l.URL, "expiresAt": l.ExpiresAt})
		}
		out := map[string]any{"tenantId": id, "status": "ended", "exportUntil": f.ExportUntil, "wipeAt": f.WipeAt, "links": links}
		return r.print(out, func(w io.Writer) { printFarewell(w, f) })
	})
}

func printFarewell(w io.Writer, f auth.Farewell) {
	fmt.Fprintf(w, "ended: nobody of it can sign in or call; all its data goes at %s\n", f.WipeAt.Local().Format(time.DateTime))
	if len(f.Links) > 0 {
		fmt.Fprintf(w, "\nEach admin can take the data along, with a link of their own that works once, until %s:\n", f.ExportUntil.Local().Format(time.DateTime))
	}
	for _, l := range f.Links {
		fmt.Fprintf(w, "%s  %s\n", l.AdminID, l.URL)
	}
}
