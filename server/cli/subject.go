package cli

import (
	"bufio"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/auth"
	"clicktodial/server/config"
	"clicktodial/server/live"
	"clicktodial/server/retention"
	"clicktodial/server/store"
)

// whom is the person that a command of privacy is about.
type whom struct {
	Tenant string `required:"" help:"Whose records: the tenant's id."`
	Number string `xor:"whom" required:"" help:"Who was called, by number."`
	User   string `xor:"whom" required:"" help:"Who calls, by e-mail."`
}

// subject finds the person within the tenant.
func (c whom) subject(r *run, db *store.DB, p *retention.Privacy) (by models.Actor, s retention.Subject, err error) {
	by.Role = models.RoleOperator
	if by.TenantID, err = readID(c.Tenant); err != nil {
		return by, s, err
	}
	if _, err := db.Tenant(r.ctx, by.TenantID); err != nil {
		return by, s, err
	}
	var user uuid.UUID
	if c.User != "" {
		u, err := findUser(r, db, c.User)
		if err != nil {
			return by, s, err
		}
		user = u.ID
	}
	s, err = p.Read(r.ctx, by, c.Number, user)
	return by, s, err
}

// withPrivacy runs fn with what answers data subjects. Redis is told where REDIS_URL
// is set; without it, what is there goes by its TTL.
func (r *run) withPrivacy(fn func(*store.DB, *retention.Privacy) error) error {
	keys, err := r.keys()
	if err != nil {
		return err
	}
	return r.withAuth(func(db *store.DB, s *auth.Service) error {
		var index *live.TTLIndex
		if r.cfg.RedisURL != "" {
			redis, err := live.Open(r.cfg.RedisURL, r.cfg.RedisPrefix)
			if err != nil {
				return &config.Faults{Lines: []string{err.Error()}}
			}
			defer redis.Close() //nolint:errcheck // the command is over
			index = live.NewTTLIndex(redis)
		}
		return fn(db, privacy(db, index, keys, s, r.newLog()))
	})
}

type privacyExportCmd struct {
	whom
	Format string `default:"json" enum:"json,csv" help:"json or csv."`
}

// Run prints the export: masked, unless --reveal says why.
func (c *privacyExportCmd) Run(r *run) error {
	return r.withPrivacy(func(db *store.DB, p *retention.Privacy) error {
		by, s, err := c.subject(r, db, p)
		if err != nil {
			return err
		}
		if r.json {
			c.Format = string(retention.JSON)
		}
		e, err := p.Export(r.ctx, by, s, retention.Wish{Format: retention.Format(c.Format), Reveal: r.reveal})
		if err != nil {
			return err
		}
		out := bufio.NewWriter(r.out)
		_, err = e.Write(r.ctx, out, out.Flush)
		return err
	})
}

type privacyEraseCmd struct{ whom }

// receipt is a receipt as it is printed.
type receipt struct {
	Reference  string     `json:"reference"`
	Act        string     `json:"act"`
	Subject    string     `json:"subject"`
	ReceivedAt time.Time  `json:"receivedAt"`
	DueAt      time.Time  `json:"dueAt"`
	DoneAt     *time.Time `json:"doneAt"`
	Records    int64      `json:"records"`
}

// Run erases, and prints the receipt.
func (c *privacyEraseCmd) Run(r *run) error {
	return r.withPrivacy(func(db *store.DB, p *retention.Privacy) error {
		by, s, err := c.subject(r, db, p)
		if err != nil {
			return err
		}
		done, err := p.Erase(r.ctx, by, s, uuid.Nil)
		if err != nil {
			return err
		}
		out := receipt{
			Reference: done.Reference, Act: string(done.Act), Subject: string(done.Subject), ReceivedAt: done.ReceivedAt,
			DueAt: done.DueAt, DoneAt: done.DoneAt, Records: done.Records,
		}
		return r.print(out, func(w io.Writer) { fmt.Fprintf(w, "%d records erased; receipt %s\n", done.Records, done.Reference) })
	})
}
