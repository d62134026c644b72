package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	zxcvbn "github.com/ccojocar/zxcvbn-go"
	"golang.org/x/crypto/argon2"

	"clicktodial/server/audit"
	"clicktodial/server/fault"
)

// Argon2id at the second recommendation, for memory-poor places (RFC 9106 4).
const (
	argonTime    = 3
	argonMemory  = 64 << 10 // KiB
	argonThreads = 4
	argonKey     = 32
)

const (
	shortestPassword = 12
	longestPassword  = 256
	// Bits below which a password is one of those that everybody tries first:
	// at accountHourly guesses an hour, 18 bits take 100 days.
	commonBits = 18
)

// CheckPassword refuses a password that is too short, too long, or among the most
// common; what is known of its person counts as guessed at once.
func CheckPassword(password string, known ...string) error {
	if n := utf8.RuneCountInString(password); n < shortestPassword || n > longestPassword || !utf8.ValidString(password) {
		return fault.New(fault.Refused, "password-weak", "A password is 12 to 256 characters long.")
	}
	beginning := password[:min(len(password), 64)] // the rest makes it no weaker, and the look slower
	if zxcvbn.PasswordStrength(beginning, append(known, "click", "dial", "clicktodial")).Entropy < commonBits {
		return fault.New(fault.Refused, "password-common", "This password is one of the first that anybody would try. Take another.")
	}
	return nil
}

// HashPassword gives the PHC string of a password that was checked.
func HashPassword(password string) (string, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("making a salt: %w", err)
	}
	p := argonParams{argonTime, argonMemory, argonThreads, salt, nil}
	p.key = p.derive(password)
	return p.String(), nil
}

type argonParams struct {
	time, memory uint32
	threads      uint8
	salt, key    []byte
}

func (p argonParams) derive(password string) []byte {
	return argon2.IDKey([]byte(password), p.salt, p.time, p.memory, p.threads, argonKey)
}

// String is the PHC form.
func (p argonParams) String() string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memory, p.time, p.threads,
		b64.EncodeToString(p.salt), b64.EncodeToString(p.key))
}

var errHash = errors.New("a password's hash cannot be read")

func parseHash(hash string) (p argonParams, err error) {
	parts := strings.Split(hash, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return p, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil {
		return p, errHash
	}
	b64 := base64.RawStdEncoding
	if p.salt, err = b64.DecodeString(parts[4]); err != nil {
		return p, errHash
	}
	if p.key, err = b64.DecodeString(parts[5]); err != nil {
		return p, errHash
	}
	if p.memory < 8 || p.memory > 1<<20 || p.time < 1 || p.time > 100 || p.threads < 1 || len(p.salt) < 8 || len(p.key) != argonKey {
		return p, errHash
	}
	return p, nil
}

// nobody is what is worked on for a user who has no password, or is not there.
var nobody = argonParams{argonTime, argonMemory, argonThreads, make([]byte, 16), make([]byte, argonKey)}

// hashing bounds how many passwords are worked on at once: each takes 64 MiB.
type hashing struct {
	once  sync.Once
	slots chan struct{}
}

const (
	hashesAtOnce = 2
	hashingWait  = 5 * time.Second
)

var errBusy = func() *fault.Error {
	f := fault.New(fault.Unavailable, "sign-in-busy", "Many people are signing in just now. Please try again in a moment.")
	f.RetryAfter = hashingWait
	return f
}()

func (h *hashing) do(ctx context.Context, work func() error) error {
	h.once.Do(func() { h.slots = make(chan struct{}, hashesAtOnce) })
	wait := time.NewTimer(hashingWait)
	defer wait.Stop()
	select {
	case h.slots <- struct{}{}:
	case <-wait.C:
		return errBusy
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-h.slots }()
	return work()
}

// verify says whether the password is the one of the hash; nil stands for a user
// who has none, or is not there, and takes as long.
func (s *Service) verify(ctx context.Context, hash *string, password string) (right bool, err error) {
	p := nobody
	if hash != nil {
		if p, err = parseHash(*hash); err != nil {
			return false, err
		}
	}
	if len(password) > 4*longestPassword {
		password = "" // no password is as long; the work is the same
	}
	err = s.hashing.do(ctx, func() error {
		right = subtle.ConstantTimeCompare(p.derive(password), p.key) == 1
		return nil
	})
	return right && hash != nil, err
}

func (s *Service) hash(ctx context.Context, password string) (hash string, err error) {
	err = s.hashing.do(ctx, func() (err error) {
		hash, err = HashPassword(password)
		return err
	})
	return hash, err
}

// ChangePassword gives the session's person another password. Their other console
// sessions end, and this one is followed by a new one. Errors: password-wrong,
// password-weak, password-common, too-many-failures.
func (s *Service) ChangePassword(ctx context.Context, session Session, old, fresh string, v Visitor) (Opened, error) {
	if err := session.mustBeFull(); err != nil {
		return Opened{}, err
	}
	user, err := s.DB.Credential(ctx, session.UserID)
	if err != nil {
		return Opened{}, err
	}
	wrong := fault.New(fault.Refused, "password-wrong", "The present password is not right.")
	err = s.attempt(ctx, s.accountBuckets("password", user.Email, v.Network), isFault(wrong), func() error {
		right, err := s.verify(ctx, user.PasswordHash, old)
		if err == nil && !right {
			err = wrong
		}
		return err
	})
	if err != nil {
		return Opened{}, err
	}
	if err := CheckPassword(fresh, guessable(user.Email, user.Name, user.TenantName)...); err != nil {
		return Opened{}, err
	}
	hash, err := s.hash(ctx, fresh)
	if err != nil {
		return Opened{}, err
	}
	opened, row, err := s.newSession(user, session.Stage, v)
	if err != nil {
		return Opened{}, err
	}
	entry := audit.Entry(audit.By(session.Actor()), "password-change", session.subject(), "")
	return opened, s.DB.ChangePassword(ctx, row, hash, s.Now().UTC(), entry)
}

// guessable is what a guesser knows of a person, whole and in parts.
func guessable(texts ...string) (words []string) {
	for _, text := range texts {
		text = strings.ToLower(text)
		words = append(append(words, text), strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" .@-_", r) })...)
	}
	return words
}

func isFault(f *fault.Error) func(error) bool {
	return func(err error) bool { return errors.Is(err, f) }
}
