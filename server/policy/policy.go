// Package policy decides whether this user may call this number now, and if not,
// which rule says so. No call is made without its verdict.
//
// This is a first floor: emergency, premium and star codes are refused, and a
// pace is set. Regions, hours, the tenant's own lists and the second gesture come
// with the tenant's dial policy.
package policy

import (
	"context"
	"time"

	"clicktodial/models"
	"clicktodial/server/phone"
)

// Rules are what every tenant gets until it can choose.
type Rules struct {
	PerMinute int // calls of one user in any 60 s
	AtOnce    int // calls of one user that are up at the same time
}

// Default is a person's pace: nobody talks to more than ten people in a minute.
var Default = Rules{PerMinute: 10, AtOnce: 2}

type denial struct{ code, detail string }

// denied lists the classes that are never dialled by a click.
var denied = map[phone.Class]denial{
	phone.Emergency: {"emergency-number", "Emergency numbers are never dialled by a click. Dial it by hand: your phone knows where you are."},
	phone.Premium:   {"premium-number", "This is a premium-rate number, which cannot be dialled by a click."},
	phone.Star:      {"star-code", "Codes with * or # change settings of the exchange and cannot be dialled by a click."},
}

// Check answers a question; it fails only when it cannot find out.
func (r Rules) Check(_ context.Context, q models.Question) (models.Verdict, error) {
	if no, found := denied[q.Number.Class()]; found {
		return models.Verdict{Ruling: models.Denied, Code: no.code, Detail: no.detail}, nil
	}
	return models.Verdict{
		Ruling: models.Allowed, AtOnce: r.AtOnce, PerWindow: r.PerMinute, Window: time.Minute,
	}, nil
}
