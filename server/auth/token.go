package auth

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"hash/crc32"
	"math/big"
	"strings"

	"crypto/hkdf"

	"clicktodial/models"
)

// A token is a prefix, 43 base62 characters of 32 random bytes and 6 of their
// checksum: "c2da_…" lets act, "c2dr_…" fetches the next pair. The checksum lets
// a secret scanner, and us, tell a token from noise without a database.
const (
	accessPrefix  = "c2da_"
	refreshPrefix = "c2dr_"
	secretChars   = 43
	checkChars    = 6
	tokenLength   = len(accessPrefix) + secretChars + checkChars
	base62        = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
)

func prefixOf(kind models.TokenKind) string {
	if kind == models.RefreshToken {
		return refreshPrefix
	}
	return accessPrefix
}

// newToken makes a token; only its hash may be stored.
func newToken(kind models.TokenKind) (string, error) {
	secret, err := newSecret()
	if err != nil {
		return "", err
	}
	body := prefixOf(kind) + secret
	return body + checksum(body), nil
}

// newSecret makes 256 random bits, as text: for a token, a cookie, a link, a code.
func newSecret() (string, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return "", fmt.Errorf("making a secret: %w", err)
	}
	return encode62(new(big.Int).SetBytes(raw), secretChars), nil
}

func isSecret(text string) bool {
	return len(text) == secretChars && strings.Trim(text, base62) == ""
}

func checksum(body string) string {
	n := crc32.ChecksumIEEE([]byte(body))
	out := make([]byte, checkChars)
	for i := checkChars - 1; i >= 0; i-- {
		out[i] = base62[n%62]
		n /= 62
	}
	return string(out)
}

func encode62(n *big.Int, width int) string {
	out := make([]byte, width)
	base, digit := big.NewInt(62), new(big.Int)
	for i := width - 1; i >= 0; i-- {
		n.DivMod(n, base, digit)
		out[i] = base62[digit.Int64()]
	}
	return string(out)
}

// wellFormed says whether the text can be a token of the kind at all; what is
// not costs no look in the database.
func wellFormed(kind models.TokenKind, token string) bool {
	if len(token) != tokenLength || !strings.HasPrefix(token, prefixOf(kind)) {
		return false
	}
	body := token[:tokenLength-checkChars]
	return checksum(body) == token[tokenLength-checkChars:]
}

// hashToken is what is stored. A token holds 256 random bits, so a plain hash
// cannot be searched.
func hashToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// bearerKey derives the key under which the answer to a refresh token is kept
// for 30 s: only who presents that token again can open it (RFC 5869).
func bearerKey(token string) ([]byte, error) {
	return hkdf.Key(sha256.New, []byte(token), nil, "click-to-dial refresh successor", 32)
}
