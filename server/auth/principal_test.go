package auth

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"clicktodial/models"
)

func TestPack(t *testing.T) {
	t.Parallel()
	at := time.UnixMilli(1_700_000_000_123).UTC()
	rows := map[string]Principal{
		"a user":       {UserID: uuid.New(), TenantID: uuid.New(), GrantID: uuid.New(), PBXID: uuid.New(), Role: models.RoleUser, Region: "NL", Scopes: strings.Fields(AllScopes), ExpiresAt: at},
		"support":      {UserID: uuid.New(), GrantID: uuid.New(), Role: models.RoleSupport, Scopes: []string{ScopeRead}, ExpiresAt: at},
		"spaces in id": {UserID: uuid.UUID{32, 32, 32}, TenantID: uuid.UUID{32}, GrantID: uuid.UUID{32, 10, 0, 32}, Role: models.RoleAdmin, Region: "BE", Scopes: []string{ScopeRead}, ExpiresAt: at},
	}
	for name, p := range rows {
		got, ok := unpack(p.pack())
		if !ok || !reflect.DeepEqual(got, p) {
			t.Errorf("%s: %v %+v, want %+v", name, ok, got, p)
		}
	}
	whole := string(rows["a user"].pack())
	for name, line := range map[string]string{
		"nothing": "", "a tombstone": "-", "JSON": `{"u":"` + strings.Repeat("x", 100) + `"}`, "cut off": whole[:60], "no region": whole[:strings.Index(whole, " NL")],
		"another version": "2" + whole[1:], "no time": strings.Replace(whole, "1700000000123", "soon", 1), "no id": whole[:2] + "x" + whole[3:],
		"nobody": string(Principal{UserID: uuid.New(), Role: models.RoleUser, ExpiresAt: at}.pack()),
	} {
		if p, ok := unpack([]byte(line)); ok {
			t.Errorf("%s is taken for %+v", name, p)
		}
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(Principal{UserID: uuid.New(), GrantID: uuid.New(), Role: models.RoleUser, Region: "NL", Scopes: []string{ScopeRead}, ExpiresAt: time.UnixMilli(1)}.pack())
	f.Fuzz(func(t *testing.T, line []byte) {
		p, ok := unpack(line)
		if !ok {
			return
		}
		if again, ok := unpack(p.pack()); !ok || !reflect.DeepEqual(again, p) {
			t.Errorf("%+v comes back as %+v", p, again)
		}
	})
}
