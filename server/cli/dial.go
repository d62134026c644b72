package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
	"clicktodial/server/call"
	"clicktodial/server/fault"
	"clicktodial/server/live"
	"clicktodial/server/phone"
	"clicktodial/server/web"
)

type dialCmd struct {
	Number string `arg:"" help:"The number to call, as people write it."`
	User   string `required:"" help:"E-mail of the user whose phone rings."`
	Device string `help:"Label of the phone (default: the first)."`
	Follow bool   `help:"Stay, and print each state until the call has ended."`
}

// dialled is a call as dial prints it.
type dialled struct {
	ID              uuid.UUID `json:"id"`
	Number          string    `json:"number"`
	Status          string    `json:"status"`
	Reason          *string   `json:"reason"`
	Diagnosis       *string   `json:"diagnosis"`
	Sentence        string    `json:"sentence,omitempty"`
	DurationSeconds *int      `json:"durationSeconds"`
	Followed        *bool     `json:"followed,omitempty"` // without --follow: whether a running serve does
}

// lineLimit is how long dial waits for the line to the PBX to come up.
const lineLimit = 5 * time.Second

// Run places the call, as a short-lived replica.
func (c *dialCmd) Run(r *run) error {
	if r.cfg.LogLevel == "info" {
		r.cfg.LogLevel = "warn" // the states are what one wants to see
	}
	s, err := r.newServices()
	if err != nil {
		return err
	}
	defer s.close()
	caller, click, err := c.prepare(r, s)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = s.calls.Run(ctx) }()
	defer func() { stop(); <-ended }()
	s.awaitLine(r.ctx, lineLimit)
	sub := s.calls.Subscribe(r.ctx, caller)
	defer sub.Close(ctx)
	row, _, err := s.calls.Start(r.ctx, caller, click)
	if err != nil {
		return err
	}
	if !c.Follow {
		return c.leave(r, s, row)
	}
	last, err := c.follow(r, s, caller, sub, row)
	if err != nil {
		return err
	}
	return r.print(c.show(r, last), func(io.Writer) {})
}

func (c *dialCmd) prepare(r *run, s *services) (call.Caller, call.Click, error) {
	u, err := findUser(r, s.db, c.User)
	if err != nil {
		return call.Caller{}, call.Click{}, err
	}
	if u.TenantID == nil {
		return call.Caller{}, call.Click{}, &usageError{"support staff have no phones"}
	}
	t, err := s.db.Tenant(r.ctx, *u.TenantID)
	if err != nil {
		return call.Caller{}, call.Click{}, err
	}
	number, err := phone.Parse(c.Number, t.Region)
	if err != nil {
		return call.Caller{}, call.Click{}, err
	}
	if err := r.auditReveal(s.db, subjectOf(u)); err != nil {
		return call.Caller{}, call.Click{}, err
	}
	caller := call.Caller{TenantID: t.ID, UserID: u.ID, Region: t.Region}
	if t.PBXID != nil {
		caller.PBXID = *t.PBXID
	}
	click := call.Click{Number: number, Key: "dial-" + uuid.NewString()}
	if c.Device == "" {
		return caller, click, nil
	}
	devices, err := s.db.Devices(r.ctx, t.ID, u.ID)
	for _, d := range devices {
		if d.Label == c.Device {
			click.DeviceID = d.ID
		}
	}
	if err == nil && click.DeviceID == uuid.Nil {
		err = fault.New(fault.Refused, "device-unknown", "The user has no phone with this label.")
	}
	return caller, click, err
}

// awaitLine gives a fresh line a moment to come up.
func (s *services) awaitLine(ctx context.Context, limit time.Duration) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); s.lines.Up() != nil && time.Now().Before(deadline); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// leave says who follows the call from here.
func (c *dialCmd) leave(r *run, s *services, row models.Call) error {
	others, err := s.db.ReplicasAlive(r.ctx, s.calls.Replica)
	if err != nil {
		return err
	}
	out, followed := c.show(r, row), others > 0
	out.Followed = &followed
	return r.print(out, func(w io.Writer) {
		fmt.Fprintf(w, "call %s: %s is being called\n", row.ID, r.number(row.Number))
		if !followed {
			fmt.Fprintln(w, "No `serve` is running: nobody follows this call. Use --follow, or start `serve`.")
		}
	})
}

// follow prints each state; an interrupt hangs up.
func (c *dialCmd) follow(r *run, s *services, caller call.Caller, sub *live.Subscription, row models.Call) (models.Call, error) {
	c.say(r, row)
	look := time.NewTicker(250 * time.Millisecond)
	defer look.Stop()
	interrupted := r.ctx.Done()
	ctx := context.WithoutCancel(r.ctx)
	for !row.Status.Ended() {
		select {
		case <-sub.Wake():
		case <-look.C:
		case <-interrupted:
			interrupted = nil
			if err := s.calls.HangUp(ctx, caller, row.ID); err != nil && fault.Code(err) != "call-ended" {
				return row, err
			}
		}
		now, err := s.calls.Get(ctx, caller, row.ID)
		if fault.Code(err) == "not-found" { // a retention of 0 days: gone with its end
			row = lastOf(ctx, sub, row)
			c.say(r, row)
			return row, nil
		}
		if err != nil {
			return row, err
		}
		if now.Status != row.Status {
			c.say(r, now)
		}
		row = now
	}
	return row, nil
}

// lastOf is how a call stood that has left no row: its last step is in the stream.
func lastOf(ctx context.Context, sub *live.Subscription, row models.Call) models.Call {
	row.Status = models.Disconnected
	steps, _ := sub.Since(ctx, "") // without Redis this is all there is to tell
	for _, ev := range steps {
		if ev.CallID == row.ID && ev.Status.Ended() {
			row.Status, row.Reason, row.Diagnosis = ev.Status, ev.Reason, ev.Diagnosis
			row.ConnectedAt, row.EndedAt = ev.ConnectedAt, ev.EndedAt
		}
	}
	return row
}

func (c *dialCmd) say(r *run, row models.Call) {
	if r.json {
		return
	}
	d := c.show(r, row)
	line := time.Now().Format("15:04:05.000") + "  " + d.Status
	if d.Reason != nil {
		line += "  " + *d.Reason
	}
	if d.Sentence != "" {
		line += "  " + d.Sentence
	}
	fmt.Fprintln(r.out, line)
}

func (*dialCmd) show(r *run, row models.Call) dialled {
	d := dialled{ID: row.ID, Number: r.number(row.Number), Status: string(row.Status)}
	if row.Reason != nil {
		d.Reason = (*string)(row.Reason)
	}
	if row.Diagnosis != nil {
		d.Diagnosis = (*string)(row.Diagnosis)
		d.Sentence = web.Sentence(*d.Diagnosis, "en", "")
	}
	if row.ConnectedAt != nil && row.EndedAt != nil {
		seconds := int(row.EndedAt.Sub(*row.ConnectedAt).Seconds())
		d.DurationSeconds = &seconds
	}
	return d
}
