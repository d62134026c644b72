package auth

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"

	"clicktodial/server/fault"
)

// Argon2id at the first recommendation for memory-poor places (RFC 9106 4).
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
	argonKey     = 32
)

// HashPassword gives the PHC string of a password of 12 to 256 characters; the
// newline that a shell adds is not part of it. Sign-in by password is still to
// come: this only keeps the row as it will stay.
func HashPassword(password string) (string, error) {
	password = strings.TrimRight(password, "\r\n")
	if n := utf8.RuneCountInString(password); n < 12 || n > 256 || !utf8.ValidString(password) {
		return "", fault.New(fault.Refused, "password-weak", "A password is 12 to 256 characters long.")
	}
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("making a salt: %w", err)
	}
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		b64.EncodeToString(salt), b64.EncodeToString(key)), nil
}
