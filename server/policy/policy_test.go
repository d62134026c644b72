package policy_test

import (
	"context"
	"testing"
	"time"

	"clicktodial/models"
	"clicktodial/server/phone"
	"clicktodial/server/policy"
)

// Every class of number, by a number of it.
func TestCheck(t *testing.T) {
	t.Parallel()
	rows := []struct {
		name, number string
		class        phone.Class
		code         string // "": allowed
	}{
		{"emergency", "112", phone.Emergency, "emergency-number"},
		{"emergency of another country", "911", phone.Emergency, "emergency-number"},
		{"emergency behind an outside line", "0112", phone.Emergency, "emergency-number"},
		{"premium", "0900 1234", phone.Premium, "premium-number"},
		{"premium, international", "+31 906 123456", phone.Premium, "premium-number"},
		{"star", "*21#", phone.Star, "star-code"},
		{"hash", "#31#", phone.Star, "star-code"},
		{"fixed", "020 123 4567", phone.Fixed, ""},
		{"mobile", "06 12345678", phone.Mobile, ""},
		{"extension", "102", phone.Internal, ""},
		{"toll-free", "0800 1234", phone.TollFree, ""},
		{"company", "088 123 4567", phone.UAN, ""},
		{"abroad", "+44 20 7946 0958", phone.Fixed, ""},
	}
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			n, err := phone.Parse(row.number, "NL")
			if err != nil {
				t.Fatal(err)
			}
			if n.Class() != row.class {
				t.Fatalf("class %s, want %s", n.Class(), row.class)
			}
			got, err := policy.Default.Check(context.Background(), models.Question{Number: n, Region: "NL"})
			if err != nil {
				t.Fatal(err)
			}
			if row.code == "" {
				if got.Ruling != models.Allowed || got.AtOnce != 2 || got.PerWindow != 10 || got.Window != time.Minute {
					t.Errorf("verdict %+v", got)
				}
				return
			}
			if got.Ruling != models.Denied || got.Code != row.code || got.Detail == "" {
				t.Errorf("verdict %+v, want denied by %s", got, row.code)
			}
		})
	}
}
