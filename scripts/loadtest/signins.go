package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math/big"
	"time"
)

// signIn is a sign-in that is made to be ended; its user's other one is not.
type signIn struct {
	access, refresh string
	user            int
}

// signIns makes so many more, each with an access and a refresh token that nobody
// has used.
func (d *database) signIns(ctx context.Context, count int) ([]signIn, error) {
	made := make([]signIn, count)
	for i := range made {
		made[i] = signIn{newToken("c2da_"), newToken("c2dr_"), i % len(d.tokens)}
	}
	first, later := len(d.tokens)+d.spare, time.Now().UTC().Add(time.Hour)
	d.spare += count
	columns := []string{"id", "tenant_id", "user_id", "client_id", "device_name", "support_code", "scopes", "made_by", "expires_at"}
	err := d.fill(ctx, "grants", columns, count, func(i int) []any {
		user := made[i].user
		return []any{
			idOf(kindGrant, first+i), idOf(kindTenant, user%d.tenants), idOf(kindUser, user), "extension", "Lost laptop", letters(first + i),
			scopes, "operator", later,
		}
	})
	if err != nil {
		return nil, err
	}
	columns = []string{"id", "tenant_id", "grant_id", "kind", "hash", "expires_at"}
	err = d.fill(ctx, "tokens", columns, 2*count, func(n int) []any {
		i, kind, token := n/2, "access", made[n/2].access
		if n%2 == 1 {
			kind, token = "refresh", made[i].refresh
		}
		return []any{
			idOf(kindToken, 2*first+n), idOf(kindTenant, made[i].user%d.tenants), idOf(kindGrant, first+i), kind, hashOf(token), later,
		}
	})
	return made, err
}

// askMe asks who the n-th user's token stands for: it must be that user.
func (d *database) askMe(c *client, n int) error {
	r, err := c.get("/v1/me", d.tokens[n])
	if err == nil && (r.status != 200 || !bytes.HasPrefix(c.body, beginning(n))) {
		err = fmt.Errorf("GET /v1/me was answered with %d, or for another user", r.status)
	}
	return err
}

// beginning is that of /v1/me's answer to the n-th user.
func beginning(n int) []byte { return fmt.Appendf(nil, `{"user":{"id":"%v"`, idOf(kindUser, n)) }

// hashOf is what the service keeps of a token.
func hashOf(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// letters writes n as six capital letters, as a support code is.
func letters(n int) string {
	code := []byte("AAAAAA")
	for i := len(code) - 1; n > 0; i-- {
		code[i] = byte('A' + n%26)
		n /= 26
	}
	return string(code)
}

// newToken makes a token of the service's form (design: c2da_ or c2dr_, 43 base62
// characters, 6 of CRC32).
func newToken(prefix string) string {
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails (crypto/rand, Go 1.24)
	body := prefix + base62(new(big.Int).SetBytes(secret), 43)
	return body + base62(big.NewInt(int64(crc32.ChecksumIEEE([]byte(body)))), 6)
}

func base62(n *big.Int, width int) string {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	out := make([]byte, width)
	digit := new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, big.NewInt(62), digit)
		out[i] = digits[digit.Int64()]
	}
	return string(out)
}
